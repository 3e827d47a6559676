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
use parking_lot::{Mutex, MutexGuard};
use std::{
    num::{NonZero, NonZeroU32, NonZeroU64},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    thread::available_parallelism,
};

/// How many calls are listed at the same time; the rest are only counted.
const MAX_LISTED: usize = 16_384;
/// How often a shard picks a call whose cost is metered, in nanoseconds: a hundred times a second.
const METER_EVERY: u64 = 10_000_000;
/// Stands for no place.
const NONE: u32 = u32::MAX;
/// The bits of a call's number below those of its shard.
const SERIAL_BITS: u32 = 48;

/// Lists the calls in flight.
#[derive(Debug)]
pub(crate) struct CallRegister<F> {
    shards: Box<[CachePadded<Mutex<Places<F>>>]>,
    /// The status of the answer of the call in each place, one shard's after the other's; 0 before its head
    /// is there.
    statuses: Box<[AtomicU16]>,
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    id: Option<CallId>,
    /// Which of all shards' places it has.
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
    /// When it began, as `clock::nanos` counts.
    pub(crate) began: u64,
    /// When the first of its limits is over, as `clock::nanos` counts; `u64::MAX` if it has none.
    pub(crate) ends: u64,
    /// The status of the answer, once its head is there: filled in where calls are listed.
    pub(crate) status: Option<u16>,
}

#[derive(Debug)]
struct Places<F> {
    places: Vec<Place<F>>,
    /// The first free place, or [`NONE`]: the end of a call needs no room to name its own.
    free: u32,
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
    /// Where the next free place is, if this one is free.
    next: u32,
}

impl<F> ListedCall<F> {
    #[inline]
    pub(crate) fn new(facts: F, within: Option<CallId>, began: u64, limits: Limits) -> Self {
        Self { facts, within, began, ends: limits.ends(), status: None }
    }
}

impl CallId {
    /// Names it where it is not known what it is.
    pub(crate) const fn number(self) -> u64 {
        self.0.get()
    }
}

impl Default for Listed {
    fn default() -> Self {
        Self { id: None, place: NONE, meter: None }
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
        let empty = || Places {
            places: Vec::new(),
            free: NONE,
            serial: 0,
            unlisted: 0,
            unmetered: 0,
            meter_at: 0,
        };
        Self {
            shards: (0..shards).map(|_| CachePadded(Mutex::new(empty()))).collect(),
            statuses: (0..shards * limit).map(|_| AtomicU16::new(0)).collect(),
            limit,
        }
    }

    /// Lists the call that `make` describes; `complete` adds what only some have. A served one says when it
    /// began, as `clock::nanos` counts: those whose cost is metered are picked among them.
    #[inline]
    pub(crate) fn begin(
        &self,
        served: Option<u64>,
        make: impl FnOnce() -> ListedCall<F>,
        complete: impl FnOnce(&mut F),
    ) -> Listed {
        let index = thread_index() & (self.shards.len() - 1);
        let mut places = self.shards[index].0.lock();
        let places = &mut *places;
        let meter = served.and_then(|began| places.meter(began));
        if places.free == NONE && !places.grow(self.limit) {
            return Listed { id: None, place: NONE, meter };
        }
        let at = places.free as usize;
        places.serial += 1;
        let id = CallId::new(index, places.serial);
        let place = &mut places.places[at];
        places.free = place.next;
        place.id = id;
        // Made where it stays: the compiler has to see that there is nothing to drop before.
        if place.call.is_some() {
            place.call = None;
        }
        complete(&mut place.call.insert(make()).facts);
        let place = index * self.limit + at;
        self.statuses[place].store(0, Relaxed);
        Listed { id: Some(id), place: place as u32, meter }
    }

    /// Says the status of a call's answer.
    #[inline]
    pub(crate) fn answered(&self, listed: &Listed, status: u16) {
        // One that is not listed has no place.
        if let Some(of_place) = self.statuses.get(listed.place as usize) {
            of_place.store(status, Relaxed);
        }
    }

    /// Changes what is said of a call in flight.
    #[inline]
    pub(crate) fn change(&self, listed: &Listed, change: impl FnOnce(&mut ListedCall<F>)) {
        let Some(id) = listed.id else { return };
        let (shard, at) = self.place(id, listed);
        if let Some(call) = &mut shard.lock().places[at].call {
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
        let id = listed.id.take()?;
        let (shard, at) = self.place(id, listed);
        listed.place = NONE;
        let mut places = shard.lock();
        let places = &mut *places;
        let place = &mut places.places[at];
        place.next = std::mem::replace(&mut places.free, at as u32);
        let kept = place.call.as_ref().map(keep);
        // Dropped where it is: moving it would cost more.
        place.call = None;
        kept
    }

    /// Finds the place of a listed call in its shard.
    #[inline]
    fn place(&self, id: CallId, listed: &Listed) -> (&Mutex<Places<F>>, usize) {
        let shard = id.shard();
        (&self.shards[shard].0, (listed.place as usize).wrapping_sub(shard * self.limit))
    }

    /// Goes through the shards, each with the statuses of its places.
    fn shards(&self) -> impl Iterator<Item = (MutexGuard<'_, Places<F>>, &[AtomicU16])> {
        let shards = self.shards.iter().map(|CachePadded(shard)| shard.lock());
        shards.zip(self.statuses.chunks(self.limit))
    }

    /// Takes those calls out of the list that `take` makes something of, which is given the status of their
    /// answers too. Their ends find nothing then.
    pub(crate) fn give_up<T>(
        &self,
        take: impl Fn(&ListedCall<F>, Option<u16>) -> Option<T>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        for (mut places, statuses) in self.shards() {
            for (place, status) in places.places.iter_mut().zip(statuses) {
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
        for (places, statuses) in self.shards() {
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

impl<F> Places<F> {
    /// Makes a new place where none is free, if there may be more.
    #[inline(never)]
    fn grow(&mut self, limit: usize) -> bool {
        let place = self.places.len();
        if place >= limit {
            self.unlisted = self.unlisted.saturating_add(1);
            return false;
        }
        self.places.push(Place { id: CallId::new(0, 0), call: None, next: NONE });
        self.free = place as u32;
        true
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
    use meshwise_core::internal::clock;

    fn call(name: &'static str, began: u64) -> ListedCall<&'static str> {
        ListedCall::new(name, None, began, Limits::NONE)
    }

    fn names(register: &CallRegister<&'static str>) -> Vec<&'static str> {
        let mut names: Vec<_> = register.list().0.iter().map(|(_, call)| call.facts).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_call_is_listed_from_its_start_to_its_end() {
        let register = CallRegister::of(1, 10);
        let now = clock::now();
        let mut first = register.begin(Some(0), || call("a", now), |_| ());
        let mut second = register.begin(None, || call("b", now), |_| ());
        assert_ne!(first.id(), second.id());
        register.answered(&first, 200);
        assert_eq!(names(&register), ["a", "b"]);
        assert_eq!(register.list().0[0].1.status, Some(200));
        assert_eq!(register.end_with(&mut first, |call| call.facts), Some("a"));
        // The second time nothing happens, whatever call has the place by now.
        let third = register.begin(None, || call("c", now), |_| ());
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
            (0..5).map(|_| register.begin(None, || call("a", clock::now()), |_| ())).collect();
        assert_eq!((register.list().0.len(), register.list().1), (2, 3));
        for listed in &mut listed {
            register.end(listed);
        }
        assert!(register.begin(None, || call("a", clock::now()), |_| ()).id().is_some());
    }

    #[test]
    fn places_are_used_again_without_allocation() {
        let register = CallRegister::of(1, 100);
        let mut warm: Vec<_> =
            (0..20).map(|_| register.begin(Some(0), || call("a", clock::now()), |_| ())).collect();
        for listed in &mut warm {
            register.end(listed);
        }
        let inside = allocation_counter::measure(|| {
            for _ in 0..20 {
                let mut listed = register.begin(Some(0), || call("a", clock::now()), |_| ());
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
            let mut listed = register.begin(served, || call("a", clock::now()), |_| ());
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
