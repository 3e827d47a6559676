//! Keeping secrets out of the log: by the names of fields, and by the looks of values.

use crate::words;
use std::{borrow::Cow, collections::BTreeSet};

/// What stands in a secret's place.
pub(crate) const REDACTED: &str = "[redacted]";

/// Names of fields whose values are never logged: lower case, without separators. A field fits
/// whose whole name, or last part after a dot, is one of these.
const NAMES: [&str; 24] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "bearer",
    "cardnumber",
    "clientsecret",
    "cookie",
    "creditcard",
    "cvc",
    "cvv",
    "idtoken",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "privatekey",
    "proxyauthorization",
    "refreshtoken",
    "secret",
    "sessiontoken",
    "setcookie",
    "token",
];

/// Says what is hidden: well-known field names, and values that look like secrets, by default.
///
/// Values that look like secrets are bearer and basic credentials, passwords in URLs, JSON web
/// tokens, AWS access keys, and card numbers (13 to 19 digits that pass the Luhn test).
#[derive(Clone, Debug)]
pub struct Redaction {
    names: BTreeSet<String>,
    /// For each first byte of a name, a bit for each length that names with it have: turns away
    /// nearly every field before anything is looked up.
    lengths: [u64; 128],
    values: bool,
}

impl Redaction {
    /// Hides nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { names: BTreeSet::new(), lengths: [0; 128], values: false }
    }

    /// Hides fields of this name too. Case and `-`, `_` make no difference.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.names.insert(normal(name).collect());
        self.indexed()
    }

    /// Shows fields of this name after all.
    #[must_use]
    pub fn without_name(mut self, name: &str) -> Self {
        self.names.remove(&normal(name).collect::<String>());
        self.indexed()
    }

    /// Sets whether values that look like secrets are hidden.
    #[must_use]
    pub fn with_values(mut self, on: bool) -> Self {
        self.values = on;
        self
    }

    fn indexed(mut self) -> Self {
        self.lengths = [0; 128];
        for name in &self.names {
            if let (Some(first), 1..64) = (name.bytes().next(), name.len())
                && let Some(lengths) = self.lengths.get_mut(usize::from(first))
            {
                *lengths |= 1 << name.len();
            }
        }
        self
    }

    /// Tells whether a field's name is a secret's.
    pub(crate) fn hides(&self, name: &str) -> bool {
        let last = match name.bytes().rposition(|byte| byte == b'.') {
            Some(dot) => &name.as_bytes()[dot + 1..],
            None => name.as_bytes(),
        };
        let letters = || last.iter().filter(|byte| !matches!(byte, b'-' | b'_'));
        let Some(first) = letters().next().map(u8::to_ascii_lowercase) else { return false };
        let length = letters().count();
        let lengths = self.lengths.get(usize::from(first)).copied().unwrap_or_default();
        if length >= 64 || lengths & (1 << length) == 0 {
            return false;
        }
        let mut lower = [0; 64];
        for (slot, byte) in lower.iter_mut().zip(letters()) {
            *slot = byte.to_ascii_lowercase();
        }
        str::from_utf8(&lower[..length]).is_ok_and(|name| self.names.contains(name))
    }

    /// Tells whether a text may hold something to be hidden; most hold nothing.
    pub(crate) fn finds(&self, text: &str) -> bool {
        self.values && may_hold_secret(text.as_bytes())
    }

    /// Hides what looks like a secret within a text; a clean one is borrowed.
    pub(crate) fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.finds(text) {
            return Cow::Borrowed(text);
        }
        let mut out = String::new();
        let mut copied = 0;
        let mut at = 0;
        let bytes = text.as_bytes();
        while at < bytes.len() {
            match secret(bytes, at) {
                Some((from, to)) if from >= copied => {
                    out.push_str(&text[copied..from]);
                    out.push_str(REDACTED);
                    copied = to;
                    at = to;
                }
                _ => at += 1,
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[copied..]);
        Cow::Owned(out)
    }
}

impl Default for Redaction {
    fn default() -> Self {
        let names = NAMES.iter().map(|name| (*name).to_owned()).collect();
        Self { names, values: true, ..Self::off() }.indexed()
    }
}

fn normal(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase())
}

/// Tells whether a text has what some kind of secret needs: most texts are done with here, without
/// a look at what stands beside each byte.
fn may_hold_secret(text: &[u8]) -> bool {
    // `Bearer x`, `Basic x`; `scheme://user:password@host`; `eyJ...`; `AKIA...`, `ASIA...`
    let marked = words::any(text, |word| {
        words::equal(word | (words::ONES * 0x20), b'b')
            | words::equal(word, b':')
            | words::equal(word, b'J')
            | words::equal(word, b'A')
    });
    // A card's number has 13 digits.
    marked || (text.len() >= 13 && text.iter().filter(|byte| byte.is_ascii_digit()).count() >= 13)
}

/// Finds the secret that the text's `at`-th byte announces: its range, on character boundaries,
/// because secrets are ASCII.
fn secret(text: &[u8], at: usize) -> Option<(usize, usize)> {
    // Nearly all bytes are done with here.
    match text[at] {
        b'b' | b'B' => credentials(text, at),
        b':' => url_password(text, at),
        b'e' => jwt(text, at),
        b'A' => aws_key(text, at),
        b'0'..=b'9' => card(text, at),
        _ => None,
    }
}

fn starts_word(text: &[u8], at: usize) -> bool {
    at == 0 || !text[at - 1].is_ascii_alphanumeric()
}

fn span_of(text: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().position(|b| !belongs(*b)).map_or(text.len(), |n| from + n)
}

/// `Bearer x`, `Basic x`: the x.
fn credentials(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let scheme = [&b"bearer "[..], b"basic "]
        .into_iter()
        .find(|s| text.len() >= at + s.len() && text[at..at + s.len()].eq_ignore_ascii_case(s))?;
    let from = at + scheme.len();
    let to = span_of(text, from, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    // «a basic rule» is no credential.
    (starts_word(text, at) && to - from >= 8).then_some((from, to))
}

/// `scheme://user:password@host`: the password.
fn url_password(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if !text[at..].starts_with(b"://") {
        return None;
    }
    let from = at + 3;
    let end = span_of(text, from, |b| b.is_ascii_graphic() && !b"/?#\"'<>".contains(&b));
    let host = from + text[from..end].iter().rposition(|b| *b == b'@')?;
    let colon = from + text[from..host].iter().position(|b| *b == b':')?;
    (colon + 1 < host).then_some((colon + 1, host))
}

/// `eyJ...` in three parts.
fn jwt(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if !text[at..].starts_with(b"eyJ") || !starts_word(text, at) {
        return None;
    }
    let to = span_of(text, at, |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let dots = text[at..to].iter().filter(|b| **b == b'.').count();
    (dots == 2 && to - at > 30).then_some((at, to))
}

/// `AKIA` or `ASIA` and 16 more.
fn aws_key(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if !(text[at..].starts_with(b"AKIA") || text[at..].starts_with(b"ASIA")) {
        return None;
    }
    let to = span_of(text, at, |b| b.is_ascii_uppercase() || b.is_ascii_digit());
    (starts_word(text, at) && to - at == 20).then_some((at, to))
}

/// 13 to 19 digits, in groups or not, that pass the Luhn test.
fn card(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if at > 0 && (text[at - 1].is_ascii_alphanumeric() || b".-_/".contains(&text[at - 1])) {
        return None;
    }
    let mut digits = [0_u8; 19];
    let (mut count, mut end) = (0, at);
    for (i, &byte) in text.iter().enumerate().skip(at) {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(count)? = byte - b'0';
                count += 1;
                end = i + 1;
            }
            b' ' | b'-' if end == i => {}
            _ => break,
        }
    }
    if text.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') || count < 13 {
        return None;
    }
    let sum: u32 = digits[..count]
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| {
            let doubled = u32::from(digit) << (i % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    (sum.is_multiple_of(10) && digits[..count].iter().any(|d| *d != 0)).then_some((at, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_are_hidden_whatever_their_spelling() {
        let redaction = Redaction::default();
        for name in ["password", "Password", "user.password", "api_key", "API-Key", "Set-Cookie"] {
            assert!(redaction.hides(name), "{name}");
        }
        for name in ["user", "passwords", "token_count", "x".repeat(100).as_str(), "über", ""] {
            assert!(!redaction.hides(name), "{name}");
        }
        assert!(redaction.clone().with_name("Iban").hides("customer.IBAN"));
        assert!(!redaction.without_name("token").hides("token"));
        assert!(!Redaction::off().hides("password"));
    }

    #[test]
    fn values_that_look_like_secrets_are_hidden() {
        for (text, clean) in [
            ("got Bearer abc.def-123 from", "got Bearer [redacted] from"),
            ("basic dXNlcjpwYXNz", "basic [redacted]"),
            ("at postgres://me:p:w@db/x?y", "at postgres://me:[redacted]@db/x?y"),
            ("paid with 4111 1111 1111 1111.", "paid with [redacted]."),
            ("paid with 4111-1111-1111-1111", "paid with [redacted]"),
            ("key AKIAIOSFODNN7EXAMPLE!", "key [redacted]!"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghij end", "jwt [redacted] end"),
            ("ü://u:pw@h ü", "ü://u:[redacted]@h ü"),
        ] {
            assert_eq!(Redaction::default().clean(text), clean);
            assert_eq!(Redaction::default().with_values(false).clean(text), text);
        }
    }

    #[test]
    fn what_announces_a_secret_is_seen_wherever_it_stands() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let wanted = b"bB:JA".contains(&byte);
                    assert_eq!(may_hold_secret(&text), wanted, "{byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in [
            "a basic rule for bearer bonds",
            "http://host:8080/path@x",
            "order 4111111111111112 failed",
            "took 1234567890123456 ns",
            "trace 4bf92f3577b34da6a3ce929d0e0e4736",
            "2026-11-21T04:31:00.000000Z",
            "0000000000000000",
            "AKIA is a prefix",
            "",
        ] {
            assert!(matches!(Redaction::default().clean(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
