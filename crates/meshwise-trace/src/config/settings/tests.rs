//! Every setting of traces, as code sets it and as an operator does.

use super::*;
use crate::sampler::SamplerConfig;
use meshwise_core::{
    Env, Service,
    settings::{Path, Settings, Source, Value},
};
use meshwise_otlp::BatchConfig;
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

/// What each variable is tried with: what is allowed, what is at its edge, and what is neither.
const TRIED: [(&str, &[&str]); 33] = [
    ("OTEL_SDK_DISABLED", &["true", "TRUE", "false", "1", "yes"]),
    (
        "OTEL_TRACES_SAMPLER",
        &["always_on", "ALWAYS_OFF", "ParentBased_Always_Off", "xray", "ratelimited", "x"],
    ),
    ("OTEL_BSP_SCHEDULE_DELAY", &["0", "250", "5s", "-1", "99999999999999999999"]),
    ("OTEL_BSP_EXPORT_TIMEOUT", &["0", "250", "-1", "1.5"]),
    ("OTEL_BSP_MAX_QUEUE_SIZE", &["1", "7", "0", "16777216", "16777217", "many"]),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &["7", "0", "4096", "-1"]),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", &["0", "9", "-1", "1.5"]),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", &["0", "9", "-1"]),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", &["0", "9", "-1", "4294967296"]),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &["0", "9", "many"]),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", &["0", "9", "many"]),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", &["0", "9", "many"]),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &["0", "9", "many"]),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &["0", "9", "many"]),
    (
        "OTEL_TRACES_EXPORTER",
        &["otlp", "Console", "none", "otlp,console", "console,none", "zipkin", "otlp,zipkin", ","],
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        &["http://c:1", "https://c", "c:1", "unix:///x", "http://u:p@c:1", "://"],
    ),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &["http://c:1/x", "c:1", "ftp://c"]),
    ("OTEL_EXPORTER_OTLP_INSECURE", &["true", "TRUE", "yes", "1"]),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", &["true", "False", "1"]),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", &["/a.pem"]),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &["/a.pem"]),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &["/a.pem"]),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", &["/a.pem"]),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &["/a.pem"]),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", &["/a.pem"]),
    ("OTEL_EXPORTER_OTLP_HEADERS", &["a=b", "a=b%20c,d=e", "a", "=b", "a=%zz"]),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", &["a=b", "=b", "A=c"]),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["gzip", "NONE", "zstd"]),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", &["none", "GZIP", "brotli"]),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", &["0", "1500", "10s", "-1"]),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", &["0", "100", "-1"]),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["GRPC", "http/protobuf", "HTTP/JSON", "udp"]),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &["grpc", "http"]),
];

/// Every leaf of traces that is set, but for what is secret: that is compared apart.
fn leaves_of(settings: &TracesSettings) -> Vec<(String, Option<Value>)> {
    let mut all = Settings::default();
    all.traces = settings.clone();
    // A year is as good as no limit.
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let plain = |value| match value {
        Some(Value::Duration(duration)) => Some(Value::Duration(year.min(duration))),
        value => value,
    };
    let set = all.shown().into_iter().filter(|shown| shown.value.is_some() && !shown.secret);
    set.map(|shown| (shown.path.to_string(), plain(shown.value))).collect()
}

/// What the pipeline follows of the environment, as settings.
fn followed(env: &Env) -> TracesSettings {
    let said = traces().with_env(env).expect("it starts").env;
    let mut all = TracesSettings::default();
    all.enabled.set(!said.disabled);
    said.sampler.clone().unwrap_or_else(|| traces().default_sampler).show(&mut all);
    said.batch.over_code(BatchConfig::new()).show(all.batch.parts(), Signal::Traces);
    let limits = said.limits.over(SpanLimits::default());
    all.limits.attributes.set(limits.max_attributes_per_span);
    all.limits.events.set(limits.max_events_per_span);
    all.limits.links.set(limits.max_links_per_span);
    all.limits.event_attributes.set(limits.max_attributes_per_event);
    all.limits.link_attributes.set(limits.max_attributes_per_link);
    if let Some(length) = said.limits.value_length {
        all.limits.value_length.set(u32::try_from(length).unwrap_or(u32::MAX));
    }
    if let Some(named) = &said.exporters {
        let word = |named: &Named| if *named == Named::Otlp { "otlp" } else { "console" };
        all.exporters.set(named.iter().map(|named| word(named).to_owned()).collect::<Vec<_>>());
    }
    let otlp = OtlpConfig::from_env(env, Signal::Traces).expect("it starts");
    otlp.show(all.otlp.parts());
    all
}

/// What the tree says of it, which `/config` shows.
fn told(env: &Env) -> TracesSettings {
    let said = Settings::from_standard_env(env).expect("it starts").traces;
    let mut all = traces().with_settings(&said).settings().expect("fine");
    all.otlp = Default::default();
    OtlpConfig::from_settings(said.otlp.clone().parts()).show(all.otlp.parts());
    all
}

/// The tree reads OpenTelemetry's variables, once, and the pipeline takes what it has read.
#[test]
fn what_the_tree_shows_of_a_variable_is_what_the_pipeline_follows() {
    let mut wrong = Vec::new();
    let whole = cfg!(all(feature = "otlp-grpc", feature = "otlp-http-json", feature = "gzip"));
    let mut compare = |pairs: &[(&str, &str)]| {
        // What is not compiled in is told of, and not followed.
        let built = |name: &str| name.ends_with("_PROTOCOL") || name.ends_with("_COMPRESSION");
        if !whole && pairs.iter().any(|(name, _)| built(name)) {
            return;
        }
        let env = || Env::from_pairs(pairs.iter().copied());
        let (told, followed) = (told(&env()), followed(&env()));
        let headers = |all: &TracesSettings| -> Vec<(String, Option<String>)> {
            let headers = all.otlp.headers.iter();
            headers.map(|(name, value)| (name.to_owned(), value.get().cloned())).collect()
        };
        if headers(&told) != headers(&followed) {
            wrong.push(format!("{pairs:?}: headers differ"));
        }
        let (told, followed) = (leaves_of(&told), leaves_of(&followed));
        let differ = |a: &[(String, _)], b: &[(String, Option<Value>)]| -> Vec<String> {
            let other = a.iter().filter(|leaf| !b.contains(leaf));
            other.map(|leaf| format!("{leaf:?}")).collect()
        };
        let (shown, real) = (differ(&told, &followed), differ(&followed, &told));
        if !(shown.is_empty() && real.is_empty()) {
            wrong.push(format!("{pairs:?}: shown {shown:?}, followed {real:?}"));
        }
    };
    for (name, values) in TRIED {
        for value in values {
            compare(&[(name, value)]);
        }
    }
    for argument in ["0.25", "0.1,250ms", "2s", "5", "1.5", "-1", "x", "0.1,", "1s,0.1"] {
        for sampler in
            ["traceidratio", "ratelimited", "keep_errors", "parentbased_keep_errors", "always_on"]
        {
            compare(&[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        }
        compare(&[("OTEL_TRACES_SAMPLER_ARG", argument)]);
    }
    for (one, other) in TRIED.iter().zip(TRIED.iter().skip(1)) {
        for (a, b) in one.1.iter().zip(other.1) {
            compare(&[(one.0, a), (other.0, b)]);
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
