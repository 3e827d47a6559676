//! What looks like a secret by itself: credentials, web tokens, keys with a known prefix.

use super::{
    reader::Meter,
    scan::{Found, Scanner},
};
use std::cell::Cell;

/// Prefixes of keys, how many letters, digits, `-` and `_` follow at least, and whether a digit is
/// among them (or else it is a word like `sk-learn`).
const KNOWN: &[(&str, usize, bool)] = &[
    ("AGE-SECRET-KEY-", 20, false),
    ("AIza", 30, false),
    ("SG.", 16, true),
    ("dckr_pat_", 10, false),
    ("dop_v1_", 20, false),
    ("ghp_", 6, false),
    ("gho_", 6, false),
    ("ghu_", 6, false),
    ("ghs_", 6, false),
    ("ghr_", 6, false),
    ("github_pat_", 10, false),
    ("glpat-", 10, false),
    ("gldt-", 10, true),
    ("glrt-", 10, true),
    ("hf_", 30, false),
    ("hvs.", 20, true),
    ("lin_api_", 20, false),
    ("npm_", 30, true),
    ("pypi-", 40, true),
    ("rk_live_", 6, false),
    ("rk_test_", 6, false),
    ("shpat_", 16, true),
    ("shpca_", 16, true),
    ("shpss_", 16, true),
    ("sk-", 20, true),
    ("sk_live_", 6, false),
    ("sk_test_", 6, false),
    ("sntrys_", 20, true),
    ("sq0atp-", 10, false),
    ("sq0csp-", 10, false),
    ("whsec_", 10, false),
    ("xapp-", 10, true),
    ("xoxa-", 6, true),
    ("xoxb-", 6, true),
    ("xoxe-", 6, true),
    ("xoxp-", 6, true),
    ("xoxr-", 6, true),
    ("xoxs-", 6, true),
    ("ya29.", 16, true),
];
/// What follows a prefix of the user's own.
const OWN_TAIL: usize = 6;

/// Holds the prefixes of keys, by their first bytes.
#[derive(Clone)]
pub(super) struct Prefixes {
    /// Sorted.
    known: Vec<Prefix>,
    /// For each first byte, a bit for each second one (of 64 kinds) that some prefix has, and where
    /// those begin that have it.
    seconds: [u64; 128],
    /// The same of the third one.
    thirds: [u64; 128],
    starts: [u16; 129],
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { known: Vec::new(), seconds: [0; 128], thirds: [0; 128], starts: [0; 129] }
    }
}

#[derive(Clone, Debug)]
struct Prefix {
    /// Its first three bytes, and the bits of those that count: it may have but two.
    head: u32,
    mask: u32,
    text: Box<[u8]>,
    tail: usize,
    digit: bool,
}

impl Prefix {
    fn new(text: &[u8], tail: usize, digit: bool) -> Self {
        let byte = |at: usize| text.get(at).copied().unwrap_or(0);
        let mask = if text.len() < 3 { 0xffff } else { 0x00ff_ffff };
        let head = u32::from_le_bytes([byte(0), byte(1), byte(2), 0]);
        Self { head, mask, text: text.into(), tail, digit }
    }
}

impl Prefixes {
    pub(super) fn standard() -> Self {
        let known =
            KNOWN.iter().map(|&(text, tail, digit)| Prefix::new(text.as_bytes(), tail, digit));
        Self { known: known.collect(), ..Self::default() }
    }

    pub(super) fn add(&mut self, prefix: &str) {
        let bytes = prefix.as_bytes();
        let good = bytes.len() >= 2
            && bytes.iter().all(u8::is_ascii_graphic)
            && bytes.first().is_some_and(u8::is_ascii_alphabetic);
        if good {
            self.known.retain(|known| *known.text != *bytes);
            self.known.push(Prefix::new(bytes, OWN_TAIL, false));
        }
    }

    pub(super) fn index(&mut self) {
        self.known.sort_by(|a, b| a.text.cmp(&b.text));
        (self.seconds, self.thirds) = ([0; 128], [0; 128]);
        // `Bearer`, `Basic`, in any case; `eyJ`; `AKIA`, `ASIA`.
        for text in [&b"bea"[..], b"bas", b"bEA", b"bAS", b"eyJ", b"AKI", b"ASI"] {
            self.note(text);
        }
        let (b, capital) = (usize::from(b'b'), usize::from(b'B'));
        self.thirds[b] |= 1 << (b'A' & 63) | 1 << (b'S' & 63) | 1 << (b'a' & 63) | 1 << (b's' & 63);
        self.seconds[capital] |= self.seconds[b];
        self.thirds[capital] |= self.thirds[b];
        let known = std::mem::take(&mut self.known);
        known.iter().for_each(|prefix| self.note(&prefix.text));
        self.known = known;
        for (start, first) in self.starts.iter_mut().zip(0_u8..) {
            *start = self.known.partition_point(|prefix| prefix.text[0] < first) as u16;
        }
    }

    /// Returns the bytes with which something begins.
    pub(super) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        self.seconds.iter().zip(0..).filter(|(seconds, _)| **seconds != 0).map(|(_, first)| first)
    }

    fn note(&mut self, text: &[u8]) {
        let [first, second, rest @ ..] = text else { return };
        let first = usize::from(first & 127);
        self.seconds[first] |= 1 << (second & 63);
        self.thirds[first] |= rest.first().map_or(u64::MAX, |third| 1 << (third & 63));
    }

    /// Tells whether something may begin with these three.
    #[inline(always)]
    pub(super) fn may_begin(&self, first: u8, second: u8, third: impl FnOnce() -> u8) -> bool {
        let first = usize::from(first & 127);
        self.seconds[first] & (1 << (second & 63)) != 0
            && self.thirds[first] & (1 << (third() & 63)) != 0
    }

    /// Returns the first bytes of those that have no byte by which a short text is noticed.
    pub(super) fn unmarked(&self) -> Vec<u8> {
        let marked = |prefix: &&Prefix| prefix.text.iter().any(|byte| b"-_.:=A".contains(byte));
        let unmarked = self.known.iter().filter(|prefix| !marked(prefix));
        unmarked.filter_map(|prefix| prefix.text.first().copied()).collect()
    }

    #[inline]
    fn beginning(&self, first: u8, second: u8) -> &[Prefix] {
        if self.seconds[usize::from(first & 127)] & (1 << (second & 63)) == 0 {
            return &[];
        }
        let first = usize::from(first & 127);
        let range = usize::from(self.starts[first])..usize::from(self.starts[first + 1]);
        self.known.get(range).unwrap_or_default()
    }
}

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

impl<M: Meter> Scanner<'_, '_, M> {
    /// Looks for what begins with a letter, at the beginning of a word.
    #[inline(never)]
    pub(super) fn token(&mut self, at: usize, first: u8) -> Option<Found> {
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
    fn credential(&mut self, at: usize) -> Option<Found> {
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
        let to = self.text.end_of(from, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        let mut end = to;
        // The end of a sentence is no part of it.
        while end > from && self.text.before(end) == b'.' {
            end -= 1;
        }
        let value = self.text.slice(from, end);
        if (basic && is_user_and_password(value)) || is_no_word(value) {
            return Found::some(from, end);
        }
        self.no_credential = to;
        None
    }

    /// `eyJ...`: a JSON web token in three parts (signed) or five (encrypted).
    fn jwt(&mut self, at: usize) -> Option<Found> {
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
            return Found::some(at, whole);
        }
        self.no_jwt = to;
        None
    }

    /// `AKIA` or `ASIA` and 16 more.
    fn aws_key(&self, at: usize) -> Option<Found> {
        if !(self.text.has(at, b"AKIA") || self.text.has(at, b"ASIA")) {
            return None;
        }
        let rest = (at + 4..at + 20).all(|i| {
            let byte = self.text.at(i);
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        });
        let whole = rest && !self.text.at(at + 20).is_ascii_alphanumeric();
        whole.then(|| Found::some(at, at + 20)).flatten()
    }

    #[inline]
    fn known_key(&mut self, at: usize, first: u8, second: u8) -> Option<Found> {
        let rules = self.rules;
        let known = rules.prefixes.beginning(first, second);
        if known.is_empty() {
            return None;
        }
        let head = u32::from_le_bytes([first, second, self.text.at(at + 2), 0]);
        for prefix in known {
            let same = (head ^ prefix.head) & prefix.mask == 0;
            if same && prefix.text.get(3..).is_none_or(|rest| self.text.has(at + 3, rest)) {
                self.looked_up.set(self.looked_up.get() + 1);
                let from = at + prefix.text.len();
                let run = self.run_at(from);
                let digit = run.digit.is_some_and(|digit| digit >= from);
                if run.end >= from + prefix.tail && (digit || !prefix.digit) {
                    // `SG.x.y`: dots join parts.
                    let dotted = prefix.text.last() == Some(&b'.');
                    let to = self.text.end_of(run.end, |b| dotted && (in_run(b) || b == b'.'));
                    return Found::some(at, to);
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
