//! Settings of retries.

use super::{Backoff, RetryBudget};
use crate::{
    config_error::ConfigError,
    setters::{self, setters},
};
use meshwise_core::settings::{BudgetSettings, RetrySettings, Size};
use std::time::Duration;

/// Says how often, when and within which budget to try again.
///
/// ```
/// use meshwise_resilience::{Backoff, RetryConfig, RetryLayer};
/// use std::time::Duration;
/// let config = RetryConfig::new()
///     .with_attempts(4)
///     .with_backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(500)));
/// let layer = RetryLayer::new("stock", config)?;
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryConfig {
    pub(crate) said: RetrySettings,
    /// Takes the place of the one that is said.
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) incoming: Option<fn() -> u32>,
}

setters! { RetryConfig.said {
    /// Sets how many attempts are made in all, 1 (no retries) to 10; 3 by default.
    with_attempts(attempts: u32) => enabled = true, attempts = attempts;
    /// Sets the waits between attempts; up to 25 ms, doubled up to 1 s, by default.
    with_backoff(waits: Backoff) =>
        backoff.base = waits.base, backoff.max = waits.max, backoff.jitter = waits.jitter;
    /// Sets the longest wait that a peer can ask for by `Retry-After` or
    /// `grpc-retry-pushback-ms`; 10 s by default. After a longer one there is no retry.
    with_longest_asked(wait: Duration) => longest_asked = wait;
    /// Sets how many bytes of a request's body are kept; 64 KiB by default. A longer one is sent
    /// once.
    with_body_limit(bytes: usize) => body_limit = Size(bytes as u64);
} }

impl RetryConfig {
    /// Tries three times in all, within a budget of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { said: setters::defaults().retry.clone(), budget: None, incoming: None }
    }

    /// Sets the budget; share one between all layers (and hedges) that call the same peer.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        let said = &mut self.said.budget;
        *said = BudgetSettings::default();
        // One of tokens has another form, which settings do not know.
        if let Some((share, per_second)) = budget.said() {
            said.share.set(share);
            said.per_second.set(per_second);
        }
        self.budget = Some(budget);
        self
    }

    /// Sets how to find out how many times the incoming call, on whose behalf this one is made, had
    /// been tried before; it is asked in `Service::call`, on the thread that calls.
    ///
    /// Each of these tries is taken off the attempts made here, so that retries do not multiply
    /// from hop to hop.
    #[must_use]
    pub const fn with_incoming(mut self, incoming: fn() -> u32) -> Self {
        self.incoming = Some(incoming);
        self
    }

    /// Returns how many attempts are made in all.
    pub(super) fn attempts(&self) -> u32 {
        if self.said.enabled.or(true) { self.said.attempts.or_none() } else { 1 }
    }

    pub(super) fn backoff(&self) -> Backoff {
        let said = &self.said.backoff;
        let base = said.base.or_none();
        Backoff { base, max: setters::at_most(&said.max, base), jitter: said.jitter.or_none() }
    }

    /// Returns the budget; it is made here if there is none of one's own.
    pub(super) fn budget(&self) -> Result<RetryBudget, ConfigError> {
        let said = &self.said.budget;
        match &self.budget {
            Some(own) => Ok(own.clone()),
            None => RetryBudget::ratio(said.share.or_none(), said.per_second.or_none()),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        setters::check("retry", self.said.wrong())?;
        self.backoff().check()
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn check_attempts(attempts: u32) -> Result<(), ConfigError> {
    let mut said = RetrySettings::default();
    said.attempts.set(attempts);
    setters::check("retry", said.wrong())
}
