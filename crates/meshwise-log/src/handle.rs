//! Steering a log pipeline while it runs.

use crate::{
    filter::{FilterError, LogFilter},
    writer::Writer,
};
use meshwise_core::SignalReport;
use std::{sync::Arc, time::Duration};

/// Steers a log pipeline: filter, flush, counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: LogFilter,
    writer: Arc<Writer>,
}

impl LogHandle {
    pub(crate) fn new(filter: LogFilter, writer: Arc<Writer>) -> Self {
        Self { filter, writer }
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

    /// Tells how many lines were written and lost.
    pub fn report(&self) -> SignalReport {
        self.writer.report()
    }

    /// Waits until all lines logged before are written, `timeout` at most; tells whether they are.
    /// Blocks the thread.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.writer.flush(timeout)
    }

    /// Writes what is queued, `timeout` at most, and ends the writer. What could not be written and
    /// what is logged later counts as lost. Blocks the thread; the second time it only reports.
    pub fn shutdown(&self, timeout: Duration) -> SignalReport {
        self.writer.shutdown(timeout)
    }
}
