//! Names with their values within a text: `password=x`, `"password": "x"`, `?token=x`, headers,
//! options of a command, elements of XML.

use super::{
    REDACTED,
    names::NameVerdict,
    reader::LOOKUP,
    scan::{Mode, STEP, Scanner, SecretRange},
};

/// The most bytes of a name that are looked at; those at its end.
const LONGEST_NAME: usize = 96;

/// What stands where a value would, and is none: literals, placeholders, and what messages say of a
/// secret. By length, from two letters on.
const NO_VALUES: [&[&[u8]]; 8] = [
    &[b"in", b"is", b"no", b"of", b"ok"],
    &[b"bad", b"but", b"for", b"has", b"nil", b"not", b"set", b"str", b"the", b"too", b"was"],
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

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%')
}

fn in_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn is_one_of(word: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// A name that stands before a separator.
#[derive(Clone, Copy)]
struct Name {
    start: usize,
    end: usize,
    quoted: bool,
    verdict: NameVerdict,
}

impl Scanner<'_, '_> {
    /// Looks at what stands around a `:` or `=`.
    #[inline(never)]
    pub(super) fn pair(&self, at: usize, colon: bool) -> Option<SecretRange> {
        if self.mode != Mode::Text && at >= self.query {
            return if colon { None } else { self.parameter(at) };
        }
        let name = self.name_before(at)?;
        let before = || self.text.before(name.start);
        if name.verdict == NameVerdict::HiddenParameter {
            match before() {
                b'?' | b'&' | b'#' => {}
                b';' if name.start >= 5 && self.text.has(name.start - 5, b"&amp;") => {}
                // The first pair of a form; it ends at a blank, before the next that could be one.
                0 | b' ' | b'\n' if !colon => return self.first_of_form(at + 1),
                _ => return None,
            }
        }
        let (mut from, next) = (at + 1, self.text.at(at + 1));
        match (colon, next) {
            // `a::b`, `a == b`
            (true, b':') | (false, b'=') => return None,
            // `a := b`, `a => b`
            (true, b'=') | (false, b'>') => from += 1,
            _ => {}
        }
        let spaces = from;
        from = self.text.end_of(from, is_space).min(from + 16);
        let spaced = from > spaces;
        // `token:8080` after `//`; `secret:name` in `arn:aws:...:secret:name`.
        if colon && !spaced && !name.quoted && matches!(before(), b'/' | b'@' | b':') {
            return None;
        }
        let prose = colon && spaced && !name.quoted;
        // `auth::token: refreshed` is a module's line.
        if prose && name.start >= 2 && self.text.has(name.start - 2, b"::") {
            return None;
        }
        if prose && name.start >= 9 && self.text.has_any_case(name.start - 8, b"xpected ") {
            return None; // «unexpected token: x» is about syntax.
        }
        self.value(from, name.end, prose)
    }

    fn first_of_form(&self, from: usize) -> Option<SecretRange> {
        let to = self.text.end_of(from, |byte| byte > b' ' && byte != b'&');
        if self.text.at(to) == b'&' { SecretRange::some(from, to) } else { None }
    }

    /// `("password", "x")`, as `Debug` writes lists of pairs.
    pub(super) fn quoted_pair(&self, at: usize) -> Option<SecretRange> {
        let name = self.name_before(at)?;
        let quote = self.text.before(name.start);
        let mut open = name.start - usize::from(is_quote(quote));
        if self.text.before(open) == b'\\' {
            open -= 1;
        }
        let listed = is_quote(quote) && matches!(self.text.before(open), b'(' | b'[');
        if !listed || name.verdict != NameVerdict::Hidden {
            return None;
        }
        let from = self.text.end_of(at + 1, is_space);
        self.value(from, name.end, false)
    }

    /// `Password("x")`, as `Debug` writes a type of one field.
    pub(super) fn tuple(&self, at: usize) -> Option<SecretRange> {
        if !is_quote(self.text.at(at + 1)) {
            return None;
        }
        let name = self.name_before(at)?;
        let typed = self.text.at(name.start).is_ascii_uppercase() && !name.quoted;
        if !typed || name.verdict != NameVerdict::Hidden {
            return None;
        }
        self.quoted(at + 2, self.text.at(at + 1))
    }

    /// `<password>x</password>`
    pub(super) fn element(&self, at: usize) -> Option<SecretRange> {
        let name = self.name_before(at)?;
        let mut open = name.start;
        if self.text.before(open) == b':' {
            open = self.text.start_of(open - 1, in_identifier);
        }
        if self.text.before(open) != b'<' || name.verdict != NameVerdict::Hidden {
            return None;
        }
        // `<token>: missing` is a placeholder.
        if matches!(self.text.at(at + 1), b':' | b' ' | b',' | b'.') {
            return None;
        }
        let to = self.text.end_of(at + 1, |byte| byte != b'<');
        SecretRange::some(at + 1, to)
    }

    /// `--password x`, and the begin of a PEM block.
    pub(super) fn dashes(&self, at: usize) -> Option<SecretRange> {
        let third = self.text.at(at + 2);
        if third == b'-' && self.text.has(at, b"-----BEGIN ") {
            return self.private_key(at);
        }
        let before = if third.is_ascii_alphabetic() { self.text.before(at) } else { b'-' };
        if !(before == 0 || is_space(before) || is_quote(before) || before == b'[') {
            return None;
        }
        // Nothing before which an option may stand is part of its name: none is read twice.
        let end = self.text.end_of(at + 2, |byte| in_identifier(byte) || byte == b'-');
        let last = self.text.before(end);
        if !self.may_be_hidden(end, last) || self.verdict_before(end, last)? != NameVerdict::Hidden
        {
            return None;
        }
        let next = self.text.at(end);
        let from = if is_space(next) {
            end + 1
        } else if is_quote(next) && self.text.at(end + 1) == b',' {
            // `["--password", "x"]`
            self.text.end_of(end + 2, is_space)
        } else {
            return None;
        };
        if self.text.at(from) == b'-' { None } else { self.value(from, end, true) }
    }

    /// A private key, from its begin to its end (RFC 7468).
    fn private_key(&self, at: usize) -> Option<SecretRange> {
        let label = at + 11;
        let end = self.text.end_of(label, |byte| byte.is_ascii_uppercase() || byte == b' ');
        if !self.text.slice(label, end).ends_with(b"PRIVATE KEY") {
            return None;
        }
        let mut to = self.text.end_of(end, |byte| byte == b'-');
        while to < self.text.len() && !self.text.has(to, b"-----END ") {
            to = self.text.end_of(to + 1, |byte| byte != b'-');
        }
        to = self.text.end_of((to + 9).min(self.text.len()), |byte| byte != b'-');
        SecretRange::some(at, self.text.end_of(to, |byte| byte == b'-'))
    }

    /// `name=value` in a query, `&` between; the name may be percent-encoded.
    fn parameter(&self, at: usize) -> Option<SecretRange> {
        let last = self.text.before(at);
        if !self.may_be_hidden(at, last) {
            return None;
        }
        self.verdict_before(at, last)?;
        let start =
            self.text.start_of(at, |byte| !matches!(byte, b'&' | b'?' | b'#' | b';' | b'='));
        // Only the first `=` ends a name.
        if self.text.before(start) == b'=' {
            return None;
        }
        let to = self.text.end_of(at + 1, |byte| !matches!(byte, b'&' | b'#'));
        SecretRange::some(at + 1, to)
    }

    /// Reads the name before a separator, unless its end says that it is none to be hidden.
    #[inline(never)]
    fn name_before(&self, separator: usize) -> Option<Name> {
        self.text.spend(STEP);
        let mut end = separator;
        let mut last = self.text.before(end);
        if last == b' ' {
            end -= 1;
            last = self.text.before(end);
        }
        let quoted = is_quote(last);
        if quoted {
            end -= 1;
            last = self.text.before(end);
            if last == b'\\' {
                end -= 1;
                last = self.text.before(end);
            }
        }
        // Its last letters were looked at, or it would not be read.
        let announced = separator - end <= 1 && last.is_ascii_alphabetic() && !self.is_escaped(end);
        if !announced && !self.may_be_hidden(end, last) {
            return None;
        }
        let verdict = self.verdict_before(end, last)?;
        let start = self.text.start_of(end, in_name);
        Some(Name { end, start, quoted, verdict })
    }

    /// Finds out what becomes of the value of the name that ends at `end`, with the byte `last`.
    #[inline]
    fn verdict_before(&self, end: usize, last: u8) -> Option<NameVerdict> {
        if !in_name(last) {
            return None;
        }
        self.text.spend(LOOKUP);
        // The last `%` that was seen stands within it, or not far before it.
        let verdict = if self.percent.is_some_and(|percent| percent + LONGEST_NAME > end) {
            self.decoded(end)
        } else {
            let name = self.text.around(end.saturating_sub(LONGEST_NAME), end);
            if last.is_ascii_alphabetic() {
                self.rules.names.named(name)
            } else {
                self.rules.names.verdict(name)
            }
        };
        verdict.filter(|verdict| *verdict != NameVerdict::Shown)
    }

    /// Does so for a name that may have `%XX` in it.
    #[inline(never)]
    fn decoded(&self, mut end: usize) -> Option<NameVerdict> {
        self.text.spend(LOOKUP);
        let mut name = [0; LONGEST_NAME];
        let mut free = LONGEST_NAME;
        while end > 0 && free > 0 {
            let byte = self.letter_before(&mut end);
            if !in_name(byte) {
                break;
            }
            free -= 1;
            name[free] = byte;
        }
        self.rules.names.verdict(&name[free..])
    }

    /// Turns away nearly all names, by what they end with.
    #[inline]
    fn may_be_hidden(&self, end: usize, last: u8) -> bool {
        let names = &self.rules.names;
        if last.is_ascii_digit() && names.numbered {
            return true;
        }
        let mut end = end;
        let mut last = self.letter_before(&mut end);
        // `password2`, `user[password]`
        while matches!(last, b'0'..=b'9' | b'[' | b']') {
            last = self.letter_before(&mut end);
        }
        if end == 0 {
            return false;
        }
        let before = self.letter_before(&mut end);
        names.may_end_with(|| self.letter_before(&mut end), before, last)
    }

    /// Returns the byte before `end`, and moves that there; one that is written as `%XX` is decoded.
    #[inline(always)]
    fn letter_before(&self, end: &mut usize) -> u8 {
        if self.is_escaped(*end)
            && let Some(from) = end.checked_sub(3)
            && self.text.at(from) == b'%'
            && let (Some(high), Some(low)) =
                (hex(self.text.at(from + 1)), hex(self.text.at(from + 2)))
        {
            *end = from;
            return high << 4 | low;
        }
        let byte = self.text.before(*end);
        *end = end.saturating_sub(1);
        byte
    }

    /// Finds the value that begins at `from`, of the name that ends at `name`; `prose` if it may also be
    /// the rest of a sentence.
    #[inline(never)]
    fn value(&self, mut from: usize, name: usize, prose: bool) -> Option<SecretRange> {
        // `Some("x")`, `Secret("x")`, `b"x"`, `Password { value: "x" }`
        for _ in 0..3 {
            if !self.text.at(from).is_ascii_alphabetic() {
                break;
            }
            let end = self.text.end_of(from, in_identifier);
            match self.text.at(end) {
                b'(' => from = end + 1,
                b'"' if end - from <= 2 => from = end,
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
            b'\\' if is_quote(self.text.at(from + 1)) => self.escaped(from + 2),
            b'[' | b'{' => self.bracketed(from),
            0..=b' ' | b'*' | b'<' | b'>' | b'(' | b')' | b']' | b'}' | b',' | b';' | b'&' => None,
            _ => self.word(from, name, prose),
        }
    }

    fn quoted(&self, from: usize, quote: u8) -> Option<SecretRange> {
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

    /// `\"x\"`, as JSON within a text has it.
    fn escaped(&self, from: usize) -> Option<SecretRange> {
        let mut to = from;
        loop {
            to = self.text.end_of(to, |byte| byte != b'\\');
            if to >= self.text.len() || is_quote(self.text.at(to + 1)) {
                break;
            }
            // `\\\"` is a quote within; all else that is escaped is part of it as well.
            to += if self.text.has(to, br#"\\\""#) { 4 } else { 2 };
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
        let plain = bare.iter().all(u8::is_ascii_alphabetic)
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
                    && !matches!(byte, b']' | b'}' | b',' | b';' | b'\\')
            });
            let next = || self.text.at(at + 1);
            let ends = match self.text.at(at) {
                b',' | b';' => match self.text.end_of(at + 1, in_name) {
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
