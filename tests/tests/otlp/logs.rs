//! Log records.

use super::{Collector, Manner, OUTCOMES, log, mesh, nowhere, shutdown};
use meshwise::opentelemetry::{
    Context,
    trace::{TraceContextExt as _, Tracer as _},
};
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
};
use std::{collections::BTreeMap, error::Error, io};

const OTLP: (&str, &str) = ("OTEL_LOGS_EXPORTER", "otlp");

fn records(collector: &Collector) -> Vec<LogRecord> {
    let scopes = collector.logs().into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<&str, &Value> {
    let all: BTreeMap<&str, &Value> = attributes
        .iter()
        .map(|kv| {
            let value = kv.value.as_ref().and_then(|value| value.value.as_ref());
            (kv.key.as_str(), value.expect("a value"))
        })
        .collect();
    assert_eq!(all.len(), attributes.len(), "names are unique: {attributes:?}");
    all
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

#[test]
fn a_record_says_what_its_line_says() {
    let collector = Collector::start(Manner::Accepts);
    let (mesh, lines) = mesh(&[OTLP, ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    let span = mesh.tracing().tracer().start("place");
    let context = Context::new().with_span(span);
    let ids = context.span().span_context().clone();
    let failed = io::Error::from(io::ErrorKind::NotFound);
    log(&mesh, || {
        let _attached = context.clone().attach();
        tracing::event!(
            name: "order.placed",
            tracing::Level::ERROR,
            {
                order.id = 7,
                share = 0.5,
                gift = true,
                huge = u64::MAX,
                password = "hunter2",
                note = "sent Bearer abcdefgh12345",
                card = 4_111_111_111_111_111_u64,
                target = "mine",
                error = &failed as &dyn Error,
            },
            "placed with pw=hunter3"
        );
        tracing::debug!("not at info");
    });
    let report = shutdown(&mesh);
    assert_eq!(report.logs.total_dropped(), 0, "{report}");
    // The last one tells what became of the others.
    let records = records(&collector);
    let [record, _] = &records[..] else { panic!("{records:#?}") };
    assert_eq!((record.severity_number, &*record.severity_text), (17, "ERROR"));
    assert_eq!(record.event_name, "order.placed");
    assert_eq!(record.trace_id, ids.trace_id().to_bytes());
    assert_eq!(record.span_id, ids.span_id().to_bytes());
    assert_eq!(record.flags, u32::from(ids.trace_flags().to_u8()));
    assert!(record.time_unix_nano > 1_700_000_000_000_000_000);
    assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
    let body = record.body.as_ref().and_then(|body| body.value.clone());
    assert_eq!(body, Some(text("placed with pw=[redacted]")));
    let attributes = attributes(&record.attributes);
    for (name, value) in [
        ("order.id", Value::IntValue(7)),
        ("share", Value::DoubleValue(0.5)),
        ("gift", Value::BoolValue(true)),
        ("huge", text("18446744073709551615")),
        ("password", text("[redacted]")),
        ("note", text("sent Bearer [redacted]")),
        ("card", text("[redacted]")),
        ("target_2", text("mine")),
        ("error.message", text("entity not found")),
        ("error.type", text("NotFound")),
        ("code.file.path", text(file!())),
    ] {
        assert_eq!(attributes.get(name), Some(&&value), "{name}: {attributes:#?}");
    }
    assert!(attributes.contains_key("target") && attributes.contains_key("code.line.number"));
    // The same went to the line, looked at once.
    let line = &lines.lines()[0];
    assert!(line.contains("pw=[redacted]") && line.contains("Bearer [redacted]"), "{line}");
    assert!(!line.contains("hunter") && !format!("{record:?}").contains("hunter"));
}

#[test]
fn records_carry_the_resource_and_the_scope_of_spans() {
    let collector = Collector::start(Manner::Accepts);
    let (mesh, _) = mesh(&[
        OTLP,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ]);
    log(&mesh, || tracing::info!("one"));
    let _report = shutdown(&mesh);
    let logs = collector.logs();
    let resource = logs[0].resource.as_ref().expect("a resource");
    let said = attributes(&resource.attributes);
    for (key, value) in mesh.tracing().resource() {
        let there = match said.get(key.as_str()) {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(int)) => int.to_string(),
            other => panic!("{key}: {other:?}"),
        };
        assert_eq!(there, value.to_string(), "{key}");
    }
    assert_eq!(said.len(), mesh.tracing().resource().len());
    let scope = &logs[0].scope_logs[0];
    assert_eq!(scope.schema_url, meshwise::trace::SCHEMA_URL);
    assert_eq!(scope.scope.as_ref().expect("a scope").name, "meshwise");
}

#[test]
fn every_record_is_accounted_for_whatever_the_collector_does() {
    for outcome in &OUTCOMES {
        let collector = outcome.manner.map(Collector::start);
        let url = collector.as_ref().map_or_else(nowhere, |collector| collector.url.clone());
        let (mesh, lines) = mesh(&[
            OTLP,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "1500"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "100"),
        ]);
        log(&mesh, || (0..300).for_each(|n| tracing::info!(n, "record")));
        // Waits for each batch's end, so that it is its own and not the shutdown's.
        assert!(mesh.logs().flush(std::time::Duration::from_secs(20)));
        let report = mesh.logs().exported().expect("an exporter");
        let requests = collector.as_ref().map_or(0, Collector::requests);
        outcome.check(&report, 300, requests);
        assert_eq!(lines.lines().len(), 300, "lines are written whatever the collector does");
        if let Some(collector) = collector.filter(|_| report.total_dropped() == 0) {
            let mut seen: Vec<i64> = records(&collector)
                .iter()
                .map(|record| match attributes(&record.attributes).get("n") {
                    Some(Value::IntValue(n)) => *n,
                    other => panic!("{other:?}"),
                })
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..300).collect::<Vec<_>>(), "each once");
        }
        let _report = shutdown(&mesh);
    }
}

#[test]
fn what_finds_no_room_is_counted_and_waits_for_nothing() {
    let collector = Collector::start(Manner::Hangs);
    let (mesh, _) = mesh(&[
        OTLP,
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &format!("{}/v1/logs", collector.url)),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "64"),
    ]);
    let start = std::time::Instant::now();
    log(&mesh, || (0..10_000).for_each(|n| tracing::info!(n, "record")));
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
    let shut = shutdown(&mesh);
    let report = mesh.logs().exported().expect("an exporter");
    // With the last line, which tells of the others.
    assert_eq!(report.total_dropped(), 10_001, "{report}");
    let full = report.dropped_because(meshwise::core::DropReason::QueueFull);
    assert!((9_000..10_001).contains(&full), "{report}");
    assert_eq!(shut.logs.delivered, 10_001, "the lines");
    assert_eq!(shut.logs.total_dropped(), 10_001, "the records");
    let page = mesh.metrics().render_text();
    let counted =
        format!("meshwise_telemetry_dropped_total{{signal=\"logs\",reason=\"queue_full\"}} {full}");
    let counted = [
        counted.clone(),
        counted.replace(
            "signal=\"logs\",reason=\"queue_full\"",
            "reason=\"queue_full\",signal=\"logs\"",
        ),
    ];
    assert!(counted.iter().any(|line| page.contains(line)), "{counted:?}\n{page}");
}

#[test]
fn without_being_asked_for_no_record_goes_anywhere() {
    let collector = Collector::start(Manner::Accepts);
    for exporter in ["none", "console"] {
        let (mesh, lines) = mesh(&[
            ("OTEL_LOGS_EXPORTER", exporter),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_TRACES_EXPORTER", "none"),
        ]);
        log(&mesh, || tracing::info!("one"));
        assert!(mesh.logs().exported().is_none());
        assert_eq!(lines.lines().len(), 1);
        let _report = shutdown(&mesh);
    }
    let disabled = [OTLP, ("OTEL_SDK_DISABLED", "true")];
    let (mesh, _) = mesh(&disabled);
    assert!(mesh.logs().exported().is_none());
    assert_eq!(collector.requests(), 0);
}

/// The last line tells of all others, those too that a collector holds that does not answer; and what it
/// says of it is true.
#[test]
fn the_last_line_counts_what_a_collector_that_hangs_has_not_taken() {
    let collector = Collector::start(Manner::Hangs);
    let (mesh, lines) = mesh(&[
        OTLP,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "8"),
    ]);
    tracing::dispatcher::with_default(mesh.dispatch(), || {
        (0..20).for_each(|n| tracing::info!(n, "record"));
    });
    let report = shutdown(&mesh);
    let lines = lines.lines();
    let last = lines.last().expect("a line");
    assert!(last.contains("20 dropped (shutdown: 20)"), "{last}");
    // The last line was a record as well.
    assert_eq!(report.logs.total_dropped(), 21, "{report}");
}

/// What is wrong with a collector is said in a line; as a record it would go there too, without end.
#[test]
fn what_the_exporter_logs_is_a_line_and_no_record() {
    let (mesh, lines) = mesh(&[
        OTLP,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &nowhere()),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "100"),
        ("RUST_LOG", "trace"),
    ]);
    // Also what the exporter's thread logs.
    tracing::dispatcher::set_global_default(mesh.dispatch().clone()).expect("the first");
    log(&mesh, || (0..10).for_each(|n| tracing::info!(n, "record")));
    assert!(mesh.logs().flush(std::time::Duration::from_secs(20)));
    let report = mesh.logs().exported().expect("an exporter");
    let others = |line: &String| line.contains("log records were lost") || line.contains("hyper");
    assert!(lines.lines().iter().any(others), "{:#?}", lines.lines());
    let own = lines.lines().iter().filter(|line| line.contains("\"n\":")).count() as u64;
    assert_eq!((own, report.delivered + report.total_dropped()), (10, 10), "{report}");
}

#[test]
fn an_event_that_is_exported_allocates_no_more_than_one_that_is_not() {
    let collector = Collector::start(Manner::Hangs);
    let allocations = |variables: &[(&str, &str)]| {
        let mesh = meshwise::builder("orders", "1.4.2")
            .with_env(meshwise::core::Env::from_pairs(variables.iter().copied()))
            .logs(|logs| logs.with_output(meshwise::log::LogOutput::writer(io::sink())))
            .build()
            .expect("a mesh");
        let events = |n: u64| {
            log(&mesh, || {
                (0..n).for_each(|n| tracing::info!(n, route = "/orders/{id}", ok = true, "done"));
            });
        };
        events(64);
        let count = allocation_counter::measure(|| events(1000)).count_total;
        let _report = shutdown(&mesh);
        count
    };
    let without = allocations(&[]);
    let with = allocations(&[
        OTLP,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_TRACES_EXPORTER", "none"),
    ]);
    // A block of lines may have to grow, whatever is exported.
    assert!(with <= without + 16, "{with} with records, {without} without");
}
