//! What the environment does to a service that starts with it: each test runs a process.

mod collector;
mod guide;
mod readme;
mod refused;
mod specification;

use std::{
    collections::BTreeMap,
    process::{Command, Output},
};

/// What a process said that was started with some variables.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) success: bool,
    /// Log lines.
    pub(crate) out: String,
    /// What `probe` found.
    pub(crate) err: String,
}

/// Runs `probe` with these variables, and none that this process happens to have.
pub(crate) fn run(variables: &[(&str, &str)]) -> Ran {
    run_os(command(), variables)
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_probe"))
}

fn run_os(
    mut command: Command,
    variables: &[(impl AsRef<std::ffi::OsStr>, impl AsRef<std::ffi::OsStr>)],
) -> Ran {
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ran { success: status.success(), out: text(&stdout), err: text(&stderr) }
}

impl Ran {
    /// Returns what stands after a word of the report.
    pub(crate) fn said(&self, word: &str) -> &str {
        let line = self.err.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("no {word} in {self:#?}")).trim()
    }

    /// Lists the messages of the warnings of the start.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let lines = self
            .out
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines
            .take_while(|line| line["message"] != "at info")
            .filter(|line| line["level"] == "WARN" && line["target"] == "meshwise")
            .map(|line| line["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Lists the attributes that stand after a word of the report.
    fn attributes(&self, word: &str) -> BTreeMap<String, String> {
        let lines = self.err.lines().filter_map(|line| line.strip_prefix(word)?.split_once('='));
        lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn target_info(&self) -> BTreeMap<String, String> {
        let line = self.said("target_info{");
        let labels = line.split_once('}').expect("its end").0.split("\",");
        let pair = |label: &str| {
            let (name, value) = label.split_once("=\"").expect("a label");
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        };
        labels.map(pair).collect()
    }

    fn line(&self, message: &str) -> serde_json::Value {
        let lines = self.out.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines
            .into_iter()
            .find(|line: &serde_json::Value| line["message"] == message)
            .unwrap_or_else(|| panic!("no {message} in {self:#?}"))
    }
}

#[test]
fn all_signals_say_who_the_service_is_and_the_same() {
    const SAID: &str = "service.namespace=shop,service.instance.id=i-1,\
                        deployment.environment.name=prod,service.version=9.9,service.name=other";
    for (variables, name) in [
        (&[("OTEL_RESOURCE_ATTRIBUTES", SAID)][..], "other"),
        (&[("OTEL_RESOURCE_ATTRIBUTES", SAID), ("OTEL_SERVICE_NAME", "billing")], "billing"),
    ] {
        let ran = run(variables);
        let wanted = [
            ("service.name", name),
            ("service.version", "9.9"),
            ("service.namespace", "shop"),
            ("service.instance.id", "i-1"),
            ("deployment.environment.name", "prod"),
        ];
        let (resource, spans) = (ran.attributes("resource "), ran.attributes("span resource "));
        let (target, line) = (ran.target_info(), ran.line("at info"));
        for (key, value) in wanted {
            assert_eq!(resource[key], value, "{key}");
            assert_eq!(line[key], value, "{key} in {line}");
        }
        // Whatever spans carry, metrics show.
        assert_eq!(resource, spans);
        let labels: BTreeMap<String, String> =
            spans.into_iter().map(|(key, value)| (key.replace(['.', '-'], "_"), value)).collect();
        assert_eq!(labels, target);
        assert_eq!(target["team"], "checkout");
        assert!(ran.warnings().is_empty(), "{ran:#?}");
    }
}

#[test]
fn without_a_word_from_outside_code_says_who_it_is() {
    let ran = run(&[]);
    let (resource, target, line) =
        (ran.attributes("resource "), ran.target_info(), ran.line("at info"));
    assert_eq!((&*resource["service.name"], &*resource["service.version"]), ("orders", "1.0.0"));
    assert_eq!(line["service.version"], "1.0.0");
    assert_eq!(resource["service.instance.id"], target["service_instance_id"]);
    assert_eq!(resource["service.instance.id"].len(), 36);
    assert!(ran.success && ran.warnings().is_empty(), "{ran:#?}");
}

#[test]
fn the_environment_beats_code() {
    let ran = run(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "team=billing"),
        ("OTEL_PROPAGATORS", "b3"),
        ("MESHWISE_PEERS_SELF_URL", "http://127.0.0.1:1"),
    ]);
    assert_eq!(ran.attributes("resource ")["team"], "billing");
    assert!(ran.err.contains("not sent: "), "code's own URL is not used: {ran:#?}");
}

#[test]
fn meshwise_s_own_variables_are_strict_and_the_first_line_says_all() {
    for (name, value) in [
        ("MESHWISE_LOG_FORMAT", "xml"),
        ("MESHWISE_LOG_QUEUE", "1"),
        ("MESHWISE_LOG_FULL", "maybe"),
        ("MESHWISE_METRICS_BUCKETS", "2,1"),
        ("MESHWISE_METRICS_MAX_LABEL_SETS", "0"),
        ("MESHWISE_METRICS_IDLE_TIMEOUT", "60"),
        ("MESHWISE_METRICS_NATIVE_HISTOGRAMS", "a,,b"),
        ("MESHWISE_TRACES_SLOW", "1500"),
        ("MESHWISE_TRACES_SPAN_FILTER", "=,="),
        ("MESHWISE_STRICT", "yes"),
        ("RUST_LOG", "=,="),
        ("RUST_LOG", "info;orders=debug"),
        ("MESHWISE_TRACES_SPAN_FILTER", "info orders=debug"),
        ("RUST_LOG", "a\nb=[c"),
    ] {
        // Not even with telemetry switched off.
        for disabled in ["false", "true"] {
            let ran = run(&[(name, value), ("OTEL_SDK_DISABLED", disabled)]);
            let first = ran.err.lines().next().unwrap_or_default();
            let shown = value.replace('\n', "\\n");
            assert!(!ran.success, "{name}: {ran:#?}");
            assert!(first.starts_with(&format!("{name} is `{shown}`; allowed: ")), "{first}");
        }
    }
    let ran = run(&[("MESHWISE_LOG_FROMAT", "json")]);
    let meant = "MESHWISE_LOG_FROMAT is not known; did you mean `MESHWISE_LOG_FORMAT`?";
    assert!(!ran.success && ran.err.starts_with(meant), "{ran:#?}");
    let ran = run(&[("MESHWISE_PEERS_SELF_URL", "ftp://x")]);
    assert!(
        ran.said("no client:").starts_with(
            "MESHWISE_PEERS_SELF_URL is `ftp://x`; allowed: something like `http://auth:8080`"
        ),
        "{ran:#?}"
    );
}

/// Clients go to port 80 if they cannot read the one that is named.
#[test]
fn an_address_whose_port_is_none_is_refused() {
    for address in ["http://127.0.0.1:99999", "http://127.0.0.1:431B", "http://127.0.0.1:"] {
        for protocol in ["grpc", "http/protobuf"] {
            let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", address);
            let ran = run(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
            let [told] = &ran.warnings()[..] else { panic!("{ran:#?}") };
            let ignored = format!("ignored: OTEL_EXPORTER_OTLP_ENDPOINT is `{address}`; allowed: ");
            assert!(ran.success && told.starts_with(&ignored), "{told}");
        }
        let ran = run(&[("MESHWISE_PEERS_SELF_URL", address)]);
        let refused = format!("MESHWISE_PEERS_SELF_URL is `{address}`; allowed: a URL such as ");
        assert!(!ran.success && ran.err.starts_with(&refused), "{ran:#?}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_is_not_overlooked() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let bad = OsStr::from_bytes(b"debug\xff");
    let ran = run_os(command(), &[("OTEL_SERVICE_NAME", bad)]);
    let told = ran.warnings();
    assert_eq!(told, ["ignored: OTEL_SERVICE_NAME is `debug\u{fffd}`; allowed: Unicode text"]);
    let ran = run_os(command(), &[("RUST_LOG", bad)]);
    assert!(!ran.success && ran.err.starts_with("RUST_LOG is `debug\u{fffd}`"), "{ran:#?}");
}

/// Machines that boot alike start services at the same time since boot, on threads of the same number:
/// as if the clock stood still.
#[cfg(target_os = "linux")]
#[test]
fn ids_do_not_depend_on_the_clock() {
    const SHIM: &str = r#"
        struct timespec { long tv_sec; long tv_nsec; };
        int clock_gettime(int clock, struct timespec *at) {
            at->tv_sec = clock == 0 ? 1800000000 : 2;
            at->tv_nsec = 500;
            return 0;
        }
    "#;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, shim) = (folder.join("still_clock.c"), folder.join("still_clock.so"));
    std::fs::write(&source, SHIM).expect("written");
    let cc = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).output();
    let cc = cc.expect("the compiler that links everything else");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    let start = || {
        let mut command = command();
        command.arg("ids");
        run_os(command, &[("LD_PRELOAD", shim.as_os_str())])
    };
    let (one, two) = (start(), start());
    for word in ["ids trace=", "jitter "] {
        assert_ne!(one.said(word), two.said(word), "{word}");
    }
    assert!(
        one.said("clock ").contains("tv_sec: 2, tv_nsec: 500 "),
        "the clock stands still: {one:#?}"
    );
}

#[test]
fn a_trace_that_begins_here_says_that_its_id_is_random() {
    for (sampler, flags) in [("always_on", "03"), ("always_off", "02")] {
        let ran = run(&[("OTEL_TRACES_SAMPLER", sampler)]);
        assert!(ran.said("ids ").ends_with(&format!("flags={}", &flags[1..])), "{ran:#?}");
        // What the peer got, over sockets.
        let sent = ran.said("sent ");
        let traceparent = sent.split("\"traceparent\": \"").nth(1).expect("a header");
        let traceparent = traceparent.split('"').next().expect("its end");
        assert!(traceparent.ends_with(&format!("-{flags}")), "{traceparent}");
    }
}
