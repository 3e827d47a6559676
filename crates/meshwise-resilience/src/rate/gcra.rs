//! The rule, given the time.

use crate::sync::{Mutex, lock};
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gcra {
    /// The time from one call to the next, at the steady rate.
    pub(super) interval: u64,
    /// How much earlier a call may come.
    pub(super) tolerance: u64,
    /// The longest that any call may wait, or may have been allowed to, whatever the patience of the one at hand.
    pub(super) max_wait: u64,
}

/// How long a thread may be held up between its look at the clock and its turn here, while others
/// queue up.
const HELD_UP: u64 = 1_000_000_000;

/// What a call has: it goes back if it is given up before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    before: u64,
    after: u64,
    pub(super) wait: u64,
}

impl Gcra {
    /// Takes a place that is due within `patience` (and the limit's own longest wait), or returns
    /// how long it would take.
    #[inline]
    pub(super) fn take(self, due: &AtomicU64, now: u64, patience: u64) -> Result<Taken, u64> {
        let horizon = self.horizon(now);
        let mut before = due.load(Relaxed);
        loop {
            let kept = if before > horizon { now } else { before };
            let start = kept.max(now);
            let wait = start.saturating_sub(self.tolerance).saturating_sub(now);
            if wait > patience.min(self.max_wait) {
                return Err(wait);
            }
            let after = start.saturating_add(self.interval);
            match due.compare_exchange_weak(before, after, SeqCst, Relaxed) {
                Ok(_) => return Ok(Taken { before: kept, after, wait }),
                Err(other) => before = other,
            }
        }
    }

    /// Returns the moment past which nothing can be due: what is due later was put there by another
    /// clock, or by a wider limit, and must not lock the door.
    ///
    /// It is the limit's own, never that of a single call: one with little time left would take the
    /// whole queue for an error and jump it.
    pub(super) fn horizon(self, now: u64) -> u64 {
        let furthest = self.tolerance.saturating_add(self.interval).saturating_add(self.max_wait);
        now.saturating_add(furthest).saturating_add(HELD_UP)
    }

    /// Returns when the next call is due under this limit, by what was due under the `old` one: as much of the
    /// burst is used. Calls that wait are not counted, for they ask again.
    pub(super) fn carry(self, old: Self, due: u64, now: u64) -> u64 {
        if due <= now || due > old.horizon(now) || old.interval == 0 {
            return due.min(now);
        }
        let ahead = due - now;
        let waiting = ahead.saturating_sub(old.tolerance).saturating_sub(1) / old.interval;
        let used = u128::from(ahead - waiting * old.interval);
        let used = used * u128::from(self.interval) / u128::from(old.interval);
        let all = self.tolerance.saturating_add(self.interval);
        now.saturating_add(u64::try_from(used).map_or(all, |used| used.min(all)))
    }

    /// Gives a place back: if others have come after it, to the next that comes.
    pub(super) fn release(due: &AtomicU64, key: Option<u64>, taken: Taken, gaps: &Gaps) {
        if due.compare_exchange(taken.after, taken.before, SeqCst, Relaxed).is_err() {
            gaps.put(key, taken);
        }
    }
}

/// The places that were released out of the middle of a queue. The next call takes the earliest,
/// and begins when the one would have that gave it back: those behind keep theirs, and at no time do
/// more calls pass than without it.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// How many there are: no lock while there are none.
    count: AtomicUsize,
    places: Mutex<Vec<(Option<u64>, Taken)>>,
}

/// Of more that are released and not taken, the rest passes unused, as time does.
const MOST_GAPS: usize = 1024;

impl Gaps {
    fn put(&self, key: Option<u64>, taken: Taken) {
        let mut places = lock(&self.places);
        if places.len() < MOST_GAPS {
            places.push((key, taken));
            self.count.store(places.len(), Relaxed);
        }
    }

    /// Takes the earliest place of a key that is due within `patience`. What has passed is no place.
    #[inline]
    pub(super) fn take(
        &self,
        gcra: Gcra,
        key: Option<u64>,
        now: u64,
        patience: u64,
    ) -> Option<Taken> {
        if self.count.load(Relaxed) == 0 { None } else { self.take_any(gcra, key, now, patience) }
    }

    #[cold]
    fn take_any(&self, gcra: Gcra, key: Option<u64>, now: u64, patience: u64) -> Option<Taken> {
        let mut places = lock(&self.places);
        places.retain(|(_, place)| place.before >= now);
        let of_key = places.iter().enumerate().filter(|(_, (of, _))| *of == key);
        let first = of_key.min_by_key(|(_, (_, place))| place.before).map(|(at, _)| at);
        let wait = |place: u64| place.saturating_sub(gcra.tolerance).saturating_sub(now);
        let in_time = |at: &usize| wait(places[*at].1.before) <= patience.min(gcra.max_wait);
        let taken = first.filter(in_time).map(|at| places.swap_remove(at).1);
        self.count.store(places.len(), Relaxed);
        taken.map(|taken| Taken { wait: wait(taken.before), ..taken })
    }

    /// Forgets all: they are places of another limit.
    pub(super) fn clear(&self) {
        let mut places = lock(&self.places);
        places.clear();
        self.count.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn gcra(interval: u64, burst: u64, max_wait: u64) -> Gcra {
        Gcra { interval, tolerance: interval * (burst - 1), max_wait }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_steady_rate() {
        let (limit, due) = (gcra(10 * MS, 3, 0), AtomicU64::new(0));
        let now = 1000 * MS;
        for _ in 0..3 {
            assert_eq!(limit.take(&due, now, 0).unwrap().wait, 0);
        }
        assert_eq!(limit.take(&due, now, 0), Err(10 * MS), "the wait is told");
        assert_eq!(limit.take(&due, now + 9 * MS, 0), Err(MS));
        assert!(limit.take(&due, now + 10 * MS, 0).is_ok());
        assert!(limit.take(&due, now + 10 * MS, 0).is_err());
        // After a pause the burst is whole again, and no more than whole.
        let later = now + 10_000 * MS;
        assert_eq!((0..9).filter(|_| limit.take(&due, later, 0).is_ok()).count(), 3);
    }

    #[test]
    fn those_who_wait_are_spaced_and_those_who_give_up_leave_their_place() {
        let (limit, due) = (gcra(10 * MS, 1, 25 * MS), AtomicU64::new(0));
        let now = 1000 * MS;
        let waits: Vec<_> =
            (0..4).map(|_| limit.take(&due, now, 25 * MS).map(|taken| taken.wait)).collect();
        assert_eq!(waits, [Ok(0), Ok(10 * MS), Ok(20 * MS), Err(30 * MS)]);
        let last = Taken { before: now + 20 * MS, after: now + 30 * MS, wait: 20 * MS };
        let gaps = Gaps::default();
        Gcra::release(&due, None, last, &gaps);
        assert_eq!(gaps.take(limit, None, now, 25 * MS), None, "there is none after it");
        assert_eq!(limit.take(&due, now, 25 * MS), Ok(last));
        // One that is not the last leaves a gap, for one that comes in time and waits so long.
        let middle = Taken { before: now + 10 * MS, after: now + 20 * MS, wait: 10 * MS };
        Gcra::release(&due, None, middle, &gaps);
        assert_eq!(limit.take(&due, now, 25 * MS), Err(30 * MS));
        assert_eq!(gaps.take(limit, Some(7), now, 25 * MS), None, "another's");
        assert_eq!(gaps.take(limit, None, now, 9 * MS), None);
        let later = now + 4 * MS;
        assert_eq!(gaps.take(limit, None, later, 25 * MS), Some(Taken { wait: 6 * MS, ..middle }));
        assert_eq!(gaps.take(limit, None, later, 25 * MS), None, "it is taken once");
        Gcra::release(&due, None, middle, &gaps);
        assert_eq!(gaps.take(limit, None, now + 11 * MS, 25 * MS), None, "it has passed");
    }

    #[test]
    fn a_clock_that_jumps_does_not_lock_the_door() {
        let (limit, due) = (gcra(10 * MS, 2, 0), AtomicU64::new(0));
        assert!(limit.take(&due, u64::MAX / 2, 0).is_ok());
        assert!(limit.take(&due, 5 * MS, 0).is_ok(), "far back");
        assert!(limit.take(&due, 5 * MS, 0).is_ok());
        assert_eq!(limit.take(&due, 5 * MS, 0), Err(10 * MS), "and the limit holds");
        assert!(limit.take(&due, u64::MAX, 0).is_ok(), "and to the end of time");
    }

    #[test]
    fn a_call_with_little_time_is_refused_and_leaves_the_queue_alone() {
        let (limit, due) = (gcra(100 * MS, 1, 10_000 * MS), AtomicU64::new(0));
        let now = 1000 * MS;
        for turn in 0..50 {
            let taken = limit.take(&due, now, 10_000 * MS).unwrap();
            assert_eq!(taken.wait, turn * 100 * MS);
        }
        let last = due.load(SeqCst);
        assert_eq!(limit.take(&due, now + MS, 20 * MS), Err(4_999 * MS));
        assert_eq!(limit.take(&due, now + MS, 0), Err(4_999 * MS), "nor one that does not wait");
        assert_eq!(due.load(SeqCst), last);
        assert_eq!(limit.take(&due, now + MS, 10_000 * MS).unwrap().wait, 4_999 * MS);
        // However long it would wait, the limit's own longest wait holds.
        (51..101).for_each(|_| assert!(limit.take(&due, now, u64::MAX).is_ok()));
        assert_eq!(limit.take(&due, now, u64::MAX), Err(10_100 * MS));
    }

    #[test]
    fn a_thread_that_was_held_up_is_no_clock_that_jumped() {
        let (limit, due) = (gcra(10 * MS, 1, 20 * MS), AtomicU64::new(0));
        let now = 1000 * MS;
        (0..3).for_each(|_| assert!(limit.take(&due, now + 100 * MS, 20 * MS).is_ok()));
        assert_eq!(limit.take(&due, now, 20 * MS), Err(130 * MS), "it read the clock before");
    }

    #[test]
    fn a_clock_that_falls_back_a_little_stops_calls_for_no_longer() {
        let (limit, due) = (gcra(10 * MS, 1, 0), AtomicU64::new(0));
        assert!(limit.take(&due, 100_000 * MS, 0).is_ok());
        assert_eq!(limit.take(&due, 99_500 * MS, 0), Err(510 * MS));
        assert!(limit.take(&due, 90_000 * MS, 0).is_ok());
    }

    /// Remembers when each call began, and counts in every stretch of time that ends now.
    struct Model {
        interval: u64,
        burst: u64,
        max_wait: u64,
        begun: Vec<u64>,
    }

    impl Model {
        /// `n` calls take at least `n - burst` intervals, from whichever of them one counts.
        fn earliest(&self, now: u64) -> u64 {
            let begun = self.begun.iter().rev().enumerate();
            begun.fold(now, |at, (after, start)| {
                let calls = after as u64 + 2;
                at.max(*start).max(start + calls.saturating_sub(self.burst) * self.interval)
            })
        }

        fn take(&mut self, now: u64, patience: u64) -> Result<u64, u64> {
            let start = self.earliest(now);
            let wait = start - now;
            if wait > patience || wait > self.max_wait {
                return Err(wait);
            }
            self.begun.push(start);
            Ok(wait)
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wait(u64),
        /// A call that would wait so long.
        Call(u64),
        /// The last call is given up, if it still waits.
        GiveUp,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let patience = prop_oneof![Just(0), 0..200_u64, 0..20_000_u64, Just(u64::MAX)];
        let step = prop_oneof![
            3 => (0..1500_u64).prop_map(Step::Wait),
            1 => (0..30_000_u64).prop_map(Step::Wait),
            12 => patience.prop_map(Step::Call),
            1 => Just(Step::GiveUp),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn any_mix_of_patience_gets_what_the_model_gives(
            interval in 1..1_000_u64,
            burst in 1..20_u64,
            max_wait in prop_oneof![Just(0), 0..20_000_u64],
            steps in steps(),
        ) {
            // Milliseconds: seconds of queue, past what a held-up thread is allowed.
            let (interval, max_wait) = (interval * MS, max_wait * MS);
            let (limit, due) = (gcra(interval, burst, max_wait), AtomicU64::new(0));
            let mut model = Model { interval, burst, max_wait, begun: vec![] };
            let mut now = 1_000_000_000_u64;
            let mut last = None;
            for step in steps {
                match step {
                    Step::Wait(gap) => now += gap * MS,
                    Step::Call(patience) => {
                        let patience = patience.saturating_mul(MS);
                        let taken = limit.take(&due, now, patience);
                        let expected = model.take(now, patience);
                        prop_assert_eq!(taken.map(|taken| taken.wait), expected);
                        last = taken.ok().or(last);
                    }
                    Step::GiveUp => if let Some(taken) = last.take()
                        && model.begun.last().is_some_and(|start| *start > now)
                    {
                        Gcra::release(&due, None, taken, &Gaps::default());
                        model.begun.pop();
                    },
                }
            }
        }

        /// Whichever calls are given up while they wait, as many that come take their places, at their
        /// times; and no stretch of time gets more calls for it.
        #[test]
        fn what_is_given_up_in_a_queue_is_neither_lost_nor_given_twice(
            interval in 1..1_000_u64,
            burst in 1..20_u64,
            rounds in prop::collection::vec(
                (0..3_000_u64, prop::collection::vec(any::<bool>(), 1..60)),
                1..12,
            ),
        ) {
            let interval = interval * MS;
            let (limit, due) = (gcra(interval, burst, u64::MAX / 4), AtomicU64::new(0));
            let gaps = Gaps::default();
            let mut now = 1_000_000_000_000_u64;
            let take = |now| {
                let gap = gaps.take(limit, None, now, u64::MAX);
                gap.map_or_else(|| limit.take(&due, now, u64::MAX), Ok).unwrap()
            };
            // When each begins that was not given up.
            let mut begins: Vec<(u64, Taken)> = Vec::new();
            for (gap, stays) in rounds {
                now += gap * MS;
                begins.extend(stays.iter().map(|_| take(now)).map(|taken| (now + taken.wait, taken)));
                let mut given_up: Vec<u64> = Vec::new();
                let mut stays = stays.into_iter().cycle();
                begins.retain(|(at, taken)| {
                    let stays = *at <= now || stays.next().is_none_or(|stays| stays);
                    if !stays {
                        Gcra::release(&due, None, *taken, &gaps);
                        given_up.push(*at);
                    }
                    stays
                });
                given_up.sort_unstable();
                let mut again: Vec<_> = given_up.iter().map(|_| take(now)).collect();
                again.sort_unstable_by_key(|taken| taken.wait);
                let times: Vec<_> = again.iter().map(|taken| now + taken.wait).collect();
                prop_assert_eq!(times, given_up);
                begins.extend(again.into_iter().map(|taken| (now + taken.wait, taken)));
            }
            let mut times: Vec<_> = begins.into_iter().map(|(at, _)| at).collect();
            times.sort_unstable();
            for (i, from) in times.iter().enumerate() {
                for (n, to) in times[i..].iter().enumerate() {
                    prop_assert!((n as u64 + 1).saturating_sub(burst) * interval <= to - from);
                }
            }
        }

        /// In any stretch of time there are at most as many calls as its length allows, and a burst.
        #[test]
        fn no_history_gets_more_than_rate_and_burst(
            interval in 1..1_000_u64,
            burst in 1..20_u64,
            gaps in prop::collection::vec(0..2_000_u64, 1..200),
        ) {
            let (limit, due) = (gcra(interval, burst, 0), AtomicU64::new(0));
            let mut now = 1_000_000_000_u64;
            let mut passed: Vec<u64> = Vec::new();
            for gap in gaps {
                now += gap;
                match limit.take(&due, now, 0) {
                    Ok(_) => passed.push(now),
                    Err(wait) => {
                        prop_assert!(wait > 0);
                        // Refused a moment too early, and not a moment too long.
                        let probe = AtomicU64::new(due.load(SeqCst));
                        prop_assert!(limit.take(&probe, now + wait - 1, 0).is_err());
                        prop_assert!(limit.take(&probe, now + wait, 0).is_ok());
                    }
                }
            }
            for (i, from) in passed.iter().enumerate() {
                for (n, to) in passed[i..].iter().enumerate() {
                    prop_assert!((n as u64 + 1) <= (to - from) / interval + burst);
                }
            }
        }
    }
}
