//! Reads session files, plain or gzipped.

use super::wire::{Raw, Signal};
use crate::{save::HEARD, shared::Shared};
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Take},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// A longer line is skipped, in bytes.
const LINE_LIMIT: u64 = 64 * 1024 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Counts lines.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) lines: AtomicU64,
    pub(crate) unread: AtomicU64,
}

/// Opens a session file, as it is now: what is added from now on is no part of the session.
pub(crate) fn open(path: &Path) -> io::Result<Take<File>> {
    let file = File::open(path)?;
    let there = file.metadata()?;
    if there.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A pipe has no length.
    Ok(file.take(if there.is_file() { there.len() } else { u64::MAX }))
}

/// Takes what a session file holds, at once, each line as if it came when it was saved. A line that cannot
/// be read is counted and skipped.
pub(crate) fn run(shared: &Shared, file: Take<File>) {
    let mut file = BufReader::new(file);
    let zipped = file.fill_buf().is_ok_and(|start| start.starts_with(&GZIP));
    match zipped {
        true => lines(shared, BufReader::new(MultiGzDecoder::new(file))),
        false => lines(shared, file),
    }
    if let Some(end) = shared.clock.stands_at() {
        shared.store.write().edges.settle_all(end);
    }
    shared.clock.end_replay();
    shared.note_changed();
}

fn lines(shared: &Shared, mut lines: impl BufRead) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line);
        let fine = match &read {
            Ok(0) => return,
            Ok(_) => take(shared, &line),
            Err(_) => false,
        };
        if let Some(replayed) = &shared.replayed {
            replayed.lines.fetch_add(1, Ordering::Relaxed);
            replayed.unread.fetch_add(u64::from(!fine), Ordering::Relaxed);
        }
        if !fine {
            shared.store.write().counts.invalid += 1;
        }
        shared.note_changed();
        if read.is_err() {
            return;
        }
    }
}

fn take(shared: &Shared, line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    let head = crate::store::cut(text, 96);
    let signals = [Signal::Traces, Signal::Logs, Signal::Metrics];
    let Some(signal) = signals.into_iter().find(|signal| head.contains(signal.json_names()[0]))
    else {
        return false;
    };
    let now = match heard(text) {
        Some(heard) => shared.clock.replay(heard),
        None => shared.clock.now(),
    };
    super::take(&shared.store, now, signal, Raw::Json(text), None).is_ok()
}

/// Returns when a line was heard, in milliseconds: as it says, or by the newest time in it, for files that
/// others wrote.
fn heard(line: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits = text.trim_start_matches(['"', ':', ' ']);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<u64>().ok().filter(|number| *number > 0)
    };
    if let Some(said) = crate::store::cut(line, 96).split_once(HEARD) {
        return number(said.1);
    }
    let times = memchr::memmem::find_iter(line.as_bytes(), "UnixNano\"");
    let times = times.filter_map(|at| number(crate::store::cut(&line[at + 9..], 32)));
    times.max().map(|nanos| nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::heard;

    #[test]
    fn a_line_was_heard_when_it_says_or_at_its_newest_time() {
        let said =
            r#"{"heardUnixMilli":"1700000000123","resourceSpans":[{"timeUnixNano":"9000000"}]}"#;
        assert_eq!(heard(said), Some(1_700_000_000_123));
        let others =
            r#"{"resourceSpans":[{"startTimeUnixNano": "5000000", "endTimeUnixNano":7000000}]}"#;
        assert_eq!(heard(others), Some(7));
        assert_eq!(heard(r#"{"resourceLogs":[{"timeUnixNano":"0","x":"é"}]}"#), None);
        assert_eq!(heard(r#"{"timeUnixNano":"99999999999999999999999"}"#), None);
    }
}
