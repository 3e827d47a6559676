//! Variables that others have named.

use super::*;

/// What the world's own variables say, and which setting that is.
type Case = (&'static str, Vec<(&'static str, &'static str)>, Value);

#[test]
fn standard_variables_are_settings_too() {
    let millis = |millis| Value::Duration(Duration::from_millis(millis));
    let text = |text: &str| Value::Text(text.to_owned());
    let texts = |all: &[&str]| Value::List(all.iter().map(|word| text(word)).collect());
    let on = Value::Bool;
    // One is nothing without the other.
    let client = vec![
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/a"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/b"),
    ];
    let cases: Vec<Case> = vec![
        ("service.name", vec![("OTEL_SERVICE_NAME", "orders")], text("orders")),
        (
            "service.version",
            vec![("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2%2B3,a=b")],
            text("1.2+3"),
        ),
        ("service.namespace", vec![("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=x")], text("x")),
        (
            "service.instance",
            vec![("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=x")],
            text("x"),
        ),
        (
            "service.attributes.\"a.b\"",
            vec![("OTEL_RESOURCE_ATTRIBUTES", "a.b=c,service.name=x")],
            text("c"),
        ),
        ("log.filter", vec![("RUST_LOG", "debug,h2=off")], text("debug,h2=off")),
        ("log.colour", vec![("NO_COLOR", "1")], on(false)),
        ("log.gcp_project", vec![("GOOGLE_CLOUD_PROJECT", "shop")], text("shop")),
        ("metrics.enabled", vec![("OTEL_METRICS_EXPORTER", "none")], on(false)),
        ("metrics.enabled", vec![("OTEL_METRICS_EXPORTER", "prometheus")], on(true)),
        ("metrics.enabled", vec![("OTEL_SDK_DISABLED", "true")], on(false)),
        ("metrics.exemplars", vec![("OTEL_METRICS_EXEMPLAR_FILTER", "Always_Off")], on(false)),
        ("traces.enabled", vec![("OTEL_SDK_DISABLED", "TRUE")], on(false)),
        (
            "traces.sampler",
            vec![("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio")],
            text("parentbased_traceidratio"),
        ),
        (
            "traces.ratio",
            vec![("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")],
            Value::Number(0.1),
        ),
        (
            "traces.ratio",
            vec![("OTEL_TRACES_SAMPLER", "keep_errors"), ("OTEL_TRACES_SAMPLER_ARG", "0.1,2s")],
            Value::Number(0.1),
        ),
        (
            "traces.slow",
            vec![
                ("OTEL_TRACES_SAMPLER", "keep_errors"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.1,2s"),
                ("MESHWISE_TRACES_SLOW", "3s"),
            ],
            millis(2000),
        ),
        ("traces.slow", vec![("MESHWISE_TRACES_SLOW", "3s")], millis(3000)),
        (
            "traces.rate",
            vec![("OTEL_TRACES_SAMPLER", "ratelimited"), ("OTEL_TRACES_SAMPLER_ARG", "5")],
            Value::Number(5.0),
        ),
        ("traces.exporters", vec![("OTEL_TRACES_EXPORTER", "console")], texts(&["console"])),
        ("traces.exporters", vec![("OTEL_TRACES_EXPORTER", "none")], texts(&[])),
        ("traces.otlp.protocol", vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC")], text("grpc")),
        (
            "traces.otlp.protocol",
            vec![
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ],
            text("http/json"),
        ),
        (
            "traces.otlp.endpoint",
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1")],
            text("http://c:1"),
        ),
        (
            "traces.otlp.traces_endpoint",
            vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/x")],
            text("http://c:1/x"),
        ),
        ("traces.otlp.headers.a", vec![("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c")], text("b c")),
        ("traces.otlp.timeout", vec![("OTEL_EXPORTER_OTLP_TIMEOUT", "1500")], millis(1500)),
        ("traces.otlp.compression", vec![("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], text("gzip")),
        ("traces.otlp.insecure", vec![("OTEL_EXPORTER_OTLP_INSECURE", "true")], on(true)),
        ("traces.otlp.certificate", vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", "/a")], text("/a")),
        ("traces.otlp.client_certificate", client.clone(), text("/a")),
        ("traces.otlp.client_key", client, text("/b")),
        ("traces.batch.queue", vec![("OTEL_BSP_MAX_QUEUE_SIZE", "7")], Value::Whole(7)),
        ("traces.batch.size", vec![("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7")], Value::Whole(7)),
        ("traces.batch.delay", vec![("OTEL_BSP_SCHEDULE_DELAY", "250")], millis(250)),
        ("traces.batch.timeout", vec![("OTEL_BSP_EXPORT_TIMEOUT", "250")], millis(250)),
        (
            "log.exporters",
            vec![("OTEL_LOGS_EXPORTER", "otlp,console")],
            texts(&["otlp", "console"]),
        ),
        ("log.otlp.protocol", vec![("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "GRPC")], text("grpc")),
        (
            "log.otlp.endpoint",
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1")],
            text("http://c:1"),
        ),
        (
            "log.otlp.logs_endpoint",
            vec![("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://c:1/x")],
            text("http://c:1/x"),
        ),
        ("log.otlp.headers.a", vec![("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=b%20c")], text("b c")),
        ("log.otlp.timeout", vec![("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1500")], millis(1500)),
        ("log.otlp.compression", vec![("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], text("gzip")),
        ("log.otlp.insecure", vec![("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "true")], on(true)),
        ("log.otlp.certificate", vec![("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/a")], text("/a")),
        (
            "log.otlp.client_certificate",
            vec![
                ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/a"),
                ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/a"),
            ],
            text("/a"),
        ),
        (
            "log.otlp.client_key",
            vec![
                ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/a"),
                ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/a"),
            ],
            text("/a"),
        ),
        ("log.batch.queue", vec![("OTEL_BLRP_MAX_QUEUE_SIZE", "7")], Value::Whole(7)),
        ("log.batch.size", vec![("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "7")], Value::Whole(7)),
        ("log.batch.delay", vec![("OTEL_BLRP_SCHEDULE_DELAY", "250")], millis(250)),
        ("log.batch.timeout", vec![("OTEL_BLRP_EXPORT_TIMEOUT", "250")], millis(250)),
        ("metrics.exporters", vec![("OTEL_METRICS_EXPORTER", "otlp")], texts(&["otlp"])),
        (
            "metrics.otlp.protocol",
            vec![("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "GRPC")],
            text("grpc"),
        ),
        (
            "metrics.otlp.endpoint",
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1")],
            text("http://c:1"),
        ),
        (
            "metrics.otlp.metrics_endpoint",
            vec![("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:1/x")],
            text("http://c:1/x"),
        ),
        ("metrics.otlp.headers.a", vec![("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=b")], text("b")),
        ("metrics.otlp.timeout", vec![("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "15")], millis(15)),
        (
            "metrics.otlp.compression",
            vec![("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip")],
            text("gzip"),
        ),
        ("metrics.otlp.insecure", vec![("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "true")], on(true)),
        (
            "metrics.otlp.certificate",
            vec![("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/a")],
            text("/a"),
        ),
        (
            "metrics.otlp.client_certificate",
            vec![
                ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "/a"),
                ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/a"),
            ],
            text("/a"),
        ),
        (
            "metrics.otlp.client_key",
            vec![
                ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "/a"),
                ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/a"),
            ],
            text("/a"),
        ),
        ("metrics.export_interval", vec![("OTEL_METRIC_EXPORT_INTERVAL", "250")], millis(250)),
        ("metrics.export_timeout", vec![("OTEL_METRIC_EXPORT_TIMEOUT", "250")], millis(250)),
        (
            "metrics.temporality",
            vec![("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta")],
            text("delta"),
        ),
        (
            "metrics.histogram_aggregation",
            vec![(
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "base2_exponential_bucket_histogram",
            )],
            text("base2_exponential_bucket_histogram"),
        ),
        ("traces.limits.attributes", vec![("OTEL_ATTRIBUTE_COUNT_LIMIT", "9")], Value::Whole(9)),
        (
            "traces.limits.attributes",
            vec![("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "8")],
            Value::Whole(8),
        ),
        ("traces.limits.events", vec![("OTEL_SPAN_EVENT_COUNT_LIMIT", "9")], Value::Whole(9)),
        ("traces.limits.links", vec![("OTEL_SPAN_LINK_COUNT_LIMIT", "9")], Value::Whole(9)),
        (
            "traces.limits.event_attributes",
            vec![("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "9")],
            Value::Whole(9),
        ),
        (
            "traces.limits.link_attributes",
            vec![("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "9")],
            Value::Whole(9),
        ),
        (
            "traces.limits.value_length",
            vec![("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")],
            Value::Whole(9),
        ),
        (
            "propagation.formats",
            vec![("OTEL_PROPAGATORS", "b3,baggage")],
            texts(&["b3", "baggage"]),
        ),
    ];
    let mut seen = BTreeSet::new();
    for (path, pairs, wanted) in cases {
        let env = Env::from_pairs(pairs.iter().copied());
        let settings = Settings::from_standard_env(&env).unwrap_or_else(|e| panic!("{e}"));
        let shown = settings.shown();
        let found = shown.iter().find(|shown| shown.path.to_string() == path);
        let found = found.unwrap_or_else(|| panic!("{path} is not there"));
        match found.secret {
            true => assert_eq!(found.value, None, "{path}"),
            false => assert_eq!(found.value, Some(wanted), "{path}"),
        }
        assert!(
            matches!(&found.source, Source::Variable(name) if pairs.iter().any(|(n, _)| **name == **n))
        );
        assert!(env.findings().is_empty() && env.unused().is_empty(), "{path}: {:?}", env.unused());
        seen.insert(found.path.names().iter().take(3).cloned().collect::<Vec<_>>());
    }
    // None is left out of the table.
    for (path, spec) in leaves() {
        let path: Vec<String> = path.names().to_vec();
        let known = seen.iter().any(|seen| seen[..2.min(seen.len())] == path[..2.min(path.len())]);
        assert!(matches!(spec.variable, Variable::Own) || known, "{path:?}");
    }
}

#[test]
fn what_opentelemetry_does_not_allow_is_ignored_and_told() {
    for (name, text) in [
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_PROPAGATORS", "b4"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
        ("OTEL_SDK_DISABLED", "yes"),
    ] {
        let env = Env::from_pairs([(name, text)]);
        let settings = Settings::from_standard_env(&env).unwrap();
        let set = settings.shown().into_iter().filter(|shown| shown.value.is_some()).count();
        // Booleans that are neither are `false`.
        assert!(set == 0 || name == "OTEL_SDK_DISABLED", "{name}");
        assert_eq!(env.findings()[0].variable(), name);
        assert!(!format!("{:?}", env.findings()).contains("secret"));
        let strict = Env::from_pairs([(name, text), ("MESHWISE_STRICT", "true")]);
        assert!(Settings::from_standard_env(&strict).is_err(), "{name}");
    }
}
