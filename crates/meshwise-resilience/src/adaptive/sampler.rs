//! Summing calls up to samples without a lock, and turning these into limits.

use super::{
    AdaptiveConfig,
    algorithms::{Limit, Sample},
};
use crate::{
    clock::to_nanos,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
        lock,
    },
};

/// Calls that are enough for a sample: those after them in the same window need not be measured,
/// which is what makes a busy bulkhead cheap.
pub(super) const ENOUGH: u32 = 256;

/// No call counts for more: the sum of a sample then fits its bits.
const LONGEST: u64 = 60_000_000_000;
const TIME_BITS: u32 = 44;
const TIME: u64 = (1 << TIME_BITS) - 1;

#[derive(Debug)]
pub(crate) struct Sampler {
    /// Whether the limit is to be found at all.
    active: AtomicBool,
    /// `calls << 44 | nanoseconds`.
    sum: AtomicU64,
    peak: AtomicU32,
    dropped: AtomicBool,
    window: AtomicU64,
    window_end: AtomicU64,
    limit: Mutex<Option<(Limit, u32)>>,
}

/// How a measured call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    /// It went well, in so many nanoseconds.
    Nanos(u64),
    /// The neighbour is overloaded.
    Dropped,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            sum: AtomicU64::new(0),
            peak: AtomicU32::new(0),
            dropped: AtomicBool::new(false),
            window: AtomicU64::new(u64::MAX),
            window_end: AtomicU64::new(u64::MAX),
            limit: Mutex::new(None),
        }
    }

    /// Begins to find the limit, anew if it is being found already; or stops. `apply` sets the
    /// limit to begin with: after it, no limit of the time before is applied any more.
    pub(crate) fn set(&self, config: Option<&AdaptiveConfig>, now: u64, apply: impl FnOnce()) {
        let mut limit = lock(&self.limit);
        let seed = meshwise_core::random::u64();
        *limit = config.map(|config| (Limit::new(config, seed), config.min_samples));
        let window = config.map_or(u64::MAX, |config| to_nanos(config.sample_window));
        self.window.store(window, Ordering::Relaxed);
        self.begin(now.saturating_add(window));
        self.peak.store(0, Ordering::Relaxed);
        self.active.store(config.is_some(), Ordering::Relaxed);
        apply();
    }

    fn begin(&self, window_end: u64) {
        self.window_end.store(window_end, Ordering::Relaxed);
        self.sum.store(0, Ordering::Relaxed);
        self.dropped.store(false, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Tells whether a call that begins now should be measured.
    #[inline]
    pub(crate) fn wants(&self) -> bool {
        self.sum.load(Ordering::Relaxed) >> TIME_BITS < u64::from(ENOUGH)
    }

    /// Takes the end of a call, and how many were under way then, itself among them.
    pub(crate) fn add(&self, took: Took, in_flight: u32) {
        if self.peak.load(Ordering::Relaxed) < in_flight {
            self.peak.fetch_max(in_flight, Ordering::Relaxed);
        }
        match took {
            Took::Dropped => self.dropped.store(true, Ordering::Relaxed),
            Took::Nanos(nanos) => {
                let add = 1 << TIME_BITS | nanos.clamp(1, LONGEST);
                // Calls that all began while more were wanted must not overflow the sum.
                _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| {
                    (sum >> TIME_BITS < u64::from(ENOUGH)).then(|| sum + add)
                });
            }
        }
    }

    /// Closes the window if it is over, and applies the limit that follows.
    #[inline]
    pub(crate) fn tick(&self, now: u64, apply: impl FnOnce(u32)) {
        // A window that ends further off than it is long: the clock went back.
        let ahead = self.window_end.load(Ordering::Relaxed).wrapping_sub(now).wrapping_sub(1);
        if ahead >= self.window.load(Ordering::Relaxed) {
            self.close(now, apply);
        }
    }

    #[cold]
    fn close(&self, now: u64, apply: impl FnOnce(u32)) {
        // Somebody else is at it.
        let Ok(mut limit) = self.limit.try_lock() else { return };
        let Some((limit, min_samples)) = &mut *limit else { return };
        let sum = self.sum.load(Ordering::Relaxed);
        let (calls, time) = (sum >> TIME_BITS, sum & TIME);
        let dropped = self.dropped.load(Ordering::Relaxed);
        if calls < u64::from(*min_samples) && !dropped {
            // Looks again with the next call.
            return;
        }
        let window = self.window.load(Ordering::Relaxed);
        self.begin(now.saturating_add(window));
        let in_flight = self.peak.swap(0, Ordering::Relaxed);
        let time = (calls > 0).then(|| time as f64 / calls as f64);
        apply(limit.update(Sample { time, in_flight, dropped }));
    }
}
