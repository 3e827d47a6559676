//! The one way to a text's bytes, so that looks at them can be counted.

use super::classes::{MARK, TOKEN};
use std::cell::Cell;

/// Takes note of looks at a byte.
pub(super) trait Meter {
    fn looked(&self, bytes: usize);
}

/// Counts nothing, at no cost.
impl Meter for () {
    #[inline]
    fn looked(&self, _: usize) {}
}

pub(super) struct Count<'a>(pub(super) &'a Cell<u64>);

impl Meter for Count<'_> {
    fn looked(&self, bytes: usize) {
        self.0.set(self.0.get() + bytes as u64);
    }
}

/// Reads a text.
pub(super) struct Reader<'t, M> {
    bytes: &'t [u8],
    meter: M,
}

impl<'t, M: Meter> Reader<'t, M> {
    pub(super) fn new(text: &'t str, meter: M) -> Self {
        Self { bytes: text.as_bytes(), meter }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns a byte; NUL beyond the end, which is part of no secret.
    #[inline]
    pub(super) fn at(&self, index: usize) -> u8 {
        self.meter.looked(1);
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
            self.meter.looked(1);
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
        self.meter.looked(found.map_or(rest.len(), |n| n + 1));
        found.map(|n| (from + n, rest[n]))
    }

    /// Returns the bytes of a range.
    #[inline]
    pub(super) fn slice(&self, from: usize, to: usize) -> &'t [u8] {
        let slice = self.bytes.get(from..to).unwrap_or_default();
        self.meter.looked(slice.len());
        slice
    }

    /// Returns the bytes of a range of which only the last few are looked at.
    #[inline]
    pub(super) fn around(&self, from: usize, to: usize) -> &'t [u8] {
        self.meter.looked(4);
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Returns where the first byte from `from` on stands that does not belong.
    #[inline(never)]
    pub(super) fn end_of(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let n = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        self.meter.looked(n + 1);
        (from + n).min(self.len())
    }

    /// Returns where the last run of belonging bytes that ends before `to` begins.
    #[inline(never)]
    pub(super) fn start_of(&self, to: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let head = self.bytes.get(..to).unwrap_or_default();
        let start = head.iter().rposition(|byte| !belongs(*byte)).map_or(0, |at| at + 1);
        self.meter.looked(to - start + 1);
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
        self.meter.looked(looked);
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
        self.meter.looked(looked);
        same
    }
}
