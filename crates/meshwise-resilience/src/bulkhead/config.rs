//! How many calls may be in flight, and how many may wait.

use crate::{
    adaptive::AdaptiveConfig,
    config_error::ConfigError,
    setters::{self, setters},
};
use meshwise_core::settings::BulkheadSettings;
use std::time::Duration;

/// Sets how many calls to a peer may be in flight at once, and how many may wait.
///
/// | setting | default |
/// |---|---|
/// | calls in flight | 100 |
/// | calls that wait for a place, first come first served | 50 |
/// | longest wait | 250 ms |
///
/// ```
/// use meshwise_resilience::{AdaptiveConfig, BulkheadConfig};
/// use std::time::Duration;
/// let config = BulkheadConfig::new()
///     .with_adaptive_limit(AdaptiveConfig::gradient2())
///     .with_queue(10, Duration::from_millis(100));
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BulkheadConfig(pub(crate) BulkheadSettings);

/// More than any service has in flight; keeps sums far from overflow.
pub(crate) const MOST: u32 = 1_000_000;

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self(setters::defaults().bulkhead.clone())
    }
}

setters! { BulkheadConfig.0 {
    /// Lets so many calls be in flight. Default: 100.
    with_limit(calls: u32) => limit = calls, adaptive.enabled = false;
    /// Lets `calls` wait for a place, `max_wait` at most. Default: 50, 250 ms.
    with_queue(calls: u32, max_wait: Duration) => queue = calls, max_wait = max_wait;
    /// Refuses at once when there is no place.
    without_queue() => queue = 0_u32;
} }

impl BulkheadConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds the limit by the time that calls take.
    #[must_use]
    pub fn with_adaptive_limit(mut self, limit: AdaptiveConfig) -> Self {
        self.0.adaptive = limit.0;
        self
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(adaptive) = self.adaptive() {
            adaptive.check()?;
        }
        setters::check("bulkhead", self.0.wrong())?;
        let least = Duration::from_millis(u64::from(self.0.queue.or_none() > 0));
        ConfigError::check_duration("bulkhead.max_wait", self.0.max_wait.or_none(), least)
    }

    /// Returns how the limit is found, if it is.
    pub(super) fn adaptive(&self) -> Option<AdaptiveConfig> {
        self.0.adaptive.enabled.or_none().then(|| AdaptiveConfig(self.0.adaptive.clone()))
    }

    /// Returns the limit to begin with.
    pub(super) fn first_limit(&self) -> u32 {
        match self.adaptive() {
            Some(adaptive) => adaptive.0.initial.or_none(),
            None => self.0.limit.or_none(),
        }
    }
}
