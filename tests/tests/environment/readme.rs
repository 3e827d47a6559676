//! The README's table of settings, each tried as it is printed.

use super::{collector::Collector, run};
use std::path::Path;

/// Returns the rows of the README's table: what one wants, and each setting that is printed for it.
fn table() -> Vec<(String, Vec<String>)> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let table = readme.split("| you want | you set |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let code = cells[1].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (cells[0].trim().to_owned(), code)
    })
    .collect()
}

/// Returns a row's settings: `NAME=value`, and for a bare value another of the name before it.
fn settings(wanted: &str) -> Vec<(String, String)> {
    let (_, code) = table()
        .into_iter()
        .find(|(wants, _)| wants.contains(wanted))
        .unwrap_or_else(|| panic!("no row for {wanted}"));
    let mut name = String::new();
    code.into_iter()
        .map(|code| match code.split_once('=') {
            Some((variable, value))
                if variable.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') =>
            {
                variable.clone_into(&mut name);
                (name.clone(), value.to_owned())
            }
            _ => (name.clone(), code),
        })
        .collect()
}

#[test]
fn spans_arrive_at_the_collector_by_each_protocol() {
    let collector = Collector::start();
    let settings = settings("spans at a collector");
    let printed = &settings[0];
    assert_eq!(printed.0, "OTEL_EXPORTER_OTLP_ENDPOINT");
    // What is printed must do alone: it names the usual port of the default protocol.
    assert!(printed.1.ends_with(":4318"), "{printed:?}");
    let at = |address| printed.1.replace("collector:4318", &format!("{address}"));
    let alone = at(collector.http);
    assert_ne!(alone, printed.1);
    let deliver = |variables: &[(&str, &str)]| {
        let ran = run(variables);
        assert!(ran.success && ran.warnings().is_empty(), "{ran:#?}");
        let spans = collector.spans();
        assert!(spans.contains(&"root".to_owned()), "{ran:#?}");
        assert!(ran.said("logs: ").contains(&format!("traces: {} delivered", spans.len())));
    };
    deliver(&[(&printed.0, &alone)]);

    let protocols: Vec<&str> = settings[1..]
        .iter()
        .map(|(name, value)| {
            assert_eq!(name, "OTEL_EXPORTER_OTLP_PROTOCOL");
            value.as_str()
        })
        .collect();
    let mut sorted = protocols.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["grpc", "http/json", "http/protobuf"]);
    for protocol in protocols {
        let address = if protocol == "grpc" { collector.grpc } else { collector.http };
        deliver(&[(&printed.0, &at(address)), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
    }
}

#[test]
fn log_records_and_metrics_go_to_the_collector_too() {
    let collector = Collector::start();
    let endpoint = format!("http://{}", collector.http);
    let settings = settings("log records and metrics");
    let mut variables: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables.len(), 2, "{variables:?}");
    variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
    let ran = run(&variables);
    assert!(ran.success && ran.warnings().is_empty(), "{ran:#?}");
    let came = collector.spans();
    for name in ["at info", "meshwise_build_info", "root"] {
        assert!(came.iter().any(|came| came == name), "{name}: {came:#?}");
    }
}

#[test]
fn fewer_traces_are_fewer() {
    let settings = settings("fewer traces");
    let variables: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables.len(), 2, "{variables:?}");
    let ran = run(&variables);
    let sampled: u32 = ran.said("sampled").parse().expect("a number");
    assert!((40..250).contains(&sampled), "a tenth of a thousand is about 100, not {sampled}");
    assert!(ran.warnings().is_empty(), "{ran:#?}");
}

#[test]
fn log_lines_are_as_asked() {
    for (name, value) in settings("log lines") {
        let ran = run(&[(&name, &value)]);
        let json = ran.out.lines().all(|line| line.starts_with('{') && line.ends_with('}'));
        let has = |what: &str| ran.out.contains(what);
        assert!(ran.success && has("at info"), "{ran:#?}");
        let right = match (name.as_str(), value.as_str()) {
            // A debug line of a crate that is called as the service is not this program's.
            ("RUST_LOG", "info,orders=debug") => !has("at debug"),
            ("MESHWISE_LOG_FORMAT", "json") => json && has("\"level\":\"INFO\""),
            ("MESHWISE_LOG_FORMAT", "pretty") => has(" INFO probe: at info"),
            ("MESHWISE_LOG_FORMAT", "logfmt") => has("level=info"),
            ("MESHWISE_LOG_FORMAT", "ecs") => json && has("\"ecs.version\":"),
            ("MESHWISE_LOG_FORMAT", "gcp") => json && has("\"severity\":\"INFO\""),
            other => panic!("the table has {other:?}, which no one tries"),
        };
        assert!(right, "{name}={value}: {ran:#?}");
    }
    assert!(run(&[("RUST_LOG", "info,probe=debug")]).out.contains("at debug"));
}

#[test]
fn peers_are_talked_to_in_their_own_format() {
    let settings = settings("B3");
    let [(name, value)] = settings.as_slice() else { panic!("{settings:?}") };
    let ran = run(&[(name, value)]);
    for header in ["\"traceparent\": ", "\"b3\": "] {
        assert!(ran.said("sent").contains(header), "{ran:#?}");
    }
    assert!(ran.warnings().is_empty(), "{ran:#?}");
    // The others that the row speaks of.
    for (format, header) in [
        ("jaeger", "uber-trace-id"),
        ("xray", "x-amzn-trace-id"),
        ("datadog", "x-datadog-trace-id"),
    ] {
        let ran = run(&[(name, format)]);
        assert!(ran.said("sent").contains(header), "{ran:#?}");
    }
}

#[test]
fn the_ops_routes_address_is_taken_as_it_is_printed() {
    let settings = settings("ops routes");
    assert_eq!(settings.len(), 3, "{settings:?}");
    for (name, value) in settings {
        assert_eq!(name, "MESHWISE_OPS_ADDR");
        let ran = run(&[(&name, &value)]);
        assert!(ran.success && ran.warnings().is_empty(), "{ran:#?}");
        assert!(!run(&[(&name, &format!("{value}?"))]).success, "it is read at the start");
    }
}

#[test]
fn no_row_is_without_a_test() {
    assert_eq!(table().len(), 6, "write a test for the new row, and count it here");
}
