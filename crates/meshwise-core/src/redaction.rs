//! Keeping secrets out of what is recorded: one list of names and patterns for every signal.
//!
//! Log lines, span names, attributes, events, status descriptions and URLs are passed through a
//! [`Redaction`] on their way out. It hides by name (fields, attributes, headers, URL and form
//! parameters) and by the looks of a text. The work is linear in the length of the text, whatever is
//! in it; a text with nothing to hide is borrowed. Looking at a text has a limit, of less than three
//! times what looking at plain text costs: of one of more than a few KiB that has little but secrets,
//! or what looks like them, the rest is hidden as a whole.
//!
//! ```
//! use meshwise_core::Redaction;
//! let redaction = Redaction::default().with_name("iban").with_prefix("acme_");
//! assert!(redaction.hides("db_password") && redaction.hides("customer.IBAN"));
//! assert_eq!(redaction.text("sent Bearer abcdefgh12345 on"), "sent Bearer [redacted] on");
//! assert_eq!(redaction.text(r#"Creds { password: "hunter2" }"#), r#"Creds { password: "[redacted]" }"#);
//! assert_eq!(redaction.query("page=2&token=abc"), "page=2&token=REDACTED");
//! assert_eq!(redaction.text("key acme_4f7c2a91d0"), "key [redacted]");
//! ```

mod cards;
mod classes;
mod clean;
mod encoded;
mod lists;
mod names;
mod pairs;
mod prefixes;
mod reader;
mod scan;
#[cfg(test)]
mod tests;
mod tokens;
mod urls;
mod values;

use names::{NameVerdict, Names};
use prefixes::Prefixes;
use scan::{Mode, Scanner};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
};

/// What stands in a secret's place within a text, and for a whole value.
pub const REDACTED: &str = "[redacted]";
/// What stands in a secret's place within a URL, as OpenTelemetry's `url.full` convention has it.
pub const REDACTED_IN_URL: &str = "REDACTED";

/// Says what is hidden, in all signals. Cheap to clone.
///
/// By default:
///
/// | what | hidden |
/// |---|---|
/// | values of fields, attributes, headers and parameters named like a secret (`password`, `db_password`, `x-api-key`, `auth_token`, `authorization`, `cookie`, ...) | whole, but for booleans |
/// | the same names within a text: `password=x`, `"password": "x"`, `Creds { password: "x" }`, `?token=x`, `--token x`, `<password>x</password>` | the value |
/// | `Bearer` and `Basic` credentials that no plain word can be | the credential |
/// | passwords in URLs, also with `/` or `?` in them | the password; in `url.full` the user too |
/// | JSON web tokens (signed, encrypted) and keys with a known prefix (`ghp_`, `xoxb-`, `sk_live_`, `AIza`, `AKIA`, ...) | whole |
/// | PEM private keys | whole |
/// | card numbers: 13 to 19 digits with an issuer's prefix and length that pass the Luhn test, unbroken or in groups (4-4-4-4, 4-6-5), in texts and as numbers | whole |
///
/// A name is a secret's if it ends with one of the list: `db_password` does with `password`. Case,
/// `-` and `_` make no difference, and only the part after the last dot counts (`user.password`).
/// What carries no secret all the same (`next_page_token`) has its own list.
#[derive(Clone)]
pub struct Redaction {
    rules: Arc<RedactionRules>,
}

#[derive(Clone)]
struct RedactionRules {
    names: Names,
    prefixes: Prefixes,
    values: bool,
    /// What a byte may begin or end; see [`scan`].
    classes: [u8; 256],
    /// Counts of what a short text must have to hold a secret; see [`Redaction::finds`].
    marks: [u64; 256],
    /// Tells these rules from all others that the process has had.
    id: u64,
}

static DEFAULT: LazyLock<Redaction> = LazyLock::new(|| {
    let (names, prefixes) = (Names::standard(), Prefixes::standard());
    Redaction::made(names, prefixes, true)
});

/// What looking through a text may cost before its rest is hidden, in the units of
/// [`Reader`](reader::Reader). What services log costs 18 for a byte, and no text is to cost three
/// times as much; the 32,000 are for short texts, which may be as dense as they like.
fn limit(text: &str) -> u64 {
    32_000 + 41 * text.len() as u64
}

/// Longer texts are scanned at once: nearly all of them have some mark of what may be a secret.
const SHORT: usize = 128;
/// What [`Redaction::is_plain`] does not pass.
const ODD: u64 = 1 << 32;
const LETTER: u64 = 1 << 24;
const STRONG: u64 = 1 << 16;
const WEAK: u64 = 1 << 8;

impl Redaction {
    /// Returns what [`Default`] makes a copy of.
    #[must_use]
    #[doc(hidden)]
    pub fn standard() -> &'static Self {
        &DEFAULT
    }

    /// Hides nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::made(Names::default(), Prefixes::default(), false)
    }

    /// Hides fields, attributes, headers and parameters of this name too, and of those that end
    /// with it as a word: `iban` hides `customer_iban` and `customerIban`.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        self.with(|rules| rules.names.add(name, NameVerdict::Hidden))
    }

    /// Hides URL and form parameters of this name too; fields of that name are shown.
    #[must_use]
    pub fn with_parameter(self, name: &str) -> Self {
        self.with(|rules| rules.names.add(name, NameVerdict::HiddenParameter))
    }

    /// Shows what has exactly this name: without `token`, `user.token` is shown, `access_token` is
    /// not.
    #[must_use]
    pub fn without_name(self, name: &str) -> Self {
        self.with(|rules| rules.names.show(name))
    }

    /// Hides words that begin with `prefix` and go on for at least six letters, digits, `-` or `_`:
    /// the form of most vendors' keys. Case matters. A prefix is at least two ASCII characters that
    /// begin with a letter; any other is ignored.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        self.with(|rules| rules.prefixes.add(prefix))
    }

    /// Sets whether texts are looked through for secrets; if not, only whole values are hidden, by
    /// name.
    #[must_use]
    pub fn with_values(self, on: bool) -> Self {
        self.with(|rules| rules.values = on)
    }

    /// Tells whether it hides nothing.
    pub(crate) fn is_off(&self) -> bool {
        self.rules.names.len() == 0 && !self.rules.values
    }

    fn with(mut self, change: impl FnOnce(&mut RedactionRules)) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        change(rules);
        rules.index();
        self
    }

    fn made(names: Names, prefixes: Prefixes, values: bool) -> Self {
        let mut rules =
            RedactionRules { names, prefixes, values, classes: [0; 256], marks: [0; 256], id: 0 };
        rules.index();
        Self { rules: Arc::new(rules) }
    }

    /// Tells whether the value of a field, attribute or header of this name is hidden.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn hides(&self, name: &str) -> bool {
        self.rules.names.may_hide(name.as_bytes())
            && match self.rules.names.verdict(name.as_bytes()) {
                Some(NameVerdict::Hidden) => true,
                Some(NameVerdict::HiddenParameter) => names::is_pass(name.as_bytes()),
                _ => false,
            }
    }

    /// Tells whether [`text`](Self::text) has to look through a text; `false` for most short ones.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn finds(&self, text: &str) -> bool {
        self.rules.values && self.rules.may_hold_secret(text.as_bytes())
    }

    /// Tells whether a short text has nothing to hide, and no byte that JSON escapes or that may begin a
    /// character by which lines are broken or text is turned: all in one look.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn is_plain(&self, text: &str) -> bool {
        let (rules, bytes) = (&*self.rules, text.as_bytes());
        if bytes.len() > SHORT {
            return false;
        }
        let sum = rules.sum(bytes);
        sum < ODD && !(rules.values && rules.marks_tell(sum, bytes))
    }

    /// Hides what is secret within a text; one with nothing to hide is borrowed.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.finds(text) || clean::is_known(self.rules.id, text) {
            return Cow::Borrowed(text);
        }
        let found = Scanner::new(&self.rules, Mode::Text, text, limit(text)).run().0;
        if matches!(found, Cow::Borrowed(_)) {
            clean::keep(self.rules.id, text);
        }
        found
    }

    /// Hides the values of secret parameters of a URL's query by `REDACTED`, as the `url.query`
    /// convention asks, and whatever else in it looks like a secret.
    #[doc(hidden)]
    #[must_use]
    pub fn query<'t>(&self, query: &'t str) -> Cow<'t, str> {
        if !self.finds(query) {
            return Cow::Borrowed(query);
        }
        Scanner::new(&self.rules, Mode::Query, query, limit(query)).run().0
    }

    /// Hides user and password of a URL, and what is secret in its path, query and fragment, by
    /// `REDACTED`, as the `url.full` convention asks.
    #[must_use]
    pub fn url<'t>(&self, url: &'t str) -> Cow<'t, str> {
        if !self.finds(url) {
            return Cow::Borrowed(url);
        }
        Scanner::new(&self.rules, Mode::Url, url, limit(url)).run().0
    }

    /// Tells whether a number is that of a card.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn hides_number(&self, number: u64) -> bool {
        // Thirteen digits: nearly all numbers are less.
        number >= 1_000_000_000_000 && self.rules.values && cards::is_card(number)
    }

    /// Does what [`text`](Self::text) does, and returns what it cost, in units of some two and a half
    /// instructions: what the tests and the fuzz target hold to be bounded.
    #[doc(hidden)]
    #[must_use]
    pub fn counted<'t>(&self, text: &'t str) -> (Cow<'t, str>, u64) {
        Scanner::new(&self.rules, Mode::Text, text, limit(text)).run()
    }

    /// Returns what [`text`](Self::text) would cost if nothing were too much: what grows with the
    /// length and no faster.
    #[doc(hidden)]
    #[must_use]
    pub fn cost(&self, text: &str) -> u64 {
        Scanner::new(&self.rules, Mode::Text, text, u64::MAX).run().1
    }
}

impl RedactionRules {
    fn index(&mut self) {
        self.names.index();
        self.prefixes.index();
        self.classes = classes::classes(&self.prefixes);
        self.marks = [0; 256];
        (b'0'..=b'9').for_each(|digit| self.marks[usize::from(digit)] = 1);
        // Pairs (encoded ones, too), URLs, quoted pairs, tags.
        for mark in *b":=%\"'`>" {
            self.marks[usize::from(mark)] = STRONG;
        }
        // `Bearer` and `Basic`; `eyJ`; `AKIA`, `AIza`: letters that many words have, too.
        for mark in *b"bBJA" {
            self.marks[usize::from(mark)] = LETTER;
        }
        // Options and known prefixes have these, and make a text of at least ten bytes.
        for mark in *b"-_." {
            self.marks[usize::from(mark)] = WEAK;
        }
        for first in self.prefixes.unmarked() {
            self.marks[usize::from(first)] |= LETTER;
        }
        for odd in (0..b' ').chain([b'"', b'\\', 0x7f, 0xc2, 0xe2]) {
            self.marks[usize::from(odd)] |= ODD;
        }
        self.id = clean::next_id();
    }

    #[inline]
    fn may_hold_secret(&self, text: &[u8]) -> bool {
        text.len() > SHORT || self.marks_tell(self.sum(text), text)
    }

    /// Adds up the marks of a short text. None of the sums overflows its part of the number: there are at
    /// most 128 bytes.
    #[inline]
    fn sum(&self, text: &[u8]) -> u64 {
        text.iter().map(|byte| self.marks[usize::from(*byte)]).sum()
    }

    #[inline]
    fn marks_tell(&self, sum: u64, text: &[u8]) -> bool {
        // The shortest pair has four bytes: `pw=x`.
        (sum & 0xff_0000 != 0 && text.len() >= 4)
            // `--pw x`
            || (sum & 0xfe00 != 0 && text.len() >= 6)
            || (sum & 0xff00 != 0 && text.len() >= 10)
            || sum & 0xff >= 13
            || (sum & 0xff00_0000 != 0 && self.may_hold_token(text))
    }

    /// Looks for the first letters of what is known by its letters alone.
    #[inline(never)]
    fn may_hold_token(&self, text: &[u8]) -> bool {
        let after = |at: usize| text.get(at).copied().unwrap_or(0);
        let begins = |(at, first): (usize, &u8)| {
            self.prefixes.may_begin(*first, after(at + 1), || after(at + 2))
        };
        text.iter().enumerate().any(begins)
    }
}

impl Default for Redaction {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction")
            .field("names", &self.rules.names.len())
            .field("values", &self.rules.values)
            .finish_non_exhaustive()
    }
}
