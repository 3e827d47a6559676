//! No pipeline is compiled in: calls have ids, which are handed on and logged, and there are no spans.

use super::TraceInputs;
use crate::error::InstallError;
use meshwise_core::{
    EnvError, ResourceBuilder,
    settings::{Settings, Source, TracesSettings},
};
use meshwise_http::Tracing;
use meshwise_log::LogLayer;
use tracing::{
    Dispatch,
    dispatcher::{self, DefaultGuard},
};
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

pub(crate) type TraceChanges = ();

/// Knows whether there shall be ids.
pub(crate) struct TracePlan {
    enabled: bool,
}

impl TracePlan {
    /// There is no SDK.
    pub(crate) fn describe(resource: ResourceBuilder) -> ResourceBuilder {
        resource
    }

    pub(crate) fn new(
        inputs: &TraceInputs<'_>,
        (): TraceChanges,
        _: &mut TracesSettings,
    ) -> Result<Self, InstallError> {
        let TraceInputs {
            preset: _preset,
            resource: _resource,
            redaction: _redaction,
            said,
            standard: _standard,
            env,
        } = *inputs;
        let enabled = said.enabled.or(true) || env.is_set("OTEL_SDK_DISABLED");
        Ok(Self { enabled: enabled && !env.is_disabled()? })
    }

    pub(crate) fn build(self) -> Result<Tracing, InstallError> {
        Ok(Tracing::ids(self.enabled))
    }
}

/// Joins the layer of lines with none.
pub(crate) fn subscriber(
    _: &Tracing,
    lines: LogLayer<Registry>,
    _: &Settings,
    _: bool,
) -> Result<Dispatch, InstallError> {
    Ok(Dispatch::new(Registry::default().with(lines)))
}

/// Refuses what an operator says of spans: it would do nothing.
pub(crate) fn check_filter(settings: &Settings) -> Result<(), InstallError> {
    let said = settings.shown().into_iter().find(|shown| {
        let path = shown.path.to_string();
        // OpenTelemetry's variables are for all of a machine's services: they are told as not used.
        let is_standard =
            matches!(&shown.source, Source::Variable(name) if name.starts_with("OTEL_"));
        let is_ours = path.starts_with("traces.") && path != "traces.enabled";
        shown.source.is_operator() && is_ours && !is_standard
    });
    let Some(said) = said else { return Ok(()) };
    let problem = "is set, and this build has no spans; enable the feature `traces` of meshwise";
    Err(EnvError::other(format!("{}: {}", said.source, said.path), problem).into())
}

/// Makes a subscriber this thread's.
pub(crate) fn enter_dispatch(dispatch: &Dispatch) -> Option<DefaultGuard> {
    Some(dispatcher::set_default(dispatch))
}
