//! The prefixes by which keys are known.

/// Prefixes of keys, how many letters, digits, `-` and `_` follow at least, and whether a digit is
/// among them (or else it is a word like `sk-learn`).
const KNOWN: &[(&str, usize, bool)] = &[
    ("AGE-SECRET-KEY-", 20, false),
    ("AIza", 30, false),
    ("ATATT3", 20, false),
    ("GOCSPX-", 20, false),
    ("NRAK-", 20, false),
    ("SG.", 16, true),
    ("dckr_pat_", 10, false),
    ("dop_v1_", 20, false),
    ("gho_", 6, false),
    ("ghp_", 6, false),
    ("ghr_", 6, false),
    ("ghs_", 6, false),
    ("ghu_", 6, false),
    ("github_pat_", 10, false),
    ("glcbt-", 10, true),
    ("gldt-", 10, true),
    ("glpat-", 10, false),
    ("glptt-", 10, true),
    ("glrt-", 10, true),
    ("glsa_", 20, true),
    ("gsk_", 20, true),
    ("hf_", 30, false),
    ("hvs.", 20, true),
    ("lin_api_", 20, false),
    ("npm_", 30, true),
    ("pscale_pw_", 20, false),
    ("pscale_tkn_", 20, false),
    ("pypi-", 40, true),
    ("rk_live_", 6, false),
    ("rk_test_", 6, false),
    ("rubygems_", 20, true),
    ("sbp_", 20, true),
    ("shpat_", 16, true),
    ("shpca_", 16, true),
    ("shpss_", 16, true),
    ("sk-", 20, true),
    ("sk_live_", 6, false),
    ("sk_test_", 6, false),
    ("sntrys_", 20, true),
    ("sq0atp-", 10, false),
    ("sq0csp-", 10, false),
    ("whsec_", 10, false),
    ("xapp-", 10, true),
    ("xoxa-", 6, true),
    ("xoxb-", 6, true),
    ("xoxc-", 6, true),
    ("xoxd-", 6, true),
    ("xoxe-", 6, true),
    ("xoxp-", 6, true),
    ("xoxr-", 6, true),
    ("xoxs-", 6, true),
    ("ya29.", 16, true),
];
/// What follows a prefix of the user's own.
const OWN_TAIL: usize = 6;

/// Holds the prefixes of keys, by their first bytes.
#[derive(Clone)]
pub(super) struct Prefixes {
    /// Sorted.
    known: Vec<Prefix>,
    /// For each first byte, a bit for each second one (of 64 kinds) that some prefix has, and where
    /// those begin that have it.
    seconds: [u64; 128],
    /// The same of the third one.
    thirds: [u64; 128],
    starts: [u16; 129],
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { known: Vec::new(), seconds: [0; 128], thirds: [0; 128], starts: [0; 129] }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Prefix {
    /// Its first three bytes, and the bits of those that count: it may have but two.
    pub(super) head: u32,
    pub(super) mask: u32,
    pub(super) text: Box<[u8]>,
    pub(super) tail: usize,
    pub(super) digit: bool,
}

impl Prefix {
    fn new(text: &[u8], tail: usize, digit: bool) -> Self {
        let byte = |at: usize| text.get(at).copied().unwrap_or(0);
        let mask = if text.len() < 3 { 0xffff } else { 0x00ff_ffff };
        let head = u32::from_le_bytes([byte(0), byte(1), byte(2), 0]);
        Self { head, mask, text: text.into(), tail, digit }
    }
}

impl Prefixes {
    pub(super) fn standard() -> Self {
        let known =
            KNOWN.iter().map(|&(text, tail, digit)| Prefix::new(text.as_bytes(), tail, digit));
        Self { known: known.collect(), ..Self::default() }
    }

    pub(super) fn add(&mut self, prefix: &str) {
        let bytes = prefix.as_bytes();
        let good = bytes.len() >= 2
            && bytes.iter().all(u8::is_ascii_graphic)
            && bytes.first().is_some_and(u8::is_ascii_alphabetic);
        if good {
            self.known.retain(|known| *known.text != *bytes);
            self.known.push(Prefix::new(bytes, OWN_TAIL, false));
        }
    }

    pub(super) fn index(&mut self) {
        self.known.sort_by(|a, b| a.text.cmp(&b.text));
        (self.seconds, self.thirds) = ([0; 128], [0; 128]);
        // `Bearer`, `Basic`, in any case; `eyJ`; `AKIA`, `ASIA`.
        for text in [&b"bea"[..], b"bas", b"bEA", b"bAS", b"eyJ", b"AKI", b"ASI"] {
            self.note(text);
        }
        let (b, capital) = (usize::from(b'b'), usize::from(b'B'));
        self.thirds[b] |= 1 << (b'A' & 63) | 1 << (b'S' & 63) | 1 << (b'a' & 63) | 1 << (b's' & 63);
        self.seconds[capital] |= self.seconds[b];
        self.thirds[capital] |= self.thirds[b];
        let known = std::mem::take(&mut self.known);
        known.iter().for_each(|prefix| self.note(&prefix.text));
        self.known = known;
        for (start, first) in self.starts.iter_mut().zip(0_u8..) {
            *start = self.known.partition_point(|prefix| prefix.text[0] < first) as u16;
        }
    }

    /// Returns the bytes with which something begins.
    pub(super) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        self.seconds.iter().zip(0..).filter(|(seconds, _)| **seconds != 0).map(|(_, first)| first)
    }

    fn note(&mut self, text: &[u8]) {
        let [first, second, rest @ ..] = text else { return };
        let first = usize::from(first & 127);
        self.seconds[first] |= 1 << (second & 63);
        self.thirds[first] |= rest.first().map_or(u64::MAX, |third| 1 << (third & 63));
    }

    /// Tells whether something may begin with these three.
    pub(super) fn may_begin(&self, first: u8, second: u8, third: impl FnOnce() -> u8) -> bool {
        let first = usize::from(first & 127);
        self.seconds[first] & (1 << (second & 63)) != 0
            && self.thirds[first] & (1 << (third() & 63)) != 0
    }

    /// Returns the first bytes of those that have no byte by which a short text is noticed.
    pub(super) fn unmarked(&self) -> Vec<u8> {
        let marked = |prefix: &&Prefix| prefix.text.iter().any(|byte| b"-_.:=A".contains(byte));
        let unmarked = self.known.iter().filter(|prefix| !marked(prefix));
        unmarked.filter_map(|prefix| prefix.text.first().copied()).collect()
    }

    #[inline]
    pub(super) fn beginning(&self, first: u8, second: u8) -> &[Prefix] {
        if self.seconds[usize::from(first & 127)] & (1 << (second & 63)) == 0 {
            return &[];
        }
        let first = usize::from(first & 127);
        let range = usize::from(self.starts[first])..usize::from(self.starts[first + 1]);
        self.known.get(range).unwrap_or_default()
    }
}
