//! W3C Baggage: application values that travel with a call (Candidate Recommendation).

use super::HeaderLimits;
use http::HeaderValue;
use percent_encoding::{
    AsciiSet, CONTROLS, PercentEncode, percent_decode_str, utf8_percent_encode,
};

/// What is encoded in a value: all that is no `baggage-octet`, the percent sign itself, and two
/// that need not be. Some libraries take a `+` for a space, and some a second `=` for the end.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'%').add(b'+').add(b',').add(b';').add(b'=').add(b'\\');

/// How much more than the limit is looked at, for members that are worth keeping among such as are
/// not.
const LOOK_AHEAD: usize = 4;

/// Holds W3C baggage: names, decoded values and properties, in order; each name once.
///
/// Strangers may read it on the way, and it is sent to every service that is called: it is no place
/// for secrets.
///
/// ```
/// use meshwise_core::propagation::Baggage;
/// let mut baggage = Baggage::from_header("tier=gold;ttl=60, user=Am%C3%A9lie");
/// assert_eq!(baggage.get("user"), Some("Amélie"));
/// baggage.insert("cart", "two, three");
/// assert_eq!(baggage.to_header(), "tier=gold;ttl=60,user=Am%C3%A9lie,cart=two%2C%20three");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    entries: Vec<BaggageEntry>,
}

/// Holds one member of the baggage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaggageEntry {
    /// A token (RFC 9110 section 5.6.2).
    pub key: String,
    /// Any text; percent-encoded on the wire.
    pub value: String,
    /// Properties as on the wire (`key;key=value`), without white space; may be empty.
    pub metadata: String,
}

impl Baggage {
    /// No members.
    #[doc(hidden)]
    pub const EMPTY: Self = Self { entries: Vec::new() };

    /// Reads a header's value, within the default [`HeaderLimits`].
    ///
    /// Members that are not valid are skipped, and so are properties. Of several members with one
    /// key the last counts. An encoded value that is not UTF-8 gets U+FFFD in place of what is not.
    #[must_use]
    #[doc(hidden)]
    pub fn from_header(text: &str) -> Self {
        let mut baggage = Self::default();
        baggage.read([text.as_bytes()], &mut Budget::new(&HeaderLimits::DEFAULT));
        baggage
    }

    /// Reads several header values in order, as one list, within these limits.
    #[must_use]
    #[doc(hidden)]
    pub fn from_headers<'h>(
        values: impl IntoIterator<Item = &'h HeaderValue>,
        limits: &HeaderLimits,
    ) -> Self {
        let mut baggage = Self::default();
        baggage.read(values.into_iter().map(HeaderValue::as_bytes), &mut Budget::new(limits));
        baggage
    }

    /// Writes a header's value, within the default [`HeaderLimits`]; empty if there is nothing.
    ///
    /// Members whose key is no token are left out, and so are those for which there is no room:
    /// the next one that fits is written.
    #[must_use]
    #[doc(hidden)]
    pub fn to_header(&self) -> String {
        self.write(&HeaderLimits::DEFAULT)
    }

    /// Tells whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Counts the members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Sets a member without properties; a member that goes by the same key is replaced.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.insert_with_metadata(key, value, "");
    }

    /// Sets a member with its properties; a member that goes by the same key is replaced.
    ///
    /// A key that is no token, and a property that is not valid, can be held but not sent.
    #[doc(hidden)]
    pub fn insert_with_metadata(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        metadata: impl Into<String>,
    ) {
        let entry =
            BaggageEntry { key: key.into(), value: value.into(), metadata: metadata.into() };
        self.remove(&entry.key);
        self.entries.push(entry);
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &str) -> Option<BaggageEntry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    /// Lists the members.
    pub fn iter(&self) -> impl Iterator<Item = &BaggageEntry> {
        self.entries.iter()
    }

    /// Adds the members of a list that may be split over several values.
    pub(super) fn read<'h>(
        &mut self,
        values: impl IntoIterator<Item = &'h [u8]>,
        budget: &mut Budget,
    ) {
        let mut unseen = budget.bytes.saturating_mul(LOOK_AHEAD);
        for member in values.into_iter().flat_map(|value| value.split(|byte| *byte == b',')) {
            if budget.members == 0 || member.len() >= unseen {
                return;
            }
            unseen -= member.len() + 1;
            let member = member.trim_ascii();
            let parsed = || Member::parse(str::from_utf8(member).ok()?);
            // The budget comes last: what is not valid costs nothing of it.
            if let Some(member) = parsed().filter(|_| budget.take(member.len())) {
                self.insert_with_metadata(
                    member.key,
                    percent_decode_str(member.value).decode_utf8_lossy(),
                    properties(member.properties),
                );
            }
        }
    }

    /// Writes the list.
    pub(super) fn write(&self, limits: &HeaderLimits) -> String {
        let mut budget = Budget::new(limits);
        let mut out = String::new();
        for entry in self.iter().filter(|entry| is_token(&entry.key)) {
            // Nothing gets shorter by being encoded.
            if entry.key.len() + 1 + entry.value.len() > limits.baggage_bytes() {
                continue;
            }
            let start = out.len();
            if start > 0 {
                out.push(',');
            }
            let member = out.len();
            out.extend([entry.key.as_str(), "="]);
            out.extend(encode(&entry.value));
            if !entry.metadata.is_empty() {
                out.extend([";", &properties(&entry.metadata)]);
            }
            if out.ends_with(';') {
                out.pop();
            }
            if !budget.take(out.len() - member) {
                out.truncate(start);
            }
        }
        out
    }
}

/// Counts down what may still be read or written.
pub(super) struct Budget {
    members: usize,
    bytes: usize,
    first: bool,
}

impl Budget {
    pub(super) fn new(limits: &HeaderLimits) -> Self {
        Self { members: limits.baggage_members(), bytes: limits.baggage_bytes(), first: true }
    }

    /// Takes a member and the comma before it, if there is room.
    pub(super) fn take(&mut self, length: usize) -> bool {
        let length = length.saturating_add(usize::from(!self.first));
        if self.members == 0 || length > self.bytes {
            return false;
        }
        self.members -= 1;
        self.bytes -= length;
        self.first = false;
        true
    }
}

/// Encodes a value for the wire.
pub(super) fn encode(value: &str) -> PercentEncode<'_> {
    utf8_percent_encode(value, ESCAPED)
}

/// Holds the parts of `key=value;property;property`, as they came.
struct Member<'h> {
    key: &'h str,
    value: &'h str,
    properties: &'h str,
}

impl<'h> Member<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let (pair, properties) = text.split_once(';').unwrap_or((text, ""));
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (key.trim_ascii(), value.trim_ascii());
        (is_token(key) && is_value(value)).then_some(Self { key, value, properties })
    }
}

/// Joins the valid ones of `key` and `key=value`, without white space.
fn properties(text: &str) -> String {
    let mut out = String::new();
    for property in text.split(';') {
        let (key, value) = property.split_once('=').unwrap_or((property, ""));
        let (key, value) = (key.trim_ascii(), value.trim_ascii());
        if !is_token(key) || !is_value(value) {
            continue;
        }
        out.extend([if out.is_empty() { "" } else { ";" }, key]);
        if property.contains('=') {
            out.extend(["=", value]);
        }
    }
    out
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Takes zero or more `baggage-octet`.
fn is_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}
