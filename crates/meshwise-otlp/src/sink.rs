//! What takes batches of finished records.

use crate::{losses::LossLog, shutdown_signal::ShutdownSignal};
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, internal::LossCounters};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Exports batches of records, one at a time, on the worker's thread.
pub trait Sink<B>: Send + fmt::Debug {
    /// Tells where records go, if that is far away.
    fn destination(&self) -> Option<Destination> {
        None
    }

    /// Exports a batch. The future may be dropped at any point.
    fn export<'a>(&'a mut self, batch: B, terms: Terms<'a>) -> BoxFuture<'a, Exported>;

    /// Comes after the last batch.
    fn close(&mut self, _left: Duration) {}
}

/// Names the place where records go, for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The address, without what may be secret in it.
    pub endpoint: String,
    /// How records are carried there.
    pub protocol: &'static str,
}

/// Tells an exporter under which terms it works.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Terms<'a> {
    /// When the batch is lost, retries included.
    pub deadline: Instant,
    /// Begins when no time is left to wait for a retry.
    pub shutdown: &'a ShutdownSignal,
    /// Where errors go that are tried again.
    pub losses: &'a LossLog,
    /// What became of records up to now.
    pub counters: &'a LossCounters,
}

/// Says how an export went.
#[derive(Debug)]
#[non_exhaustive]
pub enum Exported {
    /// All records are there.
    Delivered,
    /// The destination accepted the batch, but not all of its records.
    Partly {
        /// How many of them.
        refused: u64,
        /// What is counted for these.
        reason: DropReason,
        /// What the destination said.
        error: String,
    },
    /// No record is there, as far as is known.
    Failed {
        /// What is counted for these.
        reason: DropReason,
        /// What went wrong.
        error: String,
    },
}

impl Exported {
    /// Says that nothing arrived.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::Failed { reason: DropReason::ExportFailed, error: error.into() }
    }

    /// Says that no answer came in time.
    #[must_use]
    pub fn timed_out(after: Duration) -> Self {
        let error = format!("no answer from the exporter after {after:?}");
        Self::Failed { reason: DropReason::ExportTimeout, error }
    }

    /// Counts what became of `n` records, and says so if they were lost.
    pub(crate) fn book(self, n: u64, counters: &LossCounters, losses: &LossLog) {
        let (refused, reason, error) = match self {
            Self::Delivered => return counters.delivered(n),
            Self::Partly { refused, reason, error } => (refused.min(n), reason, error),
            Self::Failed { reason, error } => (n, reason, error),
        };
        counters.delivered(n - refused);
        counters.dropped(reason, refused);
        losses.complain(&error, &counters.report(), Instant::now());
    }
}
