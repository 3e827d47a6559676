//! Ended calls that are worth a look: the last ones that failed, and the slowest.

use meshwise_core::internal::clock;
use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// How many calls that failed are kept.
const FAILED: usize = 100;
/// How many of the slowest are kept, of each window.
const SLOWEST: usize = 16;
/// How long a slow call stands against others, in nanoseconds: five minutes, and it is shown for as long
/// again.
const WINDOW: u64 = 300_000_000_000;

/// Keeps a bounded number of ended calls.
///
/// A call that ends well and is none of the slowest costs the comparison of two numbers.
#[derive(Debug)]
pub(crate) struct EndedCalls<E> {
    failed: Mutex<VecDeque<E>>,
    slow: Mutex<Slowest<E>>,
    /// What a call must exceed to be one of the slowest, in nanoseconds.
    threshold: AtomicU64,
}

#[derive(Debug)]
struct Slowest<E> {
    /// When the window ends, as the clock of calls counts nanoseconds.
    ends: u64,
    current: Vec<(u64, E)>,
    before: Vec<(u64, E)>,
}

impl<E> EndedCalls<E> {
    pub(crate) fn new() -> Self {
        let kept = || Vec::with_capacity(SLOWEST + 1);
        Self {
            failed: Mutex::default(),
            slow: Mutex::new(Slowest { ends: 0, current: kept(), before: kept() }),
            threshold: AtomicU64::new(0),
        }
    }

    /// Keeps a call that failed in the place of the oldest.
    pub(crate) fn keep_failed(&self, call: E) {
        let oldest = {
            let mut failed = lock(&self.failed);
            let oldest = if failed.len() >= FAILED { failed.pop_front() } else { None };
            failed.push_back(call);
            oldest
        };
        drop(oldest);
    }

    /// Tells whether a call that lasted so long is one of the slowest.
    #[inline]
    pub(crate) fn is_slow(&self, duration: Duration) -> bool {
        clock::span(duration) > self.threshold.load(Relaxed)
    }

    /// Keeps one of the slowest calls; `now` is the moment of its end.
    pub(crate) fn keep_slow(&self, duration: Duration, now: u64, call: E) {
        let duration = clock::span(duration);
        let mut slow = lock(&self.slow);
        self.turn(&mut slow, now);
        let place = slow.current.partition_point(|(other, _)| *other >= duration);
        slow.current.insert(place, (duration, call));
        slow.current.truncate(SLOWEST);
        if let Some((least, _)) = slow.current.get(SLOWEST - 1) {
            self.threshold.store(*least, Relaxed);
        }
    }

    /// Begins a new window, if this one is over. Called now and then.
    pub(crate) fn look(&self, now: u64) {
        self.turn(&mut lock(&self.slow), now);
    }

    fn turn(&self, slow: &mut Slowest<E>, now: u64) {
        if now < slow.ends {
            return;
        }
        let Slowest { ends, current, before } = slow;
        before.clear();
        // After a long pause none of them is of the window before.
        if now < ends.saturating_add(WINDOW) {
            std::mem::swap(current, before);
        }
        current.clear();
        *ends = now.saturating_add(WINDOW);
        self.threshold.store(0, Relaxed);
    }

    /// Copies the calls that failed, the last one first, and the slowest, the slowest first.
    pub(crate) fn list(&self, now: u64) -> (Vec<E>, Vec<E>)
    where
        E: Clone,
    {
        let failed = lock(&self.failed).iter().rev().cloned().collect();
        let mut slow = lock(&self.slow);
        self.turn(&mut slow, now);
        let mut slowest: Vec<_> = slow.current.iter().chain(&slow.before).collect();
        slowest.sort_by_key(|(duration, _)| std::cmp::Reverse(*duration));
        (failed, slowest.into_iter().map(|(_, call)| call.clone()).collect())
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_two_windows_are_kept() {
        let ended = EndedCalls::new();
        let minute = 60_000_000_000;
        let end = |millis, now| {
            if ended.is_slow(Duration::from_millis(millis)) {
                ended.keep_slow(Duration::from_millis(millis), now, millis);
            }
        };
        (0..1_000).for_each(|i| end(i * 7 % 1_000, minute));
        let slowest = ended.list(minute).1;
        assert_eq!(slowest, (1_000 - 16..1_000).rev().collect::<Vec<_>>());
        assert!(
            !ended.is_slow(Duration::from_millis(984)) && ended.is_slow(Duration::from_millis(985))
        );
        // In the next window a fast call is one of the slowest, and the others are still shown.
        ended.look(7 * minute);
        end(1, 7 * minute);
        assert_eq!(ended.list(7 * minute).1.len(), 17);
        assert_eq!(ended.list(12 * minute).1, [1]);
        assert_eq!(ended.list(60 * minute).1, [] as [u64; 0]);
    }

    #[test]
    fn the_last_failures_are_kept() {
        let ended = EndedCalls::new();
        (0..250).for_each(|i| ended.keep_failed(i));
        assert_eq!(ended.list(0).0, (150..250).rev().collect::<Vec<_>>());
    }
}
