//! The status codes of gRPC.

use http::{HeaderMap, StatusCode};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $value:literal $name:literal,)*) => {
        /// Lists gRPC's seventeen status codes (complete by nature).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum GrpcCode { $($(#[$doc])* $variant = $value,)* }

        impl GrpcCode {
            /// Lists all codes, in numeric order.
            pub const ALL: [Self; 17] = [$(Self::$variant),*];

            /// Returns the name that `rpc.response.status_code` carries, such as `NOT_FOUND`.
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
    /// The service can't be reached; try again.
    Unavailable = 14 "UNAVAILABLE",
    /// Data is lost for good.
    DataLoss = 15 "DATA_LOSS",
    /// Who calls is not known.
    Unauthenticated = 16 "UNAUTHENTICATED",
}

impl GrpcCode {
    /// Returns the code of a number; one that gRPC does not know is [`GrpcCode::Unknown`].
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|n| Self::ALL.get(n))
            .copied()
            .unwrap_or(Self::Unknown)
    }

    /// Reads `grpc-status` from headers or trailers: `None` if it is absent,
    /// [`GrpcCode::Unknown`] if it is no number.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get("grpc-status")?;
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        Some(number.map_or(Self::Unknown, Self::from_number))
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

    /// Tells whether the code is an error of the server, as server spans count it.
    #[must_use]
    pub const fn is_server_error(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::DeadlineExceeded
                | Self::Unimplemented
                | Self::Internal
                | Self::Unavailable
                | Self::DataLoss
        )
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
        for (number, code) in (0..).zip(GrpcCode::ALL) {
            assert_eq!(code as u32, number);
            assert_eq!(GrpcCode::from_number(number), code);
        }
        assert_eq!(GrpcCode::from_number(17), GrpcCode::Unknown);
        assert_eq!(GrpcCode::from_number(u32::MAX), GrpcCode::Unknown);
    }
}
