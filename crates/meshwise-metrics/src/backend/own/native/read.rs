//! Reading native buckets: all resolutions, of all shards, as one.

use super::{COARSEST, FINEST, Level, MAX_BUCKETS, Native, Range, fold};
use std::{iter, sync::atomic::Ordering::Relaxed};

/// What a histogram's native buckets held when they were read. It is used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// How many values were as good as 0.
    pub(crate) zero: u64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
    /// What was found: at so many halvings of the finest schema, at this index, so many.
    found: [Vec<(u8, i32, u64)>; 2],
    halvings: u8,
}

/// The buckets of one sign, from the first that is not empty to the last.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// The index of the first.
    pub(crate) low: i32,
    pub(crate) counts: Vec<u64>,
}

impl Reading {
    /// The resolution of all buckets.
    pub(crate) fn schema(&self) -> i8 {
        FINEST.saturating_sub_unsigned(self.halvings)
    }

    /// Returns how many values there are.
    pub(crate) fn count(&self) -> u64 {
        let buckets = self.positive.counts.iter().chain(&self.negative.counts);
        buckets.fold(self.zero, |sum, count| sum.wrapping_add(*count))
    }

    /// Reads the shards of one histogram.
    pub(in crate::backend::own) fn read<'a>(&mut self, shards: impl Iterator<Item = &'a Native>) {
        self.zero = 0;
        self.halvings = 0;
        self.found.iter_mut().for_each(Vec::clear);
        let [positive, negative] = &mut self.found;
        for shard in shards {
            self.halvings = self.halvings.max(shard.positive.halvings);
            self.zero = self.zero.wrapping_add(shard.zero.load(Relaxed));
            gather(&shard.positive, positive);
            if let Some(level) = shard.negative.get() {
                gather(level, negative);
            }
        }
        // Resolutions only ever get coarser: whoever sees one does not see a finer one later.
        let coarsest = self.found.iter().flatten().map(|(halvings, ..)| *halvings).max();
        self.halvings = self.halvings.max(coarsest.unwrap_or_default());
        while !self.found.iter().all(|found| range(found, self.halvings).fits())
            && self.halvings < (FINEST - COARSEST).unsigned_abs()
        {
            self.halvings += 1;
        }
        for (side, found) in [&mut self.positive, &mut self.negative].into_iter().zip(&self.found) {
            side.fill(found, self.halvings);
        }
    }
}

fn gather(first: &Level, found: &mut Vec<(u8, i32, u64)>) {
    for level in iter::successors(Some(first), |level| level.next.get().map(|next| &**next)) {
        let range = Range::unpacked(level.range.load(Relaxed));
        let counts = (range.low..=range.high)
            .map(|index| (level.halvings, index, level.count(index).load(Relaxed)));
        found.extend(counts.filter(|(.., count)| *count > 0));
    }
}

/// Returns from where to where the buckets reach.
fn range(found: &[(u8, i32, u64)], halvings: u8) -> Range {
    found.iter().fold(Range::NOTHING, |range, (own, index, _)| {
        range.with(fold(*index, halvings.saturating_sub(*own)))
    })
}

impl Side {
    fn fill(&mut self, found: &[(u8, i32, u64)], halvings: u8) {
        self.counts.clear();
        self.low = 0;
        if found.is_empty() {
            return;
        }
        let range = range(found, halvings);
        self.low = range.low;
        self.counts.resize(((range.high - range.low) as usize + 1).min(MAX_BUCKETS), 0);
        for (own, index, count) in found {
            let place = fold(*index, halvings.saturating_sub(*own)) - range.low;
            if let Some(sum) = self.counts.get_mut(place as usize) {
                *sum = sum.wrapping_add(*count);
            }
        }
    }
}
