//! Traces for services: OpenTelemetry pipeline, samplers, exporters, bounded flush, accounted drops.
//!
//! # Samplers
//!
//! # Keeping errors and slow calls
//!
//! # Environment

mod batch;
mod config;
mod error;
mod export;
mod export_thread;
mod limits;
mod names;
mod pipeline;
mod processor;
mod resource;
mod sampler;
mod tail;
#[cfg(test)]
mod test_util;

pub use batch::{BatchConfig, BatchProcessor};
pub use config::TraceConfig;
pub use error::{FlushError, TraceError};
pub use export::{Compression, MemorySpans, OtlpConfig, OtlpProtocol, SpanExport};
pub use pipeline::Tracing;
pub use sampler::SamplerConfig;
pub use tail::TailLimits;
