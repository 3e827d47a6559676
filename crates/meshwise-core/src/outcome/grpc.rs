//! The status codes of gRPC.

use super::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use std::fmt;

/// Kept as a name: a text would be read as one for each look-up.
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $value:literal $name:literal,)*) => {
        /// Lists gRPC's seventeen status codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(clippy::exhaustive_enums, reason = "complete by nature")]
        pub enum GrpcCode { $($(#[$doc])* $variant = $value,)* }

        #[doc(hidden)]
        impl GrpcCode {
            /// Lists all codes, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name that `rpc.status_code` carries, such as `NOT_FOUND`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// Success.
    Ok = 0 "OK",
    /// The caller gave up.
    Cancelled = 1 "CANCELLED",
    /// An error without a better code.
    Unknown = 2 "UNKNOWN",
    /// The request makes no sense.
    InvalidArgument = 3 "INVALID_ARGUMENT",
    /// The time ran out.
    DeadlineExceeded = 4 "DEADLINE_EXCEEDED",
    /// There is no such thing.
    NotFound = 5 "NOT_FOUND",
    /// The thing is there already.
    AlreadyExists = 6 "ALREADY_EXISTS",
    /// The caller may not do this.
    PermissionDenied = 7 "PERMISSION_DENIED",
    /// A quota or resource is used up.
    ResourceExhausted = 8 "RESOURCE_EXHAUSTED",
    /// The state of the system forbids it.
    FailedPrecondition = 9 "FAILED_PRECONDITION",
    /// A conflict; try again from further up.
    Aborted = 10 "ABORTED",
    /// Past the valid range.
    OutOfRange = 11 "OUT_OF_RANGE",
    /// The method is not there.
    Unimplemented = 12 "UNIMPLEMENTED",
    /// Something is broken inside.
    Internal = 13 "INTERNAL",
    /// The service cannot be reached; try again.
    Unavailable = 14 "UNAVAILABLE",
    /// Data is lost for good.
    DataLoss = 15 "DATA_LOSS",
    /// Who calls is not known.
    Unauthenticated = 16 "UNAUTHENTICATED",
}

#[doc(hidden)]
impl GrpcCode {
    /// Returns the code of a number; one that gRPC does not know is [`GrpcCode::Unknown`].
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self::ALL.get(number as usize).copied().unwrap_or(Self::Unknown)
    }

    /// Reads `grpc-status` from headers or trailers: `None` if it is absent,
    /// [`GrpcCode::Unknown`] if it is no number as gRPC writes it.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        // Trailers are few: to look at their names is cheaper than to hash this one.
        let said = headers.iter().find(|(name, _)| **name == GRPC_STATUS);
        said.map(|(_, value)| Self::from_value(value))
    }

    /// Reads the code that an answer's head says, and tells whether it is in `grpc-status`. An answer that
    /// is not gRPC has that of its HTTP status; `None` leaves it to the trailers.
    pub(super) fn in_head(status: StatusCode, headers: &HeaderMap) -> (Option<Self>, bool) {
        // One look at all is cheaper than two look-ups.
        let (mut said, mut kind) = (None, None);
        for (name, value) in headers {
            if name == CONTENT_TYPE {
                kind = kind.or(Some(value));
            } else if name == GRPC_STATUS {
                said = said.or(Some(value));
            }
        }
        let foreign = || kind.is_some() && Protocol::of_content_type(kind) == Protocol::Http;
        match said {
            Some(value) => (Some(Self::from_value(value)), true),
            None if status != StatusCode::OK || foreign() => (Some(Self::from_http(status)), false),
            None => (None, false),
        }
    }

    fn from_value(value: &HeaderValue) -> Self {
        // As gRPC's libraries read it: what merely resembles a 0 must not pass for OK.
        Self::from_number(match value.as_bytes() {
            [one @ b'0'..=b'9'] => u32::from(one - b'0'),
            [b'1', two @ b'0'..=b'9'] => 10 + u32::from(two - b'0'),
            _ => return Self::Unknown,
        })
    }

    /// Maps the HTTP status of an answer that carries no `grpc-status`
    /// (gRPC's "HTTP to gRPC Status Code Mapping").
    #[must_use]
    pub fn from_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_protocol_s() {
        for (number, code) in (0..).zip(GrpcCode::ALL.iter().copied()) {
            assert_eq!(code as u32, number);
            assert_eq!(GrpcCode::from_number(number), code);
        }
        assert_eq!(GrpcCode::from_number(17), GrpcCode::Unknown);
        assert_eq!(GrpcCode::from_number(u32::MAX), GrpcCode::Unknown);
    }

    #[test]
    fn a_status_is_the_digits_of_its_number_only() {
        let read = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            GrpcCode::from_headers(&HeaderMap::from_iter([("grpc-status".parse().unwrap(), value)]))
        };
        assert_eq!(read(b"0"), Some(GrpcCode::Ok));
        assert_eq!(read(b"9"), Some(GrpcCode::FailedPrecondition));
        assert_eq!(read(b"14"), Some(GrpcCode::Unavailable));
        for bad in [
            &b""[..],
            b"00",
            b"014",
            b"+0",
            b"-0",
            b" 0",
            b"0.0",
            b"OK",
            b"\xff",
            b"4294967296",
            b"17",
        ] {
            assert_eq!(read(bad), Some(GrpcCode::Unknown), "{bad:?}");
        }
        assert_eq!(GrpcCode::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn an_answer_without_a_status_is_never_ok() {
        for status in (100..600).filter_map(|code| StatusCode::from_u16(code).ok()) {
            assert_ne!(GrpcCode::from_http(status), GrpcCode::Ok, "{status}");
        }
        for (status, code) in [
            (200, "UNKNOWN"),
            (400, "INTERNAL"),
            (401, "UNAUTHENTICATED"),
            (403, "PERMISSION_DENIED"),
            (404, "UNIMPLEMENTED"),
            (429, "UNAVAILABLE"),
            (500, "UNKNOWN"),
            (502, "UNAVAILABLE"),
            (503, "UNAVAILABLE"),
            (504, "UNAVAILABLE"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(GrpcCode::from_http(status).to_string(), code, "{status}");
        }
    }
}
