//! Names with their values within a text: `password=x`, `"password": "x"`, `?token=x`, headers,
//! options of a command, elements of XML.

use super::{
    names::NameVerdict,
    reader::LOOKUP,
    scan::{Mode, STEP, Scanner, SecretRange},
};

/// The most bytes of a name that are looked at; those at its end.
const LONGEST_NAME: usize = 96;

pub(super) fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%')
}

pub(super) fn in_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
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
                _ if super::names::is_pass(self.text.slice(name.start, name.end)) => {
                    return self.pass(at + 1, name.end, colon);
                }
                // The first pair of a form; it ends at a blank, before the next that could be one.
                0 | b' ' | b'\n' | b'"' | b'\'' if !colon => return self.first_of_form(at + 1),
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
        // `POST /oauth/token: 401`
        if spaced && before() == b'/' && self.is_path(name.start) {
            return None;
        }
        self.value(from, name.end, prose)
    }

    /// Tells whether the word that goes on at `to` begins as a path or has the beginning of a URL.
    fn is_path(&self, to: usize) -> bool {
        let from = self.text.start_of(to, |byte| byte > b' ' && !is_quote(byte));
        self.text.at(from) == b'/' || self.text.slice(from, to).windows(3).any(|it| it == b"://")
    }

    /// `PASSWORD 'x'`, `IDENTIFIED BY 'x'`, as statements that make users have it.
    pub(super) fn statement(&self, at: usize) -> Option<SecretRange> {
        let ends = |end: &[u8]| at > end.len() && self.text.has_any_case(at - 1 - end.len(), end);
        let known = ends(b"password") || ends(b"identified by");
        if known { self.quoted(at + 1, b'\'') } else { None }
    }

    /// `pass=x`, `pass: "x"`: a word of tests and tools as well, which counts.
    fn pass(&self, from: usize, name: usize, colon: bool) -> Option<SecretRange> {
        let from = if colon { self.text.end_of(from, is_space).min(from + 16) } else { from };
        if colon && !is_quote(self.text.at(from)) {
            return None;
        }
        let to = self.text.end_of(from, |b| b.is_ascii_digit() || matches!(b, b'.' | b'/' | b'%'));
        let counts = to > from && !self.text.at(to).is_ascii_alphanumeric();
        if counts { None } else { self.value(from, name, false) }
    }

    fn first_of_form(&self, from: usize) -> Option<SecretRange> {
        let to = self.text.end_of(from, |byte| byte > b' ' && byte != b'&' && !is_quote(byte));
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
        if !is_quote(quote) || name.verdict != NameVerdict::Hidden {
            return None;
        }
        let from = self.text.end_of(at + 1, is_space);
        match self.text.before(open) {
            b'(' | b'[' => self.value(from, name.end, false),
            b':' | b'=' | b' ' => self.value_of_named(open, from, name.end),
            _ => None,
        }
    }

    /// `"name": "password", "value": "x"`: the value of what is named before `open`, if one is at `from`.
    fn value_of_named(&self, open: usize, from: usize, name: usize) -> Option<SecretRange> {
        let mark = |byte| is_space(byte) || is_quote(byte) || matches!(byte, b'\\' | b':' | b'=');
        let end = self.text.start_of(open, mark);
        if open - end > 8 || !["name", "key"].iter().any(|it| self.ends_with(end, it.as_bytes())) {
            return None;
        }
        let begin = self.text.end_of(from, |byte| is_quote(byte) || byte == b'\\');
        if begin - from > 8 || !self.text.has_any_case(begin, b"value") {
            return None;
        }
        let end = begin + 5;
        let separator =
            self.text.end_of(end, |byte| is_space(byte) || is_quote(byte) || byte == b'\\');
        if separator - end > 8 || !matches!(self.text.at(separator), b':' | b'=') {
            return None;
        }
        self.value(self.text.end_of(separator + 1, is_space), name, false)
    }

    fn ends_with(&self, to: usize, end: &[u8]) -> bool {
        to >= end.len() && self.text.has_any_case(to - end.len(), end)
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
        if name.verdict != NameVerdict::Hidden {
            return None;
        }
        match self.text.before(open) {
            b'<' => {}
            // `<password a="b">x</password>`
            b'/' if self.text.before(open - 1) == b'<' => {
                let from = self.text.start_of(open - 2, |byte| byte != b'>');
                return if from > 0 { SecretRange::some(from, open - 2) } else { None };
            }
            _ => return None,
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
        let label = self.text.slice(label, end);
        // The second one is OpenPGP's (RFC 9580 section 6.2).
        if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
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
        if is_space(last) {
            end = self.text.start_of(end, is_space);
            last = self.text.before(end);
        }
        let written = self.written_quote_before(end);
        let quoted = written > 0 || is_quote(last);
        if quoted {
            end -= written.max(1);
            last = self.text.before(end);
            if last == b'\\' {
                end = self.text.start_of(end, |byte| byte == b'\\');
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
    pub(super) fn verdict_before(&self, end: usize, last: u8) -> Option<NameVerdict> {
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
    pub(super) fn may_be_hidden(&self, end: usize, last: u8) -> bool {
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
}
