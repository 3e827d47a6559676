//! Every setting of traces, as code sets it and as an operator does.

use super::*;
use crate::{batch::BatchConfig, sampler::SamplerConfig};
use meshwise_core::{
    Env, Service,
    settings::{Path, Settings, Source, Value},
};
use opentelemetry_sdk::trace::SpanLimits;
use std::time::Duration;

fn traces() -> TraceConfig {
    TraceConfig::new(Service::new("a", "1"))
}

fn shown(settings: TracesSettings, path: &Path) -> Option<Value> {
    let mut all = Settings::default();
    all.traces = settings;
    let found = all.shown().into_iter().find(|shown| shown.path == *path)?;
    // A secret is there, and that is all that is shown of it.
    if found.secret { Some(Value::Bool(true)) } else { found.value }
}

#[test]
fn the_operator_beats_the_author_for_every_setting_alike() {
    let mut seen = 0;
    for (path, [one, other, _]) in Settings::leaves() {
        let names = path.names();
        // The front door's own.
        if names[0] != "traces" || ["span_filter", "tracing_span"].contains(&names[1].as_str()) {
            continue;
        }
        let set = |value: &Value| {
            let mut settings = Settings::default();
            // What shows only with a sampler that has it.
            let sampler = match names[1].as_str() {
                "ratio" => Some("traceidratio"),
                "rate" => Some("ratelimited"),
                "slow" | "held" => Some("keep_errors"),
                _ => None,
            };
            if let Some(sampler) = sampler {
                settings.traces.sampler.set(sampler.to_owned());
            }
            assert!(settings.put(&path, value.clone(), Source::Code), "{path}");
            settings.traces
        };
        for (author, operator) in [(&one, &other), (&other, &one)] {
            let author = traces().with_settings(&set(author)).joined().expect("fine");
            let author = TraceConfig { operator: TracesSettings::default(), ..author };
            let both = author.with_settings(&set(operator)).settings().expect("fine");
            let is_secret = names.iter().any(|name| name == "headers");
            let wanted = if is_secret { Value::Bool(true) } else { operator.clone() };
            assert_eq!(shown(both, &path), Some(wanted), "{path}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn what_builders_say_yields_and_opentelemetry_s_variables_beat_both() {
    let mut operator = TracesSettings::default();
    operator.sampler.set("always_on".to_owned());
    operator.batch.queue.set(100_i64);
    operator.limits.events.set(5_u32);
    let limits = SpanLimits { max_events_per_span: 9, ..SpanLimits::default() };
    let config = traces()
        .with_settings(&operator)
        .with_sampler(SamplerConfig::always_off())
        .with_batch(BatchConfig::new().with_queue_size(500).with_batch_size(400))
        .with_span_limits(limits);
    let all = config.settings().expect("fine");
    assert_eq!(all.sampler.get().map(String::as_str), Some("always_on"));
    assert_eq!((all.batch.queue.get(), all.batch.size.get()), (Some(&100), Some(&100)));
    assert_eq!(all.limits.events.get(), Some(&5));
    let env = Env::from_pairs([("OTEL_TRACES_SAMPLER", "always_off")]);
    let tracing = config.with_env(&env).expect("fine").build().expect("built");
    assert!(format!("{tracing:?}").contains("Tracing"));
}

#[test]
fn the_defaults_of_code_are_those_of_the_tree() {
    let all = traces().settings().expect("fine");
    let defaults = Settings::defaults().traces;
    for (path, _) in Settings::leaves() {
        let names = path.names();
        if names[0] != "traces" {
            continue;
        }
        let code = shown(all.clone(), &path);
        // What only some samplers have, and what is left to the exporter, is unset.
        if code.is_some() {
            assert_eq!(code, shown(defaults.clone(), &path), "{path}");
        }
    }
}

#[test]
fn the_collector_is_named_by_a_setting_alone_and_mistakes_are_errors() {
    let mut operator = TracesSettings::default();
    operator.otlp.endpoint.set("http://collector:4318".to_owned());
    let joined = traces().with_settings(&operator).joined().expect("fine");
    assert_eq!(joined.exports.len(), 1);
    operator.exporters.set(Vec::new());
    let none = traces().with_settings(&operator).joined().expect("fine");
    assert!(none.exports.is_empty(), "the operator wants none");
    let mut rate = TracesSettings::default();
    rate.sampler.set("ratelimited".to_owned());
    let error = traces().with_settings(&rate).build().expect_err("no rate").to_string();
    assert!(error.contains("traces.sampler is `ratelimited`, which needs"), "{error}");
    let mut slow = TracesSettings::default();
    slow.slow.set(Duration::from_secs(3));
    assert_eq!(
        traces().with_settings(&slow).settings().expect("fine").slow.get(),
        Some(&Duration::from_secs(3))
    );
}
