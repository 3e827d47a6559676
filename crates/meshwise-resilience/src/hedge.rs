//! Hedged calls: a second attempt beside a first one that is slower than most.
//!
//! "The Tail at Scale" (Dean and Barroso, 2013): where a few calls take many times as long as the
//! rest, asking again once a call takes longer than 95 % of them cuts the tail for a few per cent of
//! load. The first answer wins, the other is dropped. Hedges are paid for from the retry
//! budget, so a peer that is slow as a whole does not get twice the calls.
//!
//! Hedged are calls that do no harm twice at the same time: GET, HEAD, OPTIONS, TRACE, gRPC methods
//! listed as idempotent, and what is marked [`Idempotent`](crate::Idempotent); and only if the body
//! lies ready as a whole.

use crate::{
    clock,
    config::ConfigError,
    count::counter,
    handle::Handle,
    names,
    retry::{RetryBudget, RetryVerdict, Tries},
};
use metrics::Counter;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What all clones share.
#[derive(Debug)]
pub struct Hedge {
    pub(crate) config: HedgeConfig,
    estimate: Estimate,
    on: AtomicBool,
    won: Counter,
    lost: Counter,
}

impl Hedge {
    pub(crate) fn new(peer: &Arc<str>, config: HedgeConfig) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let counter = |result| counter(names::HEDGES, peer, (names::RESULT, result));
        Ok(Arc::new(Self {
            estimate: Estimate::default(),
            on: AtomicBool::new(true),
            won: counter("won"),
            lost: counter("lost"),
            config,
        }))
    }

    /// Tells whether an attempt went well, which pays for hedges.
    pub(crate) fn pays(&self, verdict: RetryVerdict) -> bool {
        let well = verdict == RetryVerdict::Well;
        if well {
            self.config.budget.hedge_succeeded();
        }
        well
    }

    fn wait(&self) -> Duration {
        let HedgeConfig { least, most, .. } = self.config;
        self.estimate.get().map_or(most, |estimate| estimate.clamp(least, most))
    }

    /// Begins a call.
    pub(crate) fn begin(&self) -> Tries {
        /// A longer body takes its time by itself.
        const BODY_LIMIT: u32 = 64 * 1024;
        if self.on.load(Relaxed) { Tries::beside(BODY_LIMIT) } else { Tries::ONCE }
    }

    /// Returns when a second attempt begins beside one that made its caller wait at `began`.
    pub(crate) fn at(&self, began: u64) -> u64 {
        began.saturating_add(clock::to_nanos(self.wait()))
    }

    /// Takes note of how long an attempt lasted.
    pub(crate) fn lasted(&self, began: u64) {
        self.estimate.record(clock::exact().saturating_sub(began), self.config.quantile);
    }

    /// Takes note of a second attempt whose answer was taken, or was not.
    pub(crate) fn ended(&self, won: bool) {
        if won { &self.won } else { &self.lost }.increment(1);
    }
}

/// Reads hedging and switches it at run time.
pub type HedgeHandle = Handle<Hedge>;

impl HedgeHandle {
    /// Returns how long a call must take at present before it is hedged.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.guard.wait()
    }

    /// Returns the budget that hedges are paid from.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.guard.config.budget
    }

    /// Tells whether calls are hedged.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.guard.on.load(Relaxed)
    }

    /// Switches hedging on or off; it is on at first.
    pub fn switch(&self, on: bool) {
        self.guard.on.store(on, Relaxed);
    }
}

/// Says when a second attempt begins beside the first.
///
/// ```
/// use meshwise_resilience::{HedgeConfig, HedgeLayer, RetryBudget, RetryConfig, RetryLayer};
/// // Hedges and retries draw on one budget.
/// let budget = RetryBudget::default();
/// let retry = RetryLayer::new("stock", RetryConfig::new().with_budget(budget.clone()))?;
/// let hedge = HedgeLayer::new("stock", HedgeConfig::new(budget).with_quantile(0.99))?;
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HedgeConfig {
    pub(crate) budget: RetryBudget,
    quantile: f64,
    least: Duration,
    most: Duration,
}

impl HedgeConfig {
    /// Begins a second attempt when the first has taken longer than 95 % of the calls, paid for
    /// from this budget: that of the peer's retries, or one of its own, into which calls that go well
    /// pay.
    pub const fn new(budget: RetryBudget) -> Self {
        let (least, most) = (Duration::from_millis(2), Duration::from_secs(1));
        Self { budget, quantile: 0.95, least, most }
    }

    /// Sets the share of calls, 0.5 to 0.999, that are over before a hedge begins; 0.95 by default.
    pub const fn with_quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// Sets the shortest and longest wait before a hedge, whatever the quantile is; 2 ms and 1 s by
    /// default. As long as nothing is known of the peer, the longest is waited.
    pub const fn with_waits(mut self, least: Duration, most: Duration) -> Self {
        self.least = least;
        self.most = most;
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(0.5..=0.999).contains(&self.quantile) {
            let allowed = "at least 0.5 and at most 0.999";
            return Err(ConfigError::new("hedge.quantile", self.quantile, allowed));
        }
        ConfigError::check_duration("hedge.least_wait", self.least, Duration::ZERO)?;
        ConfigError::check_duration("hedge.most_wait", self.most, self.least)
    }
}

/// Follows a quantile in one number: each call that takes longer lifts it a little, each that does
/// not lowers it, in such a proportion that it rests where the quantile is ("Frugal Streaming for
/// Estimating Quantiles", Ma, Muthukrishnan and Sandler, 2013, with steps in proportion).
#[derive(Debug, Default)]
struct Estimate(AtomicU64);

const STEP: f64 = 0.05;

impl Estimate {
    fn get(&self) -> Option<Duration> {
        Some(self.0.load(Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    /// Takes how long a call lasted, in nanoseconds.
    fn record(&self, elapsed: u64, quantile: f64) {
        let elapsed = elapsed.max(1);
        self.0.update(Relaxed, Relaxed, |seen| {
            // At least a nanosecond either way, that small numbers do not stick.
            let step = |share: f64| (seen as f64 * STEP * share) as u64 + 1;
            match seen {
                0 => elapsed,
                _ if elapsed > seen => seen.saturating_add(step(quantile)),
                _ => seen.saturating_sub(step(1.0 - quantile)).max(1),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_where_the_quantile_is_and_follows_it() {
        for quantile in [0.5, 0.9, 0.95, 0.99] {
            let estimate = Estimate::default();
            assert_eq!(estimate.get(), None);
            let mut random = fastrand::Rng::with_seed(7);
            // Evenly from 0 to 100 ms, then ten times as long.
            for scale in [1, 10] {
                let mut mean = 0.0;
                for n in 0..40_000 {
                    estimate.record(random.u64(0..100_000) * scale * 1000, quantile);
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
        let estimate = Estimate::default();
        for elapsed in [0, u64::MAX, 0, 1_000_000_000] {
            for _ in 0..2000 {
                estimate.record(elapsed, 0.95);
                assert!(estimate.get().is_some());
            }
        }
    }
}
