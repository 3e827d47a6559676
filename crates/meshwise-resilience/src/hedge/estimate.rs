//! About how long most calls take.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Follows a quantile in one number: each call that takes longer lifts it a little, each that does
/// not lowers it, in such a proportion that it rests where the quantile is ("Frugal Streaming for
/// Estimating Quantiles", Ma, Muthukrishnan and Sandler, 2013, with steps in proportion).
#[derive(Debug)]
pub(super) struct Estimate {
    quantile: f64,
    /// Nanoseconds; 0 until there was a call.
    nanos: AtomicU64,
}

/// How far a call can move it, at most.
const STEP: f64 = 0.05;

impl Estimate {
    pub(super) const fn new(quantile: f64) -> Self {
        Self { quantile, nanos: AtomicU64::new(0) }
    }

    pub(super) fn get(&self) -> Option<Duration> {
        match self.nanos.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(super) fn record(&self, elapsed: Duration) {
        let elapsed = crate::clock::to_nanos(elapsed).max(1);
        let mut seen = self.nanos.load(Relaxed);
        loop {
            let next = match seen {
                0 => elapsed,
                // At least a nanosecond either way, that small numbers do not stick.
                seen if elapsed > seen => {
                    seen.saturating_add((seen as f64 * STEP * self.quantile) as u64 + 1)
                }
                seen => {
                    seen - ((seen as f64 * STEP * (1.0 - self.quantile)) as u64 + 1).min(seen - 1)
                }
            };
            match self.nanos.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_where_the_quantile_is_and_follows_it() {
        for quantile in [0.5, 0.9, 0.95, 0.99] {
            let estimate = Estimate::new(quantile);
            assert_eq!(estimate.get(), None);
            let mut random = fastrand::Rng::with_seed(7);
            // Evenly from 0 to 100 ms, then ten times as long.
            for scale in [1, 10] {
                let mut mean = 0.0;
                for n in 0..40_000 {
                    estimate.record(Duration::from_micros(random.u64(0..100_000) * scale));
                    if n >= 20_000 {
                        mean += estimate.get().unwrap().as_secs_f64() / 20_000.0;
                    }
                }
                let exact = 0.1 * quantile * scale as f64;
                assert!((mean / exact - 1.0).abs() < 0.05, "{quantile}: {mean} for {exact}");
            }
        }
    }

    #[test]
    fn no_call_is_too_short_or_too_long_for_it() {
        let estimate = Estimate::new(0.95);
        for elapsed in [Duration::ZERO, Duration::MAX, Duration::ZERO, Duration::from_secs(1)] {
            for _ in 0..2000 {
                estimate.record(elapsed);
                assert!(estimate.get().is_some());
            }
        }
    }
}
