//! Reads session files.

use super::wire::{Raw, Signal};
use crate::shared::{Shared, now};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
};

/// A longer line is skipped, in bytes.
const LINE_LIMIT: u64 = 64 * 1024 * 1024;

/// Takes what a session file holds, at once. A line that cannot be read is counted and skipped.
pub(crate) fn run(shared: &Shared, file: File) {
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if !take(shared, &line) {
            shared.store.write().counts.invalid += 1;
        }
        shared.note_changed();
    }
}

fn take(shared: &Shared, line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    let head = crate::store::cut(text, 64);
    let signals = [Signal::Traces, Signal::Logs, Signal::Metrics];
    let Some(signal) = signals.into_iter().find(|signal| head.contains(signal.json_names()[0]))
    else {
        return false;
    };
    super::take(&shared.store, now(), signal, Raw::Json(text), None).is_ok()
}
