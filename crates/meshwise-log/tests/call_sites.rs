//! What is remembered of a call site changes no line.

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput, Redaction};
use serde_json::Value;
use tracing::{Dispatch, dispatcher::with_default};
use tracing_subscriber::layer::SubscriberExt;

fn pipeline(format: LogFormat, redaction: Redaction) -> (Dispatch, LogLines) {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1")).with_format(format);
    let config = config.with_redaction(redaction).with_output(LogOutput::memory(&lines));
    let (layer, _) = config.build().expect("logs");
    (Dispatch::new(tracing_subscriber::registry().with(layer)), lines)
}

/// One call site, with every kind of field that names decide about.
fn log(n: u64) {
    let error = std::io::Error::other("no");
    let error: &dyn std::error::Error = &error;
    let span = tracing::info_span!("span", token = "t0p", cvv = n, user = "ada", late = 0);
    span.record("late", n);
    let _entered = span.enter();
    tracing::info!(
        password = "hunter2",
        pin = 1234,
        n,
        level = "high",
        r#type = "x",
        error,
        "m {n}"
    );
}

fn parsed(lines: &LogLines) -> Vec<Value> {
    lines.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_line_of_a_call_site_is_like_the_first() {
    let (dispatch, lines) = pipeline(LogFormat::Json, Redaction::default());
    with_default(&dispatch, || (0..3).for_each(log));
    let lines = parsed(&lines);
    assert_eq!(lines.len(), 3);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["password"], "[redacted]", "{line}");
        assert_eq!(line["pin"], "[redacted]", "{line}");
        assert_eq!(line["n"], n, "{line}");
        assert_eq!(
            (&line["level"], &line["target"]),
            (&"INFO".into(), &"call_sites".into()),
            "{line}"
        );
        assert_eq!(line["fields"]["level"], "high", "{line}");
        assert_eq!(line["type"], "x", "{line}");
        assert_eq!(line["error.message"], "no", "{line}");
        assert_eq!(line["message"], format!("m {n}"), "{line}");
        let span = &line["spans"][0];
        assert_eq!((&span["token"], &span["cvv"]), (&"[redacted]".into(), &"[redacted]".into()));
        assert_eq!((&span["user"], &span["late"]), (&"ada".into(), &n.into()));
    }
}

#[test]
fn pipelines_differ_about_the_same_call_site() {
    let formats = [
        (LogFormat::Json, "\"password\":\"[redacted]\""),
        (LogFormat::Logfmt, " password=[redacted]"),
        (LogFormat::Ecs, "\"log.level\":\"info\""),
        (LogFormat::Gcp, "\"severity\":\"INFO\""),
    ];
    for (format, wanted) in formats {
        let hiding = pipeline(format, Redaction::default());
        let showing = pipeline(format, Redaction::off());
        for n in 0..2 {
            with_default(&hiding.0, || log(n));
            with_default(&showing.0, || log(n));
        }
        for line in hiding.1.lines() {
            assert!(line.contains(wanted) && !line.contains("hunter2"), "{line}");
        }
        for line in showing.1.lines() {
            assert!(line.contains("hunter2") && line.contains("1234"), "{line}");
        }
    }
}
