//! Jaeger's `uber-trace-id`, and its baggage in `uberctx-*`.
//!
//! Source: Jaeger's client libraries, "Propagation format". Tracers differ in padding, in the
//! parent field and in escaping the colons; all that they write is read.

use super::{Outgoing, Parent, Sampling, baggage::Baggage, hex, only, set};
use crate::{SpanId, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

pub(super) const TRACE: &str = "uber-trace-id";
const BAGGAGE: &str = "uberctx-";
const SAMPLED: u128 = 1;
const DEBUG: u128 = 2;

/// Reads `{trace id}:{span id}:{parent}:{flags}`.
pub(super) fn extract(headers: &HeaderMap) -> Option<Parent> {
    let text = only(headers, TRACE)?;
    let text: Cow<'_, str> = match text.contains('%') {
        true => percent_decode_str(text).decode_utf8().ok()?,
        false => Cow::Borrowed(text),
    };
    let mut parts = text.split(':');
    let trace = TraceId::from_int(hex::parse(parts.next()?, 32)?);
    let span = SpanId::from_int(hex::low(hex::parse(parts.next()?, 16)?));
    // The parent is deprecated and 0; some write nothing at all.
    let parent = parts.next()?;
    if !parent.is_empty() {
        hex::parse(parent, 16)?;
    }
    let flags = hex::parse(parts.next()?, 2)?;
    if parts.next().is_some() {
        return None;
    }
    let sampling = match (flags & DEBUG != 0, flags & SAMPLED != 0) {
        (true, _) => Sampling::Debug,
        (false, true) => Sampling::Sampled,
        (false, false) => Sampling::NotSampled,
    };
    Parent::new(trace, span, sampling)
}

/// Reads all `uberctx-{key}: {value}`.
pub(super) fn extract_baggage(headers: &HeaderMap, into: &mut Baggage) {
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(BAGGAGE)
            && !key.is_empty()
            && let Ok(text) = value.to_str()
            && into.has_room_for(key.len() + text.len())
        {
            let value = percent_decode_str(text).decode_utf8_lossy();
            into.insert(key, value.trim_matches([' ', '\t']));
        }
    }
}

pub(super) fn inject(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    let mut text = [b':'; 53];
    text[..32].copy_from_slice(&call.trace_id.to_hex());
    text[33..49].copy_from_slice(&call.span_id.to_hex());
    text[50] = b'0';
    text[52] = b'0' + u8::from(call.flags.is_sampled());
    set(headers, TRACE, text);
    strip_baggage(headers);
    for entry in call.baggage.iter() {
        let name = HeaderName::try_from(format!("{BAGGAGE}{}", entry.key));
        let value = HeaderValue::try_from(super::baggage::encode(&entry.value));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
}

pub(super) fn strip_baggage(headers: &mut HeaderMap) {
    let ours = |name: &&HeaderName| name.as_str().starts_with(BAGGAGE);
    let names: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}
