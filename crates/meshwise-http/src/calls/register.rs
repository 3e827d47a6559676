//! The register of calls in flight.
//!
//! ```text
//! thread -> shard: [ place | place | place ]   a call takes a free place of its thread's shard, says
//!                    ^- key of the call        once what it is, and gives the place back at its end
//! ```
//!
//! Hardly any other thread wants a shard's lock, which is held for a few dozen instructions: a call
//! takes it three times (start, head, end), and allocates nothing once the places are there. A reader
//! copies one shard after the other.

use meshwise_core::internal::{
    Limits, cache_padded::CachePadded, clock, queue::shards, threads::thread_index,
};
use std::{
    num::{NonZero, NonZeroU32},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::Instant,
};

/// How many calls are listed at the same time; the rest are only counted.
const MAX_LISTED: usize = 16_384;
/// How often a shard picks a call whose cost is metered, in nanoseconds: once a millisecond.
const METER_EVERY: u64 = 1_000_000;

/// Lists the calls in flight.
#[derive(Debug)]
pub(crate) struct CallRegister<F> {
    shards: Box<[CachePadded<Mutex<Shard<F>>>]>,
    /// How many places a shard may have.
    limit: usize,
}

/// Names a call, as long as the register lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallId {
    shard: u32,
    serial: u64,
}

/// What a call that has begun needs to find its place again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Listed {
    place: Option<(CallId, u32)>,
    /// Its cost is metered, and stands for that of so many calls.
    pub(crate) meter: Option<NonZeroU32>,
}

/// A call in flight.
#[derive(Clone, Debug)]
pub(crate) struct ListedCall<F> {
    pub(crate) facts: F,
    /// The served call that makes this one.
    pub(crate) within: Option<CallId>,
    pub(crate) started: Instant,
    pub(crate) limits: Limits,
    /// The status of the answer, once its head is there.
    pub(crate) status: Option<u16>,
}

#[derive(Debug)]
struct Shard<F> {
    places: Vec<Place<F>>,
    free: Vec<u32>,
    serial: u64,
    /// Calls that found no place.
    unlisted: u64,
    /// Served calls since the last one that is metered, that one included.
    unmetered: u32,
    meter_at: u64,
}

#[derive(Debug)]
struct Place<F> {
    /// That of the call that is here, or was.
    serial: u64,
    call: Option<ListedCall<F>>,
}

impl Listed {
    pub(crate) fn id(&self) -> Option<CallId> {
        self.place.map(|(id, _)| id)
    }
}

impl<F> CallRegister<F> {
    pub(crate) fn new() -> Self {
        Self::of(shards(available_parallelism().map_or(1, NonZero::get)), MAX_LISTED)
    }

    fn of(shards: usize, limit: usize) -> Self {
        let empty = || {
            let shard = Shard {
                places: Vec::new(),
                free: Vec::new(),
                serial: 0,
                unlisted: 0,
                unmetered: 0,
                meter_at: 0,
            };
            CachePadded(Mutex::new(shard))
        };
        Self { shards: (0..shards).map(|_| empty()).collect(), limit: limit.div_ceil(shards) }
    }

    /// Lists a call that begins, and picks those served whose cost is metered.
    #[inline]
    pub(crate) fn begin(&self, call: ListedCall<F>, served: bool) -> Listed {
        let index = thread_index() & (self.shards.len() - 1);
        let mut shard = lock(&self.shards[index].0);
        let meter = if served { shard.meter(clock::nanos(call.started)) } else { None };
        let place = match shard.free.pop() {
            Some(place) => place,
            None => match shard.grow(self.limit) {
                Some(place) => place,
                None => return Listed { place: None, meter },
            },
        };
        shard.serial += 1;
        let serial = shard.serial;
        shard.places[place as usize] = Place { serial, call: Some(call) };
        // There are at most as many shards as processors, or so.
        let id = CallId { shard: u32::try_from(index).unwrap_or(u32::MAX), serial };
        Listed { place: Some((id, place)), meter }
    }

    /// Changes what is said of a call in flight.
    #[inline]
    pub(crate) fn change(&self, listed: &Listed, change: impl FnOnce(&mut ListedCall<F>)) {
        let Some((id, place)) = listed.place else { return };
        let mut shard = lock(&self.shards[id.shard as usize].0);
        if let Some(call) = &mut shard.places[place as usize].call {
            change(call);
        }
    }

    /// Takes a call that ends out of the list; the second time it is not there.
    #[inline]
    pub(crate) fn end(&self, listed: &mut Listed) -> Option<ListedCall<F>> {
        let (id, place) = listed.place.take()?;
        let mut shard = lock(&self.shards[id.shard as usize].0);
        shard.free.push(place);
        shard.places[place as usize].call.take()
    }

    /// Copies all calls in flight, and counts those that found no place since the start.
    pub(crate) fn list(&self) -> (Vec<(CallId, ListedCall<F>)>, u64)
    where
        F: Clone,
    {
        let (mut calls, mut unlisted) = (Vec::new(), 0_u64);
        for (index, shard) in (0..).zip(&*self.shards) {
            let shard = lock(&shard.0);
            unlisted = unlisted.saturating_add(shard.unlisted);
            calls.extend(shard.places.iter().filter_map(|place| {
                let id = CallId { shard: index, serial: place.serial };
                Some((id, place.call.as_ref()?.clone()))
            }));
        }
        (calls, unlisted)
    }
}

impl<F> Shard<F> {
    /// Makes a new place, if there may be more.
    #[cold]
    fn grow(&mut self, limit: usize) -> Option<u32> {
        let place = self.places.len();
        if place >= limit {
            self.unlisted = self.unlisted.saturating_add(1);
            return None;
        }
        self.places.push(Place { serial: 0, call: None });
        // The end of a call then finds capacity for its place.
        self.free.reserve(self.places.capacity());
        u32::try_from(place).ok()
    }

    /// Picks calls whose cost is metered.
    fn meter(&mut self, now: u64) -> Option<NonZeroU32> {
        self.unmetered = self.unmetered.saturating_add(1);
        if now < self.meter_at {
            return None;
        }
        self.meter_at = now.saturating_add(METER_EVERY);
        NonZeroU32::new(std::mem::take(&mut self.unmetered))
    }
}

fn lock<F>(shard: &Mutex<Shard<F>>) -> MutexGuard<'_, Shard<F>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn call(name: &'static str, started: Instant) -> ListedCall<&'static str> {
        ListedCall { facts: name, within: None, started, limits: Limits::NONE, status: None }
    }

    fn names(register: &CallRegister<&'static str>) -> Vec<&'static str> {
        let mut names: Vec<_> = register.list().0.iter().map(|(_, call)| call.facts).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_call_is_listed_from_its_start_to_its_end() {
        let register = CallRegister::of(1, 10);
        let now = Instant::now();
        let mut first = register.begin(call("a", now), true);
        let mut second = register.begin(call("b", now), false);
        assert_ne!(first.id(), second.id());
        register.change(&first, |call| call.status = Some(200));
        assert_eq!(names(&register), ["a", "b"]);
        assert_eq!(register.list().0[0].1.status, Some(200));
        register.end(&mut first);
        // The second time nothing happens, whatever call has the place by now.
        let third = register.begin(call("c", now), false);
        register.end(&mut first);
        register.change(&first, |call| call.status = Some(500));
        assert_eq!(names(&register), ["b", "c"]);
        assert_eq!(register.list().0.iter().filter(|(_, call)| call.status.is_some()).count(), 0);
        register.end(&mut second);
        assert!(third.id().is_some());
        assert_eq!(names(&register), ["c"]);
    }

    #[test]
    fn calls_beyond_the_bound_are_counted_and_not_listed() {
        let register = CallRegister::of(1, 2);
        let mut listed: Vec<_> =
            (0..5).map(|_| register.begin(call("a", Instant::now()), false)).collect();
        assert_eq!((register.list().0.len(), register.list().1), (2, 3));
        for listed in &mut listed {
            register.end(listed);
        }
        assert!(register.begin(call("a", Instant::now()), false).id().is_some());
    }

    #[test]
    fn places_are_used_again_without_allocation() {
        let register = CallRegister::of(1, 100);
        let mut warm: Vec<_> =
            (0..20).map(|_| register.begin(call("a", Instant::now()), true)).collect();
        for listed in &mut warm {
            register.end(listed);
        }
        let inside = allocation_counter::measure(|| {
            for _ in 0..20 {
                let mut listed = register.begin(call("a", Instant::now()), true);
                register.change(&listed, |call| call.status = Some(200));
                register.end(&mut listed);
            }
        });
        assert_eq!(inside.count_total, 0);
    }

    #[test]
    fn a_metered_call_stands_for_those_since_the_one_before() {
        let register = CallRegister::of(1, 100);
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let meter = |micros, served| {
            let mut listed = register.begin(call("a", at(micros)), served);
            register.end(&mut listed);
            listed.meter.map(NonZeroU32::get)
        };
        assert_eq!(meter(0, true), Some(1));
        assert_eq!(meter(100, true), None);
        assert_eq!(meter(200, false), None, "only served calls are metered");
        assert_eq!(meter(999, true), None);
        assert_eq!(meter(1_000, true), Some(3));
        assert_eq!(meter(5_000, true), Some(1));
    }
}
