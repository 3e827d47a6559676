//! Why a mesh cannot be made or installed.

use meshwise_core::{EnvError, settings::SettingsError};
use meshwise_log::LogError;
use meshwise_metrics::MetricsError;
#[cfg(feature = "traces")]
use meshwise_trace::TraceError;

/// Says why a mesh cannot be made or installed, and what to do, on its first line: a bad variable
/// by its name, its value and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A variable of the environment holds a bad value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Settings are not known or not allowed; each is named with its file and line, or its variable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Logging cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Metrics cannot be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Traces cannot be set up.
    #[cfg(feature = "traces")]
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The declaration of this service's APIs contradicts itself.
    #[cfg(feature = "api")]
    #[error(transparent)]
    Api(#[from] meshwise_api_http::ApiConfigError),
    /// The service is called otherwise than in its `api.toml`.
    #[cfg(feature = "api")]
    #[error(
        "this service is called {service:?} and its api.toml says {declared:?}: callers would be \
         counted under a name that the dictionary does not know; give `meshwise::builder` (and \
         OTEL_SERVICE_NAME, if it is set) the name under [service]"
    )]
    ServiceName {
        /// Its name in code or environment.
        #[doc(hidden)]
        service: String,
        /// Its name in `api.toml`.
        #[doc(hidden)]
        declared: &'static str,
    },
    /// `install` was called before in this process.
    #[error(
        "a mesh is installed in this process already; call `install` once, early in `main`, and \
         pass the mesh on, or make a second one with `build`, which sets nothing process-wide"
    )]
    InstalledAlready,
    /// Another library has set the process-wide `tracing` subscriber.
    #[error(
        "a global tracing subscriber is set already; remove the call that set it (such as \
         `tracing_subscriber::fmt::init()`), or keep it and wire meshwise's parts into it by hand: \
         `LogConfig::build` makes a layer for it, `Telemetry::new` what the layers of calls need \
         (`build` would log elsewhere what handlers say)"
    )]
    SubscriberTaken,
    /// Another library has set the process-wide `metrics` recorder.
    #[error(
        "a global metrics recorder is set already; remove the call that set it (such as \
         `PrometheusBuilder::install()`), or keep it and wire meshwise's parts by hand: give \
         `Metrics::from_recorder` to a `Recording`"
    )]
    RecorderTaken,
}
