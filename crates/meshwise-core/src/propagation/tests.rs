//! The formats against their specifications' vectors, what other languages' libraries write, and
//! arbitrary values.

mod b3;
mod baggage;
mod combined;
mod datadog;
mod jaeger;
mod mw;
mod round_trip;
mod traceparent;
mod xray;

use super::*;
use crate::trace::{SpanId, TraceFlags, TraceId};
use http::{HeaderMap, HeaderValue};

/// The ids that the specifications use, and so do the vectors of other libraries.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Makes a map of these headers, in order; a name may come twice.
fn headers<V: AsRef<str>>(pairs: &[(&'static str, V)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value.as_ref()).expect("a value"));
    }
    headers
}

/// Lists a map's headers, sorted by name.
fn listed(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut all: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    all.sort_by_key(|(name, _)| *name);
    all.into_iter().map(|(name, value)| (name, value.to_str().expect("ASCII"))).collect()
}

/// Reads the caller's span in one format.
fn read<V: AsRef<str>>(format: Format, pairs: &[(&'static str, V)]) -> Option<Parent> {
    Propagators::new([format]).extract(&headers(pairs)).parent
}

/// Asserts that these headers name the span of the vectors, and this decision.
#[track_caller]
fn reads<V: AsRef<str>>(format: Format, pairs: &[(&'static str, V)], sampling: Sampling) {
    let shown: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    let headers = headers(pairs);
    let incoming = Propagators::new([format]).extract(&headers);
    let Some(parent) = incoming.parent else { panic!("no parent in {shown:?}") };
    assert_eq!((parent.trace_id, parent.span_id), ids(), "{shown:?}");
    assert_eq!((parent.sampling, incoming.sampling), (sampling, sampling), "{shown:?}");
    assert_eq!(parent.flags, sampling.flags(), "{shown:?}");
}

/// Asserts that these headers name no span and no decision.
#[track_caller]
fn reads_nothing<V: AsRef<str>>(format: Format, pairs: &[(&'static str, V)]) {
    let headers = headers(pairs);
    let incoming = Propagators::new([format]).extract(&headers);
    let shown: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    assert_eq!((incoming.parent, incoming.sampling), (None, Sampling::Deferred), "{shown:?}");
}

/// Asserts that these headers hold a decision and no span.
#[track_caller]
fn decides<V: AsRef<str>>(format: Format, pairs: &[(&'static str, V)], sampling: Sampling) {
    let headers = headers(pairs);
    let incoming = Propagators::new([format]).extract(&headers);
    assert_eq!((incoming.parent, incoming.sampling), (None, sampling));
}

/// Writes a call in one format.
fn written(format: Format, call: &Outgoing<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    Propagators::new([format]).inject(call, &mut headers);
    headers
}

fn ids() -> (TraceId, SpanId) {
    (TRACE.parse().expect("an id"), SPAN.parse().expect("an id"))
}

/// A call by the span of the vectors.
fn outgoing(baggage: &Baggage, sampling: Sampling) -> Outgoing<'_> {
    let (trace_id, span_id) = ids();
    Outgoing { trace_id, span_id, flags: sampling.flags(), state: "", caller: None, baggage }
}

const NO_BAGGAGE: &Baggage = &Baggage::EMPTY;
