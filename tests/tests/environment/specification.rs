//! Every variable of OpenTelemetry's specification, version 1.60 ("OpenTelemetry Environment Variable
//! Specification", and "OpenTelemetry Protocol Exporter" for OTLP's): it is honoured, or named at the
//! start as set and not used.

use super::run;

/// What becomes of a variable.
enum Fate {
    /// It is read: the first value is taken without a word; the second is told, and ignored.
    Honoured(&'static str, &'static str),
    /// The same, but no value of it is wrong.
    Text(&'static str),
    /// It is named as set and not used.
    Unused(&'static str),
}
use Fate::{Honoured, Text, Unused};

const ENDPOINT: &str = "http://127.0.0.1:1";

const VARIABLES: &[(&str, Fate)] = &[
    // General.
    ("OTEL_SDK_DISABLED", Honoured("False", "1")),
    ("OTEL_ENTITIES", Unused("service{service.name=app1}")),
    ("OTEL_RESOURCE_ATTRIBUTES", Honoured("a=b%20c,d=e", "a=b,=c")),
    ("OTEL_SERVICE_NAME", Text("billing")),
    ("OTEL_LOG_LEVEL", Unused("debug")),
    ("OTEL_PROPAGATORS", Honoured("TraceContext,b3", "tracecontext,ottrace")),
    ("OTEL_TRACES_SAMPLER", Honoured("ALWAYS_ON", "parentbased_jaeger_remote")),
    ("OTEL_TRACES_SAMPLER_ARG", Honoured("0.5", "half")),
    // Batch span processor.
    ("OTEL_BSP_SCHEDULE_DELAY", Honoured("0", "5s")),
    ("OTEL_BSP_EXPORT_TIMEOUT", Honoured("0", "-1")),
    ("OTEL_BSP_MAX_QUEUE_SIZE", Honoured("4096", "0")),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", Honoured("100", "4096")),
    // Batch log record processor.
    ("OTEL_BLRP_SCHEDULE_DELAY", Honoured("0", "1s")),
    ("OTEL_BLRP_EXPORT_TIMEOUT", Honoured("0", "-1")),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", Honoured("4096", "0")),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", Honoured("100", "4096")),
    // Limits.
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", Honoured("0", "-1")),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", Honoured("128", "many")),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", Honoured("100", "1.5")),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", Honoured("128", "many")),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", Honoured("128", "many")),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", Honoured("128", "many")),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", Honoured("128", "many")),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", Honoured("128", "many")),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", Unused("100")),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", Unused("128")),
    // OTLP exporter, all signals.
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Honoured(ENDPOINT, "localhost:4318")),
    ("OTEL_EXPORTER_OTLP_INSECURE", Honoured("TRUE", "yes")),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", Text("/nowhere.pem")),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_HEADERS", Honoured("a=b,c=d", "a")),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", Honoured("None", "brotli")),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", Honoured("0", "10s")),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", Honoured("GRPC", "udp")),
    // OTLP exporter, traces.
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Honoured(ENDPOINT, "unix:///run/otel.sock")),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", Honoured("true", "1")),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", Text("/nowhere.pem")),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", Honoured("a=b", "=b")),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", Honoured("none", "zstd")),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", Honoured("100", "-1")),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", Honoured("HTTP/JSON", "http")),
    // OTLP exporter, metrics and logs.
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", Honoured(ENDPOINT, "unix:///run/otel.sock")),
    ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", Honoured("true", "1")),
    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", Text("/nowhere.pem")),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", Honoured("a=b", "=b")),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", Honoured("none", "zstd")),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", Honoured("100", "-1")),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", Honoured("HTTP/JSON", "http")),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", Honoured("Delta", "sometimes")),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        Honoured("explicit_bucket_histogram", "summary"),
    ),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", Honoured(ENDPOINT, "unix:///run/otel.sock")),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", Honoured("true", "1")),
    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", Text("/nowhere.pem")),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", Honoured("", "/alone.pem")),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", Honoured("a=b", "=b")),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", Honoured("none", "zstd")),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", Honoured("100", "-1")),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", Honoured("HTTP/JSON", "http")),
    // Obsolete names.
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", Unused("true")),
    ("OTEL_EXPORTER_OTLP_METRIC_INSECURE", Unused("true")),
    // Zipkin and Prometheus exporters.
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", Unused(ENDPOINT)),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", Unused("100")),
    ("OTEL_EXPORTER_ZIPKIN_PROTOCOL", Unused("json")),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", Unused("0.0.0.0")),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", Unused("9464")),
    // Exporter selection.
    ("OTEL_TRACES_EXPORTER", Honoured("OTLP,none", "zipkin")),
    ("OTEL_METRICS_EXPORTER", Honoured("Prometheus", "statsd")),
    ("OTEL_LOGS_EXPORTER", Honoured("Console", "zipkin")),
    // Metrics SDK.
    ("OTEL_METRICS_EXEMPLAR_FILTER", Honoured("Always_Off", "never")),
    ("OTEL_METRIC_EXPORT_INTERVAL", Honoured("1000", "0")),
    ("OTEL_METRIC_EXPORT_TIMEOUT", Honoured("0", "30s")),
    // Declarative configuration.
    ("OTEL_CONFIG_FILE", Unused("/etc/otel.yaml")),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", Unused("/etc/otel.yaml")),
];

/// Adds what a variable needs to matter at all.
fn with_company<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut variables = match name {
        "OTEL_TRACES_SAMPLER_ARG" => vec![("OTEL_TRACES_SAMPLER", "traceidratio")],
        _ if name.starts_with("OTEL_EXPORTER_OTLP_") => {
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT),
                ("OTEL_BSP_EXPORT_TIMEOUT", "1"),
                ("OTEL_BLRP_EXPORT_TIMEOUT", "1"),
            ]
        }
        _ => vec![],
    };
    variables.push((name, value));
    variables
}

#[test]
fn what_is_honoured_is_taken_without_a_word_and_nonsense_in_it_is_told() {
    for (name, fate) in VARIABLES {
        let (good, bad) = match *fate {
            Honoured(good, bad) => (good, Some(bad)),
            Text(good) => (good, None),
            Unused(_) => continue,
        };
        let good = match (*name, good) {
            // Two of them make no list of exporters; it is told of, and that is another test's.
            ("OTEL_TRACES_EXPORTER", _) => "Console",
            (_, good) => good,
        };
        let ran = run(&with_company(name, good));
        assert!(ran.success, "{name}={good}: {ran:#?}");
        assert_eq!(ran.warnings(), [""; 0], "{name}={good}");
        let Some(bad) = bad else { continue };
        let variables = with_company(name, bad);
        let ran = run(&variables);
        assert!(ran.success, "{name}={bad} stops the service: {ran:#?}");
        let warnings = ran.warnings();
        let told = format!("ignored: {name} ");
        assert_eq!(warnings.len(), 1, "{name}={bad}: {warnings:#?}");
        assert!(warnings[0].starts_with(&told), "{name}={bad}: {warnings:#?}");

        let strict: Vec<_> = variables.into_iter().chain([("MESHWISE_STRICT", "true")]).collect();
        let ran = run(&strict);
        let first = ran.err.lines().next().unwrap_or_default();
        assert!(!ran.success && first.starts_with(&format!("{name} ")), "{name}={bad}: {first}");
    }
}

#[test]
fn what_is_not_used_is_named_once_in_one_line() {
    let mut variables: Vec<(&str, &str)> = VARIABLES
        .iter()
        .filter_map(|(name, fate)| match *fate {
            Unused(value) => Some((*name, value)),
            Honoured(..) | Text(_) => None,
        })
        .collect();
    // Misspelt ones, and some of the family that are read elsewhere.
    variables.push(("OTEL_EXPORTER_OTLP_ENDPONT", ENDPOINT));
    let mut names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    variables.push(("MESHWISE_PEERS_AUTH_URL", "http://auth"));
    variables.push(("MESHWISE_TODAY", "2026-11-21"));
    let ran = run(&variables);
    assert!(ran.success, "{ran:#?}");
    let line = format!("environment variables are set and not used: {}", names.join(", "));
    assert_eq!(ran.warnings(), [line]);
    assert!(!ran.out.contains("s3cret"), "values may be credentials");

    variables.push(("MESHWISE_STRICT", "true"));
    let ran = run(&variables);
    assert!(!ran.success, "{ran:#?}");
    let first =
        format!("{} settings are wrong: {} and others\n", names.len(), names[..5].join(", "));
    assert!(ran.err.starts_with(&first), "{ran:#?}");
    for name in names {
        let line = format!("\n  {name} is set and not used; unset it, or MESHWISE_STRICT");
        assert!(ran.err.contains(&line), "{line}: {ran:#?}");
    }
    assert!(!ran.err.contains("s3cret"), "values may be credentials");
}

/// Whatever is wrong, in variables of ours and of others, and what no part can do: who mends it needs one
/// start to find all of it.
#[test]
fn one_strict_start_names_all_that_is_wrong() {
    let variables = [
        ("MESHWISE_DRAIN_TIMEOUT", "30"),
        ("MESHWISE_LGO_QUEUE", "8MiB"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,=c"),
        ("OTEL_PROPAGATORS", "ottrace"),
        // Found out only where the exporter is made.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_ENTITIES", "service{service.name=app1}"),
        ("OTEL_EXPORTER_OTLP_ENDPONT", ENDPOINT),
    ];
    let own = ["MESHWISE_DRAIN_TIMEOUT", "MESHWISE_LGO_QUEUE"];
    let standard =
        variables[2..].iter().map(|(name, _)| format!("\n  {name} ")).collect::<Vec<_>>();
    let ran = run(&variables);
    assert!(!ran.success && own.iter().all(|name| ran.err.contains(name)), "{ran:#?}");
    assert!(standard.iter().all(|name| !ran.err.contains(name)), "{ran:#?}");

    let strict: Vec<_> = variables.into_iter().chain([("MESHWISE_STRICT", "true")]).collect();
    let ran = run(&strict);
    assert!(!ran.success, "{ran:#?}");
    for name in own {
        assert!(ran.err.contains(name), "{name}: {ran:#?}");
    }
    for name in standard {
        assert_eq!(ran.err.matches(&name).count(), 1, "{name}: {ran:#?}");
    }
}

#[test]
fn disabled_asks_nothing_else() {
    let mut variables: Vec<(&str, &str)> = VARIABLES
        .iter()
        .filter(|(name, _)| !["OTEL_RESOURCE_ATTRIBUTES", "OTEL_PROPAGATORS"].contains(name))
        .map(|(name, fate)| match *fate {
            Honoured(_, value) | Text(value) | Unused(value) => (*name, value),
        })
        .collect();
    variables.push(("OTEL_SDK_DISABLED", "true"));
    variables.push(("OTEL_PROPAGATORS", "b3"));
    for strict in ["false", "true"] {
        variables.push(("MESHWISE_STRICT", strict));
        let ran = run(&variables);
        assert!(ran.success && ran.warnings().is_empty(), "{ran:#?}");
        assert_eq!(ran.said("sampled"), "0");
        assert_eq!(ran.said("page of"), "0 lines");
        assert_eq!(ran.line("at info")["service.name"], "billing", "log lines stay");
    }
}

/// A key in a base URL would be lost without a word.
#[test]
fn what_a_base_url_does_not_use_is_named() {
    let base = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/?api-key=s3cret")];
    let all = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"];
    let mut variables: Vec<_> = base.into_iter().chain(all.map(|name| (name, "otlp"))).collect();
    variables.push(("OTEL_BSP_EXPORT_TIMEOUT", "1"));
    variables.push(("OTEL_BLRP_EXPORT_TIMEOUT", "1"));
    let ran = run(&variables);
    let warnings = ran.warnings();
    assert!(ran.success && warnings.len() == 1, "{ran:#?}");
    let told = "OTEL_EXPORTER_OTLP_ENDPOINT has a query or a fragment, which is not used: ";
    assert!(warnings[0].starts_with(&format!("ignored: {told}")), "{warnings:#?}");
    assert!(!ran.out.contains("s3cret"), "{ran:#?}");
    variables.push(("MESHWISE_STRICT", "true"));
    let ran = run(&variables);
    assert!(!ran.success && ran.err.contains(told), "{ran:#?}");
    assert!(!ran.err.contains("s3cret"), "{ran:#?}");
}

/// The specification's own defaults, which platforms set for everyone.
#[test]
fn otlp_for_all_signals_starts_the_service() {
    let ran = run(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1"),
    ]);
    assert!(ran.success, "{ran:#?}");
    assert_eq!(ran.warnings(), [""; 0]);
    assert_ne!(ran.said("page of"), "0 lines", "the page stays");
    ran.line("at info");

    for logs in ["none", "console"] {
        let ran =
            run(&[("OTEL_LOGS_EXPORTER", logs), ("OTEL_METRICS_EXPORTER", "prometheus,otlp")]);
        assert_eq!(ran.warnings(), [""; 0], "{ran:#?}");
        ran.line("at info");
    }
}

#[test]
fn spans_go_to_standard_output_by_name() {
    let ran = run(&[("OTEL_TRACES_EXPORTER", "console")]);
    let root = ran.said("ids trace=").split(' ').next().expect("an id").to_owned();
    let line = ran.out.lines().find(|line| line.contains(&root) && line.contains("internal root"));
    assert!(line.is_some(), "{ran:#?}");
    // Neither breaks the other's lines.
    for line in ran.out.lines() {
        let json = serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(json || line.contains(" trace_id="), "{line}");
    }
}

#[test]
fn a_port_of_another_protocol_is_hinted_at_and_is_no_error() {
    for strict in ["false", "true"] {
        let ran = run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1"),
            ("MESHWISE_STRICT", strict),
        ]);
        assert!(ran.success, "{ran:#?}");
        let warnings = ran.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(
            warnings[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is `http://127.0.0.1:4317`: port")
                && warnings[0].contains("set OTEL_EXPORTER_OTLP_PROTOCOL=grpc or use port 4318"),
            "{warnings:#?}"
        );
    }
}
