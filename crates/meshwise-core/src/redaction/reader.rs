//! The one way to a text's bytes, which keeps account of what looking at them costs.

use super::classes::{MARK, TOKEN};
use std::cell::Cell;

/// What a look costs, a loop before its first byte, and each of its bytes: in units of some two and a
/// half instructions, as callgrind counts them (`cargo bench -p benches -- redaction`). Each is so high
/// that no text costs more for its units than plain text does, but for one part in three.
const LOOK: u64 = 4;
const LOOP: u64 = 16;
const BYTE: u64 = 5;
/// One that is asked about.
const BYTE_OF_LOOP: u64 = 7;
/// A byte that may begin or end something, with those beside it.
const HIT: u64 = 16;
/// Looking up a name.
pub(super) const LOOKUP: u64 = 90;

/// Reads a text.
pub(super) struct Reader<'t> {
    bytes: &'t [u8],
    spent: Cell<u64>,
    limit: u64,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, limit: u64) -> Self {
        Self { bytes: text.as_bytes(), spent: Cell::new(0), limit }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns what all looks cost so far.
    pub(super) fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Tells whether that is more than they may cost.
    pub(super) fn is_exhausted(&self) -> bool {
        self.spent.get() > self.limit
    }

    /// Adds what costs something besides the looks.
    pub(super) fn spend(&self, cost: u64) {
        self.spent.set(self.spent.get() + cost);
    }

    fn spend_loop(&self, bytes: usize) {
        self.spend(LOOP + BYTE * bytes as u64);
    }

    /// Returns a byte; NUL beyond the end, which is part of no secret.
    #[inline]
    pub(super) fn at(&self, index: usize) -> u8 {
        self.spend(LOOK);
        self.peek(index)
    }

    /// Returns a byte beside one that was hit upon, which that has paid for.
    pub(super) fn peek(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or(0)
    }

    /// Returns the byte before `index`; NUL at the beginning.
    #[inline]
    pub(super) fn before(&self, index: usize) -> u8 {
        self.at(index.wrapping_sub(1))
    }

    /// Does what [`next`](Self::next) does if it is the byte at `at`: where they stand close together,
    /// most of the cost is the call.
    #[inline]
    pub(super) fn here(&self, at: usize, before: u8, classes: &[u8; 256]) -> Option<(usize, u8)> {
        let byte = *self.bytes.get(at)?;
        let hit = classes[usize::from(byte)] & (MARK | (TOKEN & !(before >> 1))) != 0;
        if hit {
            self.spend(HIT);
        }
        hit.then_some((at, byte))
    }

    /// Returns where the first byte from `from` on stands that may begin or end something; `before`
    /// is the class of the byte before it.
    // Not inlined, as are other loops here: within a large function each of its many positions would
    // be counted up for each byte.
    #[inline(never)]
    pub(super) fn next(
        &self,
        from: usize,
        mut before: u8,
        classes: &[u8; 256],
    ) -> Option<(usize, u8)> {
        let rest = self.bytes.get(from..)?;
        let found = rest.iter().position(|byte| {
            let class = classes[usize::from(*byte)];
            let hit = class & (MARK | (TOKEN & !(before >> 1))) != 0;
            before = class;
            hit
        });
        self.spend(HIT);
        self.spend_loop(found.map_or(rest.len(), |n| n + 1));
        found.map(|n| (from + n, rest[n]))
    }

    /// Returns the bytes of a range.
    #[inline]
    pub(super) fn slice(&self, from: usize, to: usize) -> &'t [u8] {
        let slice = self.bytes.get(from..to).unwrap_or_default();
        self.spend_loop(slice.len());
        slice
    }

    /// Returns the bytes of a range of which only the last few are looked at.
    #[inline]
    pub(super) fn around(&self, from: usize, to: usize) -> &'t [u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Returns where the first byte from `from` on stands that does not belong; the end of the text
    /// once looks have cost too much, so that whatever looks on is at its end too.
    #[inline(never)]
    pub(super) fn end_of(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        if self.is_exhausted() {
            return self.len();
        }
        let rest = self.bytes.get(from..).unwrap_or_default();
        let n = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        self.spend(LOOP + BYTE_OF_LOOP * n as u64);
        (from + n).min(self.len())
    }

    /// Returns where the last run of belonging bytes that ends before `to` begins.
    #[inline(never)]
    pub(super) fn start_of(&self, to: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let head = self.bytes.get(..to).unwrap_or_default();
        let start = head.iter().rposition(|byte| !belongs(*byte)).map_or(0, |at| at + 1);
        self.spend_loop(to - start + 1);
        start
    }

    /// Tells whether `what` stands at `from`.
    #[inline(never)]
    pub(super) fn has(&self, from: usize, what: &[u8]) -> bool {
        let mut looked = 0;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let same = rest.iter().zip(what).take_while(|(a, b)| {
            looked += 1;
            a == b
        });
        let same = same.count() == what.len();
        self.spend_loop(looked);
        same
    }

    /// Tells whether `what`, in lower case, stands at `from`, in any case.
    #[inline(never)]
    pub(super) fn has_any_case(&self, from: usize, what: &[u8]) -> bool {
        let mut looked = 0;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let same = rest.iter().zip(what).take_while(|(a, b)| {
            looked += 1;
            a.to_ascii_lowercase() == **b
        });
        let same = same.count() == what.len();
        self.spend_loop(looked);
        same
    }
}
