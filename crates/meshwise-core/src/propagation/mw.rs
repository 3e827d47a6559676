//! Our own `tracestate` entry: `mw=p:{span id};s:{service};v:{api version};a:{attempt}`.
//!
//! `p` proves that the service that wrote the entry also wrote `traceparent`. A service that speaks only
//! W3C hands the entry on but puts its own span into `traceparent`, and the two differ. A service that
//! does not trace has no `traceparent` to write, and says so: `mw=p:0;s:{service}`.

use super::{Caller, text};
use crate::trace::SpanId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::{borrow::Cow, fmt};

pub(super) const KEY: &str = "mw";
/// The longest entry with its key, in bytes; the parts' limits below keep within it.
pub(super) const MAX_ENTRY: usize = 256 + 3;
/// Where the span stands in an entry with its key.
pub(super) const SPAN_AT: usize = "mw=p:".len();
const MAX_SERVICE: usize = 128;
const MAX_VERSION: usize = 64;

/// All but `[a-z0-9._-]`.
const ESCAPED: &AsciiSet =
    &with_upper_case(NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-'));

const fn with_upper_case(mut set: AsciiSet) -> AsciiSet {
    let mut letter = b'A';
    while letter <= b'Z' {
        set = set.add(letter);
        letter += 1;
    }
    set
}

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_usize {
        table[byte] = matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        byte += 1;
    }
    table
};

/// What stands in the place of a span's id where there is no trace.
const NO_SPAN: &str = "0";

/// Reads the entry's value; `None` if its `p` is not the caller's span (`None`: there is no trace):
/// then another service stood between.
///
/// Parts that are not known are skipped. A name may hold any text but control characters.
pub(super) fn parse(value: &str, parent: Option<SpanId>) -> Option<Caller<'_>> {
    let mut untraced = false;
    let (mut span, mut service, mut api_version, mut attempt) = (None, None, None, None);
    for part in text::split(value, b';') {
        match text::split_once(part, b':') {
            Some(("p", NO_SPAN)) => untraced = true,
            Some(("p", id)) => span = span.or_else(|| SpanId::from_lower_hex(id.as_bytes())),
            Some(("s", name)) => service = service.or_else(|| decode(name)),
            Some(("v", version)) => api_version = api_version.or_else(|| decode(version)),
            Some(("a", n)) => attempt = attempt.or_else(|| u32::try_from(text::decimal(n)?).ok()),
            _ => {}
        }
    }
    if span != parent || untraced != parent.is_none() {
        return None;
    }
    Some(Caller { service: service?, api_version, attempt: attempt.unwrap_or(0) })
}

/// Reads a list that is our own entry alone, as a service of a mesh writes it: with `span`, the digits
/// in its `traceparent`, and names that need no encoding. Any other list is `None`, and may be valid.
#[inline]
pub(super) fn parse_alone<'h>(list: &'h [u8], span: &[u8]) -> Option<Caller<'h>> {
    let (service, rest) = plain(rest_alone(list, span)?.strip_prefix(b";s:")?)?;
    let api_version = match rest {
        [] => None,
        rest => match plain(rest.strip_prefix(b";v:")?)? {
            (version, []) => Some(Cow::Borrowed(version)),
            _ => return None,
        },
    };
    Some(Caller { service: Cow::Borrowed(service), api_version, attempt: 0 })
}

/// Returns what follows `span` in a list that begins with our own entry, and is no longer than that.
#[inline]
pub(super) fn rest_alone<'h>(list: &'h [u8], span: &[u8]) -> Option<&'h [u8]> {
    if list.len() > MAX_ENTRY {
        return None;
    }
    list.strip_prefix(b"mw=p:")?.strip_prefix(span)
}

/// Splits after the characters that need no encoding, of which there is one at least.
fn plain(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(text.len());
    let (plain, rest) = text.split_at_checked(end).filter(|_| end > 0)?;
    Some((str::from_utf8(plain).ok()?, rest))
}

/// Borrows where nothing is encoded.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Some(Cow::Borrowed(text));
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    let fine = !decoded.is_empty() && !decoded.chars().any(char::is_control);
    fine.then_some(decoded)
}

/// Writes the entry with its key; `span` is in digits.
pub(super) fn write(
    out: &mut impl fmt::Write,
    caller: &Caller<'_>,
    span: Option<&str>,
) -> fmt::Result {
    out.write_str("mw=p:")?;
    out.write_str(span.unwrap_or(NO_SPAN))?;
    out.write_str(";s:")?;
    encode(out, &caller.service, MAX_SERVICE)?;
    if let Some(version) = caller.api_version.as_deref().filter(|version| !version.is_empty()) {
        out.write_str(";v:")?;
        encode(out, version, MAX_VERSION)?;
    }
    if caller.attempt > 0 {
        write!(out, ";a:{}", caller.attempt)?;
    }
    Ok(())
}

/// Appends a text, percent-encoded, cut after a whole character at `max` bytes.
fn encode(out: &mut impl fmt::Write, text: &str, max: usize) -> fmt::Result {
    // Most names need no encoding.
    if text.len() <= max && text.bytes().all(is_plain) {
        return out.write_str(text);
    }
    let mut left = max;
    let mut buffer = [0; 4];
    for c in text.chars() {
        let encoded = utf8_percent_encode(c.encode_utf8(&mut buffer), ESCAPED);
        let length: usize = encoded.clone().map(str::len).sum();
        if length > left {
            break;
        }
        left -= length;
        for piece in encoded {
            out.write_str(piece)?;
        }
    }
    Ok(())
}
