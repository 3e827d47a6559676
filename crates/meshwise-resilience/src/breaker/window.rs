//! What a breaker counts of ended calls (those of a time, or the last so many), and when that opens it.
//!
//! Successes are counted without a lock, as one running number ([`Tally`]); only calls that failed or were
//! slow come to the [`Window`]. The number of successes at the moment when a bucket began tells later how
//! many fell into it.

use super::state::{BreakerState, Machine};
use crate::{
    clock::to_nanos,
    sync::atomic::{AtomicU64, Ordering},
};
use meshwise_core::{
    internal::{cache_padded::CachePadded, threads::thread_index},
    outcome::Health,
    settings::WindowSettings,
};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(super) slow: u64,
}

impl Counts {
    pub(super) fn failure_rate(self) -> f64 {
        share(self.failed, self.calls)
    }

    pub(super) fn slow_rate(self) -> f64 {
        share(self.slow, self.calls)
    }
}

// Divided, not multiplied: 7 of 10 is then exactly what "0.7" is.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Machine {
    /// Takes the end of a call that was admitted in `generation`. Successes of a closed breaker
    /// that were not slow need not come here.
    pub(super) fn end(
        &mut self,
        generation: u64,
        end: Health,
        (slow, flows): (bool, bool),
        now: u64,
        successes: u64,
    ) {
        // It belongs to another time: it neither counts nor frees a slot of this one.
        if generation != self.generation {
            return;
        }
        let slow = slow && end != Health::NotAsked;
        match self.state {
            BreakerState::Closed | BreakerState::Disabled if slow || end == Health::Failed => {
                self.count(end, slow, now, successes);
            }
            BreakerState::HalfOpen => self.end_trial(end, slow, flows, now),
            _ => {}
        }
    }

    /// Counts a call that failed or was slow.
    fn count(&mut self, end: Health, slow: bool, now: u64, successes: u64) {
        self.window.roll(now, successes);
        self.window.count(end == Health::Failed, slow, successes);
        match end {
            Health::Failed => self.in_a_row.add(now, successes),
            Health::Well => self.in_a_row = Row::default(),
            Health::Unknown | Health::NotAsked => {}
        }
        if self.state == BreakerState::Closed
            && let Some(why) = self.judge(successes)
        {
            self.stay_open(why, now, successes);
        }
    }

    /// Says why the breaker should open, if it should. Only a call that failed or was slow asks:
    /// a good one never opens a breaker, not even by making up the number.
    fn judge(&self, successes: u64) -> Option<&'static str> {
        let (row, said) = (self.in_a_row, &self.config.0);
        let in_a_row = said.consecutive_failures.or_none();
        if in_a_row > 0
            && row.failures >= in_a_row
            && row.last.saturating_sub(row.first) >= to_nanos(said.consecutive_span.or_none())
        {
            return Some("consecutive_failures");
        }
        let counts = self.window.counts(successes);
        if counts.calls < u64::from(said.min_calls.or_none()) {
            return None;
        }
        if counts.failure_rate() >= said.failure_rate.or_none() {
            return Some("failure_rate");
        }
        let slow = self.config.slow_after() != u64::MAX;
        (slow && counts.slow_rate() >= said.slow_call_rate.or_none()).then_some("slow_call_rate")
    }
}

/// Failures with no success between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    failures: u32,
    /// The successes that were counted at the last of them: more now, and the row has ended.
    successes: u64,
    /// When the first and the last of them ended.
    first: u64,
    last: u64,
}

impl Row {
    fn add(&mut self, now: u64, successes: u64) {
        if self.failures == 0 || self.successes != successes {
            *self = Self { failures: 0, successes, first: now, last: now };
        }
        self.failures = self.failures.saturating_add(1);
        // Where a clock went back the row begins anew, or its time would have to come again.
        self.first = self.first.min(now);
        self.last = now;
    }
}

/// Sees what ended in the last so many steps: each of a time, or each a call.
#[derive(Debug)]
pub(crate) struct Window {
    /// How many steps it sees.
    length: u64,
    /// How long a step lasts, and when this one ends; `u64::MAX` where each call is one. Outside of this
    /// step [`Window::roll`] must be called before a success is counted.
    pub(crate) width: u64,
    pub(crate) end: u64,
    /// The number of this step, where it is a time.
    pub(crate) step: u64,
    /// The successes counted before the window began.
    base: u64,
    /// All calls since then that were not simply a success.
    marked: Counts,
    /// Steps that it sees, with all that had ended when they began: those of a time in which any call
    /// ended, or the calls that were not simply a success.
    steps: VecDeque<(u64, Counts)>,
}

impl Window {
    pub(super) fn new(said: &WindowSettings, now: u64, successes: u64) -> Self {
        match said.calls.or_none() {
            0 => {
                let (time, steps) = (to_nanos(said.time.or_none()), said.buckets.or_none());
                Self::of_time(time, steps.max(1).into(), now, successes)
            }
            calls => Self::of(calls.into(), u64::MAX, u64::MAX, successes),
        }
    }

    /// Sees what ended in a time, which it forgets in so many steps.
    pub(crate) fn of_time(time: u64, steps: u64, now: u64, successes: u64) -> Self {
        let width = (time / steps).max(1);
        let mut window = Self::of(steps, width, now.saturating_add(width), successes);
        // One more while the oldest goes: calls that go well allocate nothing.
        window.steps.reserve_exact(steps as usize + 1);
        window.steps.push_back((window.step, window.all(successes)));
        window
    }

    fn of(length: u64, width: u64, end: u64, base: u64) -> Self {
        let (marked, steps) = (Counts::default(), VecDeque::new());
        Self { length, width, end, step: 1, base, marked, steps }
    }

    const fn is_of_calls(&self) -> bool {
        self.width == u64::MAX
    }

    const fn all(&self, successes: u64) -> Counts {
        Counts { calls: self.marked.calls + successes, ..self.marked }
    }

    /// Forgets what is too old at `now`.
    pub(crate) fn roll(&mut self, now: u64, successes: u64) {
        // A clock that went back by more than a step: it begins anew from there, or nothing
        // would be forgotten until the clock has caught up.
        if self.end.saturating_sub(now) > self.width {
            self.end = now.saturating_add(self.width);
        }
        if now >= self.end {
            let steps = (now - self.end) / self.width + 1;
            self.end = self.end.saturating_add(steps.saturating_mul(self.width));
            self.step = self.step.saturating_add(steps);
            self.steps.push_back((self.step, self.all(successes)));
        }
        self.forget(successes);
    }

    fn forget(&mut self, successes: u64) {
        let last = if self.is_of_calls() { self.all(successes).calls } else { self.step };
        let gone = last.saturating_sub(self.length);
        while self.steps.front().is_some_and(|(step, _)| *step <= gone) {
            self.steps.pop_front();
        }
    }

    /// Counts a call that failed or was slow; the window has been rolled.
    pub(crate) fn count(&mut self, failed: bool, slow: bool, successes: u64) {
        if self.is_of_calls() {
            let before = self.all(successes);
            self.steps.push_back((before.calls + 1, before));
        }
        self.marked.calls += 1;
        self.marked.failed += u64::from(failed);
        self.marked.slow += u64::from(slow);
        self.forget(successes);
    }

    /// Takes back one that failed, in a step of a time.
    pub(crate) fn uncount(&mut self, step: u64) {
        let later = self.steps.iter_mut().filter(|(of, _)| *of > step).map(|(_, before)| before);
        for counts in later.chain([&mut self.marked]) {
            counts.calls -= 1;
            counts.failed -= 1;
        }
    }

    pub(crate) fn counts(&self, successes: u64) -> Counts {
        let all = self.all(successes);
        let before = self.steps.front().map_or(all, |(_, before)| *before);
        let unseen = match self.is_of_calls() {
            true => all.calls.saturating_sub(self.length).max(self.base),
            false => before.calls,
        };
        Counts {
            calls: all.calls.saturating_sub(unseen),
            failed: all.failed - before.failed,
            slow: all.slow - before.slow,
        }
    }
}

const COUNT_BITS: u32 = 44;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Counts the successes of the current generation.
///
/// A line is `tag << 44 | count`, the tag being the generation's low bits, so that one
/// compare-and-swap both counts and makes sure that the breaker has not moved on meanwhile. (The
/// caller has compared whole generations before; the tag guards the few instructions between.)
#[derive(Debug)]
pub(crate) struct Tally([CachePadded<AtomicU64>; LINES]);

/// Each thread counts on one of these.
const LINES: usize = if cfg!(loom) { 1 } else { 4 };

impl Tally {
    pub(crate) fn new(generation: u64) -> Self {
        Self(std::array::from_fn(|_| CachePadded(AtomicU64::new(tag(generation)))))
    }

    #[inline]
    pub(crate) fn add(&self, generation: u64) {
        let CachePadded(line) = &self.0[thread_index() % LINES];
        let mut seen = line.load(Ordering::Relaxed);
        // Of this generation, and not full.
        while seen ^ tag(generation) < COUNT {
            match line.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Begins a generation at zero. Called before anyone is admitted in it.
    pub(super) fn begin(&self, generation: u64) {
        for CachePadded(line) in &self.0 {
            // Swapped, not stored: what was counted before comes before it.
            line.swap(tag(generation), Ordering::AcqRel);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|CachePadded(line)| line.load(Ordering::Relaxed) & COUNT).sum()
    }
}

const fn tag(generation: u64) -> u64 {
    generation << COUNT_BITS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_generation_is_not_counted() {
        let tally = Tally::new(7);
        tally.add(7);
        tally.add(6);
        tally.add(7);
        assert_eq!(tally.sum(), 2);
        tally.begin(8);
        tally.add(7);
        assert_eq!(tally.sum(), 0);
        tally.add(8);
        assert_eq!(tally.sum(), 1);
    }

    #[test]
    fn threads_lose_no_count() {
        let tally = Tally::new(1);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| (0..10_000).for_each(|_| tally.add(1)));
            }
        });
        assert_eq!(tally.sum(), 60_000);
    }
}
