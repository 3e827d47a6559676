//! Which guards a neighbour has, and how they are set.

use crate::{
    BreakerConfig, BulkheadConfig, DeadlineConfig, HttpCalls, HttpRetries, RateConfig, RetryConfig,
    TimeoutConfig,
};
use meshwise_core::{Deadline, ErrorType};
use std::{error::Error, time::Duration};

/// Sets the guards of a neighbour; each can be tuned or left out.
///
/// | guard | default | left out by |
/// |---|---|---|
/// | deadline | 10 s for the whole call, body included | [`without_total`](Self::without_total) (others' deadlines still count) |
/// | retry | 3 attempts, 20 % of what goes well and 10 a second | [`without_retry`](Self::without_retry) |
/// | timeout | 3 s an attempt, to the response's head | [`without_timeout`](Self::without_timeout) |
/// | breaker | half of at least 20 calls in 10 s | [`without_breaker`](Self::without_breaker) |
/// | bulkhead | 100 calls, a queue of 50 for 250 ms | [`without_bulkhead`](Self::without_bulkhead) |
/// | rate limit | none | |
///
/// To put another guard in the place of one of these, leave that one out and wrap the service in
/// your own, or stack the layers yourself in the order of [`NeighbourLayer`](super::NeighbourLayer).
#[derive(Clone, Debug)]
pub struct NeighbourConfig {
    pub(super) deadline: DeadlineConfig,
    pub(super) retry: RetryConfig,
    pub(super) retries: HttpRetries,
    pub(super) timeout: TimeoutConfig,
    pub(super) breaker: Option<BreakerConfig>,
    pub(super) bulkhead: Option<BulkheadConfig>,
    pub(super) rate: Option<RateConfig>,
    pub(super) calls: HttpCalls,
}

impl NeighbourConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            deadline: DeadlineConfig::new().with_total(Duration::from_secs(10)),
            retry: RetryConfig::new(),
            retries: HttpRetries::new(),
            timeout: TimeoutConfig::new(Duration::from_secs(3)),
            breaker: Some(BreakerConfig::default()),
            bulkhead: Some(BulkheadConfig::default()),
            rate: None,
            calls: HttpCalls::new(),
        }
    }

    /// Sets the longest that a call may take in all; 10 s by default.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.deadline = self.deadline.with_total(total);
        self
    }

    /// Sets no limit of its own: only the request's deadline and the incoming call's count.
    #[must_use]
    pub fn without_total(mut self) -> Self {
        self.deadline = self.deadline.without_total();
        self
    }

    /// Sets the whole of the deadline's settings; how to find the incoming call's stays as it was
    /// if they do not say.
    #[must_use]
    pub fn with_deadline(mut self, deadline: DeadlineConfig) -> Self {
        self.deadline = deadline.or_incoming(self.deadline);
        self
    }

    /// Has all guards end a call with the head of its response: for bodies that stream for hours.
    #[must_use]
    pub fn until_head(mut self) -> Self {
        self.deadline = self.deadline.until_head();
        self.calls = self.calls.until_head();
        self
    }

    /// Sets how to find the deadline of the incoming call on whose behalf a call is made.
    #[must_use]
    pub fn with_incoming_deadline(mut self, incoming: fn() -> Option<Deadline>) -> Self {
        self.deadline = self.deadline.with_incoming(incoming);
        self
    }

    /// Sets how to find out how many times the incoming call had been tried before.
    #[must_use]
    pub fn with_incoming_attempt(mut self, incoming: fn() -> u32) -> Self {
        self.retry = self.retry.with_incoming(incoming);
        self
    }

    /// Sets how often, when and within which budget calls are tried again; how to find the incoming
    /// call's attempts stays as it was if they do not say.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry.or_incoming(&self.retry);
        self
    }

    /// Makes one attempt a call.
    #[must_use]
    pub fn without_retry(mut self) -> Self {
        self.retry = self.retry.with_attempts(1);
        self
    }

    /// Sets which calls are tried again.
    #[must_use]
    pub fn with_retries(mut self, retries: HttpRetries) -> Self {
        self.retries = retries;
        self
    }

    /// Sets how long an attempt may take; 3 s by default.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = TimeoutConfig::new(limit);
        self
    }

    /// Lets an attempt take as long as the whole call may.
    #[must_use]
    pub fn without_timeout(mut self) -> Self {
        self.timeout = TimeoutConfig::unlimited();
        self
    }

    /// Sets when the circuit breaker opens and closes.
    #[must_use]
    pub fn with_breaker(mut self, breaker: BreakerConfig) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Leaves the circuit breaker out.
    #[must_use]
    pub fn without_breaker(mut self) -> Self {
        self.breaker = None;
        self
    }

    /// Sets how many calls may be under way.
    #[must_use]
    pub fn with_bulkhead(mut self, bulkhead: BulkheadConfig) -> Self {
        self.bulkhead = Some(bulkhead);
        self
    }

    /// Leaves the bulkhead out.
    #[must_use]
    pub fn without_bulkhead(mut self) -> Self {
        self.bulkhead = None;
        self
    }

    /// Sets how many attempts may be made in a time; there is no limit by default.
    #[must_use]
    pub fn with_rate_limit(mut self, rate: RateConfig) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Makes errors of type `E` transparent to all guards: their sources are looked into.
    #[must_use]
    pub fn with_error<E: Error + 'static>(mut self) -> Self {
        self.calls = self.calls.with_error::<E>();
        self.retries = self.retries.with_error::<E>();
        self
    }

    /// Adds a rule that names kinds of error to all guards; it is asked for an error and each of
    /// its sources.
    #[must_use]
    pub fn with_error_kind(
        mut self,
        kind: fn(&(dyn Error + 'static)) -> Option<ErrorType>,
    ) -> Self {
        self.calls = self.calls.with_error_kind(kind);
        self.retries = self.retries.with_error_kind(kind);
        self
    }
}

impl Default for NeighbourConfig {
    fn default() -> Self {
        Self::new()
    }
}
