//! Jaeger's `uber-trace-id`, and baggage in `uberctx-*` (Jaeger's client libraries, "Propagation
//! Format").

use super::{
    Baggage, Found, HeaderLimits, HeaderSource, Outgoing, Parent, Sampling, Write, baggage, names,
    source::visible, text,
};
use crate::trace::{SpanId, TraceId};
use http::HeaderName;
use percent_encoding::percent_decode;
use std::{borrow::Cow, fmt::Write as _};

const SAMPLED: u128 = 1;
/// Counts only together with `SAMPLED`.
const DEBUG: u128 = 2;

/// Reads `{trace id}:{span id}:{parent span id}:{flags}`, which may be percent-encoded as a whole.
/// Ids may lack zeros on the left; the parent is not used.
pub(super) fn extract(headers: HeaderSource<'_>, limits: &HeaderLimits) -> Found {
    let parse = || {
        let value = headers.first(&names::UBER_TRACE_ID, limits)?;
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
    headers: HeaderSource<'_>,
    budget: &mut baggage::Budget,
    baggage: &mut Baggage,
) {
    headers.each_below(names::UBERCTX, |key, value| {
        let known = baggage.iter().any(|entry| entry.key.eq_ignore_ascii_case(key));
        let length = key.len() + 1 + value.len();
        if key.is_empty() || known || visible(value).is_none() || !budget.take(length) {
            return;
        }
        let value = percent_decode(value.trim_ascii()).decode_utf8_lossy();
        baggage.insert(key, value);
    });
}

/// Writes `uber-trace-id`, with a parent of 0.
pub(super) fn inject(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    let flags = match Sampling::of(call.flags) {
        Sampling::Debug => SAMPLED | DEBUG,
        Sampling::Sampled => SAMPLED,
        Sampling::NotSampled | Sampling::Deferred => 0,
    };
    let mut value = text::Buffer::<56>::new();
    if write!(value, "{}:{}:0:{flags}", call.trace_id, call.span_id).is_ok() {
        headers(&names::UBER_TRACE_ID, value.as_str());
    }
}

/// Writes one `uberctx-{key}` for each member, without its properties.
pub(super) fn inject_baggage(all: &Baggage, limits: &HeaderLimits, headers: &mut Write<'_>) {
    let mut budget = baggage::Budget::new(limits);
    for entry in all.iter() {
        let value = Cow::from(baggage::encode(&entry.value));
        let name = HeaderName::try_from([names::UBERCTX, &entry.key].concat());
        if let (false, Ok(name)) = (entry.key.is_empty(), name)
            && budget.take(entry.key.len() + 1 + value.len())
        {
            headers(&name, &value);
        }
    }
}
