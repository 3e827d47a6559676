//! What can go wrong while an exporter is built.

use meshwise_core::EnvError;

/// Says why an exporter could not be built.
///
/// Nothing of this happens later: once built, an exporter counts losses and never fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// A variable or setting has a value that is not allowed; the message names all three.
    #[error(transparent)]
    Setting(#[from] EnvError),
    /// What was asked for is not compiled in.
    #[error("{what} is not compiled in; enable the feature `{feature}`")]
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
}

impl OtlpError {
    /// Names the variable that an exporter cannot be made by; `said` is what the variables say.
    #[doc(hidden)]
    #[must_use]
    pub fn into_refusal(self, said: &'static str) -> EnvError {
        match self {
            Self::Setting(error) if error.variable().starts_with("OTEL_") => error,
            Self::Setting(error) => EnvError::other(
                "OTEL_EXPORTER_OTLP_*",
                format!("does not go together with what code says: {error}"),
            ),
            Self::Certificate { variable, path, expected, source } => EnvError::other(
                variable,
                format!("names `{path}`, no good as {expected}: {source}"),
            ),
            error => EnvError::other(said, format!("cannot be followed: {error}")),
        }
    }
}
