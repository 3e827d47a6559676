//! Users and passwords in URLs (RFC 3986 section 3.2.1).

use super::{
    reader::Meter,
    scan::{Found, Mode, Scanner},
};

/// A user without a password that is longer than this is a key.
const LONG_USER: usize = 20;

/// What a URL in a text may have; what surrounds it ends it.
fn in_url(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`')
}

fn in_authority(byte: u8) -> bool {
    in_url(byte) && !matches!(byte, b'/' | b'?' | b'#')
}

impl<M: Meter> Scanner<'_, '_, M> {
    /// `scheme://user:password@host`: the password, or in a URL of its own both.
    #[inline(never)]
    pub(super) fn url(&mut self, at: usize) -> Option<Found> {
        if self.text.at(at + 2) != b'/' {
            return self.pair(at, true);
        }
        let from = at + 3;
        if from >= self.word_end {
            self.word_end = self.text.end_of(from, in_url);
        }
        let first_at = self.next_at_sign(from);
        if first_at >= self.word_end {
            return None;
        }
        let authority = self.text.end_of(from, in_authority);
        let web = self.is_web(at);
        let host = if first_at < authority {
            from + self.text.slice(from, authority).iter().rposition(|byte| *byte == b'@')?
        } else {
            self.end_of_odd_password(from, authority, first_at)?
        };
        let user_end = self.text.end_of(from, |byte| byte != b':' && byte != b'@');
        let password = user_end < host && self.text.at(user_end) == b':';
        // Only where something is hidden, and so left behind: or else this is looked through again.
        let host = if web || !password { host } else { self.last_at_sign(host) };
        if self.mode == Mode::Url {
            let found = Found::some(from, host)?;
            return Some(Found { user_and_password: password, ..found });
        }
        if password && user_end + 1 < host {
            return Found::some(user_end + 1, host);
        }
        // `https://ghp_xxx@github.com`, `https://sk_live_xxx:@api.stripe.com`; not `git@`.
        let key = user_end - from >= LONG_USER || self.has_known_prefix(from);
        key.then(|| Found::some(from, user_end)).flatten()
    }

    /// Returns the `@` after a password that has a `/`, `?` or `#`, which would end the host if it
    /// were one: it is not, as no port follows its colon.
    fn end_of_odd_password(&self, from: usize, authority: usize, at_sign: usize) -> Option<usize> {
        let host = self.text.slice(from, authority);
        let colon = host.iter().position(|byte| *byte == b':')?;
        let port = &host[colon + 1..];
        let user = &host[..colon];
        let is_host = port.iter().all(u8::is_ascii_digit) || user.first() == Some(&b'[');
        let host_follows =
            self.text.at(at_sign + 1).is_ascii_alphanumeric() || self.text.at(at_sign + 1) == b'[';
        (!is_host && host_follows).then_some(at_sign)
    }

    /// Paths of databases have no `@`: the last one ends the password. That of a parameter is not
    /// meant.
    fn last_at_sign(&self, host: usize) -> usize {
        let end =
            self.text.end_of(host, |byte| in_url(byte) && !matches!(byte, b'=' | b'&' | b','));
        let end = end.min(self.word_end);
        self.text.slice(host, end).iter().rposition(|byte| *byte == b'@').map_or(host, |n| host + n)
    }

    fn next_at_sign(&mut self, from: usize) -> usize {
        match self.at_sign {
            Some(known) if known >= from => known,
            _ => {
                let found = self.text.end_of(from, |byte| byte != b'@');
                self.at_sign = Some(found);
                found
            }
        }
    }

    fn is_web(&self, scheme_end: usize) -> bool {
        let scheme = [&b"http"[..], b"https", b"ws", b"wss"];
        scheme.iter().any(|scheme| {
            scheme_end >= scheme.len() && self.text.has_any_case(scheme_end - scheme.len(), scheme)
        })
    }
}
