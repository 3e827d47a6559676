//! How many calls may be in flight, and how many may wait.

use crate::{AdaptiveConfig, ConfigError};
use std::time::Duration;

/// Sets how many calls to a peer may be in flight at once, and how many may wait.
///
/// | setting | default |
/// |---|---|
/// | calls in flight | 100 |
/// | calls that wait for a place | 50 |
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
#[non_exhaustive]
pub struct BulkheadConfig {
    /// The number of calls that may be in flight.
    #[doc(hidden)]
    pub limit: BulkheadLimit,
    /// The number of calls that may wait, first come first served; past it calls are refused at
    /// once.
    #[doc(hidden)]
    pub queue: u32,
    /// How long a call waits at most.
    #[doc(hidden)]
    pub max_wait: Duration,
}

/// Chooses how many calls may be in flight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[doc(hidden)]
pub enum BulkheadLimit {
    /// So many, 1 to 1,000,000.
    Fixed(u32),
    /// As many as the peer bears, by the time that calls take.
    Adaptive(AdaptiveConfig),
}

/// More than any service has in flight; keeps sums far from overflow.
pub(crate) const MOST: u32 = 1_000_000;

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { limit: BulkheadLimit::Fixed(100), queue: 50, max_wait: Duration::from_millis(250) }
    }
}

impl BulkheadConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets so many calls be in flight. Default: 100.
    #[must_use]
    pub fn with_limit(mut self, calls: u32) -> Self {
        self.limit = BulkheadLimit::Fixed(calls);
        self
    }

    /// Finds the limit by the time that calls take.
    #[must_use]
    pub fn with_adaptive_limit(mut self, limit: AdaptiveConfig) -> Self {
        self.limit = BulkheadLimit::Adaptive(limit);
        self
    }

    /// Lets `calls` wait for a place, `max_wait` at most. Default: 50, 250 ms.
    #[must_use]
    pub fn with_queue(mut self, calls: u32, max_wait: Duration) -> Self {
        self.queue = calls;
        self.max_wait = max_wait;
        self
    }

    /// Refuses at once when there is no place.
    #[must_use]
    pub fn without_queue(mut self) -> Self {
        self.queue = 0;
        self
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        match &self.limit {
            BulkheadLimit::Fixed(limit) => {
                ConfigError::check_range("bulkhead.limit", *limit, 1, MOST)?;
            }
            BulkheadLimit::Adaptive(adaptive) => adaptive.check()?,
        }
        ConfigError::check_range("bulkhead.queue", self.queue, 0, MOST)?;
        let least = Duration::from_millis(u64::from(self.queue > 0));
        ConfigError::check_duration("bulkhead.max_wait", self.max_wait, least)
    }

    /// Returns the limit to begin with.
    pub(super) fn first_limit(&self) -> u32 {
        match &self.limit {
            BulkheadLimit::Fixed(limit) => *limit,
            BulkheadLimit::Adaptive(adaptive) => adaptive.initial,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_refused_and_say_what_is_allowed() {
        let new = BulkheadConfig::new;
        assert_eq!(new().check(), Ok(()));
        assert_eq!(new().with_queue(0, Duration::ZERO).check(), Ok(()), "none waits");
        for (config, message) in [
            (new().with_limit(0), "bulkhead.limit is 0: set it to 1 to 1000000"),
            (new().with_limit(u32::MAX), "bulkhead.limit is 4294967295: set it to 1 to 1000000"),
            (
                new().with_queue(u32::MAX, Duration::from_secs(1)),
                "bulkhead.queue is 4294967295: set it to 0 to 1000000",
            ),
            (
                new().with_queue(1, Duration::ZERO),
                "bulkhead.max_wait is 0ns: set it to at least 1ms and at most 365 days",
            ),
        ] {
            assert_eq!(config.check().unwrap_err().to_string(), message);
        }
    }
}
