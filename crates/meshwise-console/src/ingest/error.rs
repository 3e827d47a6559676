//! Why telemetry was not taken.

/// Says why a request, or a part of it, was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("the request is larger than {} MiB; send smaller batches", .0 / (1024 * 1024))]
    TooLarge(usize),
    #[error("a span, log record or metric is larger than 4 MiB; it was left out")]
    ItemTooLarge,
    #[error("the request is cut off: a field is longer than what is left")]
    Truncated,
    #[error("the request is no OTLP protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("the request is no OTLP JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the request's JSON is not UTF-8")]
    NotUtf8,
    #[error("the request cannot be decompressed as gzip: {0}")]
    Gzip(std::io::Error),
    #[error("the content type is {0:?}; send application/x-protobuf or application/json")]
    ContentType(String),
    #[error("the content encoding is {0:?}; send gzip, or none")]
    Encoding(String),
    #[error("the request's body broke off")]
    BrokeOff,
    #[error("the request's body was not there within 10 s")]
    TooSlow,
    #[error("too much is being received; send again in a second")]
    Busy,
    #[error(
        "nothing is served here; OTLP goes to /v1/traces, /v1/logs and /v1/metrics, or over gRPC"
    )]
    NoSuchPath,
    #[error("OTLP is sent by POST")]
    Method,
    #[error("the gRPC message is not framed as one message")]
    Frame,
}

impl IngestError {
    /// Tells whether it is what was sent that is wrong, rather than where or how.
    pub(crate) fn is_of_body(&self) -> bool {
        !matches!(self, Self::NoSuchPath | Self::Method | Self::ContentType(_))
    }

    /// Returns the HTTP status and gRPC code that say the same.
    pub(crate) fn codes(&self) -> (http::StatusCode, u32) {
        use http::StatusCode as S;
        match self {
            Self::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED),
            Self::Busy => (S::TOO_MANY_REQUESTS, UNAVAILABLE),
            Self::TooSlow => (S::REQUEST_TIMEOUT, UNAVAILABLE),
            Self::NoSuchPath => (S::NOT_FOUND, UNIMPLEMENTED),
            Self::Method => (S::METHOD_NOT_ALLOWED, UNIMPLEMENTED),
            Self::ContentType(_) | Self::Encoding(_) => (S::UNSUPPORTED_MEDIA_TYPE, UNIMPLEMENTED),
            Self::ItemTooLarge
            | Self::Truncated
            | Self::Protobuf(_)
            | Self::Json(_)
            | Self::NotUtf8
            | Self::Gzip(_)
            | Self::BrokeOff
            | Self::Frame => (S::BAD_REQUEST, INVALID_ARGUMENT),
        }
    }
}

const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
