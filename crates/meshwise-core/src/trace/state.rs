//! The `tracestate` header: other participants' entries, kept in order.

use http::HeaderValue;
use std::sync::Arc;

const MAX_MEMBERS: usize = 32;
const MAX_BYTES: usize = 8192;

/// Holds a valid `tracestate`: up to 32 entries, ready to be sent on; empty costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// No entries.
    pub const EMPTY: Self = Self(None);

    /// Tells whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Lists the entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str().split(',').filter_map(|entry| entry.split_once('='))
    }

    /// Reads header values, joined in order, and takes out the first entry of `own`.
    ///
    /// One entry that is not valid, more than 32 of them, or more than 8 KiB empty the whole list:
    /// the standard forbids to guess. Allocates only if there are others' entries.
    pub(crate) fn split<'h>(
        values: impl IntoIterator<Item = &'h HeaderValue>,
        own: &str,
    ) -> (Self, Option<&'h str>) {
        let mut others = String::new();
        let (mut found, mut members, mut bytes) = (None, 0, 0);
        for value in values {
            bytes += value.len();
            let Ok(text) = value.to_str() else { return (Self::EMPTY, None) };
            for entry in text.split(',').map(|entry| entry.trim_matches([' ', '\t'])) {
                if entry.is_empty() {
                    continue;
                }
                members += 1;
                let valid = entry.split_once('=').filter(|(k, v)| valid_key(k) && valid_value(v));
                let Some((key, value)) = valid else { return (Self::EMPTY, None) };
                if members > MAX_MEMBERS || bytes > MAX_BYTES {
                    return (Self::EMPTY, None);
                }
                if key == own && found.is_none() {
                    found = Some(value);
                    continue;
                }
                if !others.is_empty() {
                    others.push(',');
                }
                others.push_str(entry);
            }
        }
        (Self((!others.is_empty()).then(|| others.into())), found)
    }
}

/// Level 2, section 3.3.1.3.1.
fn valid_key(key: &str) -> bool {
    let bytes = key.as_bytes();
    (1..=256).contains(&bytes.len())
        && (bytes[0].is_ascii_lowercase() || bytes[0].is_ascii_digit())
        && bytes
            .iter()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'))
}

/// Level 2, section 3.3.1.3.2.
fn valid_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    (1..=256).contains(&bytes.len())
        && bytes.iter().all(|b| (0x20..=0x7e).contains(b) && !matches!(b, b',' | b'='))
}
