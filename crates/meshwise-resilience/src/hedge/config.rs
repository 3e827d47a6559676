//! Settings of hedged calls.

use crate::{ConfigError, RetryBudget};
use std::time::Duration;

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
pub struct HedgeConfig {
    pub(super) budget: RetryBudget,
    pub(super) quantile: f64,
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl HedgeConfig {
    /// Begins a second attempt when the first has taken longer than 95 % of the calls, paid for
    /// from this budget: that of the peer's retries, or one of its own, into which calls that go well
    /// pay.
    #[must_use]
    pub const fn new(budget: RetryBudget) -> Self {
        let (least, most) = (Duration::from_millis(2), Duration::from_secs(1));
        Self { budget, quantile: 0.95, least, most }
    }

    /// Sets the share of calls, 0.5 to 0.999, that are over before a hedge begins; 0.95 by default.
    #[must_use]
    pub const fn with_quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// Sets the shortest and longest wait before a hedge, whatever the quantile is; 2 ms and 1 s by
    /// default. As long as nothing is known of the peer, the longest is waited.
    #[must_use]
    pub const fn with_waits(mut self, least: Duration, most: Duration) -> Self {
        self.least = least;
        self.most = most;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(0.5..=0.999).contains(&self.quantile) {
            let allowed = "at least 0.5 and at most 0.999";
            return Err(ConfigError::new("hedge.quantile", self.quantile, allowed));
        }
        ConfigError::check_duration("hedge.least_wait", self.least, Duration::ZERO)?;
        ConfigError::check_duration("hedge.most_wait", self.most, self.least)
    }
}
