//! What a service says of itself in nearly all of its calls, made once.

use super::{Caller, Propagators, mw, names, traceparent};
use crate::{
    headers::HeaderFilter,
    internal::header_bytes,
    trace::{SpanId, TraceFlags, TraceId},
};
use http::{HeaderMap, HeaderValue};

/// Our own entry of `tracestate`, of a first try that asks for no API version, alone in its list.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct OwnEntry {
    /// Where there is no trace: the same for all calls.
    untraced: HeaderValue,
    /// In a trace, with a place for the span; `None` if formats besides W3C's are written.
    traced: Option<Box<[u8]>>,
}

impl Propagators {
    /// Makes a service's; `None` if that cannot be said in these formats.
    #[doc(hidden)]
    #[must_use]
    pub fn own_entry(&self, service: &str) -> Option<OwnEntry> {
        if !self.traces() || service.is_empty() {
            return None;
        }
        let write = |span: Option<&str>| {
            let mut entry = String::new();
            mw::write(&mut entry, &Caller::new(service), span).ok()?;
            Some(entry)
        };
        let place = SpanId::default().to_hex();
        let traced = write(Some(str::from_utf8(&place).ok()?))?;
        Some(OwnEntry {
            untraced: write(None)?.try_into().ok()?,
            traced: self.reads_only_w3c().then(|| traced.into_bytes().into()),
        })
    }

    /// Writes what [`inject`](Self::inject) does for a call without a trace that says no more.
    #[doc(hidden)]
    pub fn inject_untraced(&self, own: &OwnEntry, headers: &mut HeaderMap, seen: HeaderFilter) {
        self.strip_seen(headers, seen);
        // A map that is full goes without.
        let _full = headers.try_insert(names::TRACESTATE.clone(), own.untraced.clone());
    }

    /// Writes what [`inject`](Self::inject) does for a call in a trace that says no more and has neither
    /// baggage nor others' entries. Tells whether it did: it leaves to that what is not W3C's alone.
    #[doc(hidden)]
    pub fn inject_traced(
        &self,
        own: &OwnEntry,
        (trace_id, span_id, flags): (TraceId, SpanId, TraceFlags),
        headers: &mut HeaderMap,
        seen: HeaderFilter,
    ) -> bool {
        let Some(entry) = &own.traced else { return false };
        if !trace_id.is_valid() || !span_id.is_valid() {
            return false;
        }
        let parent = traceparent::value(trace_id, span_id, flags);
        let written = header_bytes::with_room(|room| {
            room.extend_from_slice(&parent);
            room.extend_from_slice(entry);
            let span = parent.get(traceparent::SPAN_ID)?;
            let place = traceparent::LENGTH + mw::SPAN_AT;
            room.get_mut(place..place + span.len())?.copy_from_slice(span);
            let mut both = room.split().freeze();
            let parent = both.split_to(parent.len());
            let parent = HeaderValue::from_maybe_shared(parent).ok()?;
            Some((parent, HeaderValue::from_maybe_shared(both).ok()?))
        });
        let Some((parent, state)) = written.flatten() else { return false };
        self.strip_seen(headers, seen);
        let _full = headers.try_insert(names::TRACEPARENT.clone(), parent);
        let _full = headers.try_insert(names::TRACESTATE.clone(), state);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::{Baggage, Format, Outgoing};

    #[test]
    fn what_is_made_once_is_what_each_call_would_write() {
        let (trace_id, span_id) = (TraceId::from_int(7), SpanId::from_int(8));
        for service in ["orders", "Orders & more", "ünï", &"x".repeat(200)] {
            for flags in [TraceFlags::default(), TraceFlags::SAMPLED] {
                let propagators = Propagators::default();
                let own = propagators.own_entry(service).unwrap();
                let mut call = Outgoing {
                    trace_id,
                    span_id,
                    flags,
                    state: "",
                    caller: Some(Caller::new(service)),
                    baggage: &Baggage::EMPTY,
                };
                let mut stood = HeaderMap::new();
                for name in ["traceparent", "tracestate", "baggage", "host"] {
                    stood.append(name, HeaderValue::from_static("1"));
                }
                let seen = HeaderFilter::of(&stood);
                let (mut quick, mut whole) = (stood.clone(), stood);
                let ids = (trace_id, span_id, flags);
                assert!(propagators.inject_traced(&own, ids, &mut quick, seen));
                propagators.inject(&call, &mut whole);
                assert_eq!(quick, whole);

                let none = (TraceId::default(), span_id, flags);
                assert!(!propagators.inject_traced(&own, none, &mut quick, seen));
                call.trace_id = TraceId::default();
                propagators.inject_untraced(&own, &mut quick, seen);
                propagators.inject(&call, &mut whole);
                assert_eq!(quick, whole);
            }
        }
    }

    #[test]
    fn formats_besides_w3c_s_are_written_call_by_call() {
        let both = Propagators::new([Format::TraceContext, Format::B3]);
        let own = both.own_entry("orders").unwrap();
        let ids = (TraceId::from_int(7), SpanId::from_int(8), TraceFlags::SAMPLED);
        let mut headers = HeaderMap::new();
        assert!(!both.inject_traced(&own, ids, &mut headers, HeaderFilter::default()));
        assert!(headers.is_empty());
        assert!(Propagators::new([Format::B3]).own_entry("orders").is_none());
        assert!(both.own_entry("").is_none());
    }
}
