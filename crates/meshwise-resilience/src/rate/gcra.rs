//! The rule, given the time.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// A limit, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gcra {
    /// The time from one call to the next, at the steady rate.
    pub(super) interval: u64,
    /// How much earlier a call may come.
    pub(super) tolerance: u64,
}

/// What a call took: it goes back if it is given up before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    before: u64,
    after: u64,
    /// How long it must wait.
    pub(super) wait: u64,
}

impl Gcra {
    /// Takes a place that is due within `max_wait`, or returns how long it would take.
    #[inline]
    pub(super) fn take(self, due: &AtomicU64, now: u64, max_wait: u64) -> Result<Taken, u64> {
        let mut before = due.load(Relaxed);
        loop {
            // What is further ahead than any call could have put it was put there by another clock
            // (or a wider limit): it must not lock the door.
            let furthest = self.tolerance.saturating_add(self.interval).saturating_add(max_wait);
            let kept = if before > now.saturating_add(furthest) { now } else { before };
            let start = kept.max(now);
            let wait = start.saturating_sub(self.tolerance).saturating_sub(now);
            if wait > max_wait {
                return Err(wait);
            }
            let after = start.saturating_add(self.interval);
            match due.compare_exchange_weak(before, after, SeqCst, Relaxed) {
                Ok(_) => return Ok(Taken { before: kept, after, wait }),
                Err(other) => before = other,
            }
        }
    }

    /// Gives a place back, if nobody has come after it. (Otherwise it passes unused, as time does.)
    pub(super) fn give_back(due: &AtomicU64, taken: Taken) {
        let _later = due.compare_exchange(taken.after, taken.before, SeqCst, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn gcra(interval: u64, burst: u64) -> Gcra {
        Gcra { interval, tolerance: interval * (burst - 1) }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_steady_rate() {
        let (limit, due) = (gcra(10 * MS, 3), AtomicU64::new(0));
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
        let (limit, due) = (gcra(10 * MS, 1), AtomicU64::new(0));
        let now = 1000 * MS;
        let waits: Vec<_> =
            (0..4).map(|_| limit.take(&due, now, 25 * MS).map(|taken| taken.wait)).collect();
        assert_eq!(waits, [Ok(0), Ok(10 * MS), Ok(20 * MS), Err(30 * MS)]);
        let last = Taken { before: now + 20 * MS, after: now + 30 * MS, wait: 20 * MS };
        Gcra::give_back(&due, last);
        assert_eq!(limit.take(&due, now, 25 * MS), Ok(last));
        // One who is not the last leaves a gap.
        Gcra::give_back(&due, Taken { before: now, after: now + 10 * MS, wait: 0 });
        assert_eq!(limit.take(&due, now, 25 * MS), Err(30 * MS));
    }

    #[test]
    fn a_clock_that_jumps_does_not_lock_the_door() {
        let (limit, due) = (gcra(10 * MS, 2), AtomicU64::new(0));
        assert!(limit.take(&due, u64::MAX / 2, 0).is_ok());
        assert!(limit.take(&due, 5 * MS, 0).is_ok(), "far back");
        assert!(limit.take(&due, 5 * MS, 0).is_ok());
        assert_eq!(limit.take(&due, 5 * MS, 0), Err(10 * MS), "and the limit holds");
        assert!(limit.take(&due, u64::MAX, 0).is_ok(), "and to the end of time");
    }

    proptest! {
        /// In any stretch of time there are at most as many calls as its length allows, and a burst.
        #[test]
        fn no_history_gets_more_than_rate_and_burst(
            interval in 1..1_000_u64,
            burst in 1..20_u64,
            gaps in prop::collection::vec(0..2_000_u64, 1..200),
        ) {
            let (limit, due) = (gcra(interval, burst), AtomicU64::new(0));
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
