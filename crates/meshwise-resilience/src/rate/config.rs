//! Settings of rate limits.

use super::gcra::Gcra;
use crate::{ConfigError, clock};
use std::time::Duration;

/// Says how many calls may pass in a time.
///
/// ```
/// use meshwise_resilience::{RateConfig, RateLimitLayer};
/// use std::time::Duration;
/// // 100 a second, 10 of them at once, and none waits longer than 50 ms.
/// let config = RateConfig::new(100, Duration::from_secs(1))
///     .with_burst(10)
///     .with_max_wait(Duration::from_millis(50));
/// let layer = RateLimitLayer::new("stock", config)?;
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateConfig {
    pub(super) calls: u32,
    pub(super) per: Duration,
    pub(super) burst: u32,
    pub(super) max_wait: Duration,
}

impl RateConfig {
    /// Lets so many calls pass in this time, all of them at once if they come so; refuses the rest.
    #[must_use]
    pub const fn new(calls: u32, per: Duration) -> Self {
        Self { calls, per, burst: calls, max_wait: Duration::ZERO }
    }

    /// Sets how many calls may come at once; by default as many as may come in the whole time.
    #[must_use]
    pub const fn with_burst(mut self, calls: u32) -> Self {
        self.burst = calls;
        self
    }

    /// Lets calls wait for their turn up to this long before they are refused; by default they do
    /// not wait.
    #[must_use]
    pub const fn with_max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Returns how many calls may pass in [`RateConfig::per`].
    #[must_use]
    #[doc(hidden)]
    pub const fn calls(&self) -> u32 {
        self.calls
    }

    /// Returns how many calls may come at once.
    #[must_use]
    #[doc(hidden)]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Returns how long calls wait for their turn.
    #[must_use]
    #[doc(hidden)]
    pub const fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Returns the time that [`RateConfig::calls`] is for.
    #[must_use]
    #[doc(hidden)]
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        // A million in the shortest time is one a nanosecond, as fine as clocks go.
        ConfigError::check_range("rate.calls", self.calls, 1, 1_000_000)?;
        ConfigError::check_range("rate.burst", self.burst, 1, 1_000_000)?;
        ConfigError::check_duration("rate.per", self.per, Duration::from_millis(1))?;
        let fills = (self.per / self.calls).checked_mul(self.burst);
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        if fills.is_none_or(|fills| fills > YEAR) {
            return Err(ConfigError::new(
                "rate.burst",
                self.burst,
                "no more than the rate brings in a year",
            ));
        }
        ConfigError::check_duration("rate.max_wait", self.max_wait, Duration::ZERO)
    }

    pub(super) fn gcra(&self) -> Gcra {
        let interval = clock::to_nanos(self.per / self.calls.max(1)).max(1);
        Gcra {
            interval,
            tolerance: interval.saturating_mul(u64::from(self.burst.max(1)) - 1),
            max_wait: clock::to_nanos(self.max_wait),
        }
    }
}
