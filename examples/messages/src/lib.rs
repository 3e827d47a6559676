//! What the programs of this package share.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "nothing outside of this workspace uses it"
)]

pub mod redis;
#[cfg(feature = "databases")]
pub mod rusqlite;
#[cfg(feature = "databases")]
pub mod sqlx;

use meshwise_core::Service;
use meshwise_messaging::{Messaging, Recording};
use meshwise_metrics::{Metrics, MetricsConfig};
use meshwise_trace::{MemorySpans, SamplerConfig, SpanExport, TraceConfig};

/// A service that keeps its spans in memory. A service of its own says `meshwise::builder` instead.
#[derive(Debug)]
pub struct Recorded {
    /// Makes producers and consumers.
    pub messaging: Messaging,
    /// The spans that have ended.
    pub spans: MemorySpans,
    /// What was counted.
    pub metrics: Metrics,
}

impl Recorded {
    /// Makes a service of this name.
    ///
    /// # Errors
    /// If logs, metrics or traces cannot be set up.
    pub fn new(name: &'static str) -> anyhow::Result<Self> {
        let service = Service::new(name, env!("CARGO_PKG_VERSION"));
        let spans = MemorySpans::new();
        let tracing = TraceConfig::new(service.clone())
            .with_sampler(SamplerConfig::parent_based(SamplerConfig::always_on()))
            .with_exporter(SpanExport::memory(&spans))
            .build()?;
        let metrics = MetricsConfig::new(service.clone()).build()?;
        let recording = Recording::new(service).with_tracing(tracing).with_metrics(metrics.clone());
        let messaging = Messaging::builder(recording).build();
        Ok(Self { messaging, spans, metrics })
    }

    /// Prints the spans, a line each.
    pub fn print(&self) {
        for span in self.spans.spans() {
            let (ids, parent) = (&span.span_context, span.parent_span_id);
            println!("{:30} {} {} <- {parent}", span.name, ids.trace_id(), ids.span_id());
        }
    }
}
