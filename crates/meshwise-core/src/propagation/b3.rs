//! B3, in one header or in several (openzipkin's b3-propagation).
//!
//! Both are read under either name, the single one first, as OpenTelemetry's API demands ("B3
//! Extract"). The span's own parent is never written, and not used when read.

use super::{Found, HeaderLimits, HeaderSource, Outgoing, Parent, Sampling, Write, names, text};
use crate::trace::{SpanId, TraceId};
use std::fmt::Write as _;

/// Reads the single header or, if that says nothing valid, the several.
pub(super) fn extract(headers: HeaderSource<'_>, limits: &HeaderLimits) -> Found {
    let single = headers.first(&names::B3, limits).map(single);
    single.filter(|found| *found != Found::Nothing).unwrap_or_else(|| multi(headers, limits))
}

/// Parses `{trace id}-{span id}[-{sampling}[-{parent span id}]]`, or the sampling alone.
fn single(value: &str) -> Found {
    if let Some(sampling) = sampling(value) {
        return Found::new(None, sampling);
    }
    let parse = || {
        let mut parts = value.split('-');
        let (trace, span) = (parts.next()?, parts.next()?);
        let decision = parts.next().map_or(Some(Sampling::Deferred), sampling)?;
        let parent_is_fine = parts.next().is_none_or(|id| span_id(id).is_some());
        if !parent_is_fine || parts.next().is_some() {
            return None;
        }
        Parent::new(trace_id(trace)?, span_id(span)?, decision)
    };
    Found::new(parse(), Sampling::Deferred)
}

fn multi(headers: HeaderSource<'_>, limits: &HeaderLimits) -> Found {
    let get = |name| headers.first(name, limits);
    let decision = if get(&names::X_B3_FLAGS) == Some("1") {
        Sampling::Debug
    } else {
        get(&names::X_B3_SAMPLED).and_then(sampling).unwrap_or_default()
    };
    let parse = || {
        let trace = trace_id(get(&names::X_B3_TRACE_ID)?)?;
        Parent::new(trace, span_id(get(&names::X_B3_SPAN_ID)?)?, decision)
    };
    Found::new(parse(), decision)
}

/// Reads the sampling state; old tracers wrote `true` and `false`.
fn sampling(text: &str) -> Option<Sampling> {
    Some(match text {
        "0" | "false" => Sampling::NotSampled,
        "1" | "true" => Sampling::Sampled,
        "d" => Sampling::Debug,
        _ => return None,
    })
}

/// Reads 32 or 16 digits; the short form is the right half.
fn trace_id(text: &str) -> Option<TraceId> {
    let bytes = text.as_bytes();
    let short = || SpanId::from_lower_hex(bytes).map(|id| TraceId::from_int(id.to_int().into()));
    TraceId::from_lower_hex(bytes).or_else(short)
}

fn span_id(text: &str) -> Option<SpanId> {
    SpanId::from_lower_hex(text.as_bytes())
}

/// Writes `b3`.
pub(super) fn inject_single(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    let state = match Sampling::of(call.flags) {
        Sampling::Debug => 'd',
        Sampling::Sampled => '1',
        Sampling::NotSampled | Sampling::Deferred => '0',
    };
    let mut value = text::Buffer::<52>::new();
    if write!(value, "{}-{}-{state}", call.trace_id, call.span_id).is_ok() {
        headers(&names::B3, value.as_str());
    }
}

/// Writes `x-b3-traceid`, `x-b3-spanid`, and either `x-b3-sampled` or, for debug, `x-b3-flags`.
pub(super) fn inject_multi(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    call.trace_id.with_hex(|id| headers(&names::X_B3_TRACE_ID, id));
    call.span_id.with_hex(|id| headers(&names::X_B3_SPAN_ID, id));
    match Sampling::of(call.flags) {
        Sampling::Debug => headers(&names::X_B3_FLAGS, "1"),
        Sampling::Sampled => headers(&names::X_B3_SAMPLED, "1"),
        Sampling::NotSampled | Sampling::Deferred => headers(&names::X_B3_SAMPLED, "0"),
    }
}
