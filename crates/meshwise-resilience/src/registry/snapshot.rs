//! What is shown of a peer.

use super::GuardHandles;
use crate::{
    BreakerHandle, BreakerSnapshot, BulkheadHandle, BulkheadSnapshot, RateConfig, RateLimitHandle,
    TimeLimitHandle,
};
use std::time::Duration;

/// Shows the guards of a peer as they stood at one moment. Those that it does not have are
/// none.
///
/// With the feature `serde` it is what `GET /resilience` answers with; durations are seconds.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeerSnapshot {
    /// The peer's name.
    pub peer: String,
    /// The longest that a call may take, retries and all.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub deadline: Option<Duration>,
    /// The longest that an attempt may take.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub timeout: Option<Duration>,
    /// The circuit breaker.
    pub breaker: Option<BreakerSnapshot>,
    /// The bulkhead.
    pub bulkhead: Option<BulkheadSnapshot>,
    /// The retries.
    pub retry: Option<RetrySnapshot>,
    /// The rate limit.
    pub rate_limit: Option<RateSnapshot>,
}

/// Shows retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RetrySnapshot {
    /// Attempts in all.
    pub attempts: u32,
    /// Retries that the budget would allow right now.
    pub budget: u64,
}

/// Shows a rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RateSnapshot {
    /// Calls that may pass in a second.
    pub per_second: f64,
}

impl PeerSnapshot {
    pub(super) fn of(guards: &GuardHandles) -> Self {
        Self {
            peer: guards.peer.to_string(),
            deadline: guards.deadline.as_ref().and_then(TimeLimitHandle::limit),
            timeout: guards.timeout.as_ref().and_then(TimeLimitHandle::limit),
            breaker: guards.breaker.as_ref().map(BreakerHandle::snapshot),
            bulkhead: guards.bulkhead.as_ref().map(BulkheadHandle::snapshot),
            retry: guards.retry.as_ref().map(|retry| RetrySnapshot {
                attempts: retry.attempts(),
                budget: retry.budget().available(),
            }),
            rate_limit: guards
                .rate_limit
                .as_ref()
                .and_then(RateLimitHandle::config)
                .map(|rate| per_second(&rate)),
        }
    }
}

fn per_second(rate: &RateConfig) -> RateSnapshot {
    // Settings that are in force were checked: the time is not zero.
    let (calls, _, per) = rate.parts();
    RateSnapshot { per_second: f64::from(calls) / per.as_secs_f64() }
}

/// Serializes a duration as seconds.
#[cfg(feature = "serde")]
pub(crate) fn seconds<S: serde::Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&duration.map(|duration| duration.as_secs_f64()), serializer)
}
