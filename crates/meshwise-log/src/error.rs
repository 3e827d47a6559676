//! What can go wrong when logging is set up.

use crate::filter::FilterError;
use meshwise_core::{EnvError, settings::SettingsError};

/// The fewest bytes of a queue: it must take at least one line of any length.
pub(crate) const MIN_QUEUE_BYTES: usize = 256 << 10;

/// Says why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A variable of the environment holds a bad value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Settings are not known or not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The filter's directives are not valid.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The queue is too small.
    #[error("a log queue of {bytes} bytes is too small; allowed: {MIN_QUEUE_BYTES} or more")]
    Queue {
        /// The size asked for.
        #[doc(hidden)]
        bytes: usize,
    },
    /// The exporter cannot be made.
    #[cfg(feature = "_otlp")]
    #[error(transparent)]
    Otlp(#[from] meshwise_otlp::OtlpError),
    /// What was asked for is not compiled in.
    #[error("{what} is not compiled in; enable the feature `{feature}` of meshwise-log")]
    FeatureDisabled {
        /// What was asked for.
        #[doc(hidden)]
        what: &'static str,
        /// The cargo feature that brings it.
        #[doc(hidden)]
        feature: &'static str,
    },
    /// The writer's or the exporter's thread could not be started.
    #[error("could not start the log writer's thread")]
    Thread(#[source] std::io::Error),
    /// An output is named, and one of its settings is missing.
    #[error("log.outputs names `{output}`, and {setting} ({variable}) is not set")]
    OutputSetting {
        /// The output.
        #[doc(hidden)]
        output: &'static str,
        /// The setting that is missing.
        #[doc(hidden)]
        setting: &'static str,
        /// The variable that sets it.
        #[doc(hidden)]
        variable: &'static str,
    },
    /// An output is named that this build does not have.
    #[error(
        "the settings name the log output `{output}`, which this build has not: enable the feature \
         `delivery` of meshwise, or `{feature}` of meshwise-log"
    )]
    OutputFeature {
        /// The output.
        #[doc(hidden)]
        output: &'static str,
        /// The feature that it needs.
        #[doc(hidden)]
        feature: &'static str,
    },
    /// A transport's settings are not valid.
    #[cfg(feature = "_net")]
    #[error(transparent)]
    Delivery(#[from] crate::delivery::DeliveryError),
}
