//! Summing calls up to samples without a lock, and turning these into limits.
//!
//! Which calls are measured is settled when they begin, one in so many, and each that was chosen
//! counts, in whichever window it ends, for as many as it was one of. A rule that looks at ends
//! instead ("the first 256 in a window") measures those that are over soon.

use super::{
    AdaptiveConfig,
    algorithms::{Limit, Sample},
};
use crate::{
    clock::to_nanos,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
        lock, try_lock,
    },
};

/// Calls that are enough for a sample. Of more than twice as many a window only one in so many is
/// measured, which is what makes a busy bulkhead cheap.
pub(super) const ENOUGH: u32 = 256;

/// One in a million: of more than any service has.
const THINNEST: u32 = 20;

/// No call counts for more.
const LONGEST: u64 = 60_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// One call in `1 << thinning` is measured.
    thinning: AtomicU32,
    /// Calls that began; a few may be lost between threads, it only spreads the choice.
    begun: AtomicU64,
    /// Of this window: calls measured, the calls they stand for, and the time of these. Not taken
    /// as one: a call that ends as the window does may count in one and take its time in the next.
    measured: AtomicU32,
    calls: AtomicU64,
    ticks: AtomicU64,
    dropped: AtomicU32,
    peak: AtomicU32,
    /// Its length; 0 while no limit is to be found.
    window: AtomicU64,
    window_end: AtomicU64,
    limit: Mutex<Option<(Limit, u32)>>,
}

/// Says when a call began, if it is to be measured, and how many it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Began(
    /// Nanoseconds, the last six bits of which are one more than the thinning; 0 if it is not
    /// measured.
    u64,
);

/// What the nanoseconds of [`Began`] are rounded to.
const TICK_BITS: u32 = 6;

impl Began {
    pub(crate) const fn delayed(self, nanos: u64) -> Self {
        match self.0 {
            0 => self,
            began => Self(began.saturating_add(nanos >> TICK_BITS << TICK_BITS)),
        }
    }

    pub(super) const fn at(now: u64, thinning: u32) -> Self {
        Self(now >> TICK_BITS << TICK_BITS | (thinning + 1) as u64)
    }

    /// Says how thin the choice was that it is one of, if it is measured.
    #[inline]
    const fn thinning(self) -> Option<u32> {
        ((self.0 & ((1 << TICK_BITS) - 1)) as u32).checked_sub(1)
    }
}

impl Sampler {
    /// Begins to find the limit, anew if it is being found already; or stops. `apply` sets the
    /// limit to begin with: after it, no limit of the time before is applied any more.
    pub(crate) fn set(
        &self,
        config: Option<&AdaptiveConfig>,
        now: u64,
        seed: u64,
        apply: impl FnOnce(),
    ) {
        let mut limit = lock(&self.limit);
        *limit = config.map(|config| (Limit::new(config, seed), config.0.min_samples.or_none()));
        let window = config.map_or(0, |config| to_nanos(config.0.sample_window.or_none()));
        self.window.store(window, Ordering::Relaxed);
        self.thinning.store(0, Ordering::Relaxed);
        _ = self.take(now);
        apply();
    }

    #[inline]
    pub(crate) fn active(&self) -> bool {
        self.window.load(Ordering::Relaxed) != 0
    }

    /// Settles whether a call that begins now is measured; looks at the clock only if it is.
    #[inline(never)]
    pub(crate) fn wants(&self, now: impl FnOnce() -> u64) -> Began {
        let thinning = self.thinning.load(Ordering::Relaxed);
        if thinning > 0 && !self.picks(thinning) {
            return Began::default();
        }
        Began::at(now(), thinning)
    }

    /// Picks one of each `1 << thinning` calls, another one each time: what comes in turn must not
    /// always hit the same kind of call.
    fn picks(&self, thinning: u32) -> bool {
        // The golden ratio's multiples are spread evenly, and never in step with anything.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let number = self.begun.load(Ordering::Relaxed);
        self.begun.store(number.wrapping_add(1), Ordering::Relaxed);
        let picked = (number >> thinning).wrapping_mul(GOLDEN) >> (u64::BITS - thinning);
        number & ((1 << thinning) - 1) == picked
    }

    /// Takes the end of a call that went well, and how many were in flight then, itself among them.
    pub(crate) fn well(&self, began: Began, now: impl FnOnce() -> u64, in_flight: u32) {
        let Some(thinning) = began.thinning() else { return };
        self.see(in_flight);
        let ticks = (now() >> TICK_BITS).saturating_sub(began.0 >> TICK_BITS);
        self.ticks.fetch_add(ticks.clamp(1, LONGEST >> TICK_BITS) << thinning, Ordering::Relaxed);
        self.calls.fetch_add(1 << thinning, Ordering::Relaxed);
        let measured = self.measured.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if measured.is_multiple_of(4 * ENOUGH) {
            // The window before was a quieter one.
            let thinner = self.thinning.load(Ordering::Relaxed) + 1;
            self.thinning.store(thinner.min(THINNEST), Ordering::Relaxed);
        }
    }

    /// Takes the end of a call, measured or not, that failed because the peer has too much to do.
    pub(crate) fn drops(&self, in_flight: u32) {
        self.see(in_flight);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn see(&self, in_flight: u32) {
        if self.peak.load(Ordering::Relaxed) < in_flight {
            self.peak.fetch_max(in_flight, Ordering::Relaxed);
        }
    }

    /// Closes the window if it is over, and applies the limit that follows.
    pub(crate) fn tick(&self, now: u64, apply: impl FnOnce(u32)) {
        // A window that ends further off than it is long: the clock went back.
        let ahead = self.window_end.load(Ordering::Relaxed).wrapping_sub(now).wrapping_sub(1);
        if ahead >= self.window.load(Ordering::Relaxed) {
            self.close(now, apply);
        }
    }

    #[cold]
    fn close(&self, now: u64, apply: impl FnOnce(u32)) {
        // Another thread is at it.
        let Some(mut limit) = try_lock(&self.limit) else { return };
        let Some((limit, min_samples)) = &mut *limit else { return };
        if let Some(sample) = self.sample(now, *min_samples) {
            apply(limit.update(sample));
        }
    }

    /// Sums the window up and begins the next, unless too few calls have ended.
    pub(super) fn sample(&self, now: u64, min_samples: u32) -> Option<Sample> {
        let measured = self.measured.load(Ordering::Relaxed);
        let dropped = self.dropped.load(Ordering::Relaxed);
        if measured.saturating_add(dropped) < min_samples {
            // Looks again with the next call, and from here on measures each.
            self.thinning.store(0, Ordering::Relaxed);
            return None;
        }
        let window = self.window.load(Ordering::Relaxed);
        let overdue = now.saturating_sub(self.window_end.load(Ordering::Relaxed));
        let (calls, sample) = self.take(now);
        let length = window.saturating_add(overdue) as f64 / window as f64;
        let enough = f64::from(2 * ENOUGH);
        // Not a number, or less than one: 0.
        let thinning = (calls / length.max(1.0) / enough).log2().ceil().max(0.0) as u32;
        self.thinning.store(thinning.min(THINNEST), Ordering::Relaxed);
        Some(sample)
    }

    /// Takes what the window has seen, the number of calls that went well by itself, and begins the
    /// next.
    fn take(&self, now: u64) -> (f64, Sample) {
        let window = self.window.load(Ordering::Relaxed);
        self.window_end.store(now.saturating_add(window), Ordering::Relaxed);
        self.measured.store(0, Ordering::Relaxed);
        let calls = self.calls.swap(0, Ordering::Relaxed) as f64;
        let ticks = self.ticks.swap(0, Ordering::Relaxed) as f64;
        let dropped = f64::from(self.dropped.swap(0, Ordering::Relaxed));
        let in_flight = self.peak.swap(0, Ordering::Relaxed);
        let time = (calls > 0.0).then(|| ticks.max(1.0) / calls * f64::from(1 << TICK_BITS));
        let all = calls + dropped;
        let dropped = if all > 0.0 { dropped / all } else { 0.0 };
        (calls, Sample { time, in_flight, dropped })
    }
}
