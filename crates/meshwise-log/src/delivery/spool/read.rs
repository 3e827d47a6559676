//! The reading side of a spool.

use super::{
    cursor::{self, Place},
    record::{self, HEAD, RecordHead},
};
use crate::delivery::Batch;
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// Reads the segments of one slot, from the cursor on.
pub(super) struct Reader {
    slot: PathBuf,
    /// Held for as long as the slot is ours.
    _lock: File,
    place: Place,
    file: Option<File>,
}

/// What comes next in a slot.
pub(super) enum Next {
    /// A batch, and where it ends.
    Record(Batch, Place),
    /// A part of the segment makes no sense, and is left out; so many lines stood in it, if that can be
    /// told.
    Damaged(Option<u32>),
    /// A segment of so many bytes is done, and deleted.
    Segment(u64),
    /// Nothing, for now.
    Nothing,
}

pub(super) fn segment_path(slot: &Path, segment: u64) -> PathBuf {
    slot.join(format!("{segment:016}.lines"))
}

/// Reads the name of a segment, as we write it.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".lines").filter(|digits| digits.len() == 16)?;
    digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl Reader {
    pub(super) fn open(slot: PathBuf, lock: File) -> io::Result<Self> {
        let place = cursor::read(&slot);
        let reader = Self { slot, _lock: lock, place, file: None };
        reader.segments()?;
        Ok(reader)
    }

    pub(super) fn slot(&self) -> &Path {
        &self.slot
    }

    /// Lists the segments that are there, in order.
    fn segments(&self) -> io::Result<Vec<u64>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.slot)? {
            segments.extend(entry?.file_name().to_str().and_then(number));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    pub(super) fn last_segment(&self) -> Option<u64> {
        let last = self.segments().ok().and_then(|segments| segments.last().copied());
        // The cursor's own is not used again: what is before it counts as sent.
        last.max((self.place.0 > 0).then_some(self.place.0))
    }

    /// Returns how many bytes lie in segments.
    pub(super) fn bytes(&self) -> u64 {
        let segments = self.segments().unwrap_or_default().into_iter();
        let sizes = segments.map(|segment| fs::metadata(segment_path(&self.slot, segment)));
        sizes.flatten().map(|size| size.len()).sum()
    }

    /// Counts the lines that are to be sent.
    pub(super) fn count_lines(&self) -> u64 {
        let segments = self.segments().unwrap_or_default().into_iter();
        let open = segments.filter(|segment| *segment >= self.place.0);
        open.filter_map(|segment| self.lines_of(segment).ok()).sum()
    }

    fn lines_of(&self, segment: u64) -> io::Result<u64> {
        let mut file = File::open(segment_path(&self.slot, segment))?;
        let length = file.metadata()?.len();
        let mut at = if segment == self.place.0 { self.place.1 } else { 0 };
        let mut lines = 0;
        let mut head = [0; HEAD];
        while at + HEAD as u64 <= length {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut head)?;
            if let Some(head) = RecordHead::decode(&head)
                && at + head.record() <= length
            {
                at += head.record();
                lines += u64::from(head.lines);
                continue;
            }
            // Reading goes on behind what is damaged, and so does this.
            let mut damaged = Vec::new();
            file.seek(SeekFrom::Start(at))?;
            (&file).take(length - at).read_to_end(&mut damaged)?;
            match record::resume(&damaged) {
                Some((lost, _)) => at += (lost as u64).max(1),
                None => break,
            }
        }
        Ok(lines)
    }

    /// Returns what comes next, before `tail`.
    pub(super) fn next(&mut self, tail: Place) -> io::Result<Next> {
        if self.file.is_none() && !self.open_segment(tail)? {
            return Ok(Next::Nothing);
        }
        let (segment, at) = self.place;
        if (segment, at) >= tail {
            return Ok(Next::Nothing);
        }
        let Some(file) = &mut self.file else { return Ok(Next::Nothing) };
        let length = file.metadata()?.len();
        if at >= length {
            return self.end_segment(length);
        }
        file.seek(SeekFrom::Start(at))?;
        if let Some((batch, record)) = record::decode(io::BufReader::new(&*file))? {
            return Ok(Next::Record(batch, (segment, at + record)));
        }
        // (A segment is 4 MiB and a record.)
        let mut damaged = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.take(length - at).read_to_end(&mut damaged)?;
        let (lost, lines) = record::resume(&damaged).unwrap_or((damaged.len(), None));
        self.place.1 = at + lost as u64;
        Ok(Next::Damaged(lines))
    }

    /// Opens the first segment at or behind the cursor, up to the tail's.
    fn open_segment(&mut self, tail: Place) -> io::Result<bool> {
        let segments = self.segments()?;
        // What stands before the cursor was sent; deleting it failed, or did not come to its turn.
        for done in segments.iter().filter(|segment| **segment < self.place.0) {
            let _gone = fs::remove_file(segment_path(&self.slot, *done));
        }
        let Some(segment) = segments.into_iter().find(|segment| *segment >= self.place.0) else {
            return Ok(false);
        };
        if segment > tail.0 {
            return Ok(false);
        }
        if segment > self.place.0 {
            self.place = (segment, 0);
        }
        self.file = Some(File::open(segment_path(&self.slot, segment))?);
        Ok(true)
    }

    fn end_segment(&mut self, length: u64) -> io::Result<Next> {
        let segment = self.place.0;
        self.advance((segment + 1, 0))?;
        self.file = None;
        fs::remove_file(segment_path(&self.slot, segment))?;
        Ok(Next::Segment(length))
    }

    /// Gives the segment at the cursor a name that is none of a segment's, and goes on behind it; returns
    /// its length.
    pub(super) fn set_aside(&mut self) -> io::Result<u64> {
        let path = segment_path(&self.slot, self.place.0);
        let length = fs::metadata(&path)?.len();
        fs::rename(&path, path.with_extension("unreadable"))?;
        self.file = None;
        self.advance((self.place.0 + 1, 0))?;
        Ok(length)
    }

    /// Notes that all before `place` is done.
    pub(super) fn advance(&mut self, place: Place) -> io::Result<()> {
        self.place = place;
        cursor::write(&self.slot, place)
    }
}
