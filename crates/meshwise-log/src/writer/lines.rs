//! Lines that wait in one block of the queue.

use meshwise_core::internal::queue::{Block, Shape};

/// The most bytes that a shard is granted at once, unless one line needs more.
const GRANT: usize = 16 << 10;
/// With so many bytes, beside what the shards were granted, the writing thread is woken: buffers that
/// outgrow the caches cost more than that, not to speak of memory that is fresh from the system.
const PLENTY: usize = 64 << 10;

/// Lines of the threads of one shard, in their order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
}

/// Says where a line ends, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) end: usize,
}

impl Lines {
    /// Adds a line, its end included, that was made at this moment.
    pub(super) fn push(&mut self, line: &[u8], at: u64) {
        self.bytes.extend_from_slice(line);
        self.marks.push(Mark { at, end: self.bytes.len() });
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
    }
}

impl Block for Lines {
    fn items(&self) -> usize {
        self.marks.len()
    }

    fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Returns the shape of a queue for so many bytes of lines. A shard's lines stay in one block, however
/// many: it costs one copy of a line, and merging takes a block for each shard.
pub(super) fn shape(bytes: usize, shards: usize) -> Shape {
    let grant = GRANT.min(bytes / (8 * shards));
    let notify_at = (PLENTY + shards * grant).min(bytes / 2);
    Shape { capacity: bytes, notify_at, shards, block: usize::MAX, grant }
}
