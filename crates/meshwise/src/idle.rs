//! Settings of outputs, exporters and samplers that are not switched on: they do nothing, and the operator
//! believes that they do.

use meshwise_core::settings::{Problem, Setting, Settings, Source};

/// Says which of the operator's settings no part uses, as settings are in force, and what would have to be
/// set too. OpenTelemetry's variables are not meant: platforms set them for all services.
pub(crate) fn idle(settings: &Settings) -> Vec<Problem> {
    let Settings { log, metrics, traces, .. } = settings;
    let names = |list: &Setting<Vec<String>>, wanted: &str| {
        list.get().is_some_and(|words| words.iter().any(|word| word == wanted))
    };
    let goes_to = |output| names(&log.outputs, output);
    let sends = |exporters: &Setting<Vec<String>>, address: bool| match exporters.is_set() {
        true => names(exporters, "otlp"),
        false => address,
    };
    let sends_logs = sends(&log.exporters, log.otlp.logs_endpoint.is_set());
    let sends_metrics = sends(&metrics.exporters, metrics.otlp.metrics_endpoint.is_set());
    let address = traces.otlp.endpoint.is_set() || traces.otlp.traces_endpoint.is_set();
    let sends_spans = sends(&traces.exporters, address);
    let sampler =
        traces.sampler.get().map(|name| name.strip_prefix("parentbased_").unwrap_or(name));
    let samples_by = |names: &[&str]| sampler.is_none_or(|sampler| names.contains(&sampler));
    let shown = settings.shown().into_iter();
    let of_operator = shown.filter(|shown| match &shown.source {
        Source::Variable(name) => !name.starts_with("OTEL_"),
        source => source.is_operator(),
    });
    let told = of_operator.filter_map(|shown| {
        let path: Vec<&str> = shown.path.names().iter().map(String::as_str).collect();
        let missing = match path[..] {
            ["log", "file", ..] if !goes_to("file") => "`file` is not among log.outputs",
            ["log", "fluent", ..] if !goes_to("fluent") => "`fluent` is not among log.outputs",
            ["log", "bulk", ..] if !goes_to("bulk") => "`bulk` is not among log.outputs",
            ["log", "spool", ..] if !goes_to("fluent") && !goes_to("bulk") => {
                "neither `fluent` nor `bulk` is among log.outputs"
            }
            ["log", "private", "keep"] if !log.private.path.is_set() => {
                "log.private.path is not set"
            }
            ["log", "otlp" | "batch", ..] if !sends_logs => "`otlp` is not among log.exporters",
            ["metrics", "otlp", ..]
            | ["metrics", "export_interval" | "export_timeout" | "temporality"]
                if !sends_metrics =>
            {
                "`otlp` is not among metrics.exporters"
            }
            ["traces", "ratio"] if !samples_by(&["traceidratio", "keep_errors"]) => {
                "traces.sampler is neither `traceidratio` nor `keep_errors`"
            }
            ["traces", "rate"] if !samples_by(&["ratelimited"]) => {
                "traces.sampler is not `ratelimited`"
            }
            ["traces", "slow"] | ["traces", "held", ..] if !samples_by(&["keep_errors"]) => {
                "traces.sampler is not `keep_errors`"
            }
            ["traces", "otlp", ..] if !sends_spans => {
                "`otlp` is not among traces.exporters, and no endpoint is set"
            }
            _ => return None,
        };
        let what = format!("is set and does nothing: {missing}");
        Some(Problem::new(shown.source, shown.path.to_string(), what))
    });
    told.collect()
}
