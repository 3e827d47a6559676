//! Datadog's headers.
//!
//! Source: Datadog documentation, "Trace Context Propagation". The origin is neither read nor
//! written: it tells of synthetic tests, which no other format knows.

use super::{Outgoing, Parent, Sampling, hex, only, set};
use crate::{SpanId, TraceId};
use http::HeaderMap;

const TRACE_ID: &str = "x-datadog-trace-id";
const PARENT_ID: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
const TAGS: &str = "x-datadog-tags";
const ORIGIN: &str = "x-datadog-origin";

pub(super) const ALL: [&str; 5] = [TRACE_ID, PARENT_ID, PRIORITY, TAGS, ORIGIN];

/// Reads decimal ids; the upper half of a 128-bit trace id stands in the tag `_dd.p.tid`.
pub(super) fn extract(headers: &HeaderMap) -> Option<Parent> {
    let low = decimal(only(headers, TRACE_ID)?)?;
    let span = SpanId::from_int(decimal(only(headers, PARENT_ID)?)?);
    let high = only(headers, TAGS).and_then(high_half).unwrap_or_default();
    let sampling = match only(headers, PRIORITY) {
        Some("-1" | "0") => Sampling::NotSampled,
        Some("1") => Sampling::Sampled,
        Some("2") => Sampling::Debug,
        _ => Sampling::Deferred,
    };
    Parent::new(TraceId::from_int(high << 64 | u128::from(low)), span, sampling)
}

fn decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn high_half(tags: &str) -> Option<u128> {
    let tid = tags.split(',').find_map(|tag| tag.trim().strip_prefix("_dd.p.tid="))?;
    hex::exactly(tid, 16)
}

pub(super) fn inject(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    let trace = call.trace_id.to_int();
    set(headers, TRACE_ID, hex::low(trace).to_string());
    set(headers, PARENT_ID, call.span_id.to_int().to_string());
    set(headers, PRIORITY, if call.flags.is_sampled() { "1" } else { "0" });
    // Whatever stood there belongs to another span.
    headers.remove(TAGS);
    headers.remove(ORIGIN);
    if trace >> 64 != 0 {
        set(headers, TAGS, format!("_dd.p.tid={:016x}", trace >> 64));
    }
}
