//! Seeing a breaker, and taking it into one's own hands.

use super::{
    config::BreakerConfig,
    layer::Breaker,
    state::{BreakerMode, BreakerState},
};
use crate::{clock, config_error::ConfigError, guard::Handle};
use std::time::Duration;

/// Shows a circuit breaker and turns it, at run time.
///
/// ```
/// use meshwise_resilience::{BreakerConfig, BreakerLayer, BreakerMode, BreakerState};
/// let layer = BreakerLayer::new("stock", BreakerConfig::new())?;
/// let breaker = layer.handle();
/// breaker.set_mode(BreakerMode::ForcedOpen); // calls to stock fail at once from here on
/// assert_eq!(breaker.state(), BreakerState::ForcedOpen);
/// breaker.set_mode(BreakerMode::Automatic);
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
pub type BreakerHandle = Handle<Breaker>;

impl BreakerHandle {
    /// Returns the state as of the last call: an open breaker whose time is over stays so until
    /// it is called.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.snapshot().state
    }

    /// Returns the state and the counts of the window.
    #[must_use]
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.guard.shared.snapshot(clock::coarse())
    }

    /// Takes the breaker into one's own hands, or gives it back to its rates; then it begins
    /// closed. Tells whether that changed its state.
    #[allow(clippy::must_use_candidate, reason = "most callers want the change, not the answer")]
    pub fn set_mode(&self, mode: BreakerMode) -> bool {
        self.guard.shared.set_mode(mode, clock::coarse())
    }

    /// Closes the breaker with nothing counted, and gives it back to its rates.
    pub fn reset(&self) {
        self.guard.shared.reset(clock::coarse());
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.guard.shared.config()
    }

    /// Changes the settings: they hold for what happens from now on. A window of another shape
    /// begins empty; a breaker that is open stays so for the time it was given.
    ///
    /// # Errors
    ///
    /// Returns what [`BreakerConfig::check`] finds; the settings are as before then.
    pub fn set_config(&self, config: BreakerConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.guard.shared.set_config(config, clock::coarse());
        Ok(())
    }
}

/// Shows a circuit breaker as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// The state.
    pub state: BreakerState,
    /// Calls in the window.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that were slow.
    pub slow: u64,
    /// The share of failed calls, 0 to 1; 0 without any.
    pub failure_rate: f64,
    /// The share of slow calls, 0 to 1; 0 without any.
    pub slow_rate: f64,
    /// Trial calls in flight, while half-open.
    pub trials_in_flight: u32,
    /// How long it will refuse from now on, if it is open; zero if the next call half-opens it.
    /// Serialized in seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::registry::seconds"))]
    pub open_for: Option<Duration>,
}
