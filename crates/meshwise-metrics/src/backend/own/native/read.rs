//! Reading native buckets: all resolutions, of all shards, as one.

use super::{COARSEST, FINEST, Level, MAX_BUCKETS, Native, Range, fold};
use std::{iter, sync::atomic::Ordering::Relaxed};

/// What a histogram's native buckets held when they were read. It is used again for the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// How many values were as good as 0.
    pub(crate) zero: u64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
    /// How often the finest resolution was halved.
    halvings: u8,
}

/// The buckets of one sign, from the first to the last that anything was counted in.
#[derive(Clone, Debug, Default)]
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

    /// Returns what was counted since an earlier reading of the same histogram, which is no coarser.
    #[cfg(feature = "_otlp")]
    pub(in crate::backend::own) fn since(&self, before: &Self) -> Self {
        let more = self.halvings.saturating_sub(before.halvings);
        Self {
            zero: self.zero.saturating_sub(before.zero),
            positive: self.positive.since(&before.positive, more),
            negative: self.negative.since(&before.negative, more),
            halvings: self.halvings,
        }
    }

    /// Reads the shards of one histogram.
    pub(in crate::backend::own) fn read<'a>(
        &mut self,
        shards: impl Iterator<Item = &'a Native> + Clone,
    ) {
        let positive = shards.clone().flat_map(|shard| levels(&shard.positive));
        let negative = shards.clone().filter_map(|shard| shard.negative.get());
        let negative = negative.flat_map(|first| levels(first));
        self.zero = shards.fold(0, |sum, shard| sum.wrapping_add(shard.zero.load(Relaxed)));
        // What is counted in the coarsest buckets cannot be told apart further. Shards that lie far
        // apart may need yet coarser ones to be one. Both only ever grow, and so who sees one
        // resolution does not see a finer one later.
        let all = positive.clone().chain(negative.clone());
        self.halvings = all.map(|level| level.halvings).max().unwrap_or_default();
        let too_wide = |halvings| {
            !range(positive.clone(), halvings).fits() || !range(negative.clone(), halvings).fits()
        };
        while too_wide(self.halvings) && self.halvings < (FINEST - COARSEST).unsigned_abs() {
            self.halvings += 1;
        }
        self.positive.read(positive, self.halvings);
        self.negative.read(negative, self.halvings);
    }
}

fn levels(first: &Level) -> impl Iterator<Item = &Level> + Clone {
    iter::successors(Some(first), |level| level.next.get().map(|next| &**next))
}

/// Returns from where to where buckets would reach, were they all as coarse as this.
fn range<'a>(levels: impl Iterator<Item = &'a Level>, halvings: u8) -> Range {
    levels.fold(Range::NOTHING, |all, level| {
        let range = Range::unpacked(level.range.load(Relaxed));
        let range = range.folded(halvings.saturating_sub(level.halvings));
        Range { low: all.low.min(range.low), high: all.high.max(range.high), ..all }
    })
}

impl Side {
    /// Takes away what an earlier reading counted, whose buckets were so many halvings finer.
    #[cfg(feature = "_otlp")]
    fn since(&self, before: &Self, more: u8) -> Self {
        let mut since = self.clone();
        for (index, count) in (before.low..).zip(&before.counts) {
            let place = usize::try_from(fold(index, more) - self.low);
            if let Some(now) = place.ok().and_then(|place| since.counts.get_mut(place)) {
                *now = now.saturating_sub(*count);
            }
        }
        since
    }

    /// Adds up what levels count. What came up since their range was looked at, if it lies outside,
    /// is for the next reading.
    fn read<'a>(&mut self, levels: impl Iterator<Item = &'a Level> + Clone, halvings: u8) {
        let whole = range(levels.clone(), halvings);
        self.low = whole.low;
        self.counts.clear();
        let length = usize::try_from(whole.high - whole.low + 1).unwrap_or(0);
        self.counts.resize(length.min(MAX_BUCKETS), 0);
        for level in levels {
            let Some(more) = halvings.checked_sub(level.halvings) else { continue };
            let range = Range::unpacked(level.range.load(Relaxed));
            for index in range.low..=range.high {
                let place = usize::try_from(fold(index, more) - whole.low);
                if let Some(sum) = place.ok().and_then(|place| self.counts.get_mut(place)) {
                    *sum = sum.wrapping_add(level.count(index).load(Relaxed));
                }
            }
        }
    }
}
