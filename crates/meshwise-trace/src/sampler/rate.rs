//! A token bucket in one atomic word.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Lets `rate` calls a second through on average, and one second's worth (at least one) at once.
///
/// This is the generic cell rate algorithm (ITU-T I.371): the only state is the moment at which
/// the bucket will be full again, so that one compare-and-swap decides. Time is given by the
/// caller, as nanoseconds since any fixed moment.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// What one token costs, in nanoseconds.
    cost: u64,
    /// How far ahead of `now` the bucket may be booked, in nanoseconds.
    burst: u64,
    /// When the bucket is full again, in nanoseconds.
    full_at: AtomicU64,
}

impl TokenBucket {
    /// Starts full. `rate` is positive and finite, checked by the configuration.
    pub(crate) fn new(rate: f64) -> Self {
        const SECOND: f64 = 1e9;
        // The bounds keep sums far away from overflow: one token in 146 years, or one per ns.
        let cost = (SECOND / rate).clamp(1.0, (u64::MAX / 4) as f64) as u64;
        Self { cost, burst: cost.max(SECOND as u64), full_at: AtomicU64::new(0) }
    }

    /// Takes a token, if there is one.
    pub(crate) fn try_take(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2);
        let book = |full_at: u64| {
            let booked = full_at.max(now) + self.cost;
            (booked - now <= self.burst).then_some(booked)
        };
        self.full_at.fetch_update(Relaxed, Relaxed, book).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &TokenBucket, now: Duration, tries: usize) -> usize {
        (0..tries).filter(|_| bucket.try_take(now)).count()
    }

    #[test]
    fn a_second_s_worth_at_once_then_the_rate() {
        let bucket = TokenBucket::new(10.0);
        assert_eq!(taken(&bucket, Duration::ZERO, 100), 10);
        assert_eq!(taken(&bucket, Duration::from_millis(99), 100), 0);
        assert_eq!(taken(&bucket, Duration::from_millis(100), 100), 1);
        assert_eq!(taken(&bucket, Duration::from_millis(350), 100), 2);
        assert_eq!(taken(&bucket, Duration::from_secs(3600), 100), 10, "it never overfills");
    }

    #[test]
    fn slower_than_one_a_second_works() {
        let bucket = TokenBucket::new(0.1);
        assert_eq!(taken(&bucket, Duration::ZERO, 5), 1);
        assert_eq!(taken(&bucket, Duration::from_millis(9_999), 5), 0);
        assert_eq!(taken(&bucket, Duration::from_secs(10), 5), 1);
    }

    #[test]
    fn extreme_rates_and_times_do_not_overflow() {
        for rate in [f64::MIN_POSITIVE, 1e-300, 1e300, f64::MAX] {
            let bucket = TokenBucket::new(rate);
            assert!(bucket.try_take(Duration::ZERO), "{rate}");
            bucket.try_take(Duration::MAX);
            bucket.try_take(Duration::MAX);
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let bucket = TokenBucket::new(1.0);
        assert!(bucket.try_take(Duration::from_secs(100)));
        assert_eq!(taken(&bucket, Duration::from_secs(50), 100), 0);
    }

    #[test]
    fn threads_together_get_no_more_than_the_burst() {
        let bucket = TokenBucket::new(1_000.0);
        let total: usize = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| taken(&bucket, Duration::ZERO, 5_000))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(total, 1_000);
    }
}
