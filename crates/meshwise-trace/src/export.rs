//! Where finished spans go.

mod console;
mod custom;
mod memory;
#[cfg(feature = "_otlp")]
mod otlp;
mod otlp_config;
mod output;

pub use memory::MemorySpans;
pub use otlp_config::{Compression, OtlpConfig, OtlpProtocol};
pub(crate) use output::Output;

use crate::{
    TraceError,
    batch::{Hurry, LossLog},
};
use console::Console;
use custom::Custom;
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, internal::LossCounters};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter},
};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Describes where finished spans go.
///
/// Name several with repeated [`TraceConfig::with_exporter`](crate::TraceConfig::with_exporter):
/// each gets every span.
#[must_use]
pub struct SpanExport(pub(crate) Kind);

pub(crate) enum Kind {
    None,
    Otlp(OtlpConfig),
    Console,
    Memory(MemorySpans),
    Custom(Custom),
}

impl SpanExport {
    /// Sends spans nowhere. Sampling and propagation work all the same.
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// Sends spans to an OpenTelemetry collector, over the protocol of the configuration.
    pub const fn otlp(config: OtlpConfig) -> Self {
        Self(Kind::Otlp(config))
    }

    /// Sends spans to an OpenTelemetry collector over gRPC. Needs the feature `otlp-grpc`.
    pub const fn otlp_grpc() -> Self {
        Self::otlp(OtlpConfig::new().with_protocol(OtlpProtocol::Grpc))
    }

    /// Sends spans to an OpenTelemetry collector over HTTP, as protobuf. Needs the feature
    /// `otlp-http`.
    pub const fn otlp_http_proto() -> Self {
        Self::otlp(OtlpConfig::new().with_protocol(OtlpProtocol::HttpProtobuf))
    }

    /// Sends spans to an OpenTelemetry collector over HTTP, as JSON. Needs the feature
    /// `otlp-http-json`.
    pub const fn otlp_http_json() -> Self {
        Self::otlp(OtlpConfig::new().with_protocol(OtlpProtocol::HttpJson))
    }

    /// Prints one line for each span to standard output, between the log lines that may go there too,
    /// for people who look on. What a line looks like may change.
    pub const fn console() -> Self {
        Self(Kind::Console)
    }

    /// Keeps spans in memory, where a test can look at them.
    pub fn memory(spans: &MemorySpans) -> Self {
        Self(Kind::Memory(spans.clone()))
    }

    /// Hands spans to an exporter of your own.
    ///
    /// It runs on the pipeline's own thread within a tokio runtime (time and I/O enabled). Errors,
    /// panics and timeouts are counted. An exporter that blocks the thread can't be interrupted:
    /// while it does, the queue fills, and a shutdown gives up on it once its time is over.
    pub fn custom(exporter: impl SpanExporter + 'static) -> Self {
        Self(Kind::Custom(Custom::new(exporter)))
    }

    /// Makes the exporter itself.
    pub(crate) fn into_sink(self) -> Result<Box<dyn Sink>, TraceError> {
        Ok(match self.0 {
            Kind::None => Box::new(Nowhere),
            Kind::Otlp(config) => config.into_sink()?,
            Kind::Console => Box::new(Console::stdout()),
            Kind::Memory(spans) => Box::new(spans),
            Kind::Custom(custom) => Box::new(custom),
        })
    }
}

impl fmt::Debug for SpanExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("SpanExport::none"),
            Kind::Otlp(config) => f.debug_tuple("SpanExport::otlp").field(config).finish(),
            Kind::Console => f.write_str("SpanExport::console"),
            Kind::Memory(_) => f.write_str("SpanExport::memory"),
            Kind::Custom(custom) => f.debug_tuple("SpanExport::custom").field(custom).finish(),
        }
    }
}

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
    /// Begins when nobody has time to wait for a retry any more.
    pub(crate) hurry: &'a Hurry,
    /// Where errors go that are tried again.
    pub(crate) losses: &'a LossLog,
    pub(crate) ledger: &'a LossCounters,
}

/// Says how an export went.
#[derive(Debug)]
pub(crate) enum Exported {
    /// All spans are there.
    Delivered,
    /// The destination took the batch, but not all of its spans.
    Partly { rejected: u64, reason: DropReason, error: String },
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
struct Nowhere;

impl Sink for Nowhere {
    fn export<'a>(&'a mut self, _: Vec<SpanData>, _: Terms<'a>) -> BoxFuture<'a, Exported> {
        Box::pin(std::future::ready(Exported::Delivered))
    }
}
