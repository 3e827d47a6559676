//! Users and passwords in URLs (RFC 3986 section 3.2.1).

use super::scan::{Mode, Scanner, SecretRange};
use std::cell::Cell;

/// A user without a password that is longer than this is a key.
const LONG_USER: usize = 20;

/// What a URL in a text may have; what surrounds it ends it.
fn in_url(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`')
}

pub(super) fn in_authority(byte: u8) -> bool {
    in_url(byte) && !matches!(byte, b'/' | b'?' | b'#')
}

impl Scanner<'_, '_> {
    /// `scheme://user:password@host`: the password, or in a URL of its own both.
    #[inline(never)]
    pub(super) fn url(&mut self, at: usize) -> Option<SecretRange> {
        let from = match self.text.at(at + 1) {
            b'/' if self.text.at(at + 2) == b'/' => at + 3,
            b'\\' if self.text.has(at + 1, br"\/\/") => at + 5,
            _ => return self.pair(at, true),
        };
        if from >= self.word_end {
            let (at, first) = (Cell::new(from), Cell::new(None));
            self.word_end = self.text.end_of(from, |byte| {
                if byte == b'@' && first.get().is_none() {
                    first.set(Some(at.get()));
                }
                at.set(at.get() + 1);
                in_url(byte)
            });
            self.at_sign = first.get().unwrap_or(self.word_end);
        }
        let first_at = self.next_at_sign(from);
        if first_at >= self.word_end {
            return None;
        }
        let user_end =
            self.text.end_of(from, |byte| byte != b':' && byte != b'@' && in_authority(byte));
        let password = match self.text.at(user_end) {
            b'@' => false,
            // `user:@host`, but `user:@pass@host`
            b':' if self.text.at(user_end + 1) == b'@' => {
                let end = self.text.end_of(user_end + 2, |byte| byte != b'@' && in_authority(byte));
                self.text.at(end) == b'@'
            }
            b':' => true,
            _ => return None,
        };
        if !password {
            return self.user(from, user_end);
        }
        // The host and its port end at the first of these; a password may have them all the same.
        let no_port = Cell::new(false);
        let authority = self.text.end_of(user_end + 1, |byte| {
            let within = in_authority(byte);
            no_port.set(no_port.get() | (within & !byte.is_ascii_digit()));
            within
        });
        let host = if first_at < authority {
            let password = self.text.slice(user_end, authority);
            user_end + password.iter().rposition(|byte| *byte == b'@')?
        } else if self.is_odd_password(from, first_at, no_port.get()) {
            first_at
        } else {
            return None;
        };
        // `docker://image:tag@sha256:...`
        if self.text.has(host + 1, b"sha256:") {
            return None;
        }
        let host = if self.is_web(at) { host } else { self.last_at_sign(host) };
        if self.mode == Mode::Url {
            return Some(SecretRange { from, to: host, user_and_password: true });
        }
        // `https://ghp_xxx:x-oauth-basic@github.com`: the user is the key.
        let begin = if self.is_key(from, user_end) { from } else { user_end + 1 };
        SecretRange::some(begin, host)
    }

    /// `https://ghp_xxx@github.com`, `https://sk_live_xxx:@api.stripe.com`; not `git@`.
    fn user(&self, from: usize, user_end: usize) -> Option<SecretRange> {
        let hidden = self.mode == Mode::Url || self.is_key(from, user_end);
        if hidden { SecretRange::some(from, user_end) } else { None }
    }

    /// Tells whether a user is none, but a key.
    fn is_key(&self, from: usize, to: usize) -> bool {
        let length = to - from;
        length >= LONG_USER || (length >= 4 && self.has_known_prefix(from))
    }

    /// Tells whether an `@` beyond the first `/`, `?` or `#` follows a password that has one: if what
    /// stands before that is no host, as no port follows its colon.
    fn is_odd_password(&self, from: usize, at_sign: usize, no_port: bool) -> bool {
        let next = || self.text.at(at_sign + 1);
        no_port && self.text.at(from) != b'[' && (next().is_ascii_alphanumeric() || next() == b'[')
    }

    /// Paths of databases have no `@`: the last one ends the password. That of a parameter is not
    /// meant.
    fn last_at_sign(&self, host: usize) -> usize {
        let end =
            self.text.end_of(host, |byte| in_url(byte) && !matches!(byte, b'=' | b'&' | b','));
        let end = end.min(self.word_end);
        self.text.slice(host, end).iter().rposition(|byte| *byte == b'@').map_or(host, |n| host + n)
    }

    /// Returns where the next `@` of the word stands, or its end.
    fn next_at_sign(&mut self, from: usize) -> usize {
        if self.at_sign < from {
            let end = self.word_end;
            self.at_sign = self.text.end_of(from, |byte| byte != b'@' && in_url(byte)).min(end);
        }
        self.at_sign
    }

    fn is_web(&self, scheme_end: usize) -> bool {
        let scheme = [&b"http"[..], b"https", b"ws", b"wss"];
        scheme.iter().any(|scheme| {
            scheme_end >= scheme.len() && self.text.has_any_case(scheme_end - scheme.len(), scheme)
        })
    }
}
