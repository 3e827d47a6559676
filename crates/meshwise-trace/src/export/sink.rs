//! What takes batches of finished spans.

use crate::batch::{LossLog, ShutdownSignal};
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, internal::LossCounters};
use opentelemetry_sdk::{Resource, trace::SpanData};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Exports batches of spans, one at a time, on the worker's thread.
pub(crate) trait Sink: Send + fmt::Debug {
    /// Tells where spans go, if that is far away.
    fn destination(&self) -> Option<Destination> {
        None
    }

    /// Tells what describes this process; comes before any span.
    fn set_resource(&mut self, _resource: &Resource) {}

    /// Exports a batch. The future may be dropped at any point.
    fn export<'a>(&'a mut self, batch: Vec<SpanData>, terms: Terms<'a>) -> BoxFuture<'a, Exported>;

    /// Comes after the last batch.
    fn close(&mut self, _left: Duration) {}
}

/// Names the place where spans go, for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) endpoint: String,
    pub(crate) protocol: &'static str,
}

/// Tells an exporter under which terms it works.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "_otlp"), expect(dead_code, reason = "only OTLP tries again"))]
pub(crate) struct Terms<'a> {
    /// When the batch is lost, retries included.
    pub(crate) deadline: Instant,
    /// Begins when no time is left to wait for a retry.
    pub(crate) shutdown: &'a ShutdownSignal,
    /// Where errors go that are tried again.
    pub(crate) losses: &'a LossLog,
    pub(crate) counters: &'a LossCounters,
}

/// Says how an export went.
#[derive(Debug)]
pub(crate) enum Exported {
    /// All spans are there.
    Delivered,
    /// The destination accepted the batch, but not all of its spans.
    Partly { refused: u64, reason: DropReason, error: String },
    /// No span is there, as far as is known.
    Failed { reason: DropReason, error: String },
}

impl Exported {
    pub(crate) fn failed(error: impl Into<String>) -> Self {
        Self::Failed { reason: DropReason::ExportFailed, error: error.into() }
    }

    pub(crate) fn timed_out(after: Duration) -> Self {
        let error = format!("no answer from the exporter after {after:?}");
        Self::Failed { reason: DropReason::ExportTimeout, error }
    }
}

/// Takes spans and forgets them.
#[derive(Debug)]
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn export<'a>(&'a mut self, _: Vec<SpanData>, _: Terms<'a>) -> BoxFuture<'a, Exported> {
        Box::pin(std::future::ready(Exported::Delivered))
    }
}
