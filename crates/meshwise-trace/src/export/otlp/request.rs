//! What a request to the collector goes by, and what came of it.

use crate::export::protocol::OtlpProtocol;
use http::{HeaderMap, Uri};
use std::time::Duration;

/// Holds what the configuration came to.
#[derive(Debug)]
pub(in crate::export) struct Settings {
    pub(in crate::export) protocol: OtlpProtocol,
    pub(in crate::export) uri: Uri,
    pub(in crate::export) headers: HeaderMap,
    /// Bounds one request.
    pub(in crate::export) timeout: Duration,
    pub(in crate::export) gzip: bool,
}

/// What the collector said to a request that it accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// How many spans it refused, and why.
    pub(super) refused: u64,
    pub(super) message: String,
}
