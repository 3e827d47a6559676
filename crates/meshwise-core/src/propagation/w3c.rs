//! W3C's headers of something that is no HTTP request, found in one pass over all of its own.

use super::{Incoming, Propagators, baggage::Budget, mw, source::visible, text, traceparent};
use crate::trace::TraceState;

/// Holds the values of `traceparent`, `tracestate` and `baggage` of a message that has each of them at most
/// once, as nearly all do.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct W3cHeaders<'h> {
    traceparent: Option<&'h [u8]>,
    tracestate: Option<&'h [u8]>,
    baggage: Option<&'h [u8]>,
    /// Whether one of them came again.
    again: bool,
}

impl<'h> W3cHeaders<'h> {
    /// Takes a header if it is one of these; names are compared without case.
    #[inline]
    pub fn see(&mut self, name: &str, value: &'h [u8]) -> bool {
        let place = match name.len() {
            11 if text::is_name(name, "traceparent") => &mut self.traceparent,
            10 if text::is_name(name, "tracestate") => &mut self.tracestate,
            7 if text::is_name(name, "baggage") => &mut self.baggage,
            _ => return false,
        };
        self.again |= place.replace(value).is_some();
        true
    }
}

impl<'h> W3cHeaders<'h> {
    /// Returns what follows the span in a `tracestate` that is our own entry alone, and says the span that
    /// `traceparent` says: all messages of one service have the same there.
    #[inline]
    #[must_use]
    pub fn own_entry(&self) -> Option<&'h [u8]> {
        let span = traceparent::span_digits(self.traceparent?)?;
        mw::rest_alone(self.tracestate?, span)
    }

    /// Leaves out `tracestate`, for who knows what it says.
    #[must_use]
    pub const fn without_state(self) -> Self {
        Self { tracestate: None, ..self }
    }
}

impl Propagators {
    /// Reads W3C's headers as [`extract_pairs`](Self::extract_pairs) does. `None` leaves it to that: other
    /// formats are read, too, or a header came twice.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn extract_w3c<'h>(&self, headers: &W3cHeaders<'h>) -> Option<Incoming<'h>> {
        let W3cHeaders { traceparent, tracestate, baggage, again } = *headers;
        if again || !self.reads_only_w3c() {
            return None;
        }
        let mut incoming = Incoming::default();
        match (traceparent, tracestate) {
            (Some(traceparent), tracestate) => {
                let found = traceparent::extract_single(traceparent, tracestate, self.limits());
                if let Some((parent, caller)) = found {
                    incoming.sampling = parent.sampling;
                    incoming.parent = Some(parent);
                    incoming.caller = caller;
                }
            }
            (None, Some(list)) => {
                let most = self.limits().tracestate_bytes();
                let (_, own) = TraceState::split([visible(list)], Some(mw::KEY), most);
                incoming.caller = own.and_then(|own| mw::parse(own, None));
            }
            (None, None) => {}
        }
        if let Some(value) = baggage {
            incoming.baggage.read([value], &mut Budget::new(self.limits()));
        }
        Some(incoming)
    }
}
