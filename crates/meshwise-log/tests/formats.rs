//! What lines look like, field by field.

use meshwise_core::{Env, Service};
use meshwise_log::{LogConfig, LogFormat, LogHandle, LogLines, LogOutput, RateLimit, Redaction};
use serde_json::{Value, json};
use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tracing::subscriber::with_default;
use tracing_subscriber::{Registry, layer::SubscriberExt};

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_795_236_660_123_456)
}

/// Logs with these settings and returns the lines.
fn logged(change: impl FnOnce(LogConfig) -> LogConfig, log: impl FnOnce()) -> Vec<String> {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1.2.3")).with_clock(clock);
    let config = change(config.with_filter("trace")).with_output(LogOutput::memory(&lines));
    let (layer, _logs) = config.build::<Registry>().expect("logs");
    with_default(tracing_subscriber::registry().with(layer), log);
    lines.lines()
}

fn one(format: LogFormat, log: impl FnOnce()) -> String {
    let lines = logged(|config| config.with_format(format), log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.into_iter().next().expect("one")
}

fn json_of(log: impl FnOnce()) -> Value {
    serde_json::from_str(&one(LogFormat::Json, log)).expect("JSON")
}

fn sample() {
    tracing::warn!(target: "orders::stock", item = "tea", count = 2, late = true, "sold out");
}

#[test]
fn json_has_its_fields() {
    assert_eq!(
        one(LogFormat::Json, sample),
        r#"{"timestamp":"2026-11-21T04:51:00.123456Z","level":"WARN","target":"orders::stock","message":"sold out","service.name":"orders","service.version":"1.2.3","item":"tea","count":2,"late":true}"#
    );
}

#[test]
fn ecs_has_its_fields() {
    assert_eq!(
        one(
            LogFormat::Ecs,
            || tracing::warn!(target: "orders::stock", item = "tea", user.id = "ada", "sold out")
        ),
        format!(
            r#"{{"@timestamp":"2026-11-21T04:51:00.123456Z","log.level":"warn","message":"sold out","ecs.version":"9.4.0","log.logger":"orders::stock","log.origin.file.name":"{}","log.origin.file.line":{},"service.name":"orders","service.version":"1.2.3","event.dataset":"orders","user.id":"ada","labels":{{"item":"tea"}}}}"#,
            file!(),
            line!() - 5
        )
    );
}

#[test]
fn gcp_has_its_fields() {
    let line: Value = serde_json::from_str(&one(LogFormat::Gcp, sample)).expect("JSON");
    assert_eq!(line["severity"], "WARNING");
    assert_eq!(line["time"], "2026-11-21T04:51:00.123456Z");
    assert_eq!(line["serviceContext"], json!({"service": "orders", "version": "1.2.3"}));
    let place = &line["logging.googleapis.com/sourceLocation"];
    assert!(place["file"].as_str().is_some_and(|file| file.ends_with("formats.rs")));
    assert!(place["line"].as_str().is_some_and(|line| line.parse::<u32>().is_ok()));
    assert_eq!(line["count"], 2);
}

#[test]
fn logfmt_quotes_what_must_be() {
    let line = one(LogFormat::Logfmt, || {
        tracing::info!(target: "t", empty = "", spaced = "a b", quoted = "a\"b", n = 1.5, "hi\nthere");
    });
    assert_eq!(
        line,
        "timestamp=2026-11-21T04:51:00.123456Z level=info target=t message=\"hi\\nthere\" \
         service.name=orders service.version=1.2.3 empty=\"\" spaced=\"a b\" quoted=\"a\\\"b\" n=1.5"
    );
}

#[test]
fn pretty_is_for_people_and_can_t_be_forged() {
    assert_eq!(
        one(LogFormat::Pretty, sample),
        "04:51:00.123  WARN orders::stock: sold out item=tea count=2 late=true"
    );
    let line = one(LogFormat::Pretty, || tracing::info!(target: "t", "a\x1b[2Jb\nc"));
    assert_eq!(line, "04:51:00.123  INFO t: a\\u{1b}[2Jb\n    | c");
}

#[test]
fn values_keep_their_types() {
    let line = json_of(|| {
        tracing::info!(
            small = -7_i64,
            big = u64::MAX,
            huge = u128::MAX,
            tiny = i128::MIN,
            fits = 5_u128,
            real = 0.1,
            nan = f64::NAN,
            infinite = f64::INFINITY,
            nothing = None::<u64>,
            debug = ?vec![1, 2],
            display = %"x",
        );
    });
    assert_eq!(line["small"], -7);
    assert_eq!(line["big"], u64::MAX);
    assert_eq!(line["huge"], u128::MAX.to_string());
    assert_eq!(line["tiny"], i128::MIN.to_string());
    assert_eq!(line["fits"], 5);
    assert_eq!(line["real"], 0.1);
    assert_eq!(line["nan"], "NaN");
    assert_eq!(line["infinite"], "inf");
    assert_eq!(line.get("nothing"), None);
    assert_eq!(line["debug"], "[1, 2]");
    assert_eq!(line["display"], "x");
}

#[test]
fn fields_whose_names_are_taken_stand_apart() {
    let line = json_of(|| tracing::info!(level = 3, "span_id" = "mine", other = 1, "hello"));
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["fields"], json!({"level": 3, "span_id": "mine"}));
    assert_eq!(line["other"], 1);
}

#[derive(Debug)]
struct Broken(std::io::Error);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not load")
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn errors_say_what_kind_they_are_and_why() {
    let error = Broken(std::io::Error::other("disk on fire"));
    let line = json_of(|| tracing::error!(error = &error as &dyn Error, "failed"));
    assert_eq!(line["error.message"], "could not load");
    assert_eq!(line["error.type"], "Broken");
    assert_eq!(line["error.chain"], "disk on fire");
}

#[test]
fn span_fields_are_listed_from_the_outermost() {
    let line = json_of(|| {
        let outer = tracing::info_span!("outer", user = "ada", later = tracing::field::Empty);
        outer.record("later", 5);
        let _outer = outer.enter();
        let _inner = tracing::info_span!("inner", password = "x").entered();
        tracing::info!("deep");
    });
    assert_eq!(
        line["spans"],
        json!([{"name": "outer", "user": "ada", "later": 5}, {"name": "inner", "password": "[redacted]"}])
    );
    let lines = logged(
        |config| config.with_span_fields(false).with_format(LogFormat::Json),
        || {
            tracing::info_span!("outer").in_scope(|| tracing::info!("deep"));
        },
    );
    assert!(!lines[0].contains("spans"), "{lines:?}");
}

#[test]
fn secrets_are_hidden_by_name_and_by_looks() {
    let log = || {
        tracing::info!(
            password = 1234,
            "user.api_key" = "k",
            url = "http://me:pw@host/",
            "sent Bearer abcdefgh12345 on"
        );
    };
    let line = json_of(log);
    assert_eq!(line["password"], "[redacted]");
    assert_eq!(line["user.api_key"], "[redacted]");
    assert_eq!(line["url"], "http://me:[redacted]@host/");
    assert_eq!(line["message"], "sent Bearer [redacted] on");
    let open = |c: LogConfig| c.with_redaction(Redaction::off()).with_format(LogFormat::Json);
    let lines = logged(open, log);
    assert!(lines[0].contains("abcdefgh12345") && lines[0].contains("\"password\":1234"));
}

#[test]
fn long_values_are_cut_and_the_line_stays_valid() {
    let long = "ü".repeat(100_000);
    let line = one(LogFormat::Json, || {
        tracing::info!(a = long, b = long, c = long, d = long, e = 5, "{long}");
    });
    assert!(line.len() <= 80 << 10, "{}", line.len());
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert!(line["a"].as_str().is_some_and(|a| a.ends_with("ü[cut]")));
    assert!(line["message"].as_str().is_some_and(|message| message.ends_with("ü[cut]")));
    assert_eq!(line["d"], "[cut]");
    assert_eq!(line["e"], 5);
}

#[test]
fn a_call_site_that_complains_too_often_is_held_back_and_says_so() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NOW: AtomicU64 = AtomicU64::new(1_000);
    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.load(Relaxed))
    }
    let complain = |n: usize| (0..n).for_each(|_| tracing::warn!("again"));
    let lines = logged(
        |config| {
            config
                .with_rate_limit(Some(RateLimit::new(3, 1.0)))
                .with_clock(clock)
                .with_format(LogFormat::Json)
        },
        || {
            complain(10);
            tracing::warn!("elsewhere");
            (0..10).for_each(|_| tracing::info!("never limited"));
            NOW.fetch_add(2, Relaxed);
            complain(1);
        },
    );
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("again"), count("elsewhere"), count("never")), (4, 1, 10));
    let last: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
    assert_eq!(last["suppressed"], 7);
}

#[test]
fn the_filter_can_be_changed_while_running() {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1")).with_filter("warn");
    let (layer, logs) = config.with_output(LogOutput::memory(&lines)).build().expect("logs");
    with_default(tracing_subscriber::registry().with(layer), || {
        let say = |text: &str| tracing::info!(target: "orders", "{text}");
        say("too early");
        logs.set_filter("warn,orders=info").expect("a filter");
        say("now");
        let error = logs.set_filter("orders=loud").expect_err("no such level").to_string();
        assert!(error.contains("orders=loud"), "{error}");
        say("still");
        logs.set_filter("off").expect("a filter");
        say("too late");
    });
    let said: Vec<_> = lines.lines();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(logs.filter(), "off");
}

#[test]
fn the_environment_is_read_and_checked() {
    let build = |name: &str, value: &str| -> Result<LogHandle, String> {
        let env = Env::from_pairs([(name, value)]);
        let config = LogConfig::new(Service::new("orders", "1"));
        let config = config.with_output(LogOutput::memory(&LogLines::new()));
        let config = config.with_env(&env).map_err(|error| error.to_string())?;
        config.build::<Registry>().map(|(_, logs)| logs).map_err(|error| error.to_string())
    };
    assert_eq!(
        build("RUST_LOG", "debug,orders=trace").expect("fine").filter(),
        "debug,orders=trace"
    );
    for (name, bad, allowed) in [
        ("RUST_LOG", "orders=loud", "info,orders=debug"),
        ("MESHWISE_LOG_FORMAT", "xml", "one of \"json\", \"pretty\""),
        ("MESHWISE_LOG_QUEUE", "10B", "from 256KiB"),
        ("MESHWISE_LOG_FULL", "panic", "one of \"drop\", \"wait\""),
    ] {
        let error = build(name, bad).expect_err("bad");
        assert!(error.contains(name) && error.contains(bad) && error.contains(allowed), "{error}");
    }
}

#[test]
fn a_value_that_logs_while_it_is_formatted_is_fine() {
    struct Chatty;
    impl fmt::Debug for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!("from within");
            f.write_str("chatty")
        }
    }
    let lines = logged(|config| config, || tracing::info!(value = ?Chatty, "outer"));
    // (`tracing` itself keeps events that are made while one is handled from its subscriber.)
    assert!(lines.last().is_some_and(|line| line.contains("chatty")), "{lines:?}");
}

#[cfg(all(feature = "bulk", feature = "fluent"))]
#[test]
fn settings_of_outputs_that_make_no_sense_are_named_with_their_variables() {
    let told = |output: &str, name: &str, value: &str| {
        let servers = format!(
            "MESHWISE_LOG_{}",
            if output == "bulk" { "BULK_URLS" } else { "FLUENT_SERVERS" }
        );
        let good = if output == "bulk" { "https://search" } else { "tls://logs" };
        let pairs = [("MESHWISE_LOG_OUTPUTS", output), (&*servers, good), (name, value)];
        let config = LogConfig::new(Service::new("orders", "1"));
        let config = config.with_env(&Env::from_pairs(pairs)).map_err(|error| error.to_string());
        config
            .and_then(|config| config.build::<Registry>().map_err(|error| error.to_string()))
            .expect_err(value)
    };
    for (output, name, value, words) in [
        (
            "bulk",
            "MESHWISE_LOG_BULK_URLS",
            "127.0.0.1:9200",
            ["`127.0.0.1:9200`", "`http://host:port`"],
        ),
        (
            "bulk",
            "MESHWISE_LOG_BULK_URLS",
            "me:hush@search:9200",
            ["`search:9200`", "`http://host:port`"],
        ),
        ("bulk", "MESHWISE_LOG_BULK_URLS", "none", ["no server", "at least one"]),
        ("bulk", "MESHWISE_LOG_BULK_STREAM", "logs/a", ["`logs/a`", "a name without `/`"]),
        ("bulk", "MESHWISE_LOG_BULK_API_KEY", "hush\nhush", ["(not shown)", "without line ends"]),
        ("bulk", "MESHWISE_LOG_BULK_CA_FILE", "/nowhere.pem", ["`/nowhere.pem`", "No such file"]),
        (
            "fluent",
            "MESHWISE_LOG_FLUENT_SERVERS",
            "http://hush@logs",
            ["`logs`", "`tls://host:port`"],
        ),
        ("fluent", "MESHWISE_LOG_FLUENT_SERVERS", "none", ["no server", "at least one"]),
        (
            "fluent",
            "MESHWISE_LOG_FLUENT_CA_FILE",
            "/nowhere.pem",
            ["`/nowhere.pem`", "No such file"],
        ),
    ] {
        let told = told(output, name, value);
        assert!(told.starts_with(&format!("{name} ")), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
}
