//! Histograms: fixed buckets, and native ones beside them where they are asked for.

use super::{
    context::CellContext,
    native::{Native, Reading},
};
use crate::{buckets::Bounds, exemplar::Exemplar};
use meshwise_core::{
    DropReason,
    internal::{cache_padded::CachePadded, threads::thread_index},
};
use metrics::HistogramFn;
use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// After how many lost races for one shard threads get shards of their own.
const CONTENDED: u32 = 16;
const MAX_SHARDS: usize = 16;

/// Adds values up in buckets.
///
/// It begins with one shard. Only if threads get in each other's way it takes more of them, so
/// that a thousand quiet series stay small and a busy one stays fast.
pub(crate) struct HistogramCell {
    bounds: Arc<Bounds>,
    /// The schema that native buckets begin with, if there are any.
    native: Option<i8>,
    first: Shard,
    more: OnceLock<Box<[Shard]>>,
    lost_races: AtomicU32,
    /// Whether a value below zero was recorded: then the sum is no counter.
    negative: AtomicBool,
    /// The last exemplar of each bucket, once there is any.
    exemplars: OnceLock<Box<[Mutex<Option<RecordedExemplar>>]>>,
    /// The count when it was last asked whether it changed.
    seen: AtomicU64,
    shared: Arc<CellContext>,
}

/// A value that was recorded in some trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RecordedExemplar {
    pub(crate) exemplar: Exemplar,
    pub(crate) value: f64,
    at: SystemTime,
}

impl RecordedExemplar {
    /// Returns when the value came about, in milliseconds since 1970.
    pub(crate) fn millis(&self) -> u64 {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The sum (bits of an `f64`), then the count of each bucket. There is no count of all values: as
/// the sum of the buckets it cannot contradict them.
///
/// Sixteen to a line, which no other shard shares: 14 buckets, `+Inf` and the sum fill just one.
struct Shard {
    lines: Box<[CachePadded<[AtomicU64; 16]>]>,
    native: Option<Box<CachePadded<Native>>>,
}

impl Shard {
    fn new(buckets: usize, native: Option<i8>) -> Self {
        Self {
            lines: (0..(buckets + 1).div_ceil(16)).map(|_| CachePadded::default()).collect(),
            native: native.map(|schema| Box::new(CachePadded(Native::new(schema)))),
        }
    }

    fn sum(&self) -> &AtomicU64 {
        self.cell(0)
    }

    fn bucket(&self, index: usize) -> &AtomicU64 {
        self.cell(index + 1)
    }

    #[inline]
    fn cell(&self, index: usize) -> &AtomicU64 {
        &self.lines[index / 16].0[index % 16]
    }
}

impl HistogramCell {
    pub(super) fn new(bounds: Arc<Bounds>, native: Option<i8>, shared: Arc<CellContext>) -> Self {
        Self {
            first: Shard::new(bounds.labels.len(), native),
            bounds,
            native,
            more: OnceLock::new(),
            lost_races: AtomicU32::new(0),
            negative: AtomicBool::new(false),
            exemplars: OnceLock::new(),
            seen: AtomicU64::new(0),
            shared,
        }
    }

    /// Records a value so many times; `total` is all of it together.
    #[inline]
    fn add(&self, value: f64, times: u64, total: f64) {
        // The bits of positive finite numbers are below those of infinity; with a sign they are not.
        if value.to_bits() >= f64::INFINITY.to_bits() && !self.takes(value, times) {
            return;
        }
        let index = self.bounds.index(value);
        let shard = match self.more.get() {
            Some(shards) => &shards[thread_index() % shards.len()],
            None => &self.first,
        };
        shard.bucket(index).fetch_add(times, Relaxed);
        let sum = shard.sum();
        let mut bits = sum.load(Relaxed);
        let mut lost = 0;
        while let Err(now) = sum.compare_exchange_weak(
            bits,
            (f64::from_bits(bits) + total).to_bits(),
            Relaxed,
            Relaxed,
        ) {
            bits = now;
            lost += 1;
        }
        if lost > 0 {
            self.contended(lost);
        }
        if let Some(CachePadded(native)) = shard.native.as_deref() {
            native.add(value, times);
        }
        if let Some(source) = &self.shared.exemplars
            && let Some(exemplar) = source.current()
        {
            self.keep(index, value, exemplar);
        }
    }

    /// Tells whether a value that is no positive number is taken.
    fn takes(&self, value: f64, times: u64) -> bool {
        if !value.is_finite() {
            // It would spoil the sum for good.
            self.shared.losses.dropped(DropReason::Refused, times);
            return false;
        }
        if value < 0.0 {
            self.negative.store(true, Relaxed);
        }
        true
    }

    fn contended(&self, lost: u32) {
        if self.lost_races.fetch_add(lost, Relaxed) + lost >= CONTENDED {
            self.more.get_or_init(|| {
                let threads = thread::available_parallelism().map_or(1, usize::from);
                let shard = |_| Shard::new(self.bounds.labels.len(), self.native);
                (0..threads.min(MAX_SHARDS)).map(shard).collect()
            });
        }
    }

    fn keep(&self, index: usize, value: f64, exemplar: Exemplar) {
        let all = self
            .exemplars
            .get_or_init(|| self.bounds.labels.iter().map(|_| Mutex::default()).collect());
        // If another thread is at it, its exemplar is as good as ours.
        if let Ok(mut kept) = all[index].try_lock() {
            let at = exemplar.at.unwrap_or_else(SystemTime::now);
            *kept = Some(RecordedExemplar { exemplar, value, at });
        }
    }

    /// Returns where its buckets end.
    #[cfg(feature = "_otlp")]
    pub(super) fn bounds(&self) -> &[f64] {
        &self.bounds.values
    }

    /// Puts the count of each bucket, not cumulated, into `counts`; returns the sum of all values.
    pub(super) fn read(&self, counts: &mut Vec<u64>) -> f64 {
        counts.clear();
        counts.resize(self.bounds.labels.len(), 0);
        let mut sum = 0.0;
        for shard in self.shards() {
            sum += f64::from_bits(shard.sum().load(Relaxed));
            // After the sum.
            let buckets = shard.lines.iter().flat_map(|line| &line.0).skip(1);
            for (count, bucket) in counts.iter_mut().zip(buckets) {
                *count = count.wrapping_add(bucket.load(Relaxed));
            }
        }
        sum
    }

    /// Tells whether the sum only ever grows, as `OpenMetrics` 1.0 wants it ("Histogram"): with
    /// values or buckets below zero it does not.
    pub(super) fn sum_is_counter(&self) -> bool {
        let negative_bounds = self.bounds.values.first().is_some_and(|bound| *bound < 0.0);
        !negative_bounds && !self.negative.load(Relaxed)
    }

    /// Reads the native buckets, if there are any; returns the sum of all values.
    pub(super) fn read_native(&self, reading: &mut Reading) -> Option<f64> {
        self.native?;
        reading.read(
            self.shards()
                .filter_map(|shard| shard.native.as_deref().map(|CachePadded(native)| native)),
        );
        Some(self.shards().map(|shard| f64::from_bits(shard.sum().load(Relaxed))).sum())
    }

    /// Returns how many buckets have an exemplar. It never gets less.
    pub(super) fn exemplars(&self) -> usize {
        let Some(all) = self.exemplars.get() else { return 0 };
        let has = |slot: &&Mutex<Option<RecordedExemplar>>| {
            slot.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        };
        all.iter().filter(has).count()
    }

    /// Returns the last exemplar of a bucket.
    pub(super) fn exemplar(&self, index: usize) -> Option<RecordedExemplar> {
        let slot = self.exemplars.get()?.get(index)?;
        *slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn touched(&self) -> bool {
        let buckets = 0..self.bounds.labels.len();
        let counts = self.shards().flat_map(|s| buckets.clone().map(|i| s.bucket(i).load(Relaxed)));
        let count = counts.fold(0, u64::wrapping_add);
        self.seen.swap(count, Relaxed) != count
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> + Clone {
        std::iter::once(&self.first).chain(self.more.get().into_iter().flatten())
    }
}

impl HistogramFn for HistogramCell {
    fn record(&self, value: f64) {
        self.add(value, 1, value);
    }

    fn record_many(&self, value: f64, count: usize) {
        let times = u64::try_from(count).unwrap_or(u64::MAX);
        if times > 0 {
            self.add(value, times, value * crate::collect::whole(times));
        }
    }
}

impl fmt::Debug for HistogramCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = Vec::new();
        let sum = self.read(&mut counts);
        f.debug_struct("HistogramCell").field("sum", &sum).field("counts", &counts).finish()
    }
}

#[cfg(test)]
mod tests;
