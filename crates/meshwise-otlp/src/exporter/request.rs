//! What a request to the collector goes by, and what came of it.

use crate::protocol::OtlpProtocol;
use http::{HeaderMap, HeaderValue, Uri};
use meshwise_core::Signal;
use std::time::Duration;

pub(super) const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("meshwise-otlp/", env!("CARGO_PKG_VERSION")));

/// Holds what the configuration came to.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) signal: Signal,
    pub(crate) protocol: OtlpProtocol,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// Bounds one request.
    pub(crate) timeout: Duration,
    pub(crate) gzip: bool,
}

/// What the collector said to a request that it accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// How many records it refused, and why.
    pub(super) refused: u64,
    pub(super) message: String,
}
