//! W3C Trace Context, level 2: `traceparent`, and `tracestate` beside it.

use super::{
    Caller, HeaderLimits, HeaderSource, Outgoing, Parent, Sampling, Write, mw, names, source, text,
};
use crate::trace::{SpanId, TraceFlags, TraceId, TraceState};
use std::{fmt, ops::Range};

/// The length of version 00, in bytes; later versions may be longer.
pub(super) const LENGTH: usize = 55;
/// Where the caller's span stands.
pub(super) const SPAN_ID: Range<usize> = 36..52;
const KNOWN_FLAGS: u8 = TraceFlags::SAMPLED.bits() | TraceFlags::RANDOM.bits();

/// Reads the caller's span and our own entry of its `tracestate`, as it stands. Allocates only for
/// others' entries.
pub(super) fn extract<'h>(
    headers: HeaderSource<'h>,
    limits: &HeaderLimits,
) -> Option<(Parent, Option<&'h str>)> {
    let mut values = headers.all(&names::TRACEPARENT);
    // The standard allows just one; with two, none can be told to be true.
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    if value.len() > limits.value_bytes() {
        return None;
    }
    let mut parent = parse(value.trim_ascii())?;
    let states = headers.texts(&names::TRACESTATE);
    let (state, own) = TraceState::split(states, Some(mw::KEY), limits.tracestate_bytes());
    parent.state = state;
    Some((parent, own))
}

/// Does the same with the one value of each that most messages have, and takes the entry apart.
#[inline]
pub(super) fn extract_single<'h>(
    traceparent: &[u8],
    tracestate: Option<&'h [u8]>,
    limits: &HeaderLimits,
) -> Option<(Parent, Option<Caller<'h>>)> {
    if traceparent.len() > limits.value_bytes() {
        return None;
    }
    let text = traceparent.trim_ascii();
    let mut parent = parse(text)?;
    let Some(list) = tracestate else { return Some((parent, None)) };
    // Most lists within a mesh are its own entry alone.
    if let Some(caller) = text.get(SPAN_ID).and_then(|span| mw::parse_alone(list, span)) {
        return Some((parent, Some(caller)));
    }
    let (state, own) =
        TraceState::split([source::visible(list)], Some(mw::KEY), limits.tracestate_bytes());
    parent.state = state;
    let caller = own.and_then(|own| mw::parse(own, Some(parent.span_id)));
    Some((parent, caller))
}

/// Returns the digits of the caller's span, where a valid header has them.
#[inline]
pub(super) fn span_digits(traceparent: &[u8]) -> Option<&[u8]> {
    traceparent.trim_ascii().get(SPAN_ID)
}

/// Reads our own entry of a `tracestate` that no `traceparent` stands beside.
pub(super) fn extract_alone<'h>(
    headers: HeaderSource<'h>,
    limits: &HeaderLimits,
) -> Option<&'h str> {
    if headers.has(&names::TRACEPARENT) {
        return None;
    }
    let states = headers.texts(&names::TRACESTATE);
    TraceState::split(states, Some(mw::KEY), limits.tracestate_bytes()).1
}

/// Parses `{version}-{trace id}-{parent id}-{flags}` (section 3.2.2).
fn parse(text: &[u8]) -> Option<Parent> {
    if text.len() < LENGTH || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let version = hex_byte(&text[..2])?;
    // A later version may append more parts, ours has none (section 3.2.4).
    let rest_is_fine = match version {
        0xff => false,
        0 => text.len() == LENGTH,
        _ => matches!(text.get(LENGTH), None | Some(b'-')),
    };
    if !rest_is_fine {
        return None;
    }
    let trace_id = TraceId::from_lower_hex(&text[3..35])?;
    let span_id = SpanId::from_lower_hex(&text[SPAN_ID])?;
    // Flags that are not known must not be sent on; dropped here, they are not mistaken for the
    // `debug` that other formats have.
    let flags = TraceFlags::from_bits(hex_byte(&text[53..LENGTH])? & KNOWN_FLAGS);
    let parent = Parent::new(trace_id, span_id, Sampling::of(flags))?;
    Some(Parent { flags, ..parent })
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let [high, low] = text else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// Writes both headers.
pub(super) fn inject(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    let value = value(call.trace_id, call.span_id, call.flags);
    let value = str::from_utf8(&value).unwrap_or_default();
    headers(&names::TRACEPARENT, value);
    write_list(call, value.get(SPAN_ID), headers);
}

/// Writes a `traceparent` of version 00.
pub(super) fn value(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> [u8; LENGTH] {
    let mut value = [b'-'; LENGTH];
    value[..2].copy_from_slice(b"00");
    value[3..35].copy_from_slice(&trace_id.to_hex());
    value[SPAN_ID].copy_from_slice(&span_id.to_hex());
    value[53..].copy_from_slice(&[b'0', b'0' + (flags.bits() & KNOWN_FLAGS)]);
    value
}

/// Writes `tracestate` alone.
pub(super) fn inject_state(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    write_list(call, None, headers);
}

/// Writes `tracestate`; `span` is the call's, in digits, if it stands in `traceparent`.
fn write_list(call: &Outgoing<'_>, span: Option<&str>, headers: &mut Write<'_>) {
    // Most lists fit the stack: then the header value's own is the only allocation.
    let mut short = text::Buffer::<{ mw::MAX_ENTRY }>::new();
    if write_state(&mut short, call, span).is_ok() {
        if short.len() > 0 {
            headers(&names::TRACESTATE, short.as_str());
        }
        return;
    }
    let mut long = String::with_capacity(call.state.len() + mw::MAX_ENTRY);
    if write_state(&mut long, call, span).is_ok() {
        headers(&names::TRACESTATE, &long);
    }
}

/// Writes our own entry in front of others' valid ones, which keep their order; the last make room
/// if there are too many (section 3.5).
fn write_state(out: &mut impl fmt::Write, call: &Outgoing<'_>, span: Option<&str>) -> fmt::Result {
    let own = call.caller.as_ref().filter(|caller| !caller.service.is_empty());
    let mut written = 0;
    if let Some(caller) = own {
        mw::write(out, caller, span)?;
        written = 1;
    }
    if call.state.is_empty() {
        return Ok(());
    }
    for entry in text::split(call.state, b',').map(text::trim) {
        if written == TraceState::MAX_ENTRIES {
            break;
        }
        if TraceState::entry(entry).is_none_or(|(key, _)| key == mw::KEY) {
            continue;
        }
        if written > 0 {
            out.write_char(',')?;
        }
        out.write_str(entry)?;
        written += 1;
    }
    Ok(())
}
