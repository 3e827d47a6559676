//! Refusals as proper responses: status, `Retry-After`, and a problem that machines can read.
//!
//! | rule | HTTP | gRPC |
//! |---|---|---|
//! | breaker open | 503 | `UNAVAILABLE` |
//! | bulkhead full, overloaded | 503 | `RESOURCE_EXHAUSTED` |
//! | rate limited | 429 | `RESOURCE_EXHAUSTED` |
//! | deadline exceeded, timed out | 504 | `DEADLINE_EXCEEDED` |
//!
//! HTTP callers get an `application/problem+json` body (RFC 9457), gRPC callers a response of
//! trailers only. Neither names the peer: callers may be strangers, and the log knows it.

mod layer;

pub use layer::{RefusalBody, RefusalFuture, RefusalResponse, RefusalResponseLayer};

use crate::GuardError;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use meshwise_core::{
    Protocol, Refused,
    outcome::{Faults, Rule},
};
use std::{convert::Infallible, error::Error, time::Duration};

/// Turns a refusal into the response that tells a caller of it, in the caller's protocol.
///
/// `Retry-After` counts whole seconds, rounded up: who heeds it does not come too early. For gRPC
/// the wait stands in `grpc-retry-pushback-ms` (gRPC proposal A6).
///
/// ```
/// use meshwise_core::{Protocol, Refused, outcome::Rule};
/// use std::time::Duration;
/// let refused = Refused::new(Rule::BreakerOpen, "stock").with_retry_after(Duration::from_millis(4200));
/// let response = meshwise_resilience::refusal_response(&refused, Protocol::Http);
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()["retry-after"], "5");
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// ```
#[must_use]
pub fn refusal_response(refused: &Refused, protocol: Protocol) -> Response<Bytes> {
    if protocol == Protocol::Grpc { grpc(refused) } else { problem(refused) }
}

fn problem(refused: &Refused) -> Response<Bytes> {
    let rule = refused.rule();
    let status = rule.status();
    // All of it is ours and plain ASCII: nothing needs escaping.
    let body = format!(
        r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}","reason":"{}"}}"#,
        status.canonical_reason().unwrap_or("Refused"),
        status.as_u16(),
        detail(rule),
        rule.error_type(),
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(wait) = refused.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    response
}

fn grpc(refused: &Refused) -> Response<Bytes> {
    let rule = refused.rule();
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(rule.grpc_code() as u16));
    // Plain ASCII without a percent sign: gRPC's encoding of it is itself.
    headers.insert("grpc-message", HeaderValue::from_static(detail(rule)));
    if let Some(wait) = refused.retry_after() {
        let millis = u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        headers.insert(
            "grpc-retry-pushback-ms",
            // gRPC reads it as a signed 32-bit number.
            HeaderValue::from(millis.min(i32::MAX.unsigned_abs())),
        );
    }
    response
}

/// Rounds up, so that no one comes back before the wait is over.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

/// Says to a caller, who may be a stranger, what stood in the way.
const fn detail(rule: Rule) -> &'static str {
    match rule {
        Rule::BreakerOpen => "a service that this one depends on is not well",
        Rule::BulkheadFull => "too many calls to a service that this one depends on are in flight",
        Rule::RateLimited => "the rate limit is spent",
        Rule::DeadlineExceeded => "the deadline had passed before the work began",
        Rule::TimedOut => "the work lasted longer than it may",
        Rule::Overloaded => "the server has more to do than it can",
        _ => "the call was refused",
    }
}

/// Tells a refusal from a service's other errors.
pub trait MaybeRefused {
    /// What is left when it is no refusal.
    type Other;

    /// Returns the refusal, or else the other error.
    ///
    /// # Errors
    ///
    /// Returns the error that is no refusal.
    fn into_refused(self) -> Result<Refused, Self::Other>;
}

impl MaybeRefused for Refused {
    type Other = Infallible;

    fn into_refused(self) -> Result<Refused, Infallible> {
        Ok(self)
    }
}

impl MaybeRefused for Infallible {
    type Other = Self;

    fn into_refused(self) -> Result<Refused, Self> {
        Err(self)
    }
}

impl<E> MaybeRefused for GuardError<E> {
    type Other = E;

    fn into_refused(self) -> Result<Refused, E> {
        match self {
            Self::Refused(refused) => Ok(refused),
            Self::Inner(error) => Err(error),
        }
    }
}

/// Finds a refusal at any depth of the error's sources.
impl MaybeRefused for Box<dyn Error + Send + Sync> {
    type Other = Self;

    fn into_refused(self) -> Result<Refused, Self> {
        Faults::new().refused(&self).cloned().ok_or(self)
    }
}

#[cfg(test)]
mod tests;
