//! Jaeger's `uber-trace-id`, and baggage in `uberctx-*` (Jaeger's client libraries, "Propagation
//! Format").

use super::{Baggage, Found, HeaderLimits, Outgoing, Parent, Sampling, baggage, names, text};
use crate::{SpanId, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;
use std::{borrow::Cow, fmt::Write as _};

const SAMPLED: u128 = 1;
/// Counts only together with `SAMPLED`.
const DEBUG: u128 = 2;

/// Reads `{trace id}:{span id}:{parent span id}:{flags}`, which may be percent-encoded as a whole.
/// Ids may lack zeros on the left; the parent is not used.
pub(super) fn extract(headers: &HeaderMap, limits: &HeaderLimits) -> Found {
    let parse = || {
        let value = text::first(headers, &names::UBER_TRACE_ID, limits)?;
        let value = if value.contains(':') {
            Cow::Borrowed(value)
        } else {
            percent_decode(value.as_bytes()).decode_utf8().ok()?
        };
        let mut parts = value.split(':');
        let (trace, span) = (parts.next()?, parts.next()?);
        let (_parent, flags) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let flags = text::hex(flags, 2)?;
        let sampling = match (flags & SAMPLED != 0, flags & DEBUG != 0) {
            (false, _) => Sampling::NotSampled,
            (true, false) => Sampling::Sampled,
            (true, true) => Sampling::Debug,
        };
        let span_id = u64::try_from(text::hex(span, 16)?).ok()?;
        Parent::new(TraceId::from_int(text::hex(trace, 32)?), SpanId::from_int(span_id), sampling)
    };
    Found::new(parse(), Sampling::Deferred)
}

/// Adds what stands in `uberctx-*` and is not in the baggage yet, by a key in whatever case: the
/// case is lost in a header's name.
pub(super) fn extract_baggage(
    headers: &HeaderMap,
    budget: &mut baggage::Budget,
    baggage: &mut Baggage,
) {
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(names::UBERCTX) else { continue };
        let known = baggage.iter().any(|entry| entry.key.eq_ignore_ascii_case(key));
        let length = key.len() + 1 + value.len();
        if key.is_empty() || known || value.to_str().is_err() || !budget.take(length) {
            continue;
        }
        let value = percent_decode(value.as_bytes().trim_ascii()).decode_utf8_lossy();
        baggage.insert(key, value);
    }
}

/// Writes `uber-trace-id`, with a parent of 0.
pub(super) fn inject(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    let flags = match Sampling::of(call.flags) {
        Sampling::Debug => SAMPLED | DEBUG,
        Sampling::Sampled => SAMPLED,
        Sampling::NotSampled | Sampling::Deferred => 0,
    };
    let mut value = text::Buffer::<56>::new();
    if write!(value, "{}:{}:0:{flags}", call.trace_id, call.span_id).is_ok() {
        text::set(headers, &names::UBER_TRACE_ID, value.as_str());
    }
}

/// Writes one `uberctx-{key}` for each member, without its properties.
pub(super) fn inject_baggage(all: &Baggage, limits: &HeaderLimits, headers: &mut HeaderMap) {
    let mut budget = baggage::Budget::new(limits);
    for entry in all.iter() {
        let value = Cow::from(baggage::encode(&entry.value));
        let name = HeaderName::try_from([names::UBERCTX, &entry.key].concat());
        if let (false, Ok(name), Ok(value)) =
            (entry.key.is_empty(), name, HeaderValue::try_from(&*value))
            && budget.take(entry.key.len() + 1 + value.len())
        {
            let _full = headers.try_insert(name, value);
        }
    }
}

/// Removes all `uberctx-*`.
pub(super) fn strip_baggage(headers: &mut HeaderMap) {
    let is_baggage = |name: &&HeaderName| name.as_str().starts_with(names::UBERCTX);
    let found: Vec<HeaderName> = headers.keys().filter(is_baggage).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}
