//! Lines that are sent together.

use meshwise_core::internal::random;
use std::time::{Duration, SystemTime};

/// Batches end with the line that takes them past this.
pub(crate) const MAX_BATCH_BYTES: usize = 1 << 20;

/// Holds lines that are sent together, and again together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    id: u128,
    bytes: Vec<u8>,
    marks: Vec<BatchMark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BatchMark {
    /// Nanoseconds since 1970.
    at: u64,
    /// Its place in the batch as it was first sent.
    number: u32,
    end: usize,
}

/// One line of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLine<'a> {
    text: &'a [u8],
    mark: BatchMark,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self::with_id(random::u128())
    }

    pub(crate) fn with_id(id: u128) -> Self {
        Self { id, bytes: Vec::new(), marks: Vec::new() }
    }

    /// Adds a line, its end included, that was made so many nanoseconds after 1970 began.
    pub(crate) fn push(&mut self, line: &[u8], at: u64) {
        let number = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(line);
        self.marks.push(BatchMark { at, number, end: self.bytes.len() });
    }

    /// Keeps the lines that `keep` is true for, under their old numbers.
    pub(super) fn retain(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept = Self::with_id(self.id);
        for (index, line) in self.lines().enumerate().filter(|(index, _)| keep(*index)) {
            let start = index.checked_sub(1).map_or(0, |before| self.marks[before].end);
            kept.bytes.extend_from_slice(&self.bytes[start..line.mark.end]);
            kept.marks.push(BatchMark { end: kept.bytes.len(), ..line.mark });
        }
        kept
    }

    /// Returns the batch's id: random, and the same whenever it is sent, after a restart too if it
    /// waited in a spool.
    #[must_use]
    pub const fn id(&self) -> u128 {
        self.id
    }

    /// Returns how many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.marks.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Returns all lines, each with its line end.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Iterates over the lines, in the order of their times.
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = BatchLine<'_>> {
        let mut start = 0;
        self.marks.iter().map(move |mark| {
            let text = &self.bytes[start..mark.end];
            start = mark.end;
            BatchLine { text: text.strip_suffix(b"\n").unwrap_or(text), mark: *mark }
        })
    }
}

impl<'a> BatchLine<'a> {
    /// Returns the line without its end: UTF-8, in the log's format.
    #[must_use]
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Returns when the line was made.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.mark.at)
    }

    /// Returns when the line was made, in nanoseconds since 1970.
    #[doc(hidden)]
    #[must_use]
    pub const fn nanos(&self) -> u64 {
        self.mark.at
    }

    /// Returns its number in the batch, which it keeps when only some of the lines are sent again.
    #[doc(hidden)]
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.mark.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_and_the_id_when_some_are_sent_again() {
        let mut batch = Batch::with_id(7);
        for (at, line) in [(1, "a\n"), (2, "bb\n"), (3, "\n"), (4, "dddd\n")] {
            batch.push(line.as_bytes(), at);
        }
        let again = batch.retain(|index| index % 2 == 1);
        let seen: Vec<_> = again.lines().map(|l| (l.number(), l.nanos(), l.text())).collect();
        assert_eq!(seen, [(1, 2, &b"bb"[..]), (3, 4, b"dddd")]);
        assert_eq!((again.id(), again.bytes()), (7, &b"bb\ndddd\n"[..]));
        let last = again.retain(|index| index == 1);
        assert_eq!(last.lines().map(|line| line.number()).collect::<Vec<_>>(), [3]);
        assert!(batch.retain(|_| false).is_empty());
    }
}
