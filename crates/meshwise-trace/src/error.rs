//! What can go wrong while the pipeline is built or flushed.

use meshwise_core::EnvError;
use meshwise_otlp::OtlpError;
use std::{io, time::Duration};

/// Says why the trace pipeline could not be built.
///
/// Nothing of this happens later: once built, the pipeline reports losses in its
/// [`SignalReport`](meshwise_core::SignalReport) and never through an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A variable or setting has a value that is not allowed; the message names all three.
    #[error(transparent)]
    Setting(#[from] EnvError),
    /// The exporter cannot be made: it is not compiled in, or a certificate cannot be used.
    #[error(transparent)]
    Otlp(OtlpError),
    /// The exporter's thread or its runtime could not be started.
    #[error("cannot start the exporter's thread")]
    Thread(#[source] io::Error),
}

impl From<OtlpError> for TraceError {
    fn from(error: OtlpError) -> Self {
        match error {
            OtlpError::Setting(error) => Self::Setting(error),
            error => Self::Otlp(error),
        }
    }
}

/// Says why a flush did not end well; nothing is lost by it, the spans are still queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The exporter was not done in time.
    #[error("the exporter was not done after {0:?}; the spans stay queued")]
    Timeout(Duration),
}
