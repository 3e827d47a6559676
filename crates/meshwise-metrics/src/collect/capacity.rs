//! How much of what this instance can do is not used.
//!
//! Two things end: the processors' time, and the time of the runtime's workers, which a handler that
//! blocks takes up without computing. The one that is used most says how much more can be called: at
//! a headroom of 0.75, four times as many calls of the same kind.

use super::Sink;
use crate::{names, thread_clock};
use std::{
    collections::VecDeque,
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// How far back what is used is looked at; scrapes that are further apart make it longer.
const WINDOW: Duration = Duration::from_secs(10);
/// What is closer together says little.
const LEAST: Duration = Duration::from_millis(500);

/// What a scrape saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) at: Instant,
    /// The processors' time that this process has had.
    pub(crate) cpu: Duration,
    /// The time that the runtime's workers were busy, of how many.
    pub(crate) workers: Option<(Duration, usize)>,
}

/// Remembers what the last scrapes saw.
#[derive(Debug)]
pub(crate) struct Capacity {
    processors: usize,
    seen: Mutex<VecDeque<Used>>,
}

impl Used {
    pub(crate) fn now(workers: Option<(Duration, usize)>) -> Self {
        Self { at: Instant::now(), cpu: thread_clock::process(), workers }
    }
}

impl Capacity {
    pub(crate) fn new() -> Self {
        // The limit of the cgroup and the processors that it may run on are in this number.
        Self::of(available_parallelism().map_or(1, NonZero::get), Used::now(None))
    }

    fn of(processors: usize, start: Used) -> Self {
        Self { processors, seen: Mutex::new(VecDeque::from([start])) }
    }

    /// Shows the headroom; `limit` is how many processors' time the cgroup may take.
    pub(crate) fn collect(&self, used: Used, limit: Option<f64>, sink: &Sink<'_>) {
        if let Some(headroom) = self.headroom(used, limit) {
            sink.gauge(names::CAPACITY_HEADROOM, vec![], headroom);
        }
    }

    fn headroom(&self, used: Used, limit: Option<f64>) -> Option<f64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |then: &Used| used.at.saturating_duration_since(then.at);
        // The last one that is old enough is looked back to, and the first of all stands in for it.
        while seen.get(1).is_some_and(|next| age(next) >= WINDOW) {
            seen.pop_front();
        }
        let then = *seen.front()?;
        if seen.back().is_none_or(|last| age(last) >= LEAST) {
            seen.push_back(used);
        }
        drop(seen);
        let time = age(&then);
        if time < LEAST || !thread_clock::IS_THERE {
            return None;
        }
        let share = |more: Duration, of: f64| more.as_secs_f64() / time.as_secs_f64() / of;
        let processors = super::whole(u64::try_from(self.processors).unwrap_or(u64::MAX));
        let processors =
            limit.filter(|limit| *limit > 0.0).map_or(processors, |l| l.min(processors));
        let cpu = share(used.cpu.saturating_sub(then.cpu), processors);
        let workers = used.workers.filter(|(_, count)| *count > 0).map(|(busy, count)| {
            let before = then.workers.map_or(Duration::ZERO, |(busy, _)| busy);
            let count = super::whole(u64::try_from(count).unwrap_or(u64::MAX));
            share(busy.saturating_sub(before), count)
        });
        Some((1.0 - cpu.max(workers.unwrap_or(0.0))).clamp(0.0, 1.0))
    }
}

#[cfg(all(test, feature = "cpu", target_os = "linux"))]
mod tests {
    use super::*;

    fn used(start: Instant, at: u64, cpu: u64, workers: Option<(u64, usize)>) -> Used {
        Used {
            at: start + Duration::from_millis(at),
            cpu: Duration::from_millis(cpu),
            workers: workers.map(|(busy, count)| (Duration::from_millis(busy), count)),
        }
    }

    fn about(headroom: Option<f64>, expected: f64) {
        let near = headroom.is_some_and(|headroom| (headroom - expected).abs() < 1e-9);
        assert!(near, "{headroom:?} is not {expected}");
    }

    #[test]
    fn what_is_used_most_says_how_much_is_left() {
        let start = Instant::now();
        let capacity = Capacity::of(4, used(start, 0, 0, Some((0, 2))));
        assert_eq!(capacity.headroom(used(start, 100, 0, None), None), None, "too early");
        // 1 s of four processors' 4 s, and 1.5 s of two workers' 2 s.
        about(capacity.headroom(used(start, 1_000, 1_000, Some((1_500, 2))), None), 0.25);
        // The cgroup may have 1.25 of them: 2 s of 2.5 s.
        about(capacity.headroom(used(start, 2_000, 2_000, Some((1_500, 2))), Some(1.25)), 0.2);
        about(capacity.headroom(used(start, 3_000, 24_000, None), None), 0.0);
    }

    #[test]
    fn an_hour_ago_does_not_count() {
        let start = Instant::now();
        let capacity = Capacity::of(1, used(start, 0, 0, None));
        for second in 1..=3_600_u64 {
            // Idle, and in the last twelve seconds half of the time not.
            let cpu = second.saturating_sub(3_588) * 500;
            let headroom = capacity.headroom(used(start, second * 1_000, cpu, None), None);
            if second == 3_588 {
                about(headroom, 1.0);
            } else if second == 3_600 {
                about(headroom, 0.5);
            }
        }
        let kept = capacity.seen.lock().expect("no panic").len();
        assert!(kept <= 12, "{kept} are kept");
    }
}
