//! W3C `traceparent` and `tracestate`, level 2.

use super::{Outgoing, Parent, Sampling, mw, only, set};
use crate::{SpanId, TraceFlags, TraceId, TraceState};
use http::HeaderMap;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Reads the caller's span and our own entry of its `tracestate`, as it stands.
pub(super) fn extract(headers: &HeaderMap) -> Option<(Parent, Option<&str>)> {
    let (trace_id, span_id, flags) = parse_traceparent(only(headers, TRACEPARENT)?.as_bytes())?;
    let (state, own) = TraceState::split(headers.get_all(TRACESTATE), mw::KEY);
    let sampling = if flags.is_sampled() { Sampling::Sampled } else { Sampling::NotSampled };
    Some((Parent { trace_id, span_id, flags, sampling, state }, own))
}

/// Parses `{version}-{trace id}-{parent id}-{flags}` (section 3.2).
fn parse_traceparent(text: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    if text.len() < 55 || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let version = hex_byte(&text[..2])?;
    // A later version may append more parts, ours has none.
    let rest_is_fine = match version {
        0xff => false,
        0 => text.len() == 55,
        _ => text.len() == 55 || text[55] == b'-',
    };
    let trace_id = TraceId::from_lower_hex(&text[3..35])?;
    let span_id = SpanId::from_lower_hex(&text[36..52])?;
    let flags = TraceFlags::from_bits(hex_byte(&text[53..55])?);
    (rest_is_fine && trace_id.is_valid() && span_id.is_valid())
        .then_some((trace_id, span_id, flags))
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    Some(digit(text[0])? << 4 | digit(text[1])?)
}

/// Writes both headers in place of what stood there.
pub(super) fn inject(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    let mut text = [b'-'; 55];
    text[..2].copy_from_slice(b"00");
    text[3..35].copy_from_slice(&call.trace_id.to_hex());
    text[36..52].copy_from_slice(&call.span_id.to_hex());
    // Version 00 knows two flags; others are not ours to set.
    text[53..].copy_from_slice(&[b'0', b'0' + (call.flags.bits() & 3)]);
    set(headers, TRACEPARENT, text);
    let state = match &call.caller {
        Some(caller) => mw::prepend(caller, call.span_id, call.state),
        None => call.state.to_owned(),
    };
    headers.remove(TRACESTATE);
    if !state.is_empty() {
        set(headers, TRACESTATE, state);
    }
}
