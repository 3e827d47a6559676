//! A message that waits to be sent.

use crate::carrier::{Carrier, CarrierMut};

/// Holds a message that waits to be sent.
///
/// Its headers take what a [`Sending`](crate::Sending) injects, so that its consumer's trace is that of
/// the transaction which decided to send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxMessage {
    /// Its place in the outbox; set when it is read.
    pub id: i64,
    /// Messages with one key are sent in order; those without one in any.
    pub key: Option<String>,
    /// The topic, exchange or subject.
    pub destination: String,
    /// Headers, by name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How often it was tried.
    pub attempts: u32,
}

impl OutboxMessage {
    /// Makes a message for a topic, exchange or subject.
    #[must_use]
    pub fn new(destination: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { destination: destination.into(), body: body.into(), ..Self::default() }
    }

    /// Sets the key within which messages are sent in order.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl Carrier for OutboxMessage {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.headers.each(see);
    }
}

impl CarrierMut for OutboxMessage {
    fn add(&mut self, name: &str, value: &str) {
        self.headers.add(name, value);
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        self.headers.remove_if(gone);
    }
}

/// Writes headers into one text: `name\tvalue\n`, with `\\`, `\t`, `\n` escaped.
pub(super) fn headers_to_text(headers: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in headers {
        escape(&mut out, name);
        out.push('\t');
        escape(&mut out, value);
        out.push('\n');
    }
    out
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// Reads what [`headers_to_text`] wrote; a line without a tab is no header.
pub(super) fn headers_of_text(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('\n').filter_map(|line| line.split_once('\t'));
    pairs.map(|(name, value)| (unescape(name), unescape(value))).collect()
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_went(
            headers in proptest::collection::vec(("[a-z\\\\\t\n-]{1,8}", ".{0,20}"), 0..6)
        ) {
            prop_assert_eq!(headers_of_text(&headers_to_text(&headers)), headers);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _headers = headers_of_text(&text);
        }
    }
}
