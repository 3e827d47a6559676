//! W3C `baggage`: values that travel with a request.
//!
//! Source: W3C Baggage, sections 3.2 (format) and 3.3 (limits).

use super::set;
use http::HeaderMap;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

pub(super) const NAME: &str = "baggage";

/// What stands for itself in a value: printable ASCII but space, `"`, `,`, `;`, `\` and `%`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Holds names, decoded values and properties, in order.
///
/// ```
/// use meshwise_core::propagation::Baggage;
/// let mut baggage = Baggage::default();
/// baggage.insert("user", "Ada L.");
/// assert_eq!(baggage.to_header(), "user=Ada%20L.");
/// assert_eq!(Baggage::from_header("user=Ada%20L."), baggage);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    entries: Vec<BaggageEntry>,
    bytes: usize,
}

/// Holds one member of the baggage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaggageEntry {
    /// A token (RFC 9110 section 5.6.2).
    pub key: String,
    /// Any text; percent-encoded on the wire.
    pub value: String,
    /// Properties as they came (`;`-separated); may be empty.
    pub metadata: String,
}

impl Baggage {
    /// The most members that are read, held or written; more are dropped.
    pub const MAX_ENTRIES: usize = 64;
    /// The most bytes that are read, held or written; the members that go beyond are dropped whole.
    pub const MAX_BYTES: usize = 8192;

    /// Reads one header value. Members that are not valid, or go beyond the limits, are dropped.
    #[must_use]
    pub fn from_header(text: &str) -> Self {
        let mut baggage = Self::default();
        baggage.read(text);
        baggage
    }

    /// Writes the header value; what is no token can't be a key and is left out, and so are the
    /// members that go beyond the limits.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut out = String::new();
        for entry in self.entries.iter().filter(|entry| is_token(&entry.key)) {
            let before = out.len();
            if before > 0 {
                out.push(',');
            }
            out.push_str(&entry.key);
            out.push('=');
            out.extend(utf8_percent_encode(&entry.value, ESCAPED));
            if !entry.metadata.is_empty() && entry.metadata.bytes().all(is_property_byte) {
                out.push(';');
                out.push_str(&entry.metadata);
            }
            if out.len() > Self::MAX_BYTES {
                out.truncate(before);
            }
        }
        out
    }

    /// Tells whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns a member's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Lists the members.
    pub fn iter(&self) -> impl Iterator<Item = &BaggageEntry> {
        self.entries.iter()
    }

    /// Sets a member; one that goes by the same key is replaced. Beyond the limits nothing happens.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.insert_with_metadata(key, value, "");
    }

    /// Sets a member with its properties.
    pub fn insert_with_metadata(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        metadata: impl Into<String>,
    ) {
        let entry =
            BaggageEntry { key: key.into(), value: value.into(), metadata: metadata.into() };
        if let Some(at) = self.entries.iter().position(|other| other.key == entry.key) {
            self.bytes -= size(&self.entries.remove(at));
        }
        if self.has_room_for(size(&entry)) {
            self.bytes += size(&entry);
            self.entries.push(entry);
        }
    }

    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.entries.len() < Self::MAX_ENTRIES && self.bytes + bytes <= Self::MAX_BYTES
    }

    fn read(&mut self, text: &str) {
        for member in text.split(',').map(trim) {
            // Work is bounded like memory: what comes after a full load is not even looked at.
            if self.entries.len() >= Self::MAX_ENTRIES {
                return;
            }
            if member.len() <= Self::MAX_BYTES
                && let Some((key, value, metadata)) = parse(member)
            {
                let value = percent_decode_str(value).decode_utf8_lossy();
                self.insert_with_metadata(key, value, metadata);
            }
        }
    }
}

fn size(entry: &BaggageEntry) -> usize {
    entry.key.len() + entry.value.len() + entry.metadata.len() + 2
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Takes `key = value ; properties` apart.
fn parse(member: &str) -> Option<(&str, &str, &str)> {
    let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
    let (key, value) = pair.split_once('=')?;
    let (key, value, metadata) = (trim(key), trim(value), trim(metadata));
    let valid =
        is_token(key) && value.bytes().all(is_value_byte) && metadata.bytes().all(is_property_byte);
    valid.then_some((key, value, metadata))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `baggage-octet`.
fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

fn is_property_byte(byte: u8) -> bool {
    is_value_byte(byte) || matches!(byte, b';' | b' ' | b'\t')
}

/// Percent-encodes what can't stand in a value.
pub(super) fn encode(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// Reads all `baggage` headers, in order.
pub(super) fn extract(headers: &HeaderMap, into: &mut Baggage) {
    for value in headers.get_all(NAME) {
        // A byte beyond ASCII spoils its own header only.
        if let Ok(text) = value.to_str() {
            into.read(text);
        }
    }
}

pub(super) fn inject(baggage: &Baggage, headers: &mut HeaderMap) {
    headers.remove(NAME);
    if !baggage.is_empty() {
        let text = baggage.to_header();
        if !text.is_empty() {
            set(headers, NAME, text);
        }
    }
}
