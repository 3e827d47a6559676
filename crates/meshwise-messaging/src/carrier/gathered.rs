//! One pass over all headers of a message, for those that say something to a mesh.

use super::Carrier;
use crate::names;
use meshwise_core::propagation::{Incoming, Propagators, W3cHeaders};

/// How many headers of context are kept without an allocation; no format writes more than six.
const FEW: usize = 8;
/// How many are kept; the rest of a message that has more is a stranger's.
const KEPT: usize = 32;
/// How many headers are looked at.
const LOOKED_AT: usize = 512;

type Pair<'c> = (&'c str, &'c [u8]);

/// Holds first values of headers that no format of context knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnHeaders<'c> {
    pub(crate) timeout_ms: Option<&'c [u8]>,
    pub(crate) attempt: Option<&'c [u8]>,
    pub(crate) request_id: Option<&'c [u8]>,
}

impl<'c> OwnHeaders<'c> {
    #[inline]
    fn see(&mut self, name: &str, value: &'c [u8]) {
        let (own, place) = match name.len() {
            20 => (names::X_REQUEST_TIMEOUT_MS, &mut self.timeout_ms),
            9 => (names::X_ATTEMPT, &mut self.attempt),
            12 => (names::X_REQUEST_ID, &mut self.request_id),
            _ => return,
        };
        if name.eq_ignore_ascii_case(own) {
            *place = place.or(Some(value));
        }
    }
}

/// Holds the headers of context of a message that are not W3C's, or come twice.
pub(crate) struct ContextHeaders<'c> {
    few: [Pair<'c>; FEW],
    len: usize,
    /// All of them, once they are not few.
    many: Vec<Pair<'c>>,
}

/// Reads what came with a message; `place` holds what that borrows from.
#[inline]
pub(crate) fn read<'c>(
    carrier: &'c (impl Carrier + ?Sized),
    propagators: &Propagators,
    place: &'c mut Option<ContextHeaders<'c>>,
) -> (Incoming<'c>, OwnHeaders<'c>) {
    let Found { incoming, own, .. } = read_known(carrier, propagators, place, |_| None::<()>);
    (incoming, own)
}

/// What came with a message, and who sent it if that is known already.
pub(crate) struct Found<'c, K> {
    /// Without the sender, if that is known.
    pub(crate) incoming: Incoming<'c>,
    pub(crate) own: OwnHeaders<'c>,
    /// What all messages of its sender say of that, if nothing is said beside it.
    pub(crate) said: Option<&'c [u8]>,
    pub(crate) known: Option<K>,
}

/// Reads what came with a message as [`read`] does, and asks `known` for the sender by what is said of it.
#[inline]
pub(crate) fn read_known<'c, K>(
    carrier: &'c (impl Carrier + ?Sized),
    propagators: &Propagators,
    place: &'c mut Option<ContextHeaders<'c>>,
    known: impl FnOnce(&[u8]) -> Option<K>,
) -> Found<'c, K> {
    let (mut own, mut w3c, mut seen) = (OwnHeaders::default(), W3cHeaders::default(), 0);
    carrier.each(&mut |name, value| {
        seen += 1;
        if seen <= LOOKED_AT && !w3c.see(name, value) {
            own.see(name, value);
        }
    });
    let said = w3c.own_entry();
    let known = said.and_then(known);
    let unknown = if known.is_some() { w3c.without_state() } else { w3c };
    match propagators.extract_w3c(&unknown) {
        Some(incoming) => {
            // What it says of the sender is true of the span that is the parent.
            let known = known.filter(|_| incoming.parent.is_some());
            Found { incoming, own, said, known }
        }
        None => {
            let incoming =
                propagators.extract_pairs(place.insert(pairs(carrier, propagators)).all());
            Found { incoming, own, said: None, known: None }
        }
    }
}

#[inline(never)]
fn pairs<'c>(
    carrier: &'c (impl Carrier + ?Sized),
    propagators: &Propagators,
) -> ContextHeaders<'c> {
    let mut headers = ContextHeaders { few: [("", &[]); FEW], len: 0, many: Vec::new() };
    let mut seen = 0;
    carrier.each(&mut |name, value| {
        seen += 1;
        if seen <= LOOKED_AT && propagators.is_own(name) {
            headers.keep((name, value));
        }
    });
    headers
}

impl<'c> ContextHeaders<'c> {
    fn keep(&mut self, pair: Pair<'c>) {
        if let Some(place) = self.few.get_mut(self.len) {
            *place = pair;
            self.len += 1;
        } else if self.many.len() < KEPT {
            if self.many.is_empty() {
                self.many.extend(self.few);
            }
            self.many.push(pair);
        }
    }

    fn all(&self) -> &[Pair<'c>] {
        if self.many.is_empty() { &self.few[..self.len] } else { &self.many }
    }
}

/// Returns the first value of one header.
pub(crate) fn first<'c>(carrier: &'c (impl Carrier + ?Sized), wanted: &str) -> Option<&'c [u8]> {
    let (mut found, mut seen) = (None, 0);
    carrier.each(&mut |name, value| {
        seen += 1;
        if found.is_none() && seen <= LOOKED_AT && name.eq_ignore_ascii_case(wanted) {
            found = Some(value);
        }
    });
    found
}

/// Returns a header's value as text: 1 to `max` bytes of visible ASCII.
pub(crate) fn text(value: &[u8], max: usize) -> Option<&str> {
    let value = value.trim_ascii();
    let fits = (1..=max).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    fits.then(|| str::from_utf8(value).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn names_are_compared_without_case_and_the_first_of_our_own_counts() {
        let headers = vec![
            ("Traceparent", TRACEPARENT),
            ("X-REQUEST-TIMEOUT-MS", b"5"),
            ("x-request-timeout-ms", b"6"),
            ("Baggage", b"a=1"),
            ("other", b"7"),
        ];
        let mut place = None;
        let (incoming, own) = read(&headers, &Propagators::default(), &mut place);
        assert_eq!(incoming.parent.map(|parent| parent.span_id.to_int()), Some(0xf067aa0ba902b7));
        assert_eq!(incoming.baggage.get("a"), Some("1"));
        assert_eq!(own, OwnHeaders { timeout_ms: Some(b"5"), ..OwnHeaders::default() });
    }

    #[test]
    fn one_pass_reads_what_several_would() {
        use meshwise_core::propagation::Format;
        let mw = &b"mw=p:00f067aa0ba902b7;s:orders"[..];
        let values =
            [TRACEPARENT, b"00-1", mw, b"mw=p:0;s:web", b"mw=p:0,a=1", b"a=1", b"\xff", b"0"];
        let names = ["traceparent", "TraceState", "tracestate", "baggage", "b3", "other"];
        let other = Propagators::new([Format::TraceContext, Format::B3, Format::Baggage]);
        let told = |incoming: &Incoming<'_>| format!("{incoming:?}");
        let pairs = names.iter().flat_map(|name| values.map(|value| (*name, value)));
        let pairs: Vec<_> = pairs.collect();
        for (first, second) in pairs.iter().flat_map(|first| pairs.iter().map(move |s| (first, s)))
        {
            let headers = vec![*first, *second, ("tracestate", mw)];
            for propagators in [&Propagators::default(), &other] {
                let mut place = None;
                let (incoming, _) = read(&headers, propagators, &mut place);
                assert_eq!(
                    told(&incoming),
                    told(&propagators.extract_pairs(&headers)),
                    "{headers:?}"
                );
            }
        }
    }

    #[test]
    fn no_number_of_headers_is_too_many() {
        let headers = vec![("baggage", "a=1"); 100_000];
        assert_eq!(pairs(&headers, &Propagators::default()).all().len(), KEPT);
        let late: Vec<_> = (0..LOOKED_AT).map(|_| ("x", "y")).chain([("baggage", "a=1")]).collect();
        let mut place = None;
        assert!(read(&late, &Propagators::default(), &mut place).0.baggage.is_empty());
        assert!(pairs(&late, &Propagators::default()).all().is_empty());
    }

    #[test]
    fn a_text_is_short_and_visible() {
        assert_eq!(text(b" a-1 ", 4), Some("a-1"));
        for bad in [&b""[..], b"  ", b"a b", b"\xff", "é".as_bytes(), b"abcde"] {
            assert_eq!(text(bad, 4), None, "{bad:?}");
        }
    }
}
