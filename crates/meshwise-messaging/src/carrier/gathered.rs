//! One look at all headers of a message: those that matter are kept, on the stack.

use super::Carrier;
use crate::names;
use meshwise_core::propagation::Propagators;

/// How many headers that matter are kept without an allocation; no format writes more than six.
const FEW: usize = 8;
/// How many are kept; the rest of a message that has more is a stranger's.
const KEPT: usize = 32;
/// How many headers are looked at.
const LOOKED_AT: usize = 512;

/// Holds the headers of a message that say something to a mesh.
pub(crate) struct Gathered<'c> {
    few: [(&'c str, &'c [u8]); FEW],
    len: usize,
    /// All of them, once they are not few.
    many: Vec<(&'c str, &'c [u8])>,
    /// Our own headers: first values, in the order of `OWN`.
    own: [Option<&'c [u8]>; OWN.len()],
}

/// Names a header that no format of context knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own {
    TimeoutMs,
    Attempt,
    RequestId,
}

/// Their names, in the order of `Own`, each of another length.
const OWN: [&str; 3] = [names::X_REQUEST_TIMEOUT_MS, names::X_ATTEMPT, names::X_REQUEST_ID];

impl<'c> Gathered<'c> {
    #[inline]
    pub(crate) fn of(carrier: &'c (impl Carrier + ?Sized), propagators: &Propagators) -> Self {
        let mut gathered =
            Self { few: [("", &[]); FEW], len: 0, many: Vec::new(), own: [None; OWN.len()] };
        let mut seen = 0;
        carrier.each(&mut |name, value| {
            seen += 1;
            if seen <= LOOKED_AT {
                gathered.see(name, value, propagators);
            }
        });
        gathered
    }

    fn see(&mut self, name: &'c str, value: &'c [u8], propagators: &Propagators) {
        if let Some(name) = propagators.own_name(name) {
            self.keep(name, value);
        } else if let Some(at) = OWN.iter().position(|own| own.len() == name.len())
            && name.eq_ignore_ascii_case(OWN[at])
        {
            self.own[at] = self.own[at].or(Some(value));
        }
    }

    #[inline]
    fn keep(&mut self, name: &'c str, value: &'c [u8]) {
        if let Some(place) = self.few.get_mut(self.len) {
            *place = (name, value);
            self.len += 1;
        } else if self.many.len() < KEPT {
            if self.many.is_empty() {
                self.many.extend(self.few);
            }
            self.many.push((name, value));
        }
    }

    /// Returns what the propagators read.
    pub(crate) fn context(&self) -> &[(&'c str, &'c [u8])] {
        if self.many.is_empty() { &self.few[..self.len] } else { &self.many }
    }

    /// Returns the first value of one of our own headers.
    pub(crate) fn own(&self, own: Own) -> Option<&'c [u8]> {
        self.own[own as usize]
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

    #[test]
    fn names_are_compared_without_case_and_the_first_of_our_own_counts() {
        let headers = vec![
            ("Traceparent", &b"00-1"[..]),
            ("X-REQUEST-TIMEOUT-MS", b"5"),
            ("x-request-timeout-ms", b"6"),
            ("other", b"7"),
        ];
        let gathered = Gathered::of(&headers, &Propagators::default());
        assert_eq!(gathered.context(), [("traceparent", &b"00-1"[..])]);
        assert_eq!(gathered.own(Own::TimeoutMs), Some(&b"5"[..]));
        assert_eq!(gathered.own(Own::Attempt), None);
    }

    #[test]
    fn no_number_of_headers_is_too_many() {
        let headers = vec![("baggage", "a=1"); 100_000];
        let gathered = Gathered::of(&headers, &Propagators::default());
        assert_eq!(gathered.context().len(), KEPT);
        let late: Vec<_> = (0..LOOKED_AT).map(|_| ("x", "y")).chain([("baggage", "a=1")]).collect();
        assert!(Gathered::of(&late, &Propagators::default()).context().is_empty());
    }

    #[test]
    fn a_text_is_short_and_visible() {
        assert_eq!(text(b" a-1 ", 4), Some("a-1"));
        for bad in [&b""[..], b"  ", b"a b", b"\xff", "é".as_bytes(), b"abcde"] {
            assert_eq!(text(bad, 4), None, "{bad:?}");
        }
    }
}
