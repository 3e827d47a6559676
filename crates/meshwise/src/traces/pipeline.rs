//! Spans are recorded, sampled and exported.

use super::TraceInputs;
use crate::{changes::Changes, error::InstallError, preset::Preset};
use meshwise_core::{
    ResourceBuilder,
    settings::{Problem, Settings, SettingsError, Source, TracesSettings},
};
use meshwise_log::LogLayer;
use meshwise_trace::{SamplerConfig, SpanFilter, TraceConfig, Tracing};
use tracing::{Dispatch, dispatcher::DefaultGuard};
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

pub(crate) type TraceChanges = Changes<TraceConfig>;

/// A pipeline that is about to be built.
pub(crate) struct TracePlan(TraceConfig);

impl TracePlan {
    /// Says which SDK makes the spans.
    pub(crate) fn describe(resource: ResourceBuilder) -> ResourceBuilder {
        meshwise_trace::telemetry_sdk()
            .into_iter()
            .fold(resource, |resource, (key, value)| resource.with_attribute(key, value))
    }

    /// Has preset, code, file and environment say what they have to; what comes of code is set in `code`.
    pub(crate) fn new(
        inputs: &TraceInputs<'_>,
        changes: TraceChanges,
        code: &mut TracesSettings,
    ) -> Result<Self, InstallError> {
        let TraceInputs { preset, resource, redaction, said, standard, env } = *inputs;
        let traces = TraceConfig::new(resource.clone()).with_redaction(redaction.clone());
        let traces = match preset {
            Preset::Auto | Preset::Development => traces,
            Preset::Production => {
                traces.with_default_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(0.1)))
            }
        };
        let traces = changes.apply(traces.with_code_settings(code)?);
        // What no part uses as it is set stays as code has said it.
        code.overlay(&traces.settings()?);
        Ok(Self(traces.with_settings(said).with_standard(standard, env)?))
    }

    pub(crate) fn build(self) -> Result<Tracing, InstallError> {
        Ok(self.0.build()?)
    }
}

/// Joins the layers of lines and spans; where the mesh is not the process's, its spans make its
/// subscriber their thread's.
pub(crate) fn subscriber(
    tracing: &Tracing,
    lines: LogLayer<Registry>,
    settings: &Settings,
    is_process_wide: bool,
) -> Result<Dispatch, InstallError> {
    let filter = settings.traces.span_filter.get().map_or("info", String::as_str);
    let spans = SpanFilter::new(filter)?.with_log_filter(lines.filter().clone());
    let lines_only = Registry::default().with(lines);
    Ok(match is_process_wide {
        true => tracing.on_demand(lines_only.with(tracing.layer(spans))),
        false => tracing.on_demand(lines_only.with(tracing.scoped_layer(spans))),
    })
}

/// Finds directives that are none where they were set.
pub(crate) fn check_filter(settings: &Settings) -> Result<(), InstallError> {
    let filter = &settings.traces.span_filter;
    let Some(text) = filter.get().filter(|_| filter.source().is_operator()) else { return Ok(()) };
    SpanFilter::<Registry>::new(text).map(|_| ()).map_err(|_| {
        let problem = format!("is `{text}`; allowed: directives such as \"info,orders=debug\"");
        let source = filter.source().clone();
        let key = match &source {
            Source::Variable(name) => name.to_string(),
            _ => "traces.span_filter".to_owned(),
        };
        SettingsError::from(Problem::new(source, key, problem)).into()
    })
}

/// Makes a subscriber this thread's, unless it is already.
pub(crate) fn enter_dispatch(dispatch: &Dispatch) -> Option<DefaultGuard> {
    meshwise_trace::enter_dispatch(dispatch)
}
