//! The writing side of a spool.

use super::{
    SEGMENT_BYTES, SpoolConfig, SpoolState, files::private, lessen, read::segment_path, record,
};
use crate::{delivery::Batch, writer::QueuePolicy};
use meshwise_core::DropReason;
use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How long is waited for room before it is looked whether that is still worth it.
const WAIT: Duration = Duration::from_millis(50);

/// Appends batches to segments.
pub(crate) struct Appender {
    slot: PathBuf,
    segment: u64,
    /// How much of the open segment is whole records.
    length: u64,
    file: Option<File>,
    max_bytes: u64,
    sync: bool,
    state: Arc<SpoolState>,
    record: Vec<u8>,
}

impl Appender {
    pub(super) fn new(
        config: &SpoolConfig,
        slot: PathBuf,
        segment: u64,
        state: Arc<SpoolState>,
    ) -> Self {
        Self {
            slot,
            segment,
            length: 0,
            file: None,
            max_bytes: config.max_bytes,
            sync: config.sync,
            state,
            record: Vec::new(),
        }
    }

    /// Appends a batch: it is on disk then.
    ///
    /// # Errors
    /// The reason for which its lines are dropped, and what to tell of it.
    pub(crate) fn append(
        &mut self,
        batch: &Batch,
        policy: QueuePolicy,
        gives_up: &dyn Fn() -> bool,
    ) -> Result<(), (DropReason, String)> {
        let mut record = std::mem::take(&mut self.record);
        record::encode(batch, &mut record);
        // Before the sending thread can see the record, and take its lines off again.
        let lines = batch.len() as u64;
        self.state.lines.fetch_add(lines, Relaxed);
        let written = self.write(&record, policy, gives_up);
        self.record = record;
        if written.is_err() {
            lessen(&self.state.lines, lines);
        }
        written?;
        self.state.change(|phase| phase.tail = (self.segment, self.length));
        Ok(())
    }

    fn write(
        &mut self,
        record: &[u8],
        policy: QueuePolicy,
        gives_up: &dyn Fn() -> bool,
    ) -> Result<(), (DropReason, String)> {
        let bytes = record.len() as u64;
        while self.state.bytes.load(Relaxed) + bytes > self.max_bytes {
            // What is sent in a segment that is full makes room; so the one that grows is closed.
            self.next_segment();
            if policy == QueuePolicy::Drop || gives_up() {
                return Err((DropReason::QueueFull, "the spool is full".to_owned()));
            }
            let waited = self.state.changed.wait_timeout(self.state.lock(), WAIT);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        self.try_write(record).map_err(|error| {
            // What is written of it must not stand before the next one.
            let cut = self.file.as_ref().map(|file| file.set_len(self.length));
            if !matches!(cut, Some(Ok(()))) {
                self.next_segment();
            }
            (DropReason::WriteFailed, format!("the spool cannot be written: {error}"))
        })?;
        self.length += bytes;
        self.state.bytes.fetch_add(bytes, Relaxed);
        if self.length >= SEGMENT_BYTES {
            self.next_segment();
        }
        Ok(())
    }

    fn try_write(&mut self, record: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let path = segment_path(&self.slot, self.segment);
                none.insert(private().create_new(true).append(true).open(path)?)
            }
        };
        file.write_all(record)?;
        if self.sync { file.sync_data() } else { Ok(()) }
    }

    fn next_segment(&mut self) {
        if self.length > 0 || self.file.is_some() {
            self.file = None;
            self.length = 0;
            self.segment += 1;
            self.state.change(|phase| phase.tail = (self.segment, 0));
        }
    }
}
