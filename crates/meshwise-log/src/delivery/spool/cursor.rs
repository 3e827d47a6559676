//! The place up to which the other side has accepted.

use super::files::private;
use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Names a segment and a byte in it.
pub(super) type Place = (u64, u64);

const NAME: &str = "cursor";

/// Reads the cursor of a slot; the beginning if there is none, or it is damaged: lines are rather sent
/// twice than not at all, and what stands before it is deleted.
pub(super) fn read(slot: &Path) -> Place {
    let text = fs::read_to_string(slot.join(NAME)).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(segment)), Some(Ok(byte))) if text == line((segment, byte)) => (segment, byte),
        _ => (0, 0),
    }
}

/// Writes a place with its checksum.
fn line((segment, byte): Place) -> String {
    let place = format!("{segment} {byte}");
    let sum = crc32fast::hash(place.as_bytes());
    format!("{place} {sum:08x}\n")
}

/// Puts the new cursor in the old one's place, all at once.
pub(super) fn write(slot: &Path, place: Place) -> io::Result<()> {
    let new = slot.join("cursor.new");
    let mut file = private().create(true).truncate(true).write(true).open(&new)?;
    file.write_all(line(place).as_bytes())?;
    drop(file);
    fs::rename(new, slot.join(NAME))
}
