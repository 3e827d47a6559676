//! A stretch of one service's spans or log records, kept and evicted as a whole.

use super::{
    pack::{Packer, Unpacker},
    text::Text,
};
use foldhash::fast::FixedState;
use std::{collections::HashMap, hash::BuildHasher};

/// A segment with as many rows is sealed.
const ROWS: usize = 2048;
/// A segment with as many bytes is sealed.
const BYTES: usize = 1024 * 1024;

/// Is a span's part of fixed size. Times are nanoseconds of Unix time as the sender has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanRow {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) start: u64,
    pub(crate) duration: u64,
    pub(crate) name: super::text::Sym,
    pub(crate) at: u32,
    pub(crate) context: u32,
    pub(crate) kind: u8,
    /// OTLP's, or [`REFUSED`].
    pub(crate) status: u8,
}

/// The status of a span that failed.
pub(crate) const FAILED: u8 = 2;
/// The status of a client's span that failed by an answer of 4xx: the conventions call it an error, and
/// nothing is broken.
pub(crate) const REFUSED: u8 = 3;

/// Is a log record's part of fixed size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogRow {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) time: u64,
    /// Counts all log records in the order in which they came.
    pub(crate) sequence: u64,
    pub(crate) body: super::text::Sym,
    pub(crate) at: u32,
    pub(crate) context: u32,
    pub(crate) severity: u8,
}

/// Holds rows, and what belongs to them in one piece of memory each.
#[derive(Debug)]
pub(crate) struct Segment<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) text: Text,
    bytes: Vec<u8>,
    /// Where each resource with its scope begins in `bytes`.
    contexts: Vec<u32>,
    known: HashMap<u64, u32, FixedState>,
    /// The last time something was added, in milliseconds of Unix time.
    pub(crate) last: u64,
    sealed: bool,
}

impl<R> Segment<R> {
    pub(crate) fn new() -> Self {
        Self {
            rows: Vec::new(),
            text: Text::default(),
            bytes: Vec::new(),
            contexts: Vec::new(),
            known: HashMap::default(),
            last: 0,
            sealed: false,
        }
    }

    /// Tells whether the next row goes into another segment.
    pub(crate) fn is_full(&self) -> bool {
        self.sealed || self.rows.len() >= ROWS || self.bytes.len() + self.text.bytes() >= BYTES
    }

    /// Lets `write` write; returns where that begins, and how much was cut.
    pub(crate) fn pack(&mut self, write: impl FnOnce(&mut Packer<'_>)) -> (u32, u64) {
        let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let mut packer = Packer { bytes: &mut self.bytes, text: &mut self.text, cut: 0 };
        write(&mut packer);
        (at, packer.cut)
    }

    /// Names a resource and scope by a key that stands for both; `write` is called if it is new.
    pub(crate) fn context(&mut self, key: u64, write: impl FnOnce(&mut Packer<'_>)) -> (u32, u64) {
        if let Some(&known) = self.known.get(&key) {
            return (known, 0);
        }
        let (at, cut) = self.pack(write);
        let context = u32::try_from(self.contexts.len()).unwrap_or(u32::MAX);
        self.contexts.push(at);
        self.known.insert(key, context);
        (context, cut)
    }

    pub(crate) fn unpack(&self, at: u32) -> Unpacker<'_> {
        Unpacker { bytes: self.bytes.get(at as usize..).unwrap_or_default() }
    }

    pub(crate) fn unpack_context(&self, context: u32) -> Unpacker<'_> {
        self.contexts.get(context as usize).map_or(Unpacker { bytes: &[] }, |&at| self.unpack(at))
    }

    /// Returns the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<R>()
            + self.text.bytes()
            + self.bytes.capacity()
            + self.contexts.capacity() * 4
            + self.known.capacity() * 18
            + size_of::<Self>()
    }

    /// Releases what only additions need.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
        self.known = HashMap::default();
        self.text.seal();
        self.rows.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.contexts.shrink_to_fit();
    }
}

/// Makes the key of a resource and scope.
pub(crate) fn context_key(encoded: &[u8]) -> u64 {
    FixedState::default().hash_one(encoded)
}
