//! The names of secrets, and finding out whether a name is one.

use std::cmp::Reverse;

/// Says what becomes of a value because of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Hidden,
    /// Hidden as a parameter of a URL or form: as a field's name it is an ordinary word.
    HiddenParameter,
    Shown,
}

/// Hides names that end so, also in the middle of a word: `PGPASSWORD`, `mysecret`.
const ENDINGS: &[&str] = &[
    "accesskey",
    "accesskeyid",
    "accesstoken",
    "accountkey",
    "apikey",
    "apisecret",
    "apitoken",
    "appkey",
    "appsecret",
    "authkey",
    "authorization",
    "authtoken",
    "basicauth",
    "cardnumber",
    "clientassertion",
    "clientsecret",
    "codeverifier",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "creditcard",
    "csrftoken",
    "encryptionkey",
    "hmackey",
    "idtoken",
    "licensekey",
    "masterkey",
    "oauthverifier",
    "onetimecode",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwordconfirm",
    "passwordconfirmation",
    "passwordhash",
    "passwort",
    "phpsessid",
    "privatekey",
    "proxyauthorization",
    "refreshtoken",
    "samlresponse",
    "secret",
    "secretaccesskey",
    "secretid",
    "secretkey",
    "securitycode",
    "securitytoken",
    "servicekey",
    "sessionkey",
    "sessiontoken",
    "setcookie",
    "sharedaccesssignature",
    "sharedkey",
    "sharedsecret",
    "signingkey",
    "storagekey",
    "subscriptionkey",
    "token",
    "tokensecret",
    "tokenvalue",
    "xamzsignature",
    "xgoogsignature",
];

/// Hides names that end so as a word of their own: `user_pin`, not `mapping`.
const WORDS: &[&str] = &[
    "awsaccesskeyid",
    "bearer",
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "dbpass",
    "ftppass",
    "jsessionid",
    "jwt",
    "mailpass",
    "mysqlpass",
    "otp",
    "pgpass",
    "pin",
    "postgrespass",
    "pw",
    "pwd",
    "redispass",
    "rootpass",
    "sessid",
    "smtppass",
    "totp",
    "userpass",
];

/// Hides parameters of URLs and forms; as fields these are ordinary words.
const PARAMETERS: &[&str] = &[
    "assertion", "auth", "code", "hmac", "key", "pass", "sessionid", "sid", "sig", "signature",
];

/// Shows what ends with a secret's name and is none: places in lists, kinds, signals to stop.
const SHOWN: &[&str] = &[
    "cancellationtoken",
    "canceltoken",
    "continuationtoken",
    "cursortoken",
    "nextpagetoken",
    "nexttoken",
    "pagetoken",
    "pagingtoken",
    "stoptoken",
    "synctoken",
];

/// The most bytes of a name that are compared; those at its end.
const LONGEST: usize = 40;

/// Holds names, to be looked up by their ends.
#[derive(Clone)]
pub(super) struct Names {
    entries: Vec<Entry>,
    /// For each last letter, a bit for each letter before it that some name has: turns away nearly
    /// every name before anything is compared.
    ends: [u32; 32],
    /// For each last letter, where the names begin that have it.
    starts: [u16; 33],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// In lower case, without separators, backwards.
    backwards: Box<[u8]>,
    verdict: Verdict,
    whole_word: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self { entries: Vec::new(), ends: [0; 32], starts: [0; 33] }
    }
}

impl Names {
    pub(super) fn standard() -> Self {
        let mut names = Self::default();
        let lists = [
            (ENDINGS, Verdict::Hidden, false),
            (WORDS, Verdict::Hidden, true),
            (PARAMETERS, Verdict::HiddenParameter, true),
            (SHOWN, Verdict::Shown, false),
        ];
        for (list, verdict, whole_word) in lists {
            list.iter().for_each(|name| names.set(name, verdict, whole_word));
        }
        names.index();
        names
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn add(&mut self, name: &str, verdict: Verdict) {
        let known = self.entry(name).map(|entry| entry.whole_word);
        self.set(name, verdict, known.unwrap_or(true));
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let backwards = backwards(name);
        self.entries.iter().find(|entry| entry.backwards == backwards)
    }

    fn set(&mut self, name: &str, verdict: Verdict, whole_word: bool) {
        let backwards = backwards(name);
        if backwards.is_empty() || backwards.len() > LONGEST {
            return;
        }
        self.entries.retain(|entry| entry.backwards != backwards);
        self.entries.push(Entry { backwards, verdict, whole_word });
    }

    pub(super) fn index(&mut self) {
        let key = |entry: &Entry| entry.backwards.first().map_or(0, |last| last & 31);
        // The longest first: it decides.
        self.entries.sort_by_key(|entry| (key(entry), Reverse(entry.backwards.len())));
        for (start, letter) in self.starts.iter_mut().zip(0..) {
            *start = self.entries.partition_point(|entry| key(entry) < letter) as u16;
        }
        self.ends = [0; 32];
        for entry in &self.entries {
            if entry.verdict != Verdict::Shown
                && let Some(last) = entry.backwards.first()
            {
                // A name of one letter has anything before it.
                let before = entry.backwards.get(1).map_or(u32::MAX, |before| 1 << (before & 31));
                self.ends[usize::from(last & 31)] |= before;
            }
        }
    }

    /// Turns away nearly all names that hide nothing, by their last two letters.
    #[inline]
    pub(super) fn may_hide(&self, name: &[u8]) -> bool {
        match name {
            [.., before, last] if last.is_ascii_alphabetic() => {
                // A separator may stand between the two.
                self.ends[usize::from(last & 31)] & (1 << (before & 31)) != 0
                    || matches!(before, b'-' | b'_')
            }
            [] => false,
            // Numbered (`password2`), in brackets, or not ASCII.
            _ => true,
        }
    }

    /// Finds out what becomes of a value of this name.
    pub(super) fn verdict(&self, name: &[u8]) -> Option<Verdict> {
        // `user[password]`, `password_confirmation[]`
        let name = trimmed(name, |byte| matches!(byte, b'[' | b']' | b'-' | b'_' | b' '));
        self.named(name).or_else(|| {
            // `password2`, `token_1`
            let unnumbered = trimmed(name, |byte| byte.is_ascii_digit());
            (unnumbered.len() < name.len()).then(|| self.named(unnumbered)).flatten()
        })
    }

    fn named(&self, name: &[u8]) -> Option<Verdict> {
        let end = Ending::of(name);
        let letters = &end.letters[..end.length];
        let bucket = usize::from(letters.first()? & 31);
        let range = usize::from(self.starts[bucket])..usize::from(self.starts[bucket + 1]);
        let fits = |entry: &&Entry| {
            letters.starts_with(&entry.backwards)
                && (!entry.whole_word || end.starts_word(entry.backwards.len()))
        };
        self.entries.get(range)?.iter().find(fits).map(|entry| entry.verdict)
    }
}

fn trimmed(name: &[u8], drop: impl Fn(u8) -> bool) -> &[u8] {
    let kept = name.iter().rposition(|byte| !drop(*byte));
    &name[..kept.map_or(0, |at| at + 1)]
}

fn backwards(name: &str) -> Box<[u8]> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let bytes = last.bytes().rev().filter(|byte| !matches!(byte, b'-' | b'_' | b' '));
    bytes.map(|byte| byte.to_ascii_lowercase()).collect()
}

/// The end of a name, backwards, in lower case and without separators.
struct Ending {
    letters: [u8; LONGEST],
    length: usize,
    /// A bit for each letter that begins a word.
    words: u64,
}

impl Ending {
    fn of(name: &[u8]) -> Self {
        let mut end = Self { letters: [0; LONGEST], length: 0, words: 0 };
        let mut next = 0_u8;
        for &byte in name.iter().rev() {
            match byte {
                b'-' | b'_' => end.begin_word(),
                // «key» says nothing without what stands before it: `api.key`.
                b'.' | b'[' if end.letters[..end.length] == *b"yek" => end.begin_word(),
                b'.' | b'[' | b']' | b'/' | b':' => break,
                _ => {
                    // `userPin`: the capital begins a word.
                    if next.is_ascii_uppercase() && !byte.is_ascii_uppercase() {
                        end.begin_word();
                    }
                    if end.length == LONGEST {
                        return end;
                    }
                    end.letters[end.length] = byte.to_ascii_lowercase();
                    end.length += 1;
                }
            }
            next = byte;
        }
        end.begin_word();
        end
    }

    fn begin_word(&mut self) {
        if self.length > 0 {
            self.words |= 1 << (self.length - 1);
        }
    }

    fn starts_word(&self, length: usize) -> bool {
        self.words & (1 << (length - 1)) != 0
    }
}
