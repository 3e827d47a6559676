//! Settings of retries.

use super::{Backoff, RetryBudget};
use crate::ConfigError;
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
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) longest_asked: Duration,
    pub(crate) body_limit: usize,
    pub(crate) incoming: Option<fn() -> u32>,
}

impl RetryConfig {
    /// The most attempts that can be set.
    pub const MAX_ATTEMPTS: u32 = 10;

    /// Tries three times in all, within a budget of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            attempts: 3,
            backoff: Backoff::default(),
            budget: None,
            longest_asked: Duration::from_secs(10),
            body_limit: 64 * 1024,
            incoming: None,
        }
    }

    /// Sets how many attempts are made in all, 1 (no retries) to 10; 3 by default.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the waits between attempts; up to 25 ms, doubled up to 1 s, by default.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the budget; share one between all layers (and hedges) that call the same peer.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets the longest wait that a peer can ask for by `Retry-After` or
    /// `grpc-retry-pushback-ms`; 10 s by default. After a longer one there is no retry.
    #[must_use]
    pub const fn with_longest_asked(mut self, wait: Duration) -> Self {
        self.longest_asked = wait;
        self
    }

    /// Sets how many bytes of a request's body are kept; 64 KiB by default. A longer one is sent
    /// once.
    #[must_use]
    pub const fn with_body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
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

    pub(crate) fn or_incoming(mut self, other: &Self) -> Self {
        self.incoming = self.incoming.or(other.incoming);
        self
    }

    /// Tells whether two are set the same; budgets of their own are.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let budgets = match (&self.budget, &other.budget) {
            (Some(one), Some(other)) => one.is(other) || one.says_as(other),
            (None, None) => true,
            // None is one of its own, as by default.
            (Some(own), None) | (None, Some(own)) => own.says_as(&RetryBudget::default()),
        };
        budgets
            && self.attempts == other.attempts
            && self.backoff == other.backoff
            && self.longest_asked == other.longest_asked
            && self.body_limit == other.body_limit
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_attempts(self.attempts)?;
        self.backoff.check()?;
        ConfigError::check_duration("retry.longest_asked", self.longest_asked, Duration::ZERO)
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn check_attempts(attempts: u32) -> Result<(), ConfigError> {
    if (1..=RetryConfig::MAX_ATTEMPTS).contains(&attempts) {
        return Ok(());
    }
    Err(ConfigError::new(
        "retry.attempts",
        attempts,
        "at least 1 (no retries) and at most 10 (attempts in all)",
    ))
}
