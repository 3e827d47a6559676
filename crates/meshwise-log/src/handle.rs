//! Steering a log pipeline while it runs.

use crate::{
    filter::{FilterError, LogFilter},
    writer::Writer,
};
use meshwise_core::{Signal, SignalReport, internal::LossCounters};
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
    pub(crate) fn new(filter: LogFilter, writers: Arc<[Arc<Writer>]>) -> Self {
        Self { filter, writers }
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

    /// Tells how many lines were written and lost, by all outputs together.
    pub fn report(&self) -> SignalReport {
        let mut reports = self.writers.iter().map(|writer| writer.report());
        let mut sum = reports.next().unwrap_or_else(|| LossCounters::new(Signal::Logs).report());
        reports.for_each(|report| sum.add(&report));
        sum
    }

    /// Tells what became of the lines of each output; the log's own is the first.
    #[must_use]
    pub fn outputs(&self) -> Vec<OutputReport> {
        self.writers.iter().map(|writer| writer.output_report()).collect()
    }

    /// Waits until all lines logged before are written, `timeout` at most; tells whether they are.
    /// Lines in a spool on disk count as written. Blocks the thread.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        // All are asked, even if one is late.
        let late = |writer: &&Arc<Writer>| !writer.flush(left(deadline));
        self.writers.iter().filter(late).count() == 0
    }

    /// Writes what is queued, `timeout` at most, and ends the writers. What could not be written and
    /// what is logged later counts as lost; what waits in a spool on disk stays there. Blocks the
    /// thread; the second time it only reports.
    pub fn shutdown(&self, timeout: Duration) -> SignalReport {
        let deadline = Instant::now() + timeout;
        for writer in &*self.writers {
            let _report = writer.shutdown(left(deadline));
        }
        self.report()
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
