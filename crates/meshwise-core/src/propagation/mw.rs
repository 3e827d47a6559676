//! Our own `tracestate` entry: `mw=p:{span id};s:{service};v:{api version};a:{attempt}`.

use super::Caller;
use crate::SpanId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::{borrow::Cow, fmt::Write as _};

pub(super) const KEY: &str = "mw";
const MAX_NAME: usize = 128;
const MAX_VERSION: usize = 64;
const MAX_MEMBERS: usize = 32;

/// All but `[A-Za-z0-9._-]`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// Reads the entry; `None` if its `p` is not the caller's span: then somebody stood between.
pub(super) fn parse(value: &str, parent: SpanId) -> Option<Caller<'_>> {
    let (mut span, mut service, mut api_version, mut attempt) = (None, None, None, 0);
    for part in value.split(';') {
        match part.split_once(':')? {
            ("p", id) => span = SpanId::from_lower_hex(id.as_bytes()),
            ("s", name) => service = Some(decode(name)?),
            ("v", version) => api_version = Some(decode(version)?),
            ("a", n) => attempt = n.parse().ok()?,
            _ => {}
        }
    }
    let service = service.filter(|name| !name.is_empty())?;
    (span == Some(parent)).then_some(Caller { service, api_version, attempt })
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// Writes the entry in front of the others', of which there may be 31.
pub(super) fn prepend(caller: &Caller<'_>, span: SpanId, others: &str) -> String {
    let mut out = String::with_capacity(64 + others.len());
    let _ = write!(out, "{KEY}=p:{span};s:");
    encode(&mut out, &caller.service, MAX_NAME);
    if let Some(version) = &caller.api_version {
        out.push_str(";v:");
        encode(&mut out, version, MAX_VERSION);
    }
    if caller.attempt > 0 {
        let _ = write!(out, ";a:{}", caller.attempt);
    }
    for other in others.split(',').filter(|other| !other.is_empty()).take(MAX_MEMBERS - 1) {
        out.push(',');
        out.push_str(other);
    }
    out
}

/// Appends a text, percent-encoded, cut after a whole character at `max` bytes.
fn encode(out: &mut String, text: &str, max: usize) {
    let end = out.len() + max;
    let mut buffer = [0; 4];
    for c in text.chars() {
        let encoded = utf8_percent_encode(c.encode_utf8(&mut buffer), ESCAPED);
        let before = out.len();
        out.extend(encoded);
        if out.len() > end {
            out.truncate(before);
            return;
        }
    }
}
