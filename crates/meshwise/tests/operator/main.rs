//! One rule for every setting: what the operator says beats what the author says.
#![cfg(all(feature = "axum", feature = "client", feature = "config"))]

mod routes;
mod strict;
mod told;

use http_body_util::BodyExt;
use meshwise::{
    Mesh, MeshBuilder,
    core::{
        Env,
        settings::{Path, Settings, Source, Value},
    },
    log::{LogFormat, LogLines, LogOutput},
    resilience::{BreakerConfig, ShedConfig},
    trace::SamplerConfig,
};
use std::{fmt::Write as _, time::Duration};
use tower::ServiceExt;

/// Holds a settings file.
struct File(tempfile::NamedTempFile);

impl File {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().expect("Unicode")
    }
}

fn builder(env: &[(&str, &str)]) -> MeshBuilder {
    let lines = LogLines::new();
    meshwise::builder("orders", "1.0.0")
        .with_env(Env::from_pairs(env.iter().copied()))
        .with_resource_detection(false)
        .logs(move |logs| logs.with_output(LogOutput::memory(&lines)))
}

fn found(settings: &Settings, path: &str) -> (Option<Value>, Source) {
    let shown = settings.shown().into_iter().find(|shown| shown.path.to_string() == path);
    let shown = shown.unwrap_or_else(|| panic!("{path} is not there"));
    let value = if shown.secret { Some(Value::Bool(true)) } else { shown.value };
    (value, shown.source)
}

fn source(settings: &Settings, path: &str) -> String {
    found(settings, path).1.to_string()
}

fn as_variable(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(as_variable).collect::<Vec<_>>().join(","),
        Value::Text(text) => text.clone(),
        other => other.to_string().trim_matches('"').to_owned(),
    }
}

fn variable(path: &Path) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("MESHWISE_{}", path.names().join("_").chars().map(upper).collect::<String>())
}

/// Lists the leaves of one part of the tree: maps are tried by their own tests, filters have a form
/// of their own, certificates must be there, and a private output makes its file at once.
fn leaves(peers: bool) -> Vec<(Path, [Value; 3])> {
    let mut all = Settings::leaves();
    all.retain(|(path, _)| {
        let (names, text) = (path.names(), path.to_string());
        let odd = ["own-name", "filter", "certificate", "client_key", "private.path"];
        (names[0] == "peers") == peers
            && names[0] != "peer"
            && !odd.iter().any(|odd| text.ends_with(odd))
            // Faults are not built in unless asked for.
            && !text.ends_with("fault.enabled")
    });
    all
}

/// The table of all settings but those of peers: by code, by file over it, by variable over both.
#[test]
fn the_operator_beats_the_author_for_every_setting_alike() {
    let (mut by_file, mut by_variable) = (0, 0);
    for (path, [code, file, env]) in leaves(false) {
        let text = path.to_string();
        let mut author = Settings::default();
        assert!(author.put(&path, code.clone(), Source::Code));
        if author.shown().iter().any(|shown| shown.path == path && shown.secret) {
            continue;
        }
        if text == "log.outputs" {
            // Outputs need their features, and settings of their own.
            if cfg!(not(feature = "delivery")) {
                continue;
            }
            author.log.file.path.set("/dev/null".to_owned());
            author.log.fluent.servers.set(vec!["127.0.0.1:1".to_owned()]);
            author.log.bulk.urls.set(vec!["http://127.0.0.1:1".to_owned()]);
        }
        let built = |env: &[(&str, &str)]| {
            let mesh = builder(env).with_settings(author.clone()).build();
            mesh.unwrap_or_else(|error| panic!("{text}: {error}")).settings()
        };
        let is_default = found(&Settings::defaults(), &text).0.as_ref() == Some(&code);
        let by = if is_default { Source::Default } else { Source::Code };
        assert_eq!(found(&built(&[]), &text), (Some(code), by), "{text}");

        let config = File::new(&format!("{path} = {file}"));
        let (value, source) = found(&built(&[("MESHWISE_CONFIG", config.path())]), &text);
        assert_eq!(
            (value, source.to_string()),
            (Some(file), format!("{}:1", config.path())),
            "{text}"
        );
        by_file += 1;

        let name = variable(&path);
        let both = [("MESHWISE_CONFIG", config.path()), (name.as_str(), &as_variable(&env))];
        // Where the world has a variable of its own, there is none of ours.
        if Settings::from_env(&Env::from_pairs(both)).is_ok() && !text.ends_with("slow") {
            assert_eq!(found(&built(&both), &text), (Some(env), Source::Variable(name.into())));
            by_variable += 1;
        }
    }
    assert!(by_file >= 80 && by_variable >= 45, "{by_file} {by_variable}");
}

/// The table of all settings of a peer, each with a peer of its own.
#[tokio::test]
async fn the_operator_beats_the_author_for_every_limit_of_a_peer() {
    let leaves = leaves(true);
    let (mut author, mut text) = (Settings::default(), String::new());
    let (mut variables, mut wanted) = (Vec::new(), Vec::new());
    for (i, (path, [code, file, env])) in leaves.into_iter().enumerate() {
        let peer = format!("p{i}");
        let names: Vec<String> = path.names().to_vec();
        let own = |last: &[&str]| -> Path {
            let head = ["peers", &peer].into_iter();
            head.chain(last.iter().copied()).collect()
        };
        let rest: Vec<&str> = names[2..].iter().map(String::as_str).collect();
        let path = own(&rest);
        // A guard that is off shows no limits.
        let at = if rest[0] == "routes" { 2 } else { 0 };
        if ["breaker", "bulkhead", "rate"].contains(&rest[at]) && rest[at + 1..] != ["enabled"] {
            let enabled: Vec<&str> = rest[..=at].iter().copied().chain(["enabled"]).collect();
            assert!(author.put(&own(&enabled), Value::Bool(true), Source::Code));
            if rest.contains(&"adaptive") && rest.last() != Some(&"enabled") {
                let on: Vec<&str> =
                    rest[..=at].iter().copied().chain(["adaptive", "enabled"]).collect();
                assert!(author.put(&own(&on), Value::Bool(true), Source::Code));
            }
        }
        // Limits that only go together with others are tried by the guards' own tests.
        let together = [
            "trial_calls",
            "trial_limit",
            "open_time",
            "open_time_max",
            "base",
            "max",
            "initial",
            "floor",
            "ceiling",
            "calls",
            "min_calls",
            "max_wait",
            "per",
            "burst",
        ];
        if rest.last().is_some_and(|last| together.contains(last)) {
            continue;
        }
        assert!(author.put(&path, code.clone(), Source::Code), "{path}");
        writeln!(text, "{path} = {file}").expect("a string");
        let by_variable = !path.names().iter().any(|name| name == "routes");
        if by_variable && i % 2 == 0 {
            let name = variable(&path);
            variables.push((name.clone(), as_variable(&env)));
            wanted.push((peer, path.to_string(), env, name));
        } else {
            wanted.push((peer, path.to_string(), file, format!(":{}", text.lines().count())));
        }
    }
    let config = File::new(&text);
    let mut env = vec![("MESHWISE_CONFIG", config.path())];
    env.extend(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mesh = builder(&env).with_settings(author).build().expect("a mesh");
    for (peer, ..) in &wanted {
        if let Err(error) = mesh.client(peer).build() {
            panic!("{peer}: {error}: {:?}", std::error::Error::source(&error));
        }
    }
    let settings = mesh.settings();
    for (_, path, value, source) in &wanted {
        let (found, by) = found(&settings, path);
        assert_eq!(found.as_ref(), Some(value), "{path}");
        assert!(by.to_string().ends_with(source.as_str()), "{path}: {by} {source}");
    }
    assert!(wanted.len() > 55, "{}", wanted.len());
}

/// What is set in force, not only shown: closures run first, the file has the last word.
#[tokio::test]
async fn closures_and_builders_yield_too() {
    let config = File::new(
        r#"
        log.format = "logfmt"
        log.filter = "debug"
        traces.sampler = "always_off"
        drain.timeout = "7s"
        service.namespace = "theirs"
        propagation.formats = ["b3"]
        [shed]
        enabled = true
        limit = 9
        [peer]
        timeout.limit = "1s"
        [peers.stock]
        breaker = { enabled = true, min_calls = 7 }
        url = "http://stock.internal:81/base"
        "#,
    );
    let lines = LogLines::new();
    let (sink, env) = (lines.clone(), Env::from_pairs([("MESHWISE_CONFIG", config.path())]));
    let mesh: Mesh = meshwise::builder("orders", "1.0.0")
        .with_env(env)
        .with_namespace("mine")
        .logs(move |logs| {
            logs.with_output(LogOutput::memory(&sink))
                .with_format(LogFormat::Json)
                .with_filter("off")
        })
        .traces(|traces| traces.with_sampler(SamplerConfig::always_on()))
        .build()
        .expect("a mesh");
    tracing::dispatcher::with_default(mesh.dispatch(), || tracing::debug!("at debug"));
    assert!(lines.lines()[0].contains("level=debug"), "{:?}", lines.lines());
    assert_eq!(mesh.service().namespace(), Some("theirs"));

    let guards = |guards: meshwise::resilience::PeerConfig| {
        guards.with_timeout(Duration::from_secs(9)).without_breaker()
    };
    let _stock = mesh.client("stock").with_guards(guards).build().expect("a client");
    let shown = mesh.guards().snapshot();
    assert_eq!(shown[0].timeout, Some(Duration::from_secs(1)), "for all peers");
    assert!(shown[0].breaker.is_some(), "an operator may turn on what is left out");
    let _auth = mesh
        .client("auth")
        .with_guards(|guards| guards.with_breaker(BreakerConfig::new().with_min_calls(3)))
        .build()
        .expect("a client");

    let router = mesh.server().with_shed(ShedConfig::new().with_limit(5)).wrap(axum::Router::new());
    assert!(router.is_ok());
    assert_eq!(mesh.guards().server().map(|shed| shed.snapshot().limit), Some(9));

    let settings = mesh.settings();
    let path = config.path();
    for (setting, wanted) in [
        ("log.format", format!("{path}:2")),
        ("log.queue", "default".to_owned()),
        ("service.namespace", format!("{path}:6")),
        ("service.version", "code".to_owned()),
        ("peers.stock.timeout.limit", format!("{path}:12")),
        ("peers.stock.breaker.min_calls", format!("{path}:14")),
        ("peers.stock.breaker.failure_rate", "default".to_owned()),
        ("peers.stock.url", format!("{path}:15")),
        ("peers.auth.breaker.min_calls", "code".to_owned()),
        ("shed.limit", format!("{path}:10")),
    ] {
        assert_eq!(source(&settings, setting), wanted, "{setting}");
    }
}

#[tokio::test]
async fn the_ops_routes_show_what_is_in_force_and_no_secret() {
    let config = File::new("log.queue = \"1MiB\"\ntraces.otlp.headers.x-key = \"hunter2\"");
    let env = [
        ("MESHWISE_CONFIG", config.path()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("RUST_LOG", "warn"),
    ];
    let mesh = builder(&env).with_breaker_control(true).build().expect("a mesh");
    let get = async |mesh: &Mesh| {
        let request = http::Request::get("/config").body(axum::body::Body::empty());
        let answer = mesh.ops_router::<()>().oneshot(request.expect("a request")).await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    };
    let (status, text) = get(&mesh).await;
    assert!(status == 200 && !text.contains("hunter2"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["log.queue"]["value"], "1MiB");
    assert_eq!(json["log.queue"]["source"], format!("{}:1", config.path()));
    assert_eq!(json["traces.batch.delay"]["value"], "250ms");
    assert_eq!(json["traces.batch.delay"]["source"], "OTEL_BSP_SCHEDULE_DELAY");
    assert_eq!(json["log.filter"]["source"], "RUST_LOG");
    assert_eq!(json["ops.breaker_control"]["source"], "code");
    assert_eq!(json["traces.otlp.headers.authorization"]["secret"], true);
    assert_eq!(json["drain.timeout"]["source"], "default");

    let off = builder(&[("MESHWISE_OPS_CONFIG", "false")]).build().expect("a mesh");
    assert_eq!(get(&off).await.0, 404);
}

#[tokio::test]
async fn mistakes_name_file_line_and_key() {
    let build = |text: &str| {
        let config = File::new(text);
        let error = builder(&[("MESHWISE_CONFIG", config.path())]).build();
        error.expect_err("a mistake").to_string().replace(config.path(), "mesh.toml")
    };
    assert_eq!(
        build("\n[log]\nfromat = \"json\""),
        "mesh.toml:3: log.fromat is not known; did you mean `format`?"
    );
    assert!(
        build("traces.span_filter = \"=,=\"").starts_with("mesh.toml:1: traces.span_filter is ")
    );
    assert!(build("log.filter = \"=,=\"").contains("=,="));
    for path in ["/nowhere/at/all.toml", "-1", "a\nb", &"A".repeat(100_000), "\u{1}"] {
        let error = builder(&[("MESHWISE_CONFIG", path)]).build().expect_err("no file").to_string();
        assert!(error.starts_with("MESHWISE_CONFIG names \"") && error.len() < 400, "{error}");
        assert!(error.contains("which cannot be read: ") && error.lines().count() == 1, "{error}");
    }
    let error = builder(&[("MESHWISE_LOG_FROMAT", "json"), ("MESHWISE_DRAIN_DELAY", "5")]).build();
    let error = error.expect_err("two mistakes").to_string();
    let first = error.lines().next().unwrap_or_default();
    assert_eq!(first, "2 settings are wrong: MESHWISE_DRAIN_DELAY, MESHWISE_LOG_FROMAT");

    // What is wrong only together, and what is not built in.
    assert_eq!(
        build("[peers.stock.breaker]\ntrial_calls = 2\ntrial_limit = 3"),
        "mesh.toml:3: peers.stock.breaker.trial_limit is 3; allowed: 1 to 2 (mesh.toml:2: \
         peers.stock.breaker.trial_calls is 2)"
    );
    #[cfg(not(feature = "fault"))]
    assert_eq!(
        build("peers.stock.fault.enabled = true"),
        "mesh.toml:1: peers.stock.fault.enabled is true, and this build has no faults: enable the \
         feature `fault`"
    );
}

/// Guards that cannot be set like this are told before any client is made, with where each part stands.
#[tokio::test]
async fn guards_that_contradict_each_other_are_told_at_the_start() {
    let config = File::new("[peer.retry.backoff]\nbase = \"5s\"");
    let env =
        [("MESHWISE_CONFIG", config.path()), ("MESHWISE_PEERS_STOCK_RETRY_BACKOFF_MAX", "1s")];
    let error = builder(&env).build().expect_err("they contradict each other").to_string();
    assert!(error.contains(&format!("{}:2", config.path())), "{error}");
    assert!(error.contains("MESHWISE_PEERS_STOCK_RETRY_BACKOFF_MAX"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");

    // Code may have set the other side.
    let lines = LogLines::new();
    let started = |strict: &str| {
        let env = [("MESHWISE_PEERS_STOCK_BREAKER_TRIAL_LIMIT", "50"), ("MESHWISE_STRICT", strict)];
        let lines = lines.clone();
        builder(&env).logs(move |logs| logs.with_output(LogOutput::memory(&lines))).build()
    };
    let mesh = started("false").expect("code may say otherwise");
    let told = "MESHWISE_PEERS_STOCK_BREAKER_TRIAL_LIMIT: peers.stock.breaker.trial_limit is 50";
    assert!(lines.lines().iter().any(|line| line.contains(told)), "{:?}", lines.lines());
    mesh.client("stock").build().expect_err("no client by default");
    let guards = |guards: meshwise::resilience::PeerConfig| {
        let breaker = BreakerConfig::new().with_trials(60, 60).with_min_calls(100);
        guards.with_breaker(breaker)
    };
    mesh.client("stock").with_guards(guards).build().expect("code says otherwise");
    let error = started("true").expect_err("strict").to_string();
    assert!(error.contains(told), "{error}");
}

/// A peer that is misspelt in settings is nothing that can be known at the start, and silent it is wrong.
#[tokio::test]
async fn a_peer_that_no_client_is_called_by_is_told_once_and_marked() {
    let config = File::new(
        "[peers.stcok]\nurl = \"http://stock:81\"\n[peers.auth-v2]\ntimeout.limit = \"1s\"",
    );
    let env = [
        ("MESHWISE_CONFIG", config.path()),
        ("MESHWISE_PEERS_AUTH_V2_URL", "http://auth"),
        ("MESHWISE_OPS_ADDR", "off"),
    ];
    let lines = LogLines::new();
    let sink = lines.clone();
    let mesh = builder(&env).logs(move |logs| logs.with_output(LogOutput::memory(&sink)));
    let mesh = mesh.build().expect("a mesh");
    mesh.client("stock").build().expect("a client");
    mesh.client("auth-v2").build().expect("a client");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stopped = mesh.server().with_shutdown(std::future::ready(()));
    stopped.serve(listener, axum::Router::new()).await.expect("served");
    let told = format!(
        "{}:2: peers.stcok is set, and no client of that name has been made up to now; did you mean \
         `stock`?",
        config.path()
    );
    let count = |text: &str| lines.lines().iter().filter(|line| line.contains(text)).count();
    assert_eq!(count(&told), 1, "{:?}", lines.lines());
    assert_eq!(count("no client of that name"), 1, "{:?}", lines.lines());
    let request = http::Request::get("/config").body(axum::body::Body::empty());
    let answer = mesh.ops_router::<()>().oneshot(request.expect("a request")).await;
    let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(json["peers.stcok.url"]["unused"], true);
    assert!(json["peers.auth-v2.timeout.limit"]["unused"].is_null());
    assert!(json["peers.stock.timeout.limit"]["unused"].is_null());
}

#[cfg(feature = "fault")]
#[tokio::test]
async fn faults_are_made_where_they_are_set() {
    let config = File::new(
        "[peers.stock]\nretry.enabled = false\nfault = { enabled = true, abort = { share = 1.0, status = 418 } }",
    );
    let mesh = builder(&[("MESHWISE_CONFIG", config.path())]).build().expect("a mesh");
    let stock = mesh.client("stock").build().expect("a client");
    let answer = stock.get("/items/7").send().await.expect("an answer without a peer");
    assert_eq!(answer.status().as_u16(), 418);
}
