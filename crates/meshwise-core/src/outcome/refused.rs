//! What a guard says when it does not let a call through.

use super::{ErrorType, GrpcCode};
use http::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

/// Says that a guard did not let a call through, or broke it off: for whom, by which rule, and when
/// to try again.
///
/// All guards speak this one error, so that code that catches it, at any depth, needs to know only
/// one type. A guard wraps every service whose error is `From<Refused>`, boxed errors among them.
///
/// ```
/// use meshwise_core::{Refused, outcome::Rule};
/// use std::time::Duration;
/// let refused = Refused::new(Rule::BreakerOpen, "stock").with_retry_after(Duration::from_millis(4200));
/// assert_eq!(
///     refused.to_string(),
///     "call to stock refused: its circuit breaker is open; try again in 4.2s"
/// );
/// assert_eq!(refused.rule().status(), 503);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    rule: Rule,
    peer: Arc<str>,
    retry_after: Option<Duration>,
}

impl Refused {
    /// Refuses a call to a peer (or, on a server, to this service itself).
    #[must_use]
    #[doc(hidden)]
    pub fn new(rule: Rule, peer: impl Into<Arc<str>>) -> Self {
        Self { rule, peer: peer.into(), retry_after: None }
    }

    /// Sets the time after which another try makes sense, if there is one.
    #[must_use]
    #[doc(hidden)]
    pub fn with_retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.retry_after = wait.into();
        self
    }

    /// Returns the rule that refused.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Returns the time after which another try makes sense, if there is one.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call to {} refused: {}", self.peer, self.rule)?;
        match self.retry_after {
            Some(wait) => write!(f, "; try again in {:?}", in_millis(wait)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

/// Rounds up to whole milliseconds: what is less tells no one anything.
fn in_millis(wait: Duration) -> Duration {
    let millis = wait.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).map_or(wait, Duration::from_millis)
}

macro_rules! rules {
    ($($(#[$doc:meta])+ $rule:ident: $word:literal, $status:ident, $code:ident, $text:literal, $told:literal;)+) => {
        /// Names the rule by which a guard refuses a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule { $($(#[$doc])+ $rule,)+ }

        #[doc(hidden)]
        impl Rule {
            /// Returns what stands in `error.type`, and in the `reason` of a refused call's metric.
            #[must_use]
            pub const fn error_type(self) -> ErrorType {
                match self { $(Self::$rule => ErrorType::new($word),)+ }
            }

            /// Returns the HTTP status that tells a caller of it: 503, 429 (RFC 6585) or 504.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$rule => StatusCode::$status,)+ }
            }

            /// Returns the gRPC code that tells a caller of it.
            #[must_use]
            pub const fn grpc_code(self) -> GrpcCode {
                match self { $(Self::$rule => GrpcCode::$code,)+ }
            }

            /// Says to a caller, who may be a stranger, what stood in the way.
            #[must_use]
            pub const fn told(self) -> &'static str {
                match self { $(Self::$rule => $told,)+ }
            }
        }

        impl fmt::Display for Rule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$rule => $text,)+ })
            }
        }
    };
}

rules! {
    /// The peer's circuit breaker is open.
    BreakerOpen: "breaker_open", SERVICE_UNAVAILABLE, Unavailable,
        "its circuit breaker is open", "a service that this one depends on is not well";
    /// As many calls as are allowed are in flight, and the queue is full or the wait was too long.
    BulkheadFull: "bulkhead_full", SERVICE_UNAVAILABLE, ResourceExhausted, "too many calls are in flight",
        "too many calls to a service that this one depends on are in flight";
    /// The rate limit is spent.
    RateLimited: "rate_limited", TOO_MANY_REQUESTS, ResourceExhausted,
        "the rate limit is spent", "the rate limit is spent";
    /// The deadline had passed before the call began.
    DeadlineExceeded: "deadline_exceeded", GATEWAY_TIMEOUT, DeadlineExceeded,
        "its deadline had passed before it began", "the deadline had passed before the work began";
    /// The call (or this attempt) lasted longer than it may.
    TimedOut: "timeout", GATEWAY_TIMEOUT, DeadlineExceeded,
        "it lasted longer than it may", "the work lasted longer than it may";
    /// The server has more to do than it can.
    Overloaded: "overloaded", SERVICE_UNAVAILABLE, ResourceExhausted,
        "the server is overloaded", "the server has more to do than it can";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_answers() {
        for (rule, word, status, code) in [
            (Rule::BreakerOpen, "breaker_open", 503, "UNAVAILABLE"),
            (Rule::BulkheadFull, "bulkhead_full", 503, "RESOURCE_EXHAUSTED"),
            (Rule::RateLimited, "rate_limited", 429, "RESOURCE_EXHAUSTED"),
            (Rule::DeadlineExceeded, "deadline_exceeded", 504, "DEADLINE_EXCEEDED"),
            (Rule::TimedOut, "timeout", 504, "DEADLINE_EXCEEDED"),
            (Rule::Overloaded, "overloaded", 503, "RESOURCE_EXHAUSTED"),
        ] {
            assert_eq!(rule.error_type().as_str(), word);
            assert_eq!(rule.status(), status, "{rule:?}");
            assert_eq!(rule.grpc_code().as_str(), code, "{rule:?}");
        }
    }

    #[test]
    fn a_refusal_says_who_why_and_when() {
        let refused = Refused::new(Rule::RateLimited, "auth");
        assert_eq!(refused.to_string(), "call to auth refused: the rate limit is spent");
        assert_eq!((refused.peer(), refused.retry_after()), ("auth", None));
        for (nanos, said) in
            [(5_450_000_001, "5.451s"), (1, "1ms"), (2_000_000_000, "2s"), (0, "0ns")]
        {
            let refused = Refused::new(Rule::BreakerOpen, "auth")
                .with_retry_after(Duration::from_nanos(nanos));
            assert!(refused.to_string().ends_with(&format!("; try again in {said}")), "{refused}");
        }
    }
}
