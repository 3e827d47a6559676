//! Traces for services: OpenTelemetry pipeline, samplers, exporters, bounded flush, accounted drops.
//!
//! # Samplers
//!
//! # Keeping errors and slow calls

mod config;
mod error;
mod export;
mod names;
mod pipeline;
mod sampler;
mod tail;

pub use config::TraceConfig;
pub use error::{FlushError, TraceError};
pub use export::{MemorySpans, SpanExport};
pub use pipeline::Tracing;
pub use sampler::SamplerConfig;
pub use tail::TailLimits;
