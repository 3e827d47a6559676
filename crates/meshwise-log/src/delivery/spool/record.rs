//! How a batch lies in a segment.
//!
//! ```text
//! "MWS1"  length of the rest  CRC-32 of the rest  id        lines  then, for each line:
//! 4       4                   4                   16        4      time 8, length 4, text with its end
//! ```
//!
//! All numbers are little-endian. Length and number of lines stand in front, so that lines are counted
//! without reading them.

use crate::delivery::Batch;
use std::io::{self, Read};

const MAGIC: [u8; 4] = *b"MWS1";
/// What stands before the lines.
pub(super) const HEAD: usize = 32;
/// What stands before the text of each line.
const LINE_HEAD: usize = 12;
/// No record is longer; a length beyond it is damage.
const MAX_RECORD: usize = 64 << 20;

/// Writes a batch down.
pub(super) fn encode(batch: &Batch, record: &mut Vec<u8>) {
    record.clear();
    record.extend_from_slice(&[0; 12]);
    record.extend_from_slice(&batch.id().to_le_bytes());
    record.extend_from_slice(&length(batch.len()).to_le_bytes());
    for line in batch.lines() {
        record.extend_from_slice(&line.nanos().to_le_bytes());
        record.extend_from_slice(&length(line.text().len()).to_le_bytes());
        record.extend_from_slice(line.text());
    }
    let rest = length(record.len() - 12).to_le_bytes();
    let sum = crc32fast::hash(&record[12..]).to_le_bytes();
    for (place, bytes) in [(0, MAGIC), (4, rest), (8, sum)] {
        record[place..place + 4].copy_from_slice(&bytes);
    }
}

/// (A batch is 1 MiB and a line.)
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// What stands at the front of a record.
pub(super) struct RecordHead {
    /// How many bytes come after length and sum.
    pub(super) rest: usize,
    sum: u32,
    id: u128,
    pub(super) lines: u32,
}

impl RecordHead {
    pub(super) fn decode(head: &[u8; HEAD]) -> Option<Self> {
        let mut head = &head[..];
        let magic: [u8; 4] = take(&mut head)?;
        let rest = u32::from_le_bytes(take(&mut head)?) as usize;
        let sum = u32::from_le_bytes(take(&mut head)?);
        let id = u128::from_le_bytes(take(&mut head)?);
        let lines = u32::from_le_bytes(take(&mut head)?);
        let room = rest.checked_sub(HEAD - 12).map_or(0, |lines| lines / LINE_HEAD);
        let sane = magic == MAGIC
            && (HEAD - 12..=MAX_RECORD).contains(&rest)
            && usize::try_from(lines).is_ok_and(|lines| lines <= room);
        sane.then_some(Self { rest, sum, id, lines })
    }

    /// Returns the record's length, its head included.
    pub(super) fn record(&self) -> u64 {
        self.rest as u64 + 12
    }
}

/// Reads one record; `None` if it is damaged or not whole.
pub(super) fn decode(mut from: impl Read) -> io::Result<Option<(Batch, u64)>> {
    let mut head = [0; HEAD];
    if !whole(from.read_exact(&mut head))? {
        return Ok(None);
    }
    let Some(record) = RecordHead::decode(&head) else { return Ok(None) };
    let mut rest = vec![0; record.rest];
    let (front, back) = rest.split_at_mut(HEAD - 12);
    front.copy_from_slice(&head[12..]);
    if !whole(from.read_exact(back))? || crc32fast::hash(&rest) != record.sum {
        return Ok(None);
    }
    let mut lines = &rest[HEAD - 12..];
    let mut batch = Batch::with_id(record.id);
    let mut text = Vec::new();
    for _ in 0..record.lines {
        let Some((at, line)) = line(&mut lines) else { return Ok(None) };
        text.clear();
        text.extend_from_slice(line);
        text.push(b'\n');
        batch.push(&text, at);
    }
    Ok(lines.is_empty().then_some((batch, record.record())))
}

/// Finds the first whole record behind a damaged one: where it begins, and how many lines were lost, if
/// that can be told.
pub(super) fn resume(damaged: &[u8]) -> Option<(usize, Option<u32>)> {
    let whole = |at: usize| {
        let from = damaged.get(at..).filter(|from| from.starts_with(&MAGIC)).unwrap_or_default();
        let head = from.first_chunk().and_then(RecordHead::decode);
        head.is_some_and(|head| head.record() <= from.len() as u64)
            && matches!(decode(from), Ok(Some(_)))
    };
    let head = damaged.first_chunk().and_then(RecordHead::decode);
    if let Some(head) = head
        && let Ok(end) = usize::try_from(head.record())
        && (end == damaged.len() || whole(end))
    {
        return Some((end, Some(head.lines)));
    }
    (1..damaged.len()).find(|at| whole(*at)).map(|at| (at, None))
}

/// Tells whether all was there to be read.
fn whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn line<'a>(bytes: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let at = u64::from_le_bytes(take(bytes)?);
    let length = u32::from_le_bytes(take(bytes)?) as usize;
    let (line, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some((at, line))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> (Batch, Vec<u8>) {
        let mut batch = Batch::with_id(0x1234);
        for (at, line) in [(5, "one\n"), (6, "\n"), (u64::MAX, "drei ä\n")] {
            batch.push(line.as_bytes(), at);
        }
        let mut bytes = Vec::new();
        encode(&batch, &mut bytes);
        (batch, bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        let (batch, bytes) = record();
        let length = bytes.len() as u64;
        assert_eq!(decode(&bytes[..]).expect("read"), Some((batch, length)));
    }

    #[test]
    fn each_single_change_and_each_cut_is_noticed() {
        let (_, bytes) = record();
        for place in 0..bytes.len() {
            assert_eq!(decode(&bytes[..place]).expect("read"), None, "cut at {place}");
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                assert_eq!(decode(&changed[..]).expect("read"), None, "bit {bit} of {place}");
            }
        }
    }

    #[test]
    fn what_stands_behind_a_damaged_record_is_found() {
        let (_, one) = record();
        let three = one.repeat(3);
        let resume_with = |at: usize, byte: u8| {
            let mut bytes = three.clone();
            bytes[at] ^= byte;
            resume(&bytes)
        };
        let next = one.len();
        assert_eq!(resume_with(next - 2, 1), Some((next, Some(3))), "a line");
        assert_eq!(resume_with(0, 1), Some((next, None)), "its mark");
        assert_eq!(resume_with(5, 1), Some((next, None)), "its length");
        assert_eq!(
            resume_with(30, 0x80),
            Some((next, None)),
            "the number of lines, beyond its length"
        );
        assert_eq!(resume(&one[..next - 1]), None, "a torn end");
        let mut last = one.clone();
        last[next - 2] ^= 1;
        assert_eq!(resume(&last), Some((next, Some(3))));
        assert_eq!(resume(b"MWS1"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not_and_nothing_panics(bytes: Vec<u8>, sum: bool) {
            let mut bytes = bytes;
            if sum && bytes.len() > 32 {
                let rest = length(bytes.len() - 12).to_le_bytes();
                let sum = crc32fast::hash(&bytes[12..]).to_le_bytes();
                for (place, part) in [(0, MAGIC), (4, rest), (8, sum)] {
                    bytes[place..place + 4].copy_from_slice(&part);
                }
            }
            let _ = decode(&bytes[..]).expect("read");
            let _ = resume(&bytes);
        }
    }
}
