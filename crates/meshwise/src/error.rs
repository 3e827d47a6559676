//! Why a mesh can't be made or installed.

use meshwise_core::EnvError;
use meshwise_log::LogError;
use meshwise_metrics::MetricsError;
use meshwise_trace::TraceError;

/// Says why a mesh can't be made or installed, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A variable of the environment holds a bad value.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Logging can't be set up.
    #[error("could not set up logging")]
    Log(#[from] LogError),
    /// Metrics can't be set up.
    #[error("could not set up metrics")]
    Metrics(#[from] MetricsError),
    /// Traces can't be set up.
    #[error("could not set up traces")]
    Trace(#[from] TraceError),
    /// `install` was called before in this process.
    #[error(
        "a mesh is installed in this process already; call `install` once, early in `main`, and \
         pass the mesh on, or make a second one with `build`, which sets nothing process-wide"
    )]
    InstalledAlready,
    /// Someone else has set the process-wide `tracing` subscriber.
    #[error(
        "a global tracing subscriber is set already; remove the other one (a call such as \
         `tracing_subscriber::fmt::init()`), or use `build` and add `meshwise_log::LogLayer` to it"
    )]
    SubscriberTaken,
    /// Someone else has set the process-wide `metrics` recorder.
    #[error(
        "a global metrics recorder is set already; remove the other one (a call such as \
         `PrometheusBuilder::install()`), or use `build` and `metrics::Metrics::from_recorder`"
    )]
    RecorderTaken,
}
