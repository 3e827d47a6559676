//! Where finished spans go.

mod console;
mod custom;
mod memory;
#[cfg(feature = "_otlp")]
mod otlp;
mod output;
mod sink;

pub use memory::MemorySpans;
pub(crate) use output::Output;
pub(crate) use sink::SpanSink;

use crate::error::TraceError;
use console::Console;
use custom::Custom;
use meshwise_core::Resource;
use meshwise_otlp::{OtlpConfig, OtlpError};
use opentelemetry_sdk::trace::SpanExporter;
use sink::Nowhere;
use std::fmt;

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

    /// Sends spans to an OpenTelemetry collector, over the protocol of the configuration. Needs the feature
    /// of that protocol.
    pub const fn otlp(config: OtlpConfig) -> Self {
        Self(Kind::Otlp(config))
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
    /// panics and timeouts are counted. An exporter that blocks the thread cannot be interrupted:
    /// while it does, the queue fills, and a shutdown gives up on it once its time is over.
    pub fn custom(exporter: impl SpanExporter + 'static) -> Self {
        Self(Kind::Custom(Custom::new(exporter)))
    }

    /// Makes the exporter itself.
    pub(crate) fn into_sink(self) -> Result<Box<dyn SpanSink>, TraceError> {
        Ok(match self.0 {
            Kind::None => Box::new(Nowhere),
            Kind::Otlp(config) => otlp_sink(config, None)?,
            Kind::Console => Box::new(Console::stdout()),
            Kind::Memory(spans) => Box::new(spans),
            Kind::Custom(custom) => Box::new(custom),
        })
    }
}

#[cfg(feature = "_otlp")]
pub(crate) fn otlp_sink(
    config: OtlpConfig,
    resource: Option<&Resource>,
) -> Result<Box<dyn SpanSink>, OtlpError> {
    let encoder = otlp::SpanEncoder::new(resource.cloned());
    Ok(Box::new(config.into_exporter(meshwise_core::Signal::Traces, encoder)?))
}

#[cfg(not(feature = "_otlp"))]
#[expect(clippy::needless_pass_by_value, reason = "as with the feature")]
pub(crate) fn otlp_sink(
    config: OtlpConfig,
    _resource: Option<&Resource>,
) -> Result<Box<dyn SpanSink>, OtlpError> {
    Err(config.missing())
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
