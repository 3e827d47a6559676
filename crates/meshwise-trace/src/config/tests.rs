use super::*;
use crate::MemorySpans;
use meshwise_core::Service;
use meshwise_otlp::OtlpError;
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _,
    },
};

fn config() -> TraceConfig {
    TraceConfig::new(Service::new("orders", "1"))
}

fn env(pairs: &[(&str, &str)]) -> Env {
    Env::from_pairs(pairs.iter().copied())
}

fn named(in_code: Vec<SpanExport>, pairs: &[(&str, &str)]) -> Vec<String> {
    let said = config().with_env(&env(pairs)).unwrap().env;
    merge_exports(in_code, said.exporters.as_deref(), said.is_endpoint_set)
        .iter()
        .map(|(export, _)| format!("{export:?}").split('(').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn nothing_connects_unasked() {
    let named = |pairs: &[(&str, &str)]| named(Vec::new(), pairs);
    assert_eq!(named(&[]), [""; 0]);
    assert_eq!(named(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")]), ["SpanExport::otlp"]);
    assert_eq!(named(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c")]), ["SpanExport::otlp"]);
    assert_eq!(named(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")]), [""; 0]);
}

#[test]
fn exporters_are_named() {
    let exporter = |value| named(Vec::new(), &[("OTEL_TRACES_EXPORTER", value)]);
    assert_eq!(exporter("otlp"), ["SpanExport::otlp"]);
    assert_eq!(exporter("OTLP"), ["SpanExport::otlp"]);
    assert_eq!(exporter("console"), ["SpanExport::console"]);
    assert_eq!(exporter("none"), [""; 0]);
    assert_eq!(exporter("otlp, console,otlp"), ["SpanExport::otlp", "SpanExport::console"]);
    let pairs = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")];
    assert_eq!(named(Vec::new(), &pairs), [""; 0]);
}

#[test]
fn exporters_that_are_not_known_are_left_out_and_told() {
    let otlp = ["SpanExport::otlp"];
    for (value, left) in [("zipkin", &[][..]), ("none,otlp", &otlp), ("otlp,zipkin", &otlp)] {
        let pairs = [("OTEL_TRACES_EXPORTER", value)];
        assert_eq!(named(Vec::new(), &pairs), left, "{value}");
        let environment = env(&pairs);
        let _config = config().with_env(&environment).unwrap();
        let told = environment.findings()[0].to_string();
        assert!(
            told.starts_with(&format!(
                "OTEL_TRACES_EXPORTER is `{value}`; allowed: otlp, console, both with a comma \
                 between, or none"
            )),
            "{told}"
        );
    }
    let pairs = [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")];
    assert_eq!(named(Vec::new(), &pairs), otlp, "as if the variable were not set");
}

#[test]
fn the_environment_decides_over_those_that_it_has_a_name_for() {
    let spans = MemorySpans::new();
    let in_code = || {
        vec![SpanExport::memory(&spans), SpanExport::otlp(OtlpConfig::new()), SpanExport::none()]
    };
    let exporter = |value| named(in_code(), &[("OTEL_TRACES_EXPORTER", value)]);
    assert_eq!(exporter("none"), ["SpanExport::memory"]);
    assert_eq!(exporter("console"), ["SpanExport::memory", "SpanExport::console"]);
    assert_eq!(exporter("otlp"), ["SpanExport::memory", "SpanExport::otlp"]);
    assert_eq!(named(in_code(), &[]).len(), 3);
    let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")];
    assert_eq!(named(vec![SpanExport::none()], &pairs), ["SpanExport::none"]);
}

#[test]
fn mistakes_in_opentelemetry_s_variables_stop_nothing_and_are_told() {
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_TRACES_SAMPLER", "maybe"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///run/otel.sock"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
    ] {
        let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), (name, value)];
        let environment = env(&pairs);
        let tracing = config().with_env(&environment).unwrap().build();
        if let Err(TraceError::Otlp(OtlpError::FeatureDisabled { .. })) = &tracing {
            panic!("{name}: what is not compiled in stops nothing");
        }
        assert!(tracing.is_ok(), "{name}: {tracing:?}");
        let told: Vec<String> = environment.findings().iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|told| told.starts_with(&format!("{name} "))), "{name}: {told:?}");
    }
    let error = config().with_env(&env(&[("MESHWISE_TRACES_SLOW", "1")])).unwrap_err().to_string();
    assert!(error.starts_with("MESHWISE_TRACES_SLOW is `1`; allowed: "), "{error}");
}

#[test]
fn strict_makes_them_errors() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "maybe"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
    ] {
        let pairs = [("OTEL_TRACES_EXPORTER", "otlp"), (name, value), ("MESHWISE_STRICT", "true")];
        let built = config().with_env(&env(&pairs)).and_then(TraceConfig::build);
        let error = built.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name} ")), "{error}");
    }
}

#[test]
fn the_environment_beats_code() {
    let spans = MemorySpans::new();
    let tracing = config()
        .with_env(&env(&[("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_TRACES_EXPORTER", "none")]))
        .unwrap()
        .with_sampler(SamplerConfig::always_on())
        .with_exporter(SpanExport::memory(&spans))
        .build()
        .unwrap();
    drop(tracing.tracer().start("work"));
    assert_eq!(spans.spans().len(), 0);
    let name = tracing.resource().get(&opentelemetry::Key::from_static_str("service.name"));
    assert_eq!(name, Some("orders".into()));
}

#[test]
fn the_environment_s_sampler_is_used() {
    let spans = MemorySpans::new();
    let tracing = config()
        .with_env(&env(&[("OTEL_TRACES_SAMPLER", "always_off")]))
        .unwrap()
        .with_exporter(SpanExport::memory(&spans))
        .build()
        .unwrap();
    drop(tracing.tracer().start("work"));
    assert!(spans.spans().is_empty());
    assert!(!tracing.decide_root(meshwise_core::TraceId::from_int(1)));
}

#[test]
fn the_environment_beats_a_default_sampler() {
    for (pairs, sampled) in [(&[][..], false), (&[("OTEL_TRACES_SAMPLER", "always_on")], true)] {
        let tracing = config()
            .with_default_sampler(SamplerConfig::always_off())
            .with_env(&env(pairs))
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(tracing.tracer().start("work").span_context().is_sampled(), sampled);
    }
}

#[test]
fn the_slow_threshold_is_the_environment_s_or_the_code_s() {
    for (in_env, kept) in [("0ms", 1), ("", 0)] {
        let in_code = Some(Duration::from_secs(3600));
        let spans = MemorySpans::new();
        let keep = SamplerConfig::keep_errors(SamplerConfig::always_off());
        let tracing = config()
            .with_sampler(match in_code {
                None => keep,
                Some(slow) => keep.with_slow_threshold(slow),
            })
            .with_env(&env(&[("MESHWISE_TRACES_SLOW", in_env)]))
            .unwrap()
            .with_exporter(SpanExport::memory(&spans))
            .build()
            .unwrap();
        drop(tracing.tracer().start("work"));
        assert_eq!(spans.spans().len(), kept);
    }
}

#[test]
fn disabled_starts_nothing_and_cuts_no_trace_off() {
    let spans = MemorySpans::new();
    let tracing = config()
        .with_exporter(SpanExport::memory(&spans))
        .with_sampler(SamplerConfig::always_on())
        .with_env(&env(&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "otlp")]))
        .unwrap()
        .build()
        .unwrap();
    assert!(!tracing.is_enabled());
    assert!(!tracing.tracer().start("work").span_context().is_sampled());
    let caller = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    let parent = Context::new().with_remote_span_context(caller);
    let span = tracing.tracer().start_with_context("work", &parent);
    assert!(span.span_context().is_sampled());
    assert_eq!(span.span_context().trace_id(), TraceId::from(1));
    drop(span);
    assert!(spans.spans().is_empty());
}

#[test]
fn span_limits_of_the_environment_hold() {
    let spans = MemorySpans::new();
    let tracing = config()
        .with_env(&env(&[
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"),
        ]))
        .unwrap()
        .with_exporter(SpanExport::memory(&spans))
        .build()
        .unwrap();
    let mut span = tracing.tracer().start("work");
    span.set_attribute(KeyValue::new("a", "abcdef"));
    span.set_attribute(KeyValue::new("b", 2));
    drop(span);
    let span = &spans.spans()[0];
    assert_eq!(span.attributes, [KeyValue::new("a", "abc")]);
    assert_eq!(span.dropped_attributes_count, 1);
}

/// Trace ids are random in all their bits, as the `random` flag of `traceparent` promises.
#[test]
fn trace_ids_are_random() {
    let tracing = config().build().unwrap();
    let (mut all, mut any) = (u128::MAX, 0);
    for _ in 0..64 {
        let span = tracing.tracer().start("work");
        let id = u128::from_be_bytes(span.span_context().trace_id().to_bytes());
        (all, any) = (all & id, any | id);
    }
    assert_eq!((all, any), (0, u128::MAX), "no bit is stuck");
}

#[cfg(not(feature = "otlp-http"))]
#[test]
fn what_is_not_compiled_in_names_its_feature() {
    let error = config().with_exporter(SpanExport::otlp(OtlpConfig::new())).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the OTLP protocol `http/protobuf` is not compiled in; enable the feature `otlp-http`"
    );
    let env = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ]);
    let tracing = config().with_env(&env).unwrap().build();
    assert!(tracing.is_ok(), "what the platform sets for all services stops nothing: {tracing:?}");
    let told: Vec<String> = env.findings().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("`http/json` needs the feature `otlp-http-json`"), "{told:?}");
}

#[test]
fn a_provider_made_elsewhere_can_be_used() {
    let spans = MemorySpans::new();
    let provider = SdkTracerProvider::builder().with_span_processor(spans.clone()).build();
    let tracing = Tracing::from_provider(provider);
    drop(tracing.tracer().start("work"));
    assert_eq!(spans.spans().len(), 1);
    assert!(tracing.decide_root(meshwise_core::TraceId::from_int(1)));
    let timeout = Duration::from_secs(20);
    assert!(futures_executor::block_on(tracing.flush(timeout)).is_ok());
    let _ = futures_executor::block_on(tracing.shutdown(timeout));
    assert!(!tracing.tracer().start("late").span_context().is_valid(), "it is shut down");
}
