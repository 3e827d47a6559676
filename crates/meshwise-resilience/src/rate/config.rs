//! Settings of rate limits.

use super::gcra::Gcra;
use crate::{
    clock,
    config_error::ConfigError,
    setters::{self, setters},
};
use meshwise_core::settings::RateSettings;
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
#[derive(Clone, Debug, PartialEq)]
pub struct RateConfig(pub(crate) RateSettings);

setters! { RateConfig.0 {
    /// Sets how many calls may come at once; by default as many as may come in the whole time.
    with_burst(calls: u32) => burst = calls;
    /// Lets calls wait for their turn up to this long before they are refused; by default they do
    /// not wait.
    with_max_wait(wait: Duration) => max_wait = wait;
} }

impl RateConfig {
    /// Lets so many calls pass in this time, all of them at once if they come so; refuses the rest.
    #[must_use]
    pub fn new(calls: u32, per: Duration) -> Self {
        let mut said = setters::defaults().rate.clone();
        said.enabled.set(true);
        said.calls.set(calls);
        said.per.set(per);
        Self(said)
    }

    /// Returns how many calls may pass in a time, and at once, and the time.
    pub(crate) fn parts(&self) -> (u32, u32, Duration) {
        let said = &self.0;
        let calls = said.calls.or_none();
        (calls, said.burst.or(calls), said.per.or_none())
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    ///
    /// Names the first setting that does not, and what is allowed.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        setters::check("rate", self.0.wrong())?;
        let (calls, burst, per) = self.parts();
        let fills = (per / calls.max(1)).checked_mul(burst);
        if fills.is_none_or(|fills| fills > YEAR) {
            let allowed = "no more than the rate brings in a year";
            return Err(ConfigError::new("rate.burst", burst, allowed));
        }
        Ok(())
    }

    pub(super) fn gcra(&self) -> Gcra {
        let (calls, burst, per) = self.parts();
        let interval = clock::to_nanos(per / calls.max(1)).max(1);
        Gcra {
            interval,
            tolerance: interval.saturating_mul(u64::from(burst.max(1)) - 1),
            max_wait: clock::to_nanos(self.0.max_wait.or_none()),
        }
    }
}
