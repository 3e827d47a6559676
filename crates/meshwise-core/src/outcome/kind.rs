//! The protocol of a call, and how it ended, as labels have it.

use crate::{call::AnswerTells, headers::behind_type};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use std::fmt;

/// Names the protocol that a call speaks over HTTP.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Plain HTTP: the status code says how the call went.
    #[default]
    Http,
    /// gRPC: the `grpc-status` header or trailer says it.
    Grpc,
}

impl Protocol {
    /// Tells the protocol from a message's `content-type` (`application/grpc` and its `+` and
    /// `;` variants; grpc-web is HTTP here, for its status stands in the body).
    #[must_use]
    #[inline]
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.is_empty() {
            return Self::Http;
        }
        Self::of_content_type(headers.get(http::header::CONTENT_TYPE))
    }

    /// Tells the protocol from a message's `content-type`, if it has one.
    #[must_use]
    pub fn of_content_type(value: Option<&HeaderValue>) -> Self {
        let rest = behind_type(value, "application/grpc");
        let grpc = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
        if grpc { Self::Grpc } else { Self::Http }
    }

    /// Tells the protocol of a request that is sent: what its `content-type` says, unless its answer
    /// is to tell ([`AnswerTells`]).
    #[must_use]
    #[inline]
    pub fn of_sent<B>(request: &Request<B>) -> (Self, bool) {
        match Self::of(request.headers()) {
            Self::Http => (Self::Http, false),
            Self::Grpc => (Self::Grpc, request.extensions().get::<AnswerTells>().is_some()),
        }
    }
}

/// Names a class of error, as `error.type` carries it: a short word from a small set, never a
/// message.
///
/// ```
/// use meshwise_core::ErrorType;
/// assert_eq!(ErrorType::TIMEOUT.as_str(), "timeout");
/// assert_eq!(ErrorType::status(503).as_str(), "503");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorType(&'static str);

impl ErrorType {
    /// The call's own caller went away before it ended.
    #[doc(hidden)]
    pub const CANCELLED: Self = Self("cancelled");
    /// The time for the call ran out.
    #[doc(hidden)]
    pub const TIMEOUT: Self = Self("timeout");
    /// Anything else (OpenTelemetry's word for it).
    #[doc(hidden)]
    pub const OTHER: Self = Self("_OTHER");

    /// Makes an error type of one's own; keep the set small, it becomes a metric label.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the status code as text, as HTTP conventions want; outside 100..=599 it is
    /// [`ErrorType::OTHER`].
    #[must_use]
    #[doc(hidden)]
    pub fn status(code: u16) -> Self {
        status_text(code).map_or(Self::OTHER, Self)
    }

    /// Returns the word.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Returns a status code's three digits without allocating, for 100..=599.
#[must_use]
pub fn status_text(code: u16) -> Option<&'static str> {
    static STATUSES: [StatusCode; 500] = {
        let mut all = [StatusCode::OK; 500];
        let mut i = 0;
        while i < 500 {
            if let Ok(status) = StatusCode::from_u16(i as u16 + 100) {
                all[i] = status;
            }
            i += 1;
        }
        all
    };
    STATUSES.get(usize::from(code.checked_sub(100)?)).map(StatusCode::as_str)
}

/// Says how a call went, for those who count it: telemetry, breakers, budgets, the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It did what it should, or failed by its caller's own fault.
    Success,
    /// It failed.
    Failure(ErrorType),
    /// Its caller went away before it ended: says nothing about the callee.
    Cancelled,
}

impl Outcome {
    /// Returns `success`, `failure` or `cancelled`.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure(_) => "failure",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns what stands in `error.type`, if the call did not succeed.
    #[must_use]
    pub const fn error_type(self) -> Option<ErrorType> {
        match self {
            Self::Success => None,
            Self::Failure(error) => Some(error),
            Self::Cancelled => Some(ErrorType::CANCELLED),
        }
    }

    /// Tells whether the call failed; a cancelled one did not.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_texts_are_three_digits_from_100_to_599() {
        for code in 100..600 {
            assert_eq!(status_text(code), Some(code.to_string().as_str()));
        }
        for code in [0, 99, 600, 999, u16::MAX] {
            assert_eq!(status_text(code), None);
        }
    }

    #[test]
    fn error_types_are_short_words() {
        assert_eq!(ErrorType::status(99), ErrorType::OTHER);
        assert_eq!(ErrorType::new("shed").to_string(), "shed");
    }

    #[test]
    fn outcomes_have_words_and_an_error_type_unless_they_succeed() {
        for (outcome, word, error, failed) in [
            (Outcome::Success, "success", None, false),
            (Outcome::Failure(ErrorType::OTHER), "failure", Some(ErrorType::OTHER), true),
            (Outcome::Cancelled, "cancelled", Some(ErrorType::CANCELLED), false),
        ] {
            assert_eq!(
                (outcome.as_str(), outcome.error_type(), outcome.is_failure()),
                (word, error, failed)
            );
        }
    }

    #[test]
    fn protocol_is_told_by_content_type() {
        for (value, protocol) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc;x=y", Protocol::Grpc),
            ("application/grpc-web+proto", Protocol::Http),
            ("application/json", Protocol::Http),
        ] {
            let headers =
                HeaderMap::from_iter([(http::header::CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(Protocol::of(&headers), protocol, "{value}");
        }
        assert_eq!(Protocol::of(&HeaderMap::new()), Protocol::Http);
    }
}
