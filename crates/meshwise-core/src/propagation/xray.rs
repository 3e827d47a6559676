//! AWS X-Ray's `x-amzn-trace-id` (X-Ray developer guide, "Tracing header").

use super::{Found, HeaderLimits, HeaderSource, Outgoing, Parent, Sampling, Write, names, text};
use crate::trace::{SpanId, TraceId};
use std::fmt::Write as _;

/// Reads `Root=1-{8 digits}-{24 digits};Parent={16 digits};Sampled={0, 1 or ?}` in any order. Other
/// fields (`Self`, `Lineage`, a customer's own) are skipped, and lost.
///
/// Load balancers send a `Root` without `Parent`: that is no span one could be the child of.
pub(super) fn extract(headers: HeaderSource<'_>, limits: &HeaderLimits) -> Found {
    let Some(value) = headers.first(&names::X_AMZN_TRACE_ID, limits) else {
        return Found::Nothing;
    };
    let (mut root, mut parent, mut sampling) = (None, None, Sampling::Deferred);
    for field in value.split(';') {
        match text::trim(field).split_once('=') {
            Some(("Root", id)) => root = trace_id(id),
            Some(("Parent", id)) => parent = SpanId::from_lower_hex(id.as_bytes()),
            Some(("Sampled", "1")) => sampling = Sampling::Sampled,
            Some(("Sampled", "0")) => sampling = Sampling::NotSampled,
            _ => {}
        }
    }
    let parent = root.zip(parent).and_then(|(root, parent)| Parent::new(root, parent, sampling));
    Found::new(parent, sampling)
}

fn trace_id(text: &str) -> Option<TraceId> {
    let (time, random) = text.strip_prefix("1-")?.split_once('-')?;
    if (time.len(), random.len()) != (8, 24) {
        return None;
    }
    let mut digits = [0; 32];
    digits[..8].copy_from_slice(time.as_bytes());
    digits[8..].copy_from_slice(random.as_bytes());
    TraceId::from_lower_hex(&digits)
}

/// Writes the three fields.
pub(super) fn inject(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    let mut value = text::Buffer::<80>::new();
    let written = call.trace_id.with_hex(|id| {
        let (time, random) = id.split_at_checked(8).unwrap_or_default();
        let sampled = u8::from(call.flags.is_sampled());
        write!(value, "Root=1-{time}-{random};Parent={};Sampled={sampled}", call.span_id)
    });
    if written.is_ok() {
        headers(&names::X_AMZN_TRACE_ID, value.as_str());
    }
}
