//! Small tools to read and write header values without allocating.

use crate::internal::{header_bytes, swar};
use http::{HeaderMap, HeaderName};
use std::fmt;

/// Removes optional white space (RFC 9110 section 5.6.3) from both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    // Hardly any text has some.
    if !blank(text.as_bytes().first()) && !blank(text.as_bytes().last()) {
        return text;
    }
    text.trim_matches([' ', '\t'])
}

/// Compares a header's name in any case with one in lower case; most are.
#[inline]
pub(super) fn is_name(name: &str, lower: &str) -> bool {
    name.len() == lower.len()
        && (is_same(name.as_bytes(), lower.as_bytes()) || name.eq_ignore_ascii_case(lower))
}

/// Compares bytes of one length. Most names have 8 to 16, which two words hold: to call what compares
/// any number costs more.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ends = |bytes: &[u8]| Some((*bytes.first_chunk::<8>()?, *bytes.last_chunk::<8>()?));
    match (one.len() <= 16, ends(one)) {
        (true, Some(found)) => Some(found) == ends(other),
        _ => one == other,
    }
}

/// Marks, for [`swar::any`], bytes that are no visible ASCII and no space.
#[inline]
pub(crate) const fn invisible(word: u64) -> u64 {
    word | swar::below(word, 0x20) | swar::equal(word, 0x7f)
}

/// Splits at the first of an ASCII byte. The standard library's searchers cost more than what they find
/// in texts as short as these.
#[inline]
pub(crate) fn split_once(text: &str, at: u8) -> Option<(&str, &str)> {
    debug_assert!(at.is_ascii());
    let place = text.as_bytes().iter().position(|byte| *byte == at)?;
    Some((&text[..place], &text[place + 1..]))
}

/// Splits at each of an ASCII byte, as [`str::split`] does.
#[inline]
pub(crate) fn split(text: &str, at: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest.take()?;
        match split_once(all, at) {
            Some((part, left)) => {
                rest = Some(left);
                Some(part)
            }
            None => Some(all),
        }
    })
}

/// Parses digits only; `str::parse` would take a sign as well.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Parses 1 to `max` hexadecimal digits in either case.
pub(super) fn hex(text: &str, max: usize) -> Option<u128> {
    let fits = (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| u128::from_str_radix(text, 16).ok())?
}

/// Sets a header to one value. One that is no header value, or for which the map has no room, is
/// left out: a call goes on without its context.
pub(super) fn set(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Some(value) = header_bytes::value(value.as_bytes()) {
        let _full = headers.try_insert(name.clone(), value);
    }
}

/// Builds a short text on the stack. Writing beyond `N` bytes is an error, and writes nothing.
pub(crate) struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Buffer<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Goes back to an earlier length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl<const N: usize> fmt::Write for Buffer<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn texts_are_split_and_trimmed_as_the_standard_library_does() {
        for text in ["", ",", "a", "a,b", ",a,,b,", "ü,é", " a ", "\ta \t", " ", " ü\t", "a=b=c"]
        {
            assert_eq!(split(text, b',').collect::<Vec<_>>(), text.split(',').collect::<Vec<_>>());
            assert_eq!(split_once(text, b'='), text.split_once('='));
            assert_eq!(trim(text), text.trim_matches([' ', '\t']));
        }
    }

    #[test]
    fn a_name_is_compared_in_any_case() {
        let all = ["b3", "baggage", "tracestate", "traceparent", "x-amzn-trace-id", "x-b3-traceid"];
        for lower in all.into_iter().chain(["x-b3-parentspanid"]) {
            for (at, _) in lower.char_indices() {
                let (mut upper, mut other) = (lower.to_owned(), lower.to_owned());
                upper.replace_range(at..=at, &lower[at..=at].to_uppercase());
                other.replace_range(at..=at, "_");
                assert!(is_name(lower, lower) && is_name(&upper, lower), "{upper}");
                assert!(!is_name(&other, lower) && !is_name(&lower[..at], lower), "{other}");
            }
        }
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+1", "-1", " 1", "1_0", "0x1", "18446744073709551616"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
        assert_eq!(hex("fF", 2), Some(255));
        for bad in ["", "+1", "123", "g", "é"] {
            assert_eq!(hex(bad, 2), None, "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_a_buffer_is_not_half_written() {
        let mut buffer = Buffer::<4>::new();
        assert!(buffer.write_str("abc").is_ok());
        assert!(buffer.write_str("de").is_err());
        assert_eq!(buffer.as_str(), "abc");
        assert!(buffer.write_str("d").is_ok());
        buffer.truncate(2);
        assert_eq!((buffer.as_str(), buffer.len()), ("ab", 2));
    }
}
