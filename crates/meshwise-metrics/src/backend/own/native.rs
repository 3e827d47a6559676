//! Native histograms: exponential buckets that find their own place.

mod bounds;
mod index;
mod read;

pub(crate) use index::{COARSEST, FINEST, ZERO_THRESHOLD};
pub(super) use read::{Reading, Side};

use index::{finest, fold};
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// How many buckets positive values may have, and negative ones again: as many as in
/// OpenTelemetry's SDKs, and enough for six powers of ten at the default resolution.
pub(super) const MAX_BUCKETS: usize = 160;

/// Counts values in exponential buckets.
///
/// Whatever comes, it takes no more than [`MAX_BUCKETS`] for each sign: what would need more goes
/// to buckets of half the resolution, or of half of that.
pub(super) struct Native {
    zero: AtomicU64,
    positive: Level,
    negative: OnceLock<Box<Level>>,
}

/// The buckets of one resolution.
///
/// Nothing ever moves from one resolution to another, so that nothing can be lost on the way. A
/// level that would become too wide is closed: it goes on to count what falls between its ends,
/// and all else goes to the next level, which is coarser. The reader folds them into one.
struct Level {
    /// A [`Range`]: where its buckets begin and end.
    range: AtomicU64,
    /// How often the finest resolution was halved.
    halvings: u8,
    next: OnceLock<Box<Self>>,
    /// The bucket with index `i` is at `i` modulo their number. No two that a range has are at one
    /// place.
    counts: [AtomicU64; MAX_BUCKETS],
}

/// The first and the last bucket that a level has, and whether it takes no more.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    low: i32,
    high: i32,
    closed: bool,
}

impl Native {
    /// Begins with buckets of this schema.
    pub(super) fn new(schema: i8) -> Self {
        let halvings = FINEST - schema.clamp(COARSEST, FINEST);
        let positive = Level::new(halvings.unsigned_abs(), Range::NOTHING);
        Self { zero: AtomicU64::new(0), positive, negative: OnceLock::new() }
    }

    /// Counts a finite value.
    pub(super) fn add(&self, value: f64, times: u64) {
        if value > ZERO_THRESHOLD {
            self.positive.add(finest(value), times);
        } else {
            self.add_zero_or_negative(value, times);
        }
    }

    fn add_zero_or_negative(&self, value: f64, times: u64) {
        if value >= -ZERO_THRESHOLD {
            self.zero.fetch_add(times, Relaxed);
        } else {
            let begin = || Box::new(Level::new(self.positive.halvings, Range::NOTHING));
            self.negative.get_or_init(begin).add(finest(-value), times);
        }
    }
}

impl Level {
    fn new(halvings: u8, range: Range) -> Self {
        Self {
            range: AtomicU64::new(range.packed()),
            halvings,
            next: OnceLock::new(),
            counts: [const { AtomicU64::new(0) }; MAX_BUCKETS],
        }
    }

    #[inline]
    fn add(&self, finest: i32, times: u64) {
        let index = fold(finest, self.halvings);
        if Range::unpacked(self.range.load(Relaxed)).contains(index) {
            self.count(index).fetch_add(times, Relaxed);
        } else {
            self.add_outside(finest, index, times);
        }
    }

    /// Counts a value that is in none of the buckets so far.
    fn add_outside(&self, finest: i32, index: i32, times: u64) {
        if self.widen(index) {
            self.count(index).fetch_add(times, Relaxed);
        } else {
            self.coarser(finest).add(finest, times);
        }
    }

    #[inline]
    fn count(&self, index: i32) -> &AtomicU64 {
        // Far above zero, whatever the index is.
        const ABOVE: i32 = (MAX_BUCKETS as i32) << 16;
        &self.counts[((index + ABOVE) as u32 % MAX_BUCKETS as u32) as usize]
    }

    /// Takes one more bucket in, or closes if there are too many then; tells whether it is in.
    fn widen(&self, index: i32) -> bool {
        let mut packed = self.range.load(Relaxed);
        loop {
            let range = Range::unpacked(packed);
            if range.closed || range.contains(index) {
                return range.contains(index);
            }
            let wider = range.with(index);
            let new = if wider.fits() { wider } else { Range { closed: true, ..range } };
            match self.range.compare_exchange_weak(packed, new.packed(), Relaxed, Relaxed) {
                Ok(_) => return !new.closed,
                Err(now) => packed = now,
            }
        }
    }

    /// Finds or begins the next level, for a value that this one, being closed, does not take.
    fn coarser(&self, finest: i32) -> &Self {
        self.next.get_or_init(|| {
            let closed = Range::unpacked(self.range.load(Relaxed));
            let (mut halvings, mut range) = (self.halvings, Range { closed: false, ..closed });
            // At the coarsest schema all values there are fit.
            loop {
                halvings += 1;
                range = range.folded(1);
                let wider = range.with(fold(finest, halvings));
                if wider.fits() || halvings >= (FINEST - COARSEST).unsigned_abs() {
                    return Box::new(Self::new(halvings, wider));
                }
            }
        })
    }
}

impl Range {
    const NOTHING: Self = Self { low: i32::MAX >> 1, high: i32::MIN >> 1, closed: false };

    #[inline]
    fn unpacked(packed: u64) -> Self {
        let high = packed as u32 as i32;
        Self { low: (packed >> 32) as i32, high: high >> 1, closed: high & 1 == 1 }
    }

    fn packed(self) -> u64 {
        let high = (self.high << 1) | i32::from(self.closed);
        (u64::from(self.low as u32) << 32) | u64::from(high as u32)
    }

    #[inline]
    fn contains(self, index: i32) -> bool {
        self.low <= index && index <= self.high
    }

    fn with(self, index: i32) -> Self {
        Self { low: self.low.min(index), high: self.high.max(index), ..self }
    }

    fn folded(self, halvings: u8) -> Self {
        Self { low: fold(self.low, halvings), high: fold(self.high, halvings), ..self }
    }

    fn fits(self) -> bool {
        self.high - self.low < MAX_BUCKETS as i32
    }
}

#[cfg(test)]
mod tests;
