//! Values of names that are hidden: where they end, and which are none.

use super::{
    REDACTED,
    pairs::{in_identifier, in_name, is_quote, is_space},
    reader::LOOKUP,
    scan::{STEP, Scanner, SecretRange},
};

/// What stands where a value would, and is none: literals, placeholders, and what messages say of a
/// secret. By length, from two letters on.
const NO_VALUES: [&[&[u8]]; 8] = [
    &[b"in", b"is", b"no", b"of", b"ok", b"on"],
    &[
        b"bad", b"but", b"for", b"has", b"nil", b"not", b"off", b"set", b"str", b"the", b"too",
        b"was", b"yes",
    ],
    &[b"must", b"none", b"null", b"true"],
    &[b"empty", b"error", b"false", b"unset", b"valid", b"wrong"],
    &[b"absent", b"cannot", b"denied", b"failed", b"should", b"string"],
    &[b"expired", b"invalid", b"missing", b"revoked", b"unknown"],
    &[b"mismatch", b"redacted", b"rejected", b"required"],
    &[b"incorrect", b"malformed", b"undefined"],
];

/// Schemes of `Authorization` that one credential follows, and those that parameters follow.
const ONE: &[&[u8]] =
    &[b"apikey", b"basic", b"bearer", b"dpop", b"key", b"negotiate", b"ntlm", b"token"];
const MANY: &[&[u8]] =
    &[b"aws4-hmac-sha256", b"digest", b"gnap", b"hawk", b"oauth", b"scram-sha-256", b"signature"];

/// How often a quote may be escaped: by JSON in JSON in JSON.
const DEEPEST: usize = 7;

fn is_one_of(word: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known))
}

impl Scanner<'_, '_> {
    /// Finds the value that begins at `from`, of the name that ends at `name`; `prose` if it may also be
    /// the rest of a sentence.
    #[inline(never)]
    pub(super) fn value(&self, mut from: usize, name: usize, prose: bool) -> Option<SecretRange> {
        // `Some("x")`, `Secret("x")`, `b"x"`, `Password { value: "x" }`
        for _ in 0..3 {
            if !self.text.at(from).is_ascii_alphabetic() {
                break;
            }
            let end = self.text.end_of(from, in_identifier);
            match self.text.at(end) {
                // `hun(ter2` is a value of its own.
                b'(' if self.text.at(from).is_ascii_uppercase()
                    || is_quote(self.text.at(end + 1))
                    || self.text.at(end + 1) == b')' =>
                {
                    from = end + 1;
                }
                b'"' | b'\'' if end - from <= 2 => from = end,
                b' ' if self.text.at(end + 1) == b'{'
                    && self.text.at(from).is_ascii_uppercase() =>
                {
                    return self.bracketed(end + 1).map(|found| SecretRange { from, ..found });
                }
                _ => break,
            }
        }
        match self.text.at(from) {
            quote if is_quote(quote) => self.quoted(from + 1, quote),
            b'\\' | b'&' if let Some(quote) = self.written_quote_at(from) => {
                self.until(from + quote.len(), quote)
            }
            b'\\' if let Some(depth) = self.depth_of_quote(from) => {
                self.escaped(from + depth + 1, depth)
            }
            b'[' | b'{' => self.bracketed(from),
            b'*' | b'(' if self.is_placeholder(from) => None,
            0..=b' ' | b'<' | b'>' | b')' | b']' | b'}' | b',' | b';' | b'&' => None,
            _ => self.word(from, name, prose),
        }
    }

    pub(super) fn quoted(&self, from: usize, quote: u8) -> Option<SecretRange> {
        let mut to = from;
        loop {
            to = self.text.end_of(to, |byte| byte != quote && byte != b'\\' && byte != b'\n');
            match self.text.at(to) {
                b'\\' => to += 2,
                // An apostrophe need not be closed; a text in double quotes may have lines.
                b'\n' if quote == b'"' => to += 1,
                _ => break,
            }
        }
        SecretRange::some(from, to.min(self.text.len()))
    }

    /// `***`, `(empty)`
    fn is_placeholder(&self, from: usize) -> bool {
        match self.text.at(from) {
            b'*' => {
                let end = self.text.end_of(from, |byte| byte == b'*');
                !self.text.at(end).is_ascii_alphanumeric()
            }
            _ => {
                let end = self.text.end_of(from + 1, |b| b.is_ascii_alphabetic() || b == b' ');
                self.text.at(end) == b')'
            }
        }
    }

    /// Returns how many backslashes stand before a quote, from `from` on.
    fn depth_of_quote(&self, from: usize) -> Option<usize> {
        let end = self.text.end_of(from, |byte| byte == b'\\');
        (is_quote(self.text.at(end)) && end - from <= DEEPEST).then_some(end - from)
    }

    /// `\"x\"`, as JSON within a text has it, or `\\\"x\\\"` within such JSON: `depth` backslashes before each
    /// quote.
    fn escaped(&self, from: usize, depth: usize) -> Option<SecretRange> {
        let mut to = from;
        loop {
            to = self.text.end_of(to, |byte| byte != b'\\');
            let end = self.text.end_of(to, |byte| byte == b'\\');
            if to >= self.text.len() || (end - to <= depth && is_quote(self.text.at(end))) {
                break;
            }
            // A quote within has more of them; all else that is escaped is part of it as well.
            to = end + 1;
        }
        SecretRange::some(from, to.min(self.text.len()))
    }

    /// `[1, 2]`, `{"a": "b"}`: up to the bracket that closes it.
    fn bracketed(&self, from: usize) -> Option<SecretRange> {
        self.text.spend(STEP);
        let (mut depth, mut at) = (0_usize, from);
        loop {
            at = self.text.end_of(at, |byte| !matches!(byte, b'[' | b']' | b'{' | b'}' | b'"'));
            match self.text.at(at) {
                0 => break,
                b'[' | b'{' => depth += 1,
                b'"' => at = self.quoted(at + 1, b'"').map_or(at + 1, |found| found.to),
                _ => depth -= 1,
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        let to = at.min(self.text.len());
        // Empty ones hide nothing.
        if to - from <= 2 { None } else { SecretRange::some(from, to) }
    }

    /// A value without quotes.
    #[inline(never)]
    fn word(&self, from: usize, name: usize, prose: bool) -> Option<SecretRange> {
        let to = self.word_end(from);
        let word = self.text.slice(from, to.min(from + 40));
        let whole = to - from <= 40;
        self.text.spend(LOOKUP);
        let bare = word.trim_suffix_of(b".!?:");
        // `•••`
        if whole && bare.chunks(3).all(|it| matches!(it, [0xe2, 0x80, 0xa2] | [0xe2, 0x97, 0x8f])) {
            return None;
        }
        let plain = bare.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'\'')
            && !bare.iter().skip(1).any(u8::is_ascii_uppercase);
        let no_values = bare.len().checked_sub(2).and_then(|length| NO_VALUES.get(length));
        if whole && plain && no_values.is_some_and(|list| is_one_of(bare, list)) {
            return None;
        }
        // `token = ?`, `token = $1`, `token = %s`: placeholders of statements.
        if whole && matches!(bare, [b'?'] | [] | [b'%', b's'] | [b'$', b'0'..=b'9', ..]) {
            return None;
        }
        let ends = |end: &[u8]| name >= end.len() && self.text.has_any_case(name - end.len(), end);
        if whole && self.text.at(to) == b' ' && ends(b"authorization") {
            if is_one_of(bare, MANY) {
                return SecretRange::some(to + 1, self.line_end(to + 1));
            }
            let next = self.text.end_of(to, is_space);
            if is_one_of(bare, ONE) && self.text.at(next) > b' ' {
                let hidden = self.text.has(next, REDACTED.as_bytes());
                return if hidden { None } else { self.word(next, 0, false) };
            }
        }
        if word.contains(&b'=') && (ends(b"cookie") || ends(b"cookies")) {
            // All that was looked at is left behind.
            return SecretRange::some(from, self.line_end(from).max(to));
        }
        let goes_on = self.text.at(to) == b' ' && self.text.at(to + 1).is_ascii_alphabetic();
        let counts = bare.len() <= 2 && bare.iter().all(u8::is_ascii_digit);
        // «password: must be ...», «password: 3 attempts left»
        if prose && whole && goes_on && (plain || counts) {
            return None;
        }
        SecretRange::some(from, to)
    }

    /// Returns where a header's value ends that may have blanks.
    fn line_end(&self, from: usize) -> usize {
        let to = self.text.end_of(from, |byte| byte >= b' ' && !is_quote(byte) && byte != b'\\');
        // `Digest username="ada", ...`
        if self.text.at(to) == b'"' && self.text.before(to) == b'=' {
            return self.text.end_of(to, |byte| byte >= b' ' && byte != b'\'');
        }
        to
    }

    /// Returns where a value without quotes ends. Marks that may be part of one end it only if what
    /// follows is none.
    fn word_end(&self, from: usize) -> usize {
        let mut at = from;
        loop {
            at = self.text.end_of(at, |byte| {
                byte > b' '
                    && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | b'`' | b')')
                    && !matches!(byte, b']' | b'}' | b',' | b';' | b'|' | b'\\')
            });
            let next = || self.text.at(at + 1);
            let ends = match self.text.at(at) {
                b',' | b';' | b'|' => match self.text.end_of(at + 1, in_name) {
                    end if end > at + 1 => matches!(self.text.at(end), b'=' | b':'),
                    _ => {
                        let next = next();
                        next <= b' ' || is_quote(next) || matches!(next, b'}' | b')')
                    }
                },
                b'"' | b'\'' | b'`' | b')' | b']' | b'}' => !next().is_ascii_alphanumeric(),
                b'\\' => matches!(next(), b'n' | b'r' | b't' | b'"' | b'\'' | b'`'),
                _ => true,
            };
            if ends {
                return at.min(self.text.len());
            }
            at += 1;
        }
    }
}

trait TrimSuffix {
    fn trim_suffix_of(&self, marks: &[u8]) -> &Self;
}

impl TrimSuffix for [u8] {
    fn trim_suffix_of(&self, marks: &[u8]) -> &Self {
        match self {
            [rest @ .., last] if marks.contains(last) => rest,
            whole => whole,
        }
    }
}
