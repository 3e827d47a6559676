//! What counts as success: from the head of a response, from its end, or from an error.

use super::{ErrorType, GrpcCode, Outcome};
use http::{HeaderMap, StatusCode};

/// Says from which end a call is seen; the same answer can be an error for one and not for the
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that answers.
    Server,
    /// The one that asks.
    Client,
}

/// Tells success from failure, as a call's parts come in.
///
/// The head may settle it ([`Classify::head`] returns an outcome), or leave it to the end of the
/// body. A body that breaks off is a failure in any case, unless the call's own caller dropped it.
pub trait Classify: Send + Sync {
    /// Judges by the head of the response; `None` waits for its end.
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Option<Outcome>;

    /// Judges at the end of the body, if the head left it open.
    fn end(&self, status: StatusCode, trailers: Option<&HeaderMap>) -> Outcome;
}

/// Judges HTTP by its status code: 5xx is a failure for both sides; 4xx for neither, unless the
/// client asks for it (spans of clients count 4xx as errors, breakers do not).
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassifyHttp {
    client_errors: bool,
    overload: bool,
}

impl ClassifyHttp {
    /// Counts 5xx only.
    #[must_use]
    pub const fn new() -> Self {
        Self { client_errors: false, overload: false }
    }

    /// Counts what guards count: 5xx, and 429, by which a neighbour says that it is overloaded.
    #[must_use]
    pub const fn for_guard() -> Self {
        Self { client_errors: false, overload: true }
    }

    /// Counts what OpenTelemetry's HTTP conventions count for spans of this side.
    #[must_use]
    pub const fn for_span(side: Side) -> Self {
        Self { client_errors: matches!(side, Side::Client), overload: false }
    }
}

impl Classify for ClassifyHttp {
    fn head(&self, status: StatusCode, _headers: &HeaderMap) -> Option<Outcome> {
        Some(self.end(status, None))
    }

    fn end(&self, status: StatusCode, _trailers: Option<&HeaderMap>) -> Outcome {
        if status.is_server_error()
            || (self.client_errors && status.is_client_error())
            || (self.overload && status == StatusCode::TOO_MANY_REQUESTS)
        {
            Outcome::Failure(ErrorType::status(status.as_u16()))
        } else {
            Outcome::Success
        }
    }
}

/// Judges gRPC by `grpc-status`, wherever it stands; an answer that ends without one is never
/// taken for OK.
#[derive(Clone, Copy, Debug)]
pub struct ClassifyGrpc {
    failed: fn(GrpcCode) -> bool,
}

impl ClassifyGrpc {
    /// Counts what gRPC conventions count for spans of this side: for a client every code but
    /// `OK`, for a server only its own faults.
    #[must_use]
    pub const fn for_span(side: Side) -> Self {
        Self {
            failed: match side {
                Side::Server => |code| code.is_server_error(),
                Side::Client => |code| !matches!(code, GrpcCode::Ok),
            },
        }
    }

    /// Counts what guards count: the codes by which a neighbour says that it is unwell
    /// (`UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`, `DATA_LOSS`,
    /// `RESOURCE_EXHAUSTED`).
    #[must_use]
    pub const fn for_guard() -> Self {
        Self {
            failed: |code| {
                matches!(
                    code,
                    GrpcCode::Unavailable
                        | GrpcCode::DeadlineExceeded
                        | GrpcCode::Internal
                        | GrpcCode::Unknown
                        | GrpcCode::DataLoss
                        | GrpcCode::ResourceExhausted
                )
            },
        }
    }

    fn judge(self, code: GrpcCode) -> Outcome {
        if (self.failed)(code) {
            Outcome::Failure(ErrorType::new(code.as_str()))
        } else {
            Outcome::Success
        }
    }
}

impl Classify for ClassifyGrpc {
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Option<Outcome> {
        match GrpcCode::from_headers(headers) {
            Some(code) => Some(self.judge(code)),
            None if status != StatusCode::OK => Some(self.judge(GrpcCode::from_http(status))),
            None => None,
        }
    }

    fn end(&self, status: StatusCode, trailers: Option<&HeaderMap>) -> Outcome {
        let code = trailers
            .and_then(GrpcCode::from_headers)
            .unwrap_or_else(|| GrpcCode::from_http(status));
        self.judge(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grpc_status(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", value.parse().unwrap());
        headers
    }

    #[test]
    fn http_4xx_is_an_error_for_client_spans_only() {
        let not_found = StatusCode::NOT_FOUND;
        let none = HeaderMap::new();
        let failed = Some(Outcome::Failure(ErrorType::status(404)));
        assert_eq!(ClassifyHttp::for_span(Side::Client).head(not_found, &none), failed);
        assert_eq!(
            ClassifyHttp::for_span(Side::Server).head(not_found, &none),
            Some(Outcome::Success)
        );
        assert!(ClassifyHttp::new().end(StatusCode::BAD_GATEWAY, None).is_failure());
    }

    #[test]
    fn grpc_waits_for_the_trailers_and_never_assumes_ok() {
        let classify = ClassifyGrpc::for_span(Side::Client);
        let ok = StatusCode::OK;
        assert_eq!(classify.head(ok, &HeaderMap::new()), None);
        assert_eq!(classify.head(ok, &grpc_status("0")), Some(Outcome::Success));
        assert_eq!(classify.end(ok, Some(&grpc_status("0"))), Outcome::Success);
        assert_eq!(
            classify.end(ok, None).error_type().map(ErrorType::as_str),
            Some("UNKNOWN"),
            "an end without a status"
        );
        assert_eq!(
            classify.head(StatusCode::BAD_GATEWAY, &HeaderMap::new()),
            Some(Outcome::Failure(ErrorType::new("UNAVAILABLE")))
        );
    }

    #[test]
    fn guards_count_what_says_that_a_neighbour_is_unwell() {
        let http = ClassifyHttp::for_guard();
        for (status, failed) in [(200, false), (404, false), (429, true), (500, true), (503, true)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(http.end(status, None).is_failure(), failed, "{status}");
        }
        let grpc = ClassifyGrpc::for_guard();
        let failed: Vec<_> = (0..17)
            .filter(|code| {
                grpc.end(StatusCode::OK, Some(&grpc_status(&code.to_string()))).is_failure()
            })
            .collect();
        assert_eq!(failed, [2, 4, 8, 13, 14, 15]);
    }

    #[test]
    fn a_server_answers_for_its_own_faults_only() {
        let classify = ClassifyGrpc::for_span(Side::Server);
        assert_eq!(classify.end(StatusCode::OK, Some(&grpc_status("5"))), Outcome::Success);
        assert!(classify.end(StatusCode::OK, Some(&grpc_status("13"))).is_failure());
        assert!(classify.end(StatusCode::OK, Some(&grpc_status("nonsense"))).is_failure());
    }
}
