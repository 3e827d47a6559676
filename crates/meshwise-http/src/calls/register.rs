//! The register of calls in flight.
//!
//! ```text
//! thread -> shard: [ place | place | place ]   a call takes a free place of its thread's shard, says
//!                    ^- key of the call        once what it is, and gives the place back at its end
//! ```
//!
//! Hardly any other thread wants a shard's lock, which is held for a few dozen instructions: a call
//! takes it twice (start, end), and allocates nothing once the places are there. The status of its answer
//! stands beside the places and is written without the lock: only the call that has a place does so. A
//! reader copies one shard after the other.

use meshwise_core::internal::{
    Limits, cache_padded::CachePadded, queue::shards, threads::thread_index,
};
use std::{
    num::{NonZero, NonZeroU32, NonZeroU64},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::Instant,
};

/// How many calls are listed at the same time; the rest are only counted.
const MAX_LISTED: usize = 16_384;
/// How often a shard picks a call whose cost is metered, in nanoseconds: a hundred times a second.
const METER_EVERY: u64 = 10_000_000;
/// The bits of a call's number below those of its shard.
const SERIAL_BITS: u32 = 48;

/// Lists the calls in flight.
#[derive(Debug)]
pub(crate) struct CallRegister<F> {
    shards: Box<[CachePadded<Shard<F>>]>,
    /// How many places a shard may have.
    limit: usize,
}

/// Names a call, as long as the register lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallId(NonZeroU64);

impl CallId {
    /// Numbers a shard's next call, from 1 on.
    #[inline]
    fn new(shard: usize, serial: u64) -> Self {
        let id = NonZeroU64::new((shard as u64) << SERIAL_BITS | serial);
        Self(id.unwrap_or(NonZeroU64::MIN))
    }

    #[inline]
    fn shard(self) -> usize {
        (self.0.get() >> SERIAL_BITS) as usize
    }
}

/// What a call that has begun needs to find its place again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Listed {
    id: Option<CallId>,
    /// Where in its shard.
    place: u32,
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
    /// When the first of its limits is over, as `clock::nanos` counts; `u64::MAX` if it has none.
    pub(crate) ends: u64,
    /// The status of the answer, once its head is there: filled in where calls are listed.
    pub(crate) status: Option<u16>,
}

#[derive(Debug)]
struct Shard<F> {
    places: Mutex<Places<F>>,
    /// The status of the answer of the call in each place; 0 before its head is there.
    statuses: Box<[AtomicU16]>,
}

#[derive(Debug)]
struct Places<F> {
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
    id: CallId,
    call: Option<ListedCall<F>>,
}

impl<F> ListedCall<F> {
    #[inline]
    pub(crate) fn new(facts: F, within: Option<CallId>, started: Instant, limits: Limits) -> Self {
        Self { facts, within, started, ends: limits.ends(), status: None }
    }
}

impl CallId {
    /// Names it where it is not known what it is.
    pub(crate) const fn number(self) -> u64 {
        self.0.get()
    }
}

impl Listed {
    #[inline]
    pub(crate) fn id(&self) -> Option<CallId> {
        self.id
    }
}

impl<F> CallRegister<F> {
    pub(crate) fn new() -> Self {
        Self::of(shards(available_parallelism().map_or(1, NonZero::get)), MAX_LISTED)
    }

    fn of(shards: usize, limit: usize) -> Self {
        let limit = limit.div_ceil(shards);
        let empty = || {
            let places = Places {
                places: Vec::new(),
                free: Vec::new(),
                serial: 0,
                unlisted: 0,
                unmetered: 0,
                meter_at: 0,
            };
            let statuses = (0..limit).map(|_| AtomicU16::new(0)).collect();
            CachePadded(Shard { places: Mutex::new(places), statuses })
        };
        Self { shards: (0..shards).map(|_| empty()).collect(), limit }
    }

    /// Lists the call that `make` describes. A served one says when it began, as `clock::nanos`
    /// counts: those whose cost is metered are picked among them.
    #[inline]
    pub(crate) fn begin(
        &self,
        served: Option<u64>,
        make: impl FnOnce() -> ListedCall<F>,
    ) -> Listed {
        let index = thread_index() & (self.shards.len() - 1);
        let shard = &self.shards[index].0;
        let mut places = shard.lock();
        let meter = served.and_then(|began| places.meter(began));
        let at = match places.free.pop() {
            Some(place) => place,
            None => match places.grow(self.limit) {
                Some(place) => place,
                None => return Listed { id: None, place: 0, meter },
            },
        };
        places.serial += 1;
        let id = CallId::new(index, places.serial);
        let place = &mut places.places[at as usize];
        place.id = id;
        // Made where it stays.
        place.call = Some(make());
        shard.statuses[at as usize].store(0, Relaxed);
        Listed { id: Some(id), place: at, meter }
    }

    /// Says the status of a call's answer.
    #[inline]
    pub(crate) fn answered(&self, listed: &Listed, status: u16) {
        let Some(id) = listed.id else { return };
        self.shards[id.shard()].0.statuses[listed.place as usize].store(status, Relaxed);
    }

    /// Changes what is said of a call in flight.
    #[inline]
    pub(crate) fn change(&self, listed: &Listed, change: impl FnOnce(&mut ListedCall<F>)) {
        let Some(id) = listed.id else { return };
        let mut places = self.shards[id.shard()].0.lock();
        if let Some(call) = &mut places.places[listed.place as usize].call {
            change(call);
        }
    }

    /// Takes a call that ends out of the list, and tells whether it was there; the second time it is not.
    #[inline]
    pub(crate) fn end(&self, listed: &mut Listed) -> bool {
        self.end_with(listed, |_| ()).is_some()
    }

    /// Takes a call that ends out of the list, and returns what `keep` makes of it.
    #[inline]
    pub(crate) fn end_with<T>(
        &self,
        listed: &mut Listed,
        keep: impl FnOnce(&ListedCall<F>) -> T,
    ) -> Option<T> {
        let (id, place) = (listed.id.take()?, listed.place);
        let mut places = self.shards[id.shard()].0.lock();
        places.free.push(place);
        let call = &mut places.places[place as usize].call;
        let kept = call.as_ref().map(keep);
        // Dropped where it is: moving it would cost more.
        *call = None;
        kept
    }

    /// Takes those calls out of the list that `take` makes something of, which is given the status of their
    /// answers too. Their ends find nothing then.
    pub(crate) fn give_up<T>(
        &self,
        take: impl Fn(&ListedCall<F>, Option<u16>) -> Option<T>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        for CachePadded(shard) in &self.shards {
            let mut places = shard.lock();
            for (place, status) in places.places.iter_mut().zip(&shard.statuses) {
                let status = Some(status.load(Relaxed)).filter(|status| *status > 0);
                if let Some(made) = place.call.as_ref().and_then(|call| take(call, status)) {
                    place.call = None;
                    taken.push(made);
                }
            }
        }
        taken
    }

    /// Copies all calls in flight, and counts those that found no place since the start.
    pub(crate) fn list(&self) -> (Vec<(CallId, ListedCall<F>)>, u64)
    where
        F: Clone,
    {
        let (mut calls, mut unlisted) = (Vec::new(), 0_u64);
        for CachePadded(shard) in &self.shards {
            let statuses = &shard.statuses;
            let places = shard.lock();
            unlisted = unlisted.saturating_add(places.unlisted);
            calls.extend(places.places.iter().zip(statuses).filter_map(|(place, status)| {
                let mut call = place.call.as_ref()?.clone();
                call.status = Some(status.load(Relaxed)).filter(|status| *status > 0);
                Some((place.id, call))
            }));
        }
        (calls, unlisted)
    }
}

impl<F> Shard<F> {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Places<F>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Places<F> {
    /// Makes a new place, if there may be more.
    fn grow(&mut self, limit: usize) -> Option<u32> {
        let place = self.places.len();
        if place >= limit {
            self.unlisted = self.unlisted.saturating_add(1);
            return None;
        }
        self.places.push(Place { id: CallId::new(0, 0), call: None });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &'static str, started: Instant) -> ListedCall<&'static str> {
        ListedCall::new(name, None, started, Limits::NONE)
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
        let mut first = register.begin(Some(0), || call("a", now));
        let mut second = register.begin(None, || call("b", now));
        assert_ne!(first.id(), second.id());
        register.answered(&first, 200);
        assert_eq!(names(&register), ["a", "b"]);
        assert_eq!(register.list().0[0].1.status, Some(200));
        assert_eq!(register.end_with(&mut first, |call| call.facts), Some("a"));
        // The second time nothing happens, whatever call has the place by now.
        let third = register.begin(None, || call("c", now));
        assert!(register.end_with(&mut first, |_| ()).is_none());
        register.answered(&first, 500);
        register.change(&first, |call| call.facts = "d");
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
            (0..5).map(|_| register.begin(None, || call("a", Instant::now()))).collect();
        assert_eq!((register.list().0.len(), register.list().1), (2, 3));
        for listed in &mut listed {
            register.end(listed);
        }
        assert!(register.begin(None, || call("a", Instant::now())).id().is_some());
    }

    #[test]
    fn places_are_used_again_without_allocation() {
        let register = CallRegister::of(1, 100);
        let mut warm: Vec<_> =
            (0..20).map(|_| register.begin(Some(0), || call("a", Instant::now()))).collect();
        for listed in &mut warm {
            register.end(listed);
        }
        let inside = allocation_counter::measure(|| {
            for _ in 0..20 {
                let mut listed = register.begin(Some(0), || call("a", Instant::now()));
                register.answered(&listed, 200);
                register.end(&mut listed);
            }
        });
        assert_eq!(inside.count_total, 0);
    }

    #[test]
    fn a_metered_call_stands_for_those_since_the_one_before() {
        let register = CallRegister::of(1, 100);
        let meter = |ten_micros: Option<u64>| {
            let served = ten_micros.map(|moment| moment * 10_000);
            let mut listed = register.begin(served, || call("a", Instant::now()));
            register.end(&mut listed);
            listed.meter.map(NonZeroU32::get)
        };
        assert_eq!(meter(Some(0)), Some(1));
        assert_eq!(meter(Some(100)), None);
        assert_eq!(meter(None), None, "only served calls are metered");
        assert_eq!(meter(Some(999)), None);
        assert_eq!(meter(Some(1_000)), Some(3));
        assert_eq!(meter(Some(5_000)), Some(1));
    }
}
