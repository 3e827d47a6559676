//! Why metrics cannot be set up.

use meshwise_core::{EnvError, settings::SettingsError};
use std::io;

/// Says why metrics cannot be set up, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A variable of the environment holds a bad value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Settings are not known or not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Histogram buckets make no sense.
    #[error(
        "the buckets of `{metric}` are {problem}; give 1 to 200 finite upper bounds, each larger \
         than the one before"
    )]
    Buckets {
        /// The metric, or which default.
        #[doc(hidden)]
        metric: String,
        /// What is wrong with them.
        #[doc(hidden)]
        problem: &'static str,
    },
    /// There is no such schema of native histograms.
    #[error("native histograms have no schema {schema}; give one from -4 (coarse) to 8 (fine)")]
    NativeSchema {
        /// What was asked for.
        #[doc(hidden)]
        schema: i8,
    },
    /// The exporter cannot be made.
    #[cfg(feature = "_otlp")]
    #[error(transparent)]
    Otlp(#[from] meshwise_otlp::OtlpError),
    /// What was asked for is not compiled in.
    #[error("{what} is not compiled in; enable the feature `{feature}` of meshwise-metrics")]
    #[non_exhaustive]
    FeatureDisabled {
        /// What was asked for.
        #[doc(hidden)]
        what: &'static str,
        /// The cargo feature that brings it.
        #[doc(hidden)]
        feature: &'static str,
    },
    /// The system refused a thread.
    #[error("could not start the thread that keeps metrics small; is a limit on threads reached?")]
    Thread(#[source] io::Error),
}
