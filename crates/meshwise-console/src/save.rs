//! Session files: OTLP JSON, a request a line, as the collector's file exporter writes them, and when it
//! was heard.

use crate::ingest::wire::Signal;
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
};

/// A session file grows to so many bytes; what comes after is counted as lost.
const FILE_LIMIT: u64 = 2 * 1024 * 1024 * 1024;
/// So many lines wait for the disk.
const QUEUE: usize = 64;
/// The field of a line that says when it was heard, in milliseconds of Unix time.
pub(crate) const HEARD: &str = "\"heardUnixMilli\"";

/// Writes one request as a line of JSON.
#[derive(Debug)]
pub(crate) struct SessionLine {
    names: [&'static str; 3],
    text: Vec<u8>,
    /// How many resources, scopes of the last, and items of the last are written.
    written: [usize; 3],
}

impl SessionLine {
    pub(crate) fn new(signal: Signal, now: u64) -> Self {
        let names = signal.json_names();
        let text = format!("{{{HEARD}:\"{now}\",\"{}\":[", names[0]).into_bytes();
        Self { names, text, written: [0; 3] }
    }

    pub(crate) fn resource(&mut self, resource: &impl Serialize) {
        self.close_scope();
        self.close_resource();
        self.comma(0);
        self.text.extend_from_slice(b"{\"resource\":");
        self.json(resource);
        let _ = write!(self.text, ",\"{}\":[", self.names[1]);
        self.written = [self.written[0] + 1, 0, 0];
    }

    pub(crate) fn scope(&mut self, scope: &impl Serialize) {
        self.close_scope();
        self.comma(1);
        self.text.extend_from_slice(b"{\"scope\":");
        self.json(scope);
        let _ = write!(self.text, ",\"{}\":[", self.names[2]);
        self.written = [self.written[0], self.written[1] + 1, 0];
    }

    pub(crate) fn item(&mut self, item: &impl Serialize) {
        self.comma(2);
        self.json(item);
        self.written[2] += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        self.close_scope();
        self.close_resource();
        self.text.extend_from_slice(b"]}\n");
        self.text
    }

    fn comma(&mut self, level: usize) {
        if self.written[level] > 0 {
            self.text.push(b',');
        }
    }

    fn close_scope(&mut self) {
        if self.written[1] > 0 {
            self.text.extend_from_slice(b"]}");
        }
    }

    fn close_resource(&mut self) {
        if self.written[0] > 0 {
            self.text.extend_from_slice(b"]}");
        }
    }

    fn json(&mut self, value: &impl Serialize) {
        let before = self.text.len();
        // A number that JSON has not: the item is left empty rather than the line broken.
        if serde_json::to_writer(&mut self.text, value).is_err() {
            self.text.truncate(before);
            self.text.extend_from_slice(b"{}");
        }
    }
}

/// Hands lines to the thread that writes the file.
#[derive(Debug)]
pub(crate) struct Saver {
    queue: SyncSender<Vec<u8>>,
    lost: AtomicU64,
}

impl Saver {
    /// Opens the file, of which nothing is lost, and starts the thread.
    pub(crate) fn start(path: &Path) -> io::Result<Self> {
        let (file, mut written) = open(path)?;
        let mut file = BufWriter::new(file);
        let (queue, lines) = sync_channel::<Vec<u8>>(QUEUE);
        let write = move || {
            for line in lines {
                written += line.len() as u64;
                if written > FILE_LIMIT
                    || file.write_all(&line).and_then(|()| file.flush()).is_err()
                {
                    return; // the queue closes, and all further lines count as lost
                }
            }
        };
        std::thread::Builder::new().name("meshwise-console-save".to_owned()).spawn(write)?;
        Ok(Self { queue, lost: AtomicU64::new(0) })
    }

    /// Queues a line; one for which there is no room is counted.
    pub(crate) fn save(&self, line: SessionLine) {
        match self.queue.try_send(line.finish()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Returns how many requests are not in the file.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Opens a session file to be gone on with; returns it and its length. What is no session is left alone.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok((file, 0));
    }
    let mut head = Vec::new();
    (&file).take(96).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    let names =
        [Signal::Traces, Signal::Logs, Signal::Metrics].map(|signal| signal.json_names()[0]);
    if !head.starts_with('{') || !names.into_iter().any(|name| head.contains(name)) {
        let other =
            "there is another file of this name, which is no session: name one that is not there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, other));
    }
    // A line that was broken off stays one of its own.
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok((file, length))
}
