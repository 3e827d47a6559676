//! Zipkin's B3: the single header, and the several ones.
//!
//! Source: openzipkin/b3-propagation.

use super::{Outgoing, Parent, Sampling, hex, only, set};
use crate::{SpanId, TraceId};
use http::HeaderMap;

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

pub(super) const MULTI: [&str; 5] = [TRACE_ID, SPAN_ID, PARENT_SPAN_ID, SAMPLED, FLAGS];

/// Reads `{trace id}-{span id}-{decision}-{parent span id}`, the last two optional.
pub(super) fn extract_single(headers: &HeaderMap) -> Option<Parent> {
    let mut parts = only(headers, SINGLE)?.split('-');
    let (trace, span) = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    let sampling = match parts.next() {
        None => Sampling::Deferred,
        Some("d") => Sampling::Debug,
        Some(decision) => sampled(decision)?,
    };
    // The grandparent is of no use to us, but a malformed one tells that the rest is not B3.
    if let Some(grandparent) = parts.next() {
        span_id(grandparent)?;
    }
    if parts.next().is_some() { None } else { Parent::new(trace, span, sampling) }
}

/// Reads the several headers.
pub(super) fn extract_multi(headers: &HeaderMap) -> Option<Parent> {
    let trace = trace_id(only(headers, TRACE_ID)?)?;
    let span = span_id(only(headers, SPAN_ID)?)?;
    let sampling = match (only(headers, FLAGS), only(headers, SAMPLED)) {
        (Some("1"), _) => Sampling::Debug,
        (_, Some(decision)) => sampled(decision).unwrap_or_default(),
        (_, None) => Sampling::Deferred,
    };
    Parent::new(trace, span, sampling)
}

/// Trace ids have 32 digits, or 16 of older tracers.
fn trace_id(text: &str) -> Option<TraceId> {
    hex::exactly(text, 32).or_else(|| hex::exactly(text, 16)).map(TraceId::from_int)
}

fn span_id(text: &str) -> Option<SpanId> {
    hex::exactly(text, 16).map(|id| SpanId::from_int(hex::low(id)))
}

/// Old tracers wrote `true` and `false`.
fn sampled(text: &str) -> Option<Sampling> {
    match text {
        "1" | "true" => Some(Sampling::Sampled),
        "0" | "false" => Some(Sampling::NotSampled),
        _ => None,
    }
}

pub(super) fn inject_single(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    let mut text = [b'-'; 51];
    text[..32].copy_from_slice(&call.trace_id.to_hex());
    text[33..49].copy_from_slice(&call.span_id.to_hex());
    text[50] = b'0' + u8::from(call.flags.is_sampled());
    set(headers, SINGLE, text);
}

pub(super) fn inject_multi(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    set(headers, TRACE_ID, call.trace_id.to_hex());
    set(headers, SPAN_ID, call.span_id.to_hex());
    set(headers, SAMPLED, if call.flags.is_sampled() { "1" } else { "0" });
    // What an earlier attempt or a proxy left there would contradict us.
    headers.remove(PARENT_SPAN_ID);
    headers.remove(FLAGS);
}
