//! What a line says besides its fields.

use super::call_site::CallSite;
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
    pub(crate) ids: Option<&'a SpanContext>,
    pub(crate) request_id: Option<&'a str>,
    /// Knows what level and target make of the line.
    pub(crate) site: Option<&'a CallSite>,
}
