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
    /// What was asked for is not compiled in.
    #[error("{what} is not compiled in; enable the feature `{feature}` of meshwise-trace")]
    FeatureDisabled {
        /// What was asked for, and where.
        #[doc(hidden)]
        what: String,
        /// The cargo feature that brings it.
        #[doc(hidden)]
        feature: &'static str,
    },
    /// A certificate or key file cannot be used.
    #[error("{variable} names `{path}`, which cannot be used as {expected}")]
    Certificate {
        /// The variable or setting that names the file.
        #[doc(hidden)]
        variable: String,
        /// The file.
        #[doc(hidden)]
        path: String,
        /// What the file should hold.
        #[doc(hidden)]
        expected: &'static str,
        /// Why it cannot be used.
        #[doc(hidden)]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The exporter's thread or its runtime could not be started.
    #[error("cannot start the exporter's thread")]
    Thread(#[source] io::Error),
}

impl From<OtlpError> for TraceError {
    fn from(error: OtlpError) -> Self {
        match error {
            OtlpError::Setting(error) => Self::Setting(error),
            OtlpError::FeatureDisabled { what, feature } => Self::FeatureDisabled { what, feature },
            OtlpError::Certificate { variable, path, expected, source } => {
                Self::Certificate { variable, path, expected, source }
            }
            error => Self::Setting(EnvError::other("OTLP", error.to_string())),
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
