//! Sending points to a collector, beside the page that is scraped.

mod config;
#[cfg(not(feature = "_otlp"))]
mod nowhere;
#[cfg(feature = "_otlp")]
mod otlp;

pub(crate) use config::PushConfig;
#[cfg(not(feature = "_otlp"))]
pub(crate) use nowhere::Push;
#[cfg(feature = "_otlp")]
pub(crate) use otlp::Push;
