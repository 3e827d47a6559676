//! Counting successes without a lock, each in the generation that admitted it or nowhere.

use crate::{
    lines::Lines,
    sync::atomic::{AtomicU64, Ordering},
};

const COUNT_BITS: u32 = 44;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Counts the successes of the current generation.
///
/// A line is `tag << 44 | count`, the tag being the generation's low bits, so that one
/// compare-and-swap both counts and makes sure that the breaker has not moved on meanwhile. (The
/// caller has compared whole generations before; the tag guards the few instructions between.)
#[derive(Debug)]
pub(super) struct Tally {
    lines: Lines<AtomicU64>,
}

impl Tally {
    pub(super) fn new(generation: u64) -> Self {
        Self { lines: Lines::new(|| AtomicU64::new(tag(generation))) }
    }

    /// Counts a success, if `generation` is still the current one.
    #[inline]
    pub(super) fn add(&self, generation: u64) {
        let line = self.lines.mine();
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
        for line in self.lines.iter() {
            // Swapped, not stored: what was counted before comes before it.
            line.swap(tag(generation), Ordering::AcqRel);
        }
    }

    /// Returns the successes of the current generation.
    pub(super) fn sum(&self) -> u64 {
        self.lines.iter().map(|line| line.load(Ordering::Relaxed) & COUNT).sum()
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
