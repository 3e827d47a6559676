//! Queueing finished spans and exporting them in batches, with every loss accounted for.

mod backlog;
mod config;
mod losses;
mod processor;
mod shutdown_signal;
mod worker;

pub use config::BatchConfig;
#[cfg(feature = "_otlp")]
pub(crate) use config::LONGEST;
pub(crate) use config::TIMEOUT_ALLOWED;
pub(crate) use losses::LossLog;
pub use processor::BatchProcessor;
pub(crate) use processor::{moment_after, worker_deadline};
pub(crate) use shutdown_signal::ShutdownSignal;
