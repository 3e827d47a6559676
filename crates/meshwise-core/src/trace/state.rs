//! The `tracestate` header: other participants' entries, kept in order.

use crate::{
    internal::swar,
    propagation::{HeaderLimits, text},
};
use http::HeaderValue;
use std::{fmt, sync::Arc};

/// The most that is looked at, in bytes: twice what 32 of the longest entries take.
const MAX_READ: usize = 32 * 1024;
/// Entries above this length, in bytes, are the first to go when a list is too long.
const LARGE_ENTRY: usize = 128;
const MAX_ENTRIES: usize = 32;

/// Holds a valid `tracestate`: up to 32 entries, ready to be sent on. Cheap to clone; empty costs
/// nothing.
///
/// Keys and values are those of W3C Trace Context level 2 (section 3.3.1.3). Of several entries
/// with one key only the first is kept, for it is the newest.
///
/// ```
/// use http::HeaderValue;
/// use meshwise_core::TraceState;
/// let headers = [HeaderValue::from_static("rojo=1, congo=2"), HeaderValue::from_static("baz=3")];
/// let state = TraceState::from_headers(&headers);
/// assert_eq!(state.as_str(), "rojo=1,congo=2,baz=3");
/// assert_eq!(state.get("congo"), Some("2"));
///
/// // What changes moves to the front.
/// assert_eq!(state.with("congo", "4")?.as_str(), "congo=4,rojo=1,baz=3");
/// # Ok::<(), meshwise_core::TraceStateError>(())
/// ```
#[doc(hidden)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// No entries.
    pub const EMPTY: Self = Self(None);

    /// The most entries that a list may have.
    #[doc(hidden)]
    pub const MAX_ENTRIES: usize = MAX_ENTRIES;

    /// Reads a header's values in order, as one list.
    ///
    /// A list that is not valid, or has more than 32 entries, is empty. One longer than 8192 bytes
    /// loses entries: those above 128 bytes first, then from the end (section 3.3.1.5).
    #[must_use]
    #[doc(hidden)]
    pub fn from_headers<'h>(values: impl IntoIterator<Item = &'h HeaderValue>) -> Self {
        let texts = values.into_iter().map(|value| value.to_str().ok());
        Self::split(texts, None, HeaderLimits::DEFAULT.tracestate_bytes()).0
    }

    /// Tells whether there is no entry.
    #[doc(hidden)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Counts the entries.
    #[doc(hidden)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns the header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Lists the entries in order.
    #[doc(hidden)]
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str().split(',').filter_map(|entry| entry.split_once('='))
    }

    /// Returns the value of a key.
    #[doc(hidden)]
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// Sets an entry and moves it to the front; of more than 32 the last is dropped (section 3.5).
    ///
    /// # Errors
    /// If the key or the value is not what the standard allows.
    #[doc(hidden)]
    pub fn with(&self, key: &str, value: &str) -> Result<Self, TraceStateError> {
        if !valid_key(key) {
            return Err(TraceStateError::Key);
        }
        if !valid_value(value) {
            return Err(TraceStateError::Value);
        }
        let mut text = format!("{key}={value}");
        let others = self.iter().filter(|(other, _)| *other != key).take(MAX_ENTRIES - 1);
        for (key, value) in others {
            text.extend([",", key, "=", value]);
        }
        Ok(Self(Some(text.into())))
    }

    /// Removes an entry. Only one's own is to be removed, says the standard.
    #[doc(hidden)]
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        if self.get(key).is_none() {
            return self.clone();
        }
        let mut list = List::new();
        for entry in self.as_str().split(',').filter(|entry| !has_key(entry, key)) {
            list.push(entry);
        }
        list.into_state(usize::MAX)
    }

    /// Reads header values in order (`None` is one that is no text), and takes out the entry of
    /// `own`.
    pub(crate) fn split<'h>(
        values: impl IntoIterator<Item = Option<&'h str>>,
        own: Option<&str>,
        max_bytes: usize,
    ) -> (Self, Option<&'h str>) {
        let mut values = values.into_iter();
        let (first, second) = (values.next(), values.next());
        // Most lists within a mesh are one entry, its own: nothing to keep.
        let alone = || {
            let entry = first.filter(|_| second.is_none())??;
            let value = entry.strip_prefix(own?)?.strip_prefix('=')?;
            valid_value(value).then_some(value)
        };
        if let Some(value) = alone() {
            return (Self::EMPTY, Some(value));
        }
        let mut list = List::new();
        match list.read(first.into_iter().chain(second).chain(values), own) {
            Some(found) => (list.into_state(max_bytes), found),
            None => (Self::EMPTY, None),
        }
    }

    /// Takes an entry apart if it is valid.
    pub(crate) fn entry(entry: &str) -> Option<(&str, &str)> {
        text::split_once(entry, b'=').filter(|(key, value)| valid_key(key) && valid_value(value))
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says what of a `tracestate` entry is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceStateError {
    /// The key.
    #[error(
        "not a tracestate key; use 1 to 256 of a-z, 0-9, `_`, `-`, `*`, `/`, `@`, \
         a letter or digit first"
    )]
    Key,
    /// The value.
    #[error(
        "not a tracestate value; use 1 to 256 printable ASCII characters without `,` and `=`, \
         no space last"
    )]
    Value,
}

/// Gathers entries without copying them.
struct List<'h> {
    entries: [&'h str; MAX_ENTRIES],
    len: usize,
}

impl<'h> List<'h> {
    fn new() -> Self {
        Self { entries: [""; MAX_ENTRIES], len: 0 }
    }

    /// Reads all values; returns the value of `own` if it is there, and `None` if anything is not
    /// valid.
    fn read(
        &mut self,
        values: impl IntoIterator<Item = Option<&'h str>>,
        own: Option<&str>,
    ) -> Option<Option<&'h str>> {
        let (mut found, mut members, mut bytes) = (None, 0, 0);
        for value in values {
            let text = value?;
            bytes += text.len();
            if bytes > MAX_READ {
                return None;
            }
            // Spaces around an entry are not part of it; an empty one is allowed, and nothing.
            for entry in text::split(text, b',').map(text::trim) {
                if entry.is_empty() {
                    continue;
                }
                members += 1;
                let (key, value) = TraceState::entry(entry).filter(|_| members <= MAX_ENTRIES)?;
                if own == Some(key) {
                    found = found.or(Some(value));
                } else if !self.entries().iter().any(|other| has_key(other, key)) {
                    self.push(entry);
                }
            }
        }
        Some(found)
    }

    fn entries(&self) -> &[&'h str] {
        &self.entries[..self.len]
    }

    fn push(&mut self, entry: &'h str) {
        if let Some(slot) = self.entries.get_mut(self.len) {
            *slot = entry;
            self.len += 1;
        }
    }

    /// Joins the entries, less those that are too many bytes.
    fn into_state(mut self, max_bytes: usize) -> TraceState {
        let mut bytes = self.bytes();
        while bytes > max_bytes {
            let large = self.entries().iter().rposition(|entry| entry.len() > LARGE_ENTRY);
            let at = large.unwrap_or(self.len - 1);
            self.entries.copy_within(at + 1..self.len, at);
            self.len -= 1;
            bytes = self.bytes();
        }
        if self.len == 0 {
            return TraceState::EMPTY;
        }
        TraceState(Some(self.entries().join(",").into()))
    }

    fn bytes(&self) -> usize {
        self.entries().iter().map(|entry| entry.len() + 1).sum::<usize>().saturating_sub(1)
    }
}

fn has_key(entry: &str, key: &str) -> bool {
    entry.strip_prefix(key).is_some_and(|rest| rest.starts_with('='))
}

/// Section 3.3.1.3.1.
fn valid_key(key: &str) -> bool {
    let bytes = key.as_bytes();
    (1..=256).contains(&bytes.len())
        && (bytes[0].is_ascii_lowercase() || bytes[0].is_ascii_digit())
        && bytes.iter().all(|byte| IN_KEY[usize::from(*byte)])
}

/// Says of each byte whether it may stand in a key.
static IN_KEY: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_usize {
        let value = byte as u8;
        table[byte] = matches!(value, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        byte += 1;
    }
    table
};

/// Section 3.3.1.3.2: no space at the end, for it could not be told from white space around the
/// entry.
fn valid_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    (1..=256).contains(&bytes.len())
        && !value.ends_with(' ')
        && !swar::any(bytes, |word| {
            text::invisible(word) | swar::equal(word, b',') | swar::equal(word, b'=')
        })
}

#[cfg(test)]
mod tests;
