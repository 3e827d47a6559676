//! The names of secrets, and finding out whether a name is one.

use super::lists::{ENDINGS, PARAMETERS, SHOWN, WORDS};

/// Says what becomes of a value because of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameVerdict {
    Hidden,
    /// Hidden as a parameter of a URL or form: as a field's name it is an ordinary word.
    HiddenParameter,
    Shown,
}

/// Says how much of a name must be that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Its end, also within a word: `PGPASSWORD`, `mysecret`.
    End,
    /// Its end, as a word of its own: `user_pin`, not `mapping`.
    Word,
    /// All of its last part.
    Whole,
}

/// Longer names are not taken into the list.
const LONGEST: usize = 64;

/// Holds names, to be looked up by their ends.
#[derive(Clone, Default)]
pub(super) struct Names {
    entries: Vec<NameEntry>,
    tree: Vec<Node>,
    /// For each last letter, a bit for each letter before it that some name has: turns away nearly
    /// every name before anything is compared.
    ends: [u32; 32],
    /// The same of the letter before these two.
    thirds: [u32; 32],
    /// For each last letter, the first of the nodes that may have it.
    roots: [u16; 32],
    /// Some name ends with what is no letter.
    pub(super) numbered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NameEntry {
    /// In lower case, without separators, backwards.
    backwards: Box<[u8]>,
    verdict: NameVerdict,
    fit: Fit,
}

/// A letter of a name, read backwards, in a tree of all of them: looking up a name takes one way
/// through it, however many names there are.
#[derive(Clone, Copy, Debug)]
struct Node {
    byte: u8,
    /// The letter before it, and another one in its place; 0 is none.
    child: u16,
    sibling: u16,
    /// A bit for each letter before it.
    letters: u64,
    /// A name of the list begins with it.
    end: Option<(NameVerdict, Fit)>,
    /// A name that must be all.
    whole: Option<NameVerdict>,
}

impl Names {
    pub(super) fn standard() -> Self {
        let mut names = Self::default();
        for (list, verdict, fit) in [
            (ENDINGS, NameVerdict::Hidden, Fit::End),
            (WORDS, NameVerdict::Hidden, Fit::Word),
            (PARAMETERS, NameVerdict::HiddenParameter, Fit::Word),
            (SHOWN, NameVerdict::Shown, Fit::End),
        ] {
            list.iter().for_each(|name| names.set(name, verdict, fit));
        }
        names.index();
        names
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Hides names that end so as a word.
    pub(super) fn add(&mut self, name: &str, verdict: NameVerdict) {
        let backwards = backwards(name);
        let known = self.entries.iter().any(|e| e.backwards == backwards && e.fit == Fit::End);
        self.entries.retain(|e| e.backwards != backwards);
        self.set(name, verdict, if known { Fit::End } else { Fit::Word });
    }

    /// Shows exactly this name.
    pub(super) fn show(&mut self, name: &str) {
        self.set(name, NameVerdict::Shown, Fit::Whole);
    }

    fn set(&mut self, name: &str, verdict: NameVerdict, fit: Fit) {
        let backwards = backwards(name);
        // The tree counts its nodes in 16 bits.
        if !backwards.is_empty() && backwards.len() <= LONGEST && self.tree.len() < 60_000 {
            self.entries.push(NameEntry { backwards, verdict, fit });
        }
    }

    pub(super) fn index(&mut self) {
        let root = Node { byte: 0, child: 0, sibling: 0, letters: 0, end: None, whole: None };
        (self.tree, self.roots) = (vec![root], [0; 32]);
        (self.ends, self.thirds) = ([0; 32], [0; 32]);
        self.numbered = false;
        for NameEntry { backwards, verdict, fit } in &self.entries {
            let [last, rest @ ..] = &**backwards else { continue };
            if *verdict != NameVerdict::Shown {
                // A name of one letter has anything before it.
                let before = rest.first().map_or(u32::MAX, |before| 1 << (before & 31));
                self.ends[usize::from(last & 31)] |= before;
                let third = rest.get(1).map_or(u32::MAX, |third| 1 << (third & 31));
                self.thirds[usize::from(last & 31)] |= third;
                self.numbered |= !last.is_ascii_alphabetic();
            }
            let mut at = 0;
            for (i, &byte) in backwards.iter().enumerate() {
                let root = &mut self.roots[usize::from(last & 31)];
                let first = if i == 0 { *root } else { self.tree[at].child };
                let mut known = usize::from(first);
                while known != 0 && self.tree[known].byte != byte {
                    known = usize::from(self.tree[known].sibling);
                }
                at = match known {
                    1.. => known,
                    0 => {
                        let new = self.tree.len();
                        self.tree.push(Node { byte, sibling: first, ..self.tree[0] });
                        if i == 0 {
                            *root = new as u16;
                        } else {
                            self.tree[at].child = new as u16;
                            self.tree[at].letters |= letter(byte);
                        }
                        new
                    }
                };
            }
            match fit {
                Fit::Whole => self.tree[at].whole = Some(*verdict),
                _ => self.tree[at].end = Some((*verdict, *fit)),
            }
        }
    }

    /// Turns away nearly all names that hide nothing, by their last two letters.
    #[inline]
    pub(super) fn may_hide(&self, name: &[u8]) -> bool {
        match name {
            [.., before, last] if last.is_ascii_alphabetic() => self.may_end(*before, *last),
            [] => false,
            // Numbered (`password2`), in brackets, or not ASCII.
            _ => true,
        }
    }

    /// Does the same for the last two letters, whatever comes after them.
    #[inline]
    fn may_end(&self, before: u8, last: u8) -> bool {
        self.ends[usize::from(last & 31)] & (1 << (before & 31)) != 0
            // A separator may stand between the two.
            || matches!(before, b'-' | b'_')
    }

    /// Does the same for the last three letters.
    pub(super) fn may_end_with(&self, third: impl FnOnce() -> u8, before: u8, last: u8) -> bool {
        self.may_end(before, last)
            && (matches!(before, b'-' | b'_') || self.may_end_after(third(), last))
    }

    /// Turns away most of the rest, by the letter before the last two.
    #[inline]
    fn may_end_after(&self, third: u8, last: u8) -> bool {
        let letter = third.is_ascii_alphanumeric() || third >= 0x80;
        let bits = self.thirds[usize::from(last & 31)];
        // Any byte may stand before a name of two letters.
        (bits & (1 << (third & 31)) != 0 && (letter || bits == u32::MAX))
            || matches!(third, b'-' | b'_')
    }

    /// Finds out what becomes of a value of this name.
    pub(super) fn verdict(&self, name: &[u8]) -> Option<NameVerdict> {
        // `user[password]`, `password_confirmation[]`
        let name = trimmed(name, is_mark);
        let last = *name.last()?;
        if !last.is_ascii_digit() {
            return self.named(name);
        }
        // `password2`, `token_1`
        let plain = trimmed(name, |byte| byte.is_ascii_digit() || is_mark(byte));
        self.named(name).or_else(|| self.named(plain))
    }

    /// Reads a name backwards along the tree; the longest name of the list decides. What stands
    /// before the name does not matter.
    pub(super) fn named(&self, name: &[u8]) -> Option<NameVerdict> {
        let mut verdict = None;
        let mut next = *self.roots.get(usize::from(name.last()? & 31))?;
        let (mut rest, mut letters) = (name, u64::MAX);
        while let [before @ .., byte] = rest {
            let node = match byte {
                // A blank too: «API key».
                b'-' | b'_' | b' ' if rest.len() < name.len() => None,
                // «key» says nothing without what stands before it: `api.key`.
                b'.' | b'[' if name.len() - rest.len() == 3 && name.ends_with(b"key") => None,
                byte if letters & letter(*byte) == 0 => break,
                byte => match find(&self.tree, next, byte.to_ascii_lowercase()) {
                    Some(node) => Some(node),
                    None => break,
                },
            };
            rest = before;
            let Some(node) = node else { continue };
            if let Some((end, fit)) = node.end
                && (fit == Fit::End || begins_word(*byte, before.last()))
            {
                verdict = Some(end);
            }
            if let Some(whole) = node.whole
                && before.last().is_none_or(|before| ends_part(*before))
            {
                verdict = Some(whole);
            }
            (next, letters) = (node.child, node.letters);
            if next == 0 {
                break;
            }
        }
        verdict
    }
}

/// Tells whether a name is `pass`, which hides texts as a parameter of a URL does.
pub(super) fn is_pass(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
    last.eq_ignore_ascii_case(b"pass")
}

/// A bit for each letter, whatever its case, and for each digit.
#[inline]
const fn letter(byte: u8) -> u64 {
    1 << ((byte & 31) | ((byte & 0x40) >> 1))
}

#[inline]
fn find(tree: &[Node], mut at: u16, byte: u8) -> Option<&Node> {
    while at != 0 {
        let node = tree.get(usize::from(at))?;
        if node.byte == byte {
            return Some(node);
        }
        at = node.sibling;
    }
    None
}

fn begins_word(byte: u8, before: Option<&u8>) -> bool {
    before.is_none_or(|before| {
        is_separator(*before)
            || ends_part(*before)
            // `userPin`: the capital begins a word.
            || (byte.is_ascii_uppercase() && !before.is_ascii_uppercase())
    })
}

/// Tells whether the part of a name ends here that counts: at a dot, or before the name.
fn ends_part(byte: u8) -> bool {
    byte < 0x80 && !byte.is_ascii_alphanumeric() && !is_separator(byte)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_')
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'[' | b']' | b'-' | b'_' | b' ')
}

fn trimmed(name: &[u8], drop: impl Fn(u8) -> bool) -> &[u8] {
    let kept = name.iter().rposition(|byte| !drop(*byte));
    &name[..kept.map_or(0, |at| at + 1)]
}

/// The last part of a name, in lower case and without separators, backwards.
fn backwards(name: &str) -> Box<[u8]> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let bytes = last.bytes().rev().filter(|byte| !is_mark(*byte));
    bytes.map(|byte| byte.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_secret_s_by_its_end_whatever_its_spelling() {
        let names = Names::standard();
        let hidden = |name: &str| {
            let verdict = names.verdict(name.as_bytes()) == Some(NameVerdict::Hidden);
            assert!(!verdict || names.may_hide(name.as_bytes()), "{name} is turned away");
            verdict
        };
        for name in [
            "password",
            "Password",
            "PASSWORD",
            "user.password",
            "db_password",
            "dbPassword",
            "user-password",
            "userpassword",
            "PGPASSWORD",
            "password2",
            "password_2",
            "user[password]",
            "api_key",
            "API-Key",
            "apiKey",
            "api.key",
            "x-api-key",
            "X-Api-Key",
            "http.request.header.x-api-key",
            "http.request.header.authorization",
            "Set-Cookie",
            "auth_token",
            "access_token",
            "x-amz-security-token",
            "X-Amz-Credential",
            "aws_secret_access_key",
            "AWS_ACCESS_KEY_ID",
            "pwd",
            "db.pwd",
            "userPwd",
            "MYSQL_PWD",
            "credentials",
            "user.pin",
            "userPin",
            "pin",
            "cvc2",
            "j_w_t",
            "client-secret",
            "card_number",
            "cards[0].number.card_number",
            "stripe.secret_key",
            "otp",
            "DB_PASS",
        ] {
            assert!(hidden(name), "{name}");
        }
        for name in [
            "user",
            "passwords",
            "token_count",
            "tokens",
            "max_tokens",
            "über",
            "",
            "a",
            "_",
            ".",
            "mapping",
            "pinned",
            "spin",
            "userspin",
            "shipping",
            "key",
            "cache.key",
            "db.key",
            "public_key",
            "primary_key",
            "idempotency_key",
            "code",
            "auth",
            "status_code",
            "next_page_token",
            "nextToken",
            "continuation-token",
            "session.id",
            "session_id",
            "http.request.method",
            "url.path",
            "http.route",
            "server.address",
            "error.type",
            "network.protocol.version",
            "password.length",
            "token.type",
            "secret_name",
        ] {
            assert!(!hidden(name), "{name}");
        }
        assert!(!hidden(&"x".repeat(100)));
        assert!(hidden(&format!("{}_password", "x".repeat(10_000))));
    }
}
