//! What takes batches of finished spans.

use crate::spare::{self, SpanBox};
use futures_util::future::BoxFuture;
use meshwise_otlp::internal::{Destination, Exported};
use opentelemetry_sdk::Resource;
use std::{fmt, time::Duration};

pub(crate) use meshwise_otlp::internal::Terms;

/// Exports batches of spans, one at a time, on the worker's thread.
pub(crate) trait SpanSink: Send + fmt::Debug {
    /// Tells where spans go, if that is far away.
    fn destination(&self) -> Option<Destination> {
        None
    }

    /// Tells what describes this process; comes before any span.
    fn set_resource(&mut self, _resource: &Resource) {}

    /// Exports a batch. The future may be dropped at any point.
    fn export<'a>(&'a mut self, batch: Vec<SpanBox>, terms: Terms<'a>) -> BoxFuture<'a, Exported>;

    /// Comes after the last batch.
    fn close(&mut self, _left: Duration) {}
}

/// Takes spans and forgets them.
#[derive(Debug)]
pub(super) struct Nowhere;

impl SpanSink for Nowhere {
    fn export<'a>(&'a mut self, batch: Vec<SpanBox>, _: Terms<'a>) -> BoxFuture<'a, Exported> {
        spare::put_back(batch);
        Box::pin(std::future::ready(Exported::Delivered))
    }
}
