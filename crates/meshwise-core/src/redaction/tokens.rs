//! What looks like a secret by itself: credentials, web tokens, keys with a known prefix.

use super::{
    reader::LOOKUP,
    scan::{Scanner, SecretRange},
};
use std::cell::Cell;

/// What is known of a run of letters, digits, `-` and `_`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    end: usize,
    /// Where its last digit stands.
    digit: Option<usize>,
}

fn in_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

impl Scanner<'_, '_> {
    /// Looks for what begins with a letter, at the beginning of a word.
    #[inline(never)]
    pub(super) fn token(&mut self, at: usize, first: u8) -> Option<SecretRange> {
        let second = self.text.at(at + 1);
        let found = match (first, second) {
            (b'b' | b'B', b'a' | b'e' | b'A' | b'E') => self.credential(at),
            (b'e', b'y') => self.jwt(at),
            (b'A', b'K' | b'S') => self.aws_key(at),
            _ => None,
        };
        found.or_else(|| self.known_key(at, first, second))
    }

    /// `Bearer x`, `Basic x`: the x, if no word or name of something could be that.
    fn credential(&mut self, at: usize) -> Option<SecretRange> {
        if at < self.no_credential {
            return None;
        }
        let basic = self.text.has_any_case(at, b"basic");
        if !basic && !self.text.has_any_case(at, b"bearer") {
            return None;
        }
        let end = at + if basic { 5 } else { 6 };
        let from = match self.text.at(end) {
            b' ' | b'+' => end + 1,
            b'%' if self.text.has(end, b"%20") => end + 3,
            _ => return None,
        };
        self.text.spend(LOOKUP);
        let to = self.text.end_of(from, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        let mut end = to;
        // The end of a sentence is no part of it.
        while end > from && self.text.before(end) == b'.' {
            end -= 1;
        }
        let value = self.text.slice(from, end);
        if if basic { is_user_and_password(value) } else { is_no_word(value) } {
            return SecretRange::some(from, end);
        }
        self.no_credential = to;
        None
    }

    /// `eyJ...`: a JSON web token in three parts (signed) or five (encrypted).
    fn jwt(&mut self, at: usize) -> Option<SecretRange> {
        if at < self.no_jwt || self.text.at(at + 2) != b'J' {
            return None;
        }
        let dots = Cell::new(0);
        let to = self.text.end_of(at, |byte| {
            dots.set(dots.get() + u32::from(byte == b'.'));
            in_run(byte) || byte == b'.'
        });
        let whole = match (dots.get(), self.text.before(to)) {
            (2 | 4, _) => to,
            // At the end of a sentence.
            (3 | 5, b'.') => to - 1,
            _ => at,
        };
        if whole - at > 30 {
            return SecretRange::some(at, whole);
        }
        self.no_jwt = to;
        None
    }

    /// `AKIA` or `ASIA` and 16 more.
    fn aws_key(&self, at: usize) -> Option<SecretRange> {
        if !(self.text.has(at, b"AKIA") || self.text.has(at, b"ASIA")) {
            return None;
        }
        let rest = (at + 4..at + 20).all(|i| {
            let byte = self.text.at(i);
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        });
        let whole = rest && !self.text.at(at + 20).is_ascii_alphanumeric();
        whole.then(|| SecretRange::some(at, at + 20)).flatten()
    }

    #[inline]
    fn known_key(&mut self, at: usize, first: u8, second: u8) -> Option<SecretRange> {
        let rules = self.rules;
        let known = rules.prefixes.beginning(first, second);
        if known.is_empty() {
            return None;
        }
        let head = u32::from_le_bytes([first, second, self.text.at(at + 2), 0]);
        for prefix in known {
            let same = (head ^ prefix.head) & prefix.mask == 0;
            if same && prefix.text.get(3..).is_none_or(|rest| self.text.has(at + 3, rest)) {
                let from = at + prefix.text.len();
                let run = self.run_at(from);
                let digit = run.digit.is_some_and(|digit| digit >= from);
                if run.end >= from + prefix.tail && (digit || !prefix.digit) {
                    // `SG.x.y`: dots join parts.
                    let dotted = prefix.text.last() == Some(&b'.');
                    let to = self.text.end_of(run.end, |b| dotted && (in_run(b) || b == b'.'));
                    return SecretRange::some(at, to);
                }
            }
        }
        None
    }

    /// Tells whether a key with a known prefix begins here, however short.
    pub(super) fn has_known_prefix(&self, at: usize) -> bool {
        let prefixes = self.rules.prefixes.beginning(self.text.at(at), self.text.at(at + 1));
        prefixes.iter().any(|prefix| self.text.has(at, &prefix.text))
    }

    fn run_at(&mut self, from: usize) -> Run {
        if from >= self.run.end {
            let end = self.text.end_of(from, in_run);
            let digit = self.text.slice(from, end).iter().rposition(u8::is_ascii_digit);
            self.run = Run { end, digit: digit.map(|at| from + at) };
        }
        self.run
    }
}

/// Tells whether a text can be no word of any language and no name of a thing: it has a `=` at its
/// end, or digits within, or capitals all over.
fn is_no_word(text: &[u8]) -> bool {
    if text.len() < 8 {
        return false;
    }
    // `OAuth2.0`, `HTTP/1.1`.
    if [&b"oauth"[..], b"http"]
        .iter()
        .any(|known| text.get(..known.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(known)))
    {
        return false;
    }
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let rises = text
        .windows(2)
        .filter(|two| matches!(two, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    let rises = rises.count();
    let dots = text.iter().filter(|byte| **byte == b'.').count();
    text.ends_with(b"=")
        || digits >= 3
        || (digits > 0 && (rises > 0 || text.len() >= 16))
        // `CreateOrderRequest` has long parts, `aBcDeFgHiJ` has not.
        || (rises >= 2 && text.len() / (rises + 1) < 4)
        // `abc.def.ghi`
        || (dots == 2 && text.len() >= 16)
        // Sixteen letters of no language.
        || (text.len() >= 16 && consonants(text) >= 5)
}

/// Returns the length of the longest run of consonants, in whatever case: `ngths` has five of them, and
/// longer words than `lengths` have shorter ones.
fn consonants(text: &[u8]) -> usize {
    let is_consonant =
        |byte: &u8| byte.is_ascii_alphabetic() && !b"aeiouy".contains(&byte.to_ascii_lowercase());
    text.split(|byte| !is_consonant(byte)).map(<[u8]>::len).max().unwrap_or(0)
}

/// Tells whether a text is `user:password` in base64 (RFC 7617).
fn is_user_and_password(text: &[u8]) -> bool {
    let (mut bits, mut count, mut colon) = (0_u32, 0, false);
    for (i, &byte) in text.iter().enumerate() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' if i + 2 >= text.len() => break,
            _ => return false,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let plain = ((bits >> count) & 0xff) as u8;
            if plain < b' ' || plain == 0x7f {
                return false;
            }
            colon |= plain == b':';
        }
    }
    colon
}
