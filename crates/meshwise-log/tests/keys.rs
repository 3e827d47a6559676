//! Each name stands once in each object of a line, and nothing vanishes without a mark.

mod strict;

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput, RateLimit};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    error::Error,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tracing::{field::Empty, subscriber::with_default};
use tracing_log::{LogTracer, log};
use tracing_subscriber::{Registry, layer::SubscriberExt};

const JSON: [LogFormat; 3] = [LogFormat::Json, LogFormat::Ecs, LogFormat::Gcp];

fn logged(change: impl FnOnce(LogConfig) -> LogConfig, log: impl FnOnce()) -> Vec<String> {
    let lines = LogLines::new();
    let config = change(LogConfig::new(Service::new("orders", "1.2.3")).with_filter("trace"));
    let (layer, _logs) =
        config.with_output(LogOutput::memory(&lines)).build::<Registry>().expect("logs");
    with_default(tracing_subscriber::registry().with(layer), log);
    lines.lines()
}

fn one(format: LogFormat, log: impl FnOnce()) -> String {
    let lines = logged(|config| config.with_format(format), log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.into_iter().next().expect("one")
}

fn json_of(log: impl FnOnce()) -> Value {
    strict::json(&one(LogFormat::Json, log))
}

/// Makes the records of the `log` crate events; once a process.
fn bridge() {
    let _ = LogTracer::init();
}

fn failed() -> std::io::Error {
    std::io::ErrorKind::NotFound.into()
}

/// Logs with names that lines use themselves, or that come twice.
fn clashing() {
    #[tracing::instrument]
    fn greet(name: &str, fields: u8) {
        let span = tracing::info_span!(
            "inner",
            name = "Bobby",
            name = 2,
            labels = 3,
            spans = 4,
            error = Empty
        );
        span.record("error", &failed() as &dyn Error);
        span.in_scope(|| {
            let error = failed();
            let error = &error as &dyn Error;
            tracing::error!(
                { a = 1, a = 2, a = "three", "error.message" = "mine", error = error, "error.type" = "X",
                  fields = 1, fields.a = 2, spans = 3, "spans.0.name" = 4, labels = 5, labels.a = 6,
                  suppressed = 7, level = "boss", level = 2, trace_id = "mine", time = 8, severity = 9,
                  timestamp = 10, "trace id" = 11, service.name = 12, log.level = 13, span.id = 14,
                  httpRequest = 15, "logging.googleapis.com/labels" = 16, event.dataset = 17,
                  r#type = 18, a.b = 19, a_b = 20 },
                "message {}", fields
            );
        });
    }
    greet("ada", 7);
}

#[test]
fn keys_are_unique_whatever_fields_are_called() {
    for format in JSON {
        let line = one(format, clashing);
        let json = strict::json(&line);
        let values = ["mine", "boss", "three", "Bobby", "ada", "message 7", "NotFound", "X"];
        for value in values {
            assert!(line.contains(&format!("\"{value}\"")), "{format:?} lost {value}: {line}");
        }
        let spans = if format == LogFormat::Ecs { "meshwise.spans" } else { "spans" };
        assert_eq!(json[spans][0]["name"], "greet", "{line}");
        assert_eq!(json[spans][1]["name"], "inner", "{line}");
        for number in 1..=20 {
            let there = [format!(":{number}"), format!(":\"{number}\"")];
            let there = |end: &str| there.iter().any(|n| line.contains(&format!("{n}{end}")));
            assert!(there(",") || there("}"), "{format:?} lost {number}: {line}");
        }
    }
    let pairs = strict::logfmt(&one(LogFormat::Logfmt, clashing));
    assert_eq!(pairs["level"], "error");
    assert_eq!(pairs["fields.level"], "boss");
    assert_eq!(pairs["fields.level_2"], "2");
    assert_eq!(pairs["fields.trace_id"], "mine");
    assert_eq!(pairs["spans"], "greet:inner");
    assert_eq!(pairs["spans.0.name"], "ada");
    assert_eq!(pairs["spans.1.fields.name"], "2");
    let line = one(LogFormat::Pretty, clashing);
    assert!(line.contains(" a=1 fields.a=2 fields.a_2=three "), "{line}");
}

#[test]
fn fields_that_come_twice_both_stand() {
    let line = json_of(|| tracing::info!(a = 1, a = 2, "x"));
    assert_eq!((&line["a"], &line["fields"]), (&json!(1), &json!({"a": 2})));
    let line = json_of(|| tracing::info!({ level = 1, level = 2 }, "x"));
    assert_eq!(line["fields"], json!({"level": 1, "level_2": 2}));
    let line = json_of(|| {
        let error = failed();
        let error = &error as &dyn Error;
        tracing::error!(error, "error.message" = "mine", "x");
    });
    assert_eq!(line["error.message"], "mine");
    assert_eq!(line["fields"]["error.message"], failed().to_string());
    for format in JSON {
        let line = one(format, || {
            let (one, other) = (failed(), std::io::Error::from(std::io::ErrorKind::TimedOut));
            tracing::error!({ error = &one as &dyn Error, error = &other as &dyn Error }, "x");
        });
        strict::json(&line);
        assert!(line.contains("NotFound") && line.contains("TimedOut"), "{line}");
    }
}

#[test]
fn a_span_s_name_is_not_its_field_called_name() {
    #[tracing::instrument]
    fn greet(name: &str) {
        tracing::info!("hello");
    }
    for format in [LogFormat::Json, LogFormat::Gcp] {
        let line = strict::json(&one(format, || greet("ada")));
        assert_eq!(line["spans"], json!([{"name": "greet", "fields": {"name": "ada"}}]));
    }
    let line = strict::json(&one(LogFormat::Ecs, || greet("ada")));
    assert_eq!(line["meshwise.spans"], json!([{"name": "greet", "labels": {"name": "ada"}}]));
}

#[test]
fn a_value_that_is_recorded_replaces_the_one_before() {
    let log = || {
        let span =
            tracing::info_span!("poller", offset = Empty, state = "new", other = 1, error = Empty);
        for offset in 0..2000_u64 {
            span.record("offset", offset);
        }
        span.record("state", "in flight, as it seems");
        span.record("state", "done");
        span.record("error", &failed() as &dyn Error);
        span.record("error", &std::io::Error::from(std::io::ErrorKind::TimedOut) as &dyn Error);
        span.in_scope(|| tracing::info!("now"));
    };
    let span = json_of(log)["spans"][0].clone();
    assert_eq!(
        span,
        json!({"name": "poller", "state": "done", "other": 1, "offset": 1999,
               "error.message": "timed out", "error.type": "TimedOut"})
    );
    let pairs = strict::logfmt(&one(LogFormat::Logfmt, log));
    assert_eq!((&*pairs["spans.0.offset"], &*pairs["spans.0.state"]), ("1999", "done"));
    let line = one(LogFormat::Pretty, log);
    assert!(line.contains("in poller{state=done other=1 offset=1999 "), "{line}");
}

#[test]
fn a_span_keeps_what_it_can_and_says_what_it_can_t() {
    let long = "x".repeat(5_000);
    let log = || {
        let span =
            tracing::info_span!("job", long, order = 7, more = Empty, most = Empty, last = Empty);
        span.record("more", long.as_str());
        span.record("most", long.as_str());
        span.record("last", 8);
        span.in_scope(|| tracing::info!("now"));
    };
    let span = json_of(log)["spans"][0].clone();
    assert_eq!((&span["order"], &span["last"]), (&json!(7), &json!(8)));
    for name in ["long", "more"] {
        let text = span.get(name).and_then(Value::as_str).unwrap_or("[cut]");
        assert!(text.ends_with("[cut]"), "{text}");
    }
    assert!(span["long"].as_str().is_some_and(|text| text.len() > 4_000));
    assert_eq!(span["fields_cut"], true, "{span}");
    let pairs = strict::logfmt(&one(LogFormat::Logfmt, log));
    assert_eq!((&*pairs["spans.0.order"], &*pairs["spans.0.fields_cut"]), ("7", "true"));
    let line = one(LogFormat::Pretty, log);
    assert!(line.contains("order=7") && line.contains(" [cut]}"), "{line}");
    // A span that has room says nothing of the kind.
    let span = json_of(|| {
        tracing::info_span!("job", long).in_scope(|| tracing::info!("now"));
    });
    assert_eq!(span["spans"][0].get("fields_cut"), None);
}

#[test]
fn spans_without_end_are_cut_and_say_so() {
    fn deeper(depth: usize, text: &str) {
        if depth == 0 {
            return tracing::info!("deep");
        }
        tracing::info_span!("step", depth, text).in_scope(|| deeper(depth - 1, text));
    }
    let text = "x".repeat(1_000);
    for format in JSON {
        let line = one(format, || deeper(200, &text));
        assert!(line.len() < 80 << 10, "{}", line.len());
        let json = strict::json(&line);
        let spans = if format == LogFormat::Ecs { "meshwise.spans" } else { "spans" };
        let last = json[spans].as_array().and_then(|spans| spans.last()).expect("spans");
        assert_eq!(*last, json!({"name": "[cut]"}));
    }
    let pairs = strict::logfmt(&one(LogFormat::Logfmt, || deeper(200, &text)));
    assert!(pairs.iter().any(|(key, value)| key.ends_with(".fields_cut") && value == "true"));
    assert!(one(LogFormat::Pretty, || deeper(200, &text)).ends_with("> [cut]"));
}

#[test]
fn users_fields_that_begin_with_log_are_kept() {
    let log = || {
        tracing::info!(log.file = "a.txt", log.offset = 7, log.name = %"audit", log.line = 9,
            log.target = "t", log.module_path = "m", log.id = "abc", log.file.path = "/x", "rotated");
    };
    for format in [LogFormat::Json, LogFormat::Gcp] {
        let line = strict::json(&one(format, log));
        for (name, value) in [
            ("log.file", json!("a.txt")),
            ("log.offset", json!(7)),
            ("log.name", json!("audit")),
            ("log.line", json!(9)),
            ("log.target", json!("t")),
            ("log.module_path", json!("m")),
            ("log.id", json!("abc")),
            ("log.file.path", json!("/x")),
        ] {
            assert_eq!(line[name], value, "{format:?} {name}");
        }
    }
    let pairs = strict::logfmt(&one(LogFormat::Logfmt, log));
    assert_eq!((&*pairs["log.file"], &*pairs["log.line"]), ("a.txt", "9"));
    let line = strict::json(&one(LogFormat::Ecs, log));
    assert_eq!(line["log.file.path"], "/x");
    assert_eq!(
        (&line["labels"]["log_file"], &line["labels"]["log_line"]),
        (&json!("a.txt"), &json!("9"))
    );
    // An event that is only called like a record of the facade is none.
    let line = json_of(|| {
        tracing::event!(name: "log event", tracing::Level::INFO, log.file = "mine", "x");
    });
    assert_eq!(line["log.file"], "mine");
}

#[test]
fn what_the_log_facade_says_of_a_record_is_not_among_its_fields() {
    bridge();
    let log = || log::warn!(target: "rdkafka", "disconnected");
    for format in [LogFormat::Json, LogFormat::Gcp] {
        let line = one(format, log);
        assert!(!line.contains("\"log."), "{line}");
        assert_eq!(strict::json(&line)["target"], "rdkafka");
    }
    let line = one(LogFormat::Logfmt, log);
    assert!(!line.contains("log."), "{line}");
    let line = strict::json(&one(LogFormat::Ecs, log));
    assert_eq!(line["log.logger"], "rdkafka");
    assert!(line["log.origin.file.name"].as_str().is_some_and(|name| name.ends_with("keys.rs")));
    assert!(line["log.origin.file.line"].is_u64());
    for name in ["log.file", "log.line", "log.target", "log.module_path", "labels"] {
        assert_eq!(line.get(name), None, "{name}");
    }
}

#[test]
fn records_of_the_log_facade_are_limited_by_where_they_come_from() {
    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000)
    }
    bridge();
    let lines = logged(
        |config| config.with_clock(clock).with_rate_limit(Some(RateLimit::new(100, 1.0))),
        || {
            for _ in 0..150 {
                log::warn!(target: "chatty_lib", "noise");
            }
            log::warn!(target: "tls_lib", "certificate expires tomorrow");
            log::warn!(target: "chatty_lib", "something else");
            tracing::warn!("an event");
        },
    );
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("noise"), 100);
    assert_eq!((count("certificate"), count("something else"), count("an event")), (1, 1, 1));
    assert_eq!(count("suppressed"), 0, "others' lines say nothing of it");
}

#[test]
fn several_layers_in_one_registry_each_have_their_own() {
    let lines: Vec<_> = (0..4).map(|_| LogLines::new()).collect();
    let config = |n: usize, format| {
        let config = LogConfig::new(Service::new("orders", "1")).with_format(format);
        config.with_output(LogOutput::memory(&lines[n]))
    };
    let (json, _) = config(0, LogFormat::Json).build().expect("logs");
    let (pretty, _) = config(1, LogFormat::Pretty).build().expect("logs");
    let (again, _) = config(2, LogFormat::Json).with_filter("warn").build().expect("logs");
    let (bare, _) = config(3, LogFormat::Logfmt).with_span_fields(false).build().expect("logs");
    let registry = tracing_subscriber::registry().with(json).with(pretty).with(again).with(bare);
    with_default(registry, || {
        let span = tracing::warn_span!("work", id = 1, step = Empty);
        span.record("step", 2);
        tracing::info_span!("inner", x = "y").in_scope(|| {
            span.in_scope(|| {
                span.record("step", 3);
                tracing::warn!("said");
            });
        });
    });
    let only = |n: usize| {
        let lines = lines[n].lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    let work = json!({"name": "work", "id": 1, "step": 3});
    assert_eq!(strict::json(&only(0))["spans"], json!([work]));
    assert!(only(1).ends_with("said in work{id=1 step=3}"), "{}", only(1));
    assert_eq!(strict::json(&only(2))["spans"], json!([work]));
    assert!(!only(3).contains("spans"), "{}", only(3));
}

#[test]
fn a_value_is_formatted_only_as_far_as_it_is_kept() {
    struct Element<'c>(&'c Cell<usize>);
    impl fmt::Debug for Element<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() + 1);
            f.write_str("0")
        }
    }
    #[derive(Debug)]
    struct Failed<'c>(#[expect(dead_code, reason = "its `Debug` shows it")] Vec<Element<'c>>);
    let count = Cell::new(0);
    let list: Vec<_> = (0..1_000_000).map(|_| Element(&count)).collect();
    let line = json_of(|| tracing::info!(value = ?list, "{list:?}"));
    for name in ["value", "message"] {
        let text = line[name].as_str().expect("a text");
        assert!(text.ends_with("[cut]") && text.len() <= 17 << 10, "{name}: {}", text.len());
    }
    assert!(count.get() <= 20_000, "{}", count.get());
    let span = json_of(|| {
        tracing::info_span!("s", value = ?Failed(list)).in_scope(|| tracing::info!("x"));
    });
    let text = span["spans"][0]["value"].as_str().expect("a text").to_owned();
    assert!(text.ends_with("[cut]") && text.starts_with("Failed([0, 0"), "{text}");
}

#[test]
fn an_error_is_cut_with_a_mark_and_its_kind_is_found_in_its_chain() {
    #[derive(Debug)]
    struct Wide(Option<Box<Self>>);
    impl fmt::Display for Wide {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&"w".repeat(5_000))
        }
    }
    impl Error for Wide {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_deref().map(|wide| wide as _)
        }
    }
    let wide = (0..100).fold(Wide(None), |wide, _| Wide(Some(Box::new(wide))));
    let line = json_of(|| tracing::error!(error = &wide as &dyn Error, "x"));
    assert!(line["error.chain"].as_str().is_some_and(|chain| chain.ends_with("[cut]")));
    assert_eq!(line["error.type"], "Wide");

    let kind = |error: &(dyn Error + 'static)| {
        json_of(|| tracing::error!(error, "x"))["error.type"].as_str().expect("a text").to_owned()
    };
    assert_eq!(kind(&failed()), "NotFound");
    assert_eq!(kind(&std::io::Error::other("disk on fire")), "Other");
    assert_eq!(kind(anyhow::Error::from(failed()).context("loading").as_ref()), "NotFound");
    assert_eq!(kind(anyhow::anyhow!("Disk full").as_ref()), "_OTHER");
    assert_eq!(kind(&"x".parse::<u8>().expect_err("no number")), "ParseIntError");
}
