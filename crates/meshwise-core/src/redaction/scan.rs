//! One pass over a text. Each byte is looked up in a table; those that may begin or end a secret are
//! looked at more closely.
//!
//! What is found out about a stretch of text (where a word ends, where the next `@` stands) is kept
//! until the pass has left it, so that no stretch is looked through again and again: the cost grows
//! with the length of the text, whatever is in it.

use super::{
    REDACTED, REDACTED_IN_URL, RedactionRules,
    cards::{Around, Cards},
    classes::{
        APOSTROPHE, BACKSLASH, COLON, COMMA, DASH, DIGIT, EQUALS, MARK, NAME_END, OPEN, PERCENT,
        TAG_END, WORD,
    },
    reader::Reader,
    tokens::Run,
};
use std::borrow::Cow;

/// What a candidate costs besides looks, and a replacement, in the units of [`Reader`].
pub(super) const STEP: u64 = 40;
const REPLACE: u64 = 120;

/// Says what kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Text,
    /// A URL's query: pairs with `&` between.
    Query,
    Url,
}

/// A secret: its range, on character boundaries, because what surrounds secrets is ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SecretRange {
    pub(super) from: usize,
    pub(super) to: usize,
    /// A user and a password with a colon between, both of them hidden.
    pub(super) user_and_password: bool,
}

impl SecretRange {
    /// An empty range is no secret.
    pub(super) fn some(from: usize, to: usize) -> Option<Self> {
        (from < to).then_some(Self { from, to, user_and_password: false })
    }
}

/// Looks through one text.
pub(super) struct Scanner<'r, 't> {
    pub(super) rules: &'r RedactionRules,
    pub(super) mode: Mode,
    pub(super) text: Reader<'t>,
    source: &'t str,
    cards: Cards,
    /// Where the last escape (`%20`, `\n`) ended: what follows it begins a word.
    pub(super) escape: usize,
    /// Where the last `%XX` stands.
    pub(super) percent: Option<usize>,
    /// What is known of the word of letters, digits, `-` and `_` looked at last.
    pub(super) run: Run,
    /// Up to where there is no credential, or no web token, though one seemed to begin.
    pub(super) no_credential: usize,
    pub(super) no_jwt: usize,
    /// Where the word that is looked at ends, as far as URLs go, and where the next `@` stands.
    pub(super) word_end: usize,
    pub(super) at_sign: usize,
    /// Where the query or the fragment of a URL begins.
    pub(super) query: usize,
}

impl<'r, 't> Scanner<'r, 't> {
    pub(super) fn new(rules: &'r RedactionRules, mode: Mode, source: &'t str, limit: u64) -> Self {
        let text = Reader::new(source, limit);
        let query = match mode {
            Mode::Url => text.end_of(0, |byte| byte != b'?' && byte != b'#'),
            _ => 0,
        };
        Self {
            rules,
            mode,
            text,
            source,
            cards: Cards::default(),
            escape: 0,
            percent: None,
            run: Run::default(),
            no_credential: 0,
            no_jwt: 0,
            word_end: 0,
            at_sign: 0,
            query,
        }
    }

    /// Returns the text without secrets, and what that cost.
    pub(super) fn run(mut self) -> (Cow<'t, str>, u64) {
        let source = self.source;
        let mut out = String::new();
        let classes = &self.rules.classes;
        let (mut copied, mut at, mut before) = (0, 0, 0);
        while let Some((here, byte)) =
            self.text.here(at, before, classes).or_else(|| self.text.next(at, before, classes))
        {
            if !self.may_announce(here, byte) && !self.text.is_exhausted() {
                (at, before) = (here + 1, classes[usize::from(byte)]);
                continue;
            }
            let (found, next) = match classes[usize::from(byte)] & MARK {
                0 => (self.token(here, byte), here + 1),
                _ => self.look(here, byte),
            };
            before = match next {
                // What follows an escape begins a word.
                next if next == self.escape => 0,
                next if next == here + 1 => classes[usize::from(byte)],
                next => classes[usize::from(self.text.before(next))],
            };
            at = next;
            self.text.spend(STEP);
            // What costs more than three times as much as plain text has little but secrets, or what
            // looks like them: its rest is hidden as a whole.
            if self.text.is_exhausted() {
                let begun = found.map_or(here, |found| found.from);
                let shown = here.min(begun).min(self.cards.latest_start(here));
                out.push_str(source.get(copied..shown).unwrap_or_default());
                out.push_str(self.instead());
                return (Cow::Owned(out), self.text.spent());
            }
            let Some(found) = found.filter(|found| found.from >= copied) else { continue };
            // What is found by what stands after it lies behind.
            at = at.max(found.to);
            before = classes[usize::from(self.text.before(at))];
            if self.is_hidden(&found) {
                continue;
            }
            if out.is_empty() {
                out.reserve(source.len());
            }
            // Ranges lie on character boundaries; were one not to, the text would be lost, not shown.
            out.push_str(source.get(copied..found.from).unwrap_or_default());
            out.push_str(self.instead());
            if found.user_and_password {
                out.push(':');
                out.push_str(self.instead());
            }
            copied = found.to;
            self.text.spend(REPLACE);
        }
        if copied == 0 {
            return (Cow::Borrowed(source), self.text.spent());
        }
        out.push_str(source.get(copied..).unwrap_or_default());
        (Cow::Owned(out), self.text.spent())
    }

    fn instead(&self) -> &'static str {
        if self.mode == Mode::Text { REDACTED } else { REDACTED_IN_URL }
    }

    /// Tells whether this was hidden before, here or upstream.
    fn is_hidden(&self, found: &SecretRange) -> bool {
        let value = self.source.get(found.from..found.to).unwrap_or_default();
        matches!(value, REDACTED | REDACTED_IN_URL | "REDACTED:REDACTED")
    }

    /// Turns away most bytes that only seem to begin or end something, by those beside them.
    fn may_announce(&self, at: usize, byte: u8) -> bool {
        let classes = &self.rules.classes;
        let next = || self.text.peek(at + 1);
        let ends_name = || self.may_end_name(at);
        match classes[usize::from(byte)] & MARK {
            0 => self.rules.prefixes.may_begin(byte, next(), || self.text.peek(at + 2)),
            EQUALS | TAG_END => ends_name(),
            OPEN => matches!(next(), b'"' | b'\'') && ends_name(),
            COLON => ends_name() || next() == b'/' || self.text.peek(at + 2) == b'/',
            // `PASSWORD 'x'`, `IDENTIFIED BY 'x'`
            APOSTROPHE => {
                self.text.peek(at.wrapping_sub(1)) == b' '
                    && (ends_name() || self.text.peek(at.wrapping_sub(2)) | 0x20 == b'y')
            }
            COMMA => {
                matches!(self.text.peek(at.wrapping_sub(1)), b'"' | b'\'' | b'`') && ends_name()
            }
            DASH => next() == b'-' && self.text.peek(at.wrapping_sub(1)) != b'-',
            PERCENT => next() == b'B' || next().is_ascii_hexdigit(),
            BACKSLASH => matches!(next(), b'n' | b'r' | b't'),
            // A digit alone is part of nothing.
            DIGIT => self.cards.is_open() || next().is_ascii_digit(),
            _ => true,
        }
    }

    /// Tells whether a name of the list may end before `at`, by its last two letters if it ends with one.
    fn may_end_name(&self, at: usize) -> bool {
        let may_belong = |byte| self.rules.classes[usize::from(byte)] & (WORD | NAME_END) != 0;
        let names = &self.rules.names;
        let (mut at, mut last) = (at, self.text.peek(at.wrapping_sub(1)));
        if !last.is_ascii_alphabetic() {
            // A quote, a blank, a bracket, a digit.
            if !may_belong(last) {
                // `&quot;`, `&#34;`
                return last == b';' && matches!(self.text.peek(at.wrapping_sub(2)), b't' | b'4');
            }
            if names.numbered && last.is_ascii_digit() {
                return true;
            }
            at -= 1;
            last = self.text.peek(at.wrapping_sub(1));
            if !last.is_ascii_alphabetic() {
                return last == b'\\' || may_belong(last);
            }
        }
        self.is_escaped(at)
            || names.may_end_with(
                || self.text.peek(at.wrapping_sub(3)),
                self.text.peek(at.wrapping_sub(2)),
                last,
            )
    }

    /// Tells whether some of the three letters before `at` may be written as `%XX`.
    pub(super) fn is_escaped(&self, at: usize) -> bool {
        self.percent.is_some_and(|percent| percent + 9 >= at)
    }

    /// Looks at the byte at `at`; returns what it announces, and where to go on if that is nothing.
    #[inline(never)]
    fn look(&mut self, at: usize, byte: u8) -> (Option<SecretRange>, usize) {
        let next = at + 1;
        match self.rules.classes[usize::from(byte)] & MARK {
            DIGIT => self.digits(at, byte),
            COLON if self.is_url(next) => (self.url(at), next),
            COLON | EQUALS => (self.pair(at, byte == b':'), next),
            DASH => (self.dashes(at), next),
            COMMA => (self.quoted_pair(at), next),
            TAG_END => (self.element(at), next),
            OPEN => (self.tuple(at), next),
            APOSTROPHE => (self.statement(at), next),
            // The first track of a card begins with `%B` and its number.
            PERCENT if self.text.at(next) == b'B' && self.is_long_number(at + 2) => {
                self.escape = at + 2;
                (None, self.escape)
            }
            PERCENT if self.is_escape(at) => {
                self.percent = Some(at);
                self.escape = at + 3;
                // `Bearer%20x` and the like begin before it; nothing begins within.
                (self.encoded_pair(at), self.escape)
            }
            BACKSLASH if matches!(self.text.at(next), b'n' | b'r' | b't') => {
                self.escape = at + 2;
                (None, self.escape)
            }
            _ => (None, next),
        }
    }

    /// Tells whether `//` follows, or `\/\/` as some write it in JSON.
    fn is_url(&self, from: usize) -> bool {
        match self.text.at(from) {
            b'/' => true,
            b'\\' => self.text.at(from + 1) == b'/',
            _ => false,
        }
    }

    fn is_long_number(&self, from: usize) -> bool {
        (from..from + 13).all(|at| self.text.at(at).is_ascii_digit())
    }

    /// Tells whether a `%` is followed by two hexadecimal digits.
    pub(super) fn is_escape(&self, at: usize) -> bool {
        self.text.at(at + 1).is_ascii_hexdigit() && self.text.at(at + 2).is_ascii_hexdigit()
    }

    /// Tells whether a word may begin here, rather than go on.
    #[inline]
    pub(super) fn begins_word(&self, at: usize) -> bool {
        at == self.escape || !self.text.before(at).is_ascii_alphanumeric()
    }

    /// Where a blank or a dash beyond ASCII begins that ends at `to`: U+00A0, U+2000 to U+2015, U+202F.
    fn blank_or_dash_before(&self, to: usize) -> Option<usize> {
        let from = to.checked_sub(3)?;
        match [self.text.at(from), self.text.at(from + 1), self.text.at(from + 2)] {
            [0xe2, 0x80, 0x80..=0x95 | 0xaf] => Some(from),
            [_, 0xc2, 0xa0] => Some(from + 1),
            _ => None,
        }
    }

    #[inline(never)]
    fn digits(&mut self, from: usize, first: u8) -> (Option<SecretRange>, usize) {
        let to = self.text.end_of(from + 1, |byte| byte.is_ascii_digit());
        if !self.cards.may_take(to - from, first) {
            self.cards.reset();
            return (None, to);
        }
        let before = self.text.before(from);
        let escaped = from == self.escape && from >= 3;
        let fraction = before == b'.' && self.text.before(from - 1).is_ascii_digit();
        let around = Around {
            from,
            before: match before {
                b' ' | b'-' | b'.' | b'+' | b'_' => Some(from - 1),
                _ if escaped && self.text.has(from - 3, b"%20") => Some(from - 3),
                0x80.. => self.blank_or_dash_before(from),
                _ => None,
            },
            begins: self.begins_word(from) && !fraction,
            ends: !self.text.at(to).is_ascii_alphabetic(),
        };
        self.text.spend(STEP);
        let found = self.cards.take(self.text.slice(from, to), &around);
        (found.and_then(|from| SecretRange::some(from, to)), to)
    }
}
