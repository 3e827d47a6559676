//! Pairs and URLs that are written otherwise: percent-encoded within a parameter, in HTML, in JSON.

use super::{
    names::NameVerdict,
    pairs::{in_identifier, is_quote},
    scan::{Scanner, SecretRange},
    urls::in_authority,
};

/// How else a quote is written: in HTML, in JSON, in URLs.
const WRITTEN_QUOTES: [&[u8]; 4] = [b"&quot;", b"&#34;", br"\u0022", b"%22"];
impl Scanner<'_, '_> {
    /// `name%3Dvalue`, `%22name%22%3A%22value%22`: a pair within a parameter.
    pub(super) fn encoded_pair(&self, at: usize) -> Option<SecretRange> {
        let equals = match [self.text.at(at + 1), self.text.at(at + 2)] {
            [b'3', b'D' | b'd'] => true,
            [b'3', b'A' | b'a'] => false,
            _ => return None,
        };
        if !equals && self.text.has_any_case(at + 3, b"%2f%2f") {
            return self.encoded_url(at + 9);
        }
        let quote = self.written_quote_before(at);
        let end = at - quote;
        if !equals && quote == 0 {
            return None;
        }
        let last = self.text.before(end);
        if !self.may_be_hidden(end, last) {
            return None;
        }
        let verdict = self.verdict_before(end, last)?;
        if verdict == NameVerdict::HiddenParameter && !self.is_encoded_parameter(end) {
            return None;
        }
        let from = self.text.end_of(at + 3, |byte| byte == b'+');
        if let Some(quote) = self.written_quote_at(from) {
            return self.until(from + quote.len(), quote);
        }
        let mut to = from;
        loop {
            to = self.text.end_of(to, |byte| {
                byte > b' ' && !is_quote(byte) && !matches!(byte, b'%' | b'&' | b'#' | b'<' | b'>')
            });
            let ends = match [self.text.at(to), self.text.at(to + 1), self.text.at(to + 2)] {
                [b'%', b'2', b'0' | b'2' | b'3' | b'6'] => true,
                [b'%', ..] => false,
                _ => true,
            };
            if ends {
                return SecretRange::some(from, to.min(self.text.len()));
            }
            to += 1;
        }
    }

    /// Tells whether `?`, `&` or `#`, encoded or not, stands before the name that ends at `end`.
    fn is_encoded_parameter(&self, end: usize) -> bool {
        let start = self.text.start_of(end, in_identifier);
        match self.text.before(start) {
            b'?' | b'&' | b'#' => true,
            b'%' => matches!(
                [self.text.at(start), self.text.at(start + 1)],
                [b'3', b'F' | b'f'] | [b'2', b'3' | b'6']
            ),
            _ => false,
        }
    }

    /// Returns how long the quote is that is written before `end`; 0 if there is none.
    pub(super) fn written_quote_before(&self, end: usize) -> usize {
        let length = match self.text.before(end) {
            b';' | b'2' => WRITTEN_QUOTES.iter().map(|quote| quote.len()).find(|length| {
                end > *length
                    && self.written_quote_at(end - length).is_some_and(|q| q.len() == *length)
            }),
            _ => None,
        };
        length.unwrap_or(0)
    }

    pub(super) fn written_quote_at(&self, from: usize) -> Option<&'static [u8]> {
        if !matches!(self.text.at(from), b'&' | b'\\' | b'%') {
            return None;
        }
        WRITTEN_QUOTES.into_iter().find(|quote| self.text.has(from, quote))
    }

    /// The text up to the next `quote`.
    pub(super) fn until(&self, from: usize, quote: &[u8]) -> Option<SecretRange> {
        let mut to = from;
        loop {
            to = self.text.end_of(to, |byte| Some(&byte) != quote.first());
            if to >= self.text.len() || self.text.has(to, quote) {
                return SecretRange::some(from, to);
            }
            to += 1;
        }
    }

    /// `%3A%2F%2Fuser%3Apassword%40host`: the password of a URL within a parameter; `from` is where the
    /// user begins.
    fn encoded_url(&self, from: usize) -> Option<SecretRange> {
        let user_end = self.text.end_of(from, |byte| byte != b'%' && in_authority(byte));
        if !self.text.has_any_case(user_end, b"%3a") {
            return None;
        }
        let (begin, mut to) = (user_end + 3, user_end + 3);
        loop {
            to = self.text.end_of(to, |byte| byte != b'%' && in_authority(byte) && byte != b'&');
            match [self.text.at(to), self.text.at(to + 1), self.text.at(to + 2)] {
                [b'%', b'4', b'0'] => return SecretRange::some(begin, to),
                [b'%', b'2', b'f' | b'F'] => return None,
                [b'%', ..] => to += 1,
                _ => return None,
            }
        }
    }
}
