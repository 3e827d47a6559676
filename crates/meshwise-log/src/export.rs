//! Records on their way to a collector, beside the lines.

mod config;
#[cfg(not(feature = "_otlp"))]
mod nowhere;
#[cfg(feature = "_otlp")]
mod otlp;

pub(crate) use config::ExportConfig;
#[cfg(not(feature = "_otlp"))]
pub(crate) use nowhere::Export;
#[cfg(feature = "_otlp")]
pub(crate) use otlp::Export;
