//! Steering a log pipeline while it runs.

use crate::{
    export::Export,
    filter::{FilterError, LogFilter},
    recent::RecentLines,
    writer::Writer,
};
use meshwise_core::{Redaction, Signal, SignalReport, internal::LossCounters};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Steers a log pipeline: filter, flush, counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: LogFilter,
    /// The first is the log's own; others get the same lines.
    writers: Arc<[Arc<Writer>]>,
    export: Option<Export>,
    hints: Arc<[String]>,
    recent: Arc<RecentLines>,
    redaction: Redaction,
}

/// Tells what became of the lines of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputReport {
    /// The output's name: `main`, or as it was given.
    pub name: String,
    /// How many lines were accepted by the other side, and lost. "Accepted" says nothing of what it
    /// does with them.
    pub lines: SignalReport,
    /// How many lines wait in the spool on disk.
    pub spooled: u64,
    /// How many lines an earlier process left in the spool; they count as delivered or lost, too.
    pub recovered: u64,
}

impl OutputReport {
    pub(crate) fn new(name: &str, lines: SignalReport) -> Self {
        Self { name: name.to_owned(), lines, spooled: 0, recovered: 0 }
    }

    #[cfg(feature = "spool")]
    pub(crate) fn with_spool(self, spooled: u64, recovered: u64) -> Self {
        Self { spooled, recovered, ..self }
    }
}

impl LogHandle {
    pub(crate) fn new(
        filter: LogFilter,
        writers: Arc<[Arc<Writer>]>,
        export: Option<Export>,
        hints: Vec<String>,
    ) -> Self {
        let redaction = Redaction::default();
        Self { filter, writers, export, hints: hints.into(), recent: Arc::default(), redaction }
    }

    pub(crate) fn with_redaction(self, redaction: Redaction) -> Self {
        Self { redaction, ..self }
    }

    /// Returns what is hidden in lines.
    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    pub(crate) fn with_recent(self, recent: Arc<RecentLines>) -> Self {
        Self { recent, ..self }
    }

    /// Lists what looks like a mistake in the settings and is none for certain, in sentences to be
    /// logged.
    #[doc(hidden)]
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Changes which events are logged, from now on, in the language of `RUST_LOG`.
    ///
    /// # Errors
    /// If the directives are not valid; the filter then stays as it was.
    pub fn set_filter(&self, directives: &str) -> Result<(), FilterError> {
        self.filter.set(directives)
    }

    /// Returns the directives in force.
    #[must_use]
    pub fn filter(&self) -> String {
        self.filter.text()
    }

    /// Tells how many lines were written and lost, by all outputs together; where records are exported
    /// too, each counts again.
    pub fn report(&self) -> SignalReport {
        let reports = self.writers.iter().map(|writer| writer.report());
        let mut reports = reports.chain(self.exported());
        let mut sum = reports.next().unwrap_or_else(|| LossCounters::new(Signal::Logs).report());
        reports.for_each(|report| sum.add(&report));
        sum
    }

    /// Tells how many records were delivered to a collector and lost; `None` if none are exported.
    #[doc(hidden)]
    #[must_use]
    pub fn exported(&self) -> Option<SignalReport> {
        self.export.as_ref().map(Export::report)
    }

    /// Tells what became of the lines of each output; the log's own is the first.
    #[must_use]
    pub fn outputs(&self) -> Vec<OutputReport> {
        self.writers.iter().map(|writer| writer.output_report()).collect()
    }

    /// Returns the last 200 lines at `WARN` and `ERROR`, the oldest first, as they were written; of
    /// longer ones the first 4096 bytes.
    #[doc(hidden)]
    #[must_use]
    pub fn recent(&self) -> Vec<String> {
        self.recent.list()
    }

    /// Waits until all lines logged before are written, and their records exported or lost, `timeout` at
    /// most; tells whether they are. Lines in a spool on disk count as written. Blocks the thread.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let written = self.flush_lines(timeout);
        self.export.as_ref().is_none_or(|export| export.flush(left(deadline))) && written
    }

    /// Waits until all records are exported or lost, `timeout` at most, before a shutdown: what cannot be
    /// reached gets one try. Blocks no thread.
    #[doc(hidden)]
    pub async fn flush_exported(&self, timeout: Duration) {
        if let Some(export) = &self.export {
            export.flush_elsewhere(timeout).await;
        }
    }

    /// Waits until all lines logged before are written; for no collector.
    pub(crate) fn flush_lines(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        // All are asked, even if one is late.
        let late = |writer: &&Arc<Writer>| !writer.flush(left(deadline));
        self.writers.iter().filter(late).count() == 0
    }

    /// Writes and exports what is queued, `timeout` at most, and ends writers and exporter. What could
    /// not be written or exported and what is logged later counts as lost; what waits in a spool on disk
    /// stays there. Blocks the thread; the second time it only reports.
    pub fn shutdown(&self, timeout: Duration) -> SignalReport {
        let deadline = Instant::now() + timeout;
        let write = || {
            for writer in &*self.writers {
                let _report = writer.shutdown(left(deadline));
            }
        };
        match &self.export {
            None => write(),
            Some(export) => export.shut_down_while(timeout, write),
        }
        self.report()
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
