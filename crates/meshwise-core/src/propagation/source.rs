//! Where context is read from.

use super::{HeaderLimits, text};
use crate::internal::swar;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::slice;

/// Holds the named values that context is read from.
#[derive(Clone, Copy)]
pub(super) enum HeaderSource<'h> {
    /// Headers of HTTP.
    Headers(&'h HeaderMap),
    /// Whatever else has names and values: names in any case, values of any bytes.
    Pairs(&'h [(&'h str, &'h [u8])]),
}

impl<'h> HeaderSource<'h> {
    /// Lists the values of a name, in order.
    pub(super) fn all(self, name: &'static HeaderName) -> Values<'h> {
        match self {
            Self::Headers(headers) => Values::Headers(headers.get_all(name).iter()),
            Self::Pairs(pairs) => Values::Pairs(pairs.iter(), name.as_str()),
        }
    }

    /// Lists the values of a name as text, in order; `None` for what is not visible ASCII.
    pub(super) fn texts(self, name: &'static HeaderName) -> impl Iterator<Item = Option<&'h str>> {
        self.all(name).map(visible)
    }

    /// Returns the first value of a name as text: within the limit, without the white space around
    /// it, and all of visible ASCII; or `None`.
    pub(super) fn first(self, name: &'static HeaderName, limits: &HeaderLimits) -> Option<&'h str> {
        let text = match self {
            Self::Headers(headers) => {
                let value = headers.get(name).filter(|value| value.len() <= limits.value_bytes());
                value?.to_str().ok()?
            }
            Self::Pairs(_) => {
                let value = self.all(name).next();
                visible(value.filter(|value| value.len() <= limits.value_bytes())?)?
            }
        };
        Some(text::trim(text))
    }

    /// Tells whether there is such a name.
    pub(super) fn has(self, name: &'static HeaderName) -> bool {
        match self {
            Self::Headers(headers) => headers.contains_key(name),
            Self::Pairs(_) => self.all(name).next().is_some(),
        }
    }

    /// Calls `see` with the rest of each name that begins with `prefix`, and its value.
    pub(super) fn each_below(self, prefix: &str, mut see: impl FnMut(&'h str, &'h [u8])) {
        match self {
            Self::Headers(headers) => {
                for (name, value) in headers {
                    if let Some(rest) = name.as_str().strip_prefix(prefix) {
                        see(rest, value.as_bytes());
                    }
                }
            }
            Self::Pairs(pairs) => {
                for (name, value) in pairs {
                    if let Some((start, rest)) = name.split_at_checked(prefix.len())
                        && start.eq_ignore_ascii_case(prefix)
                    {
                        see(rest, value);
                    }
                }
            }
        }
    }
}

/// Lists the values of one name.
pub(super) enum Values<'h> {
    Headers(header::ValueIter<'h, HeaderValue>),
    Pairs(slice::Iter<'h, (&'h str, &'h [u8])>, &'static str),
}

impl<'h> Iterator for Values<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        match self {
            Self::Headers(values) => values.next().map(HeaderValue::as_bytes),
            Self::Pairs(pairs, wanted) => {
                pairs.find(|(name, _)| text::is_name(name, wanted)).map(|(_, value)| *value)
            }
        }
    }
}

/// Reads visible ASCII, spaces and tabs, as `HeaderValue::to_str` does.
pub(super) fn visible(value: &[u8]) -> Option<&str> {
    let fine = !swar::any(value, text::invisible)
        || value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    fine.then(|| str::from_utf8(value).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::names;

    #[test]
    fn a_value_is_trimmed_bounded_and_ascii() {
        let limits = HeaderLimits::default().with_value_bytes(5);
        for (value, expected) in [
            (&b" \ta\t "[..], Some("a")),
            (b"12345", Some("12345")),
            (b"123456", None),
            (b"\xff", None),
            (b"", Some("")),
        ] {
            let value = HeaderValue::from_bytes(value).unwrap();
            let headers = HeaderMap::from_iter([(names::B3.clone(), value.clone())]);
            assert_eq!(HeaderSource::Headers(&headers).first(&names::B3, &limits), expected);
            let pairs = [("B3", value.as_bytes()), ("b3", b"x")];
            assert_eq!(HeaderSource::Pairs(&pairs).first(&names::B3, &limits), expected);
        }
        assert_eq!(HeaderSource::Headers(&HeaderMap::new()).first(&names::B3, &limits), None);
        assert_eq!(HeaderSource::Pairs(&[]).first(&names::B3, &limits), None);
    }
}
