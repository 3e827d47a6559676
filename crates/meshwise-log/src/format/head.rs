//! What a line says besides its fields.

use super::call_site::CallSite;
use meshwise_core::TraceId;
use opentelemetry::trace::SpanContext;
use tracing::Level;

/// What a line says besides its fields.
pub(crate) struct Head<'a> {
    /// In RFC 3339.
    pub(crate) time: &'a [u8; 27],
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    /// File and line of the call site.
    pub(crate) place: Option<(&'a str, u32)>,
    pub(crate) message: &'a str,
    /// The message may stand in JSON as it is.
    pub(crate) is_plain: bool,
    pub(crate) ids: Option<&'a SpanContext>,
    pub(crate) request_id: Option<RequestName<'a>>,
    /// Knows what level and target make of the line.
    pub(crate) site: Option<&'a CallSite>,
}

/// The request id of a line's call.
#[derive(Clone, Copy)]
pub(crate) enum RequestName<'a> {
    /// The digits of the trace that the line has the ids of.
    Trace(TraceId),
    Own(&'a str),
}

impl RequestName<'_> {
    pub(crate) fn with<T>(self, then: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Trace(trace) => trace.with_hex(then),
            Self::Own(id) => then(id),
        }
    }
}
