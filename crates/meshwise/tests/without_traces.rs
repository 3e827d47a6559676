//! A build without spans: calls have ids all the same, which come in, are logged, and go on. Says nothing
//! where another crate of the same build has the pipeline; `cargo xtask features` builds without.

#![cfg(not(feature = "traces"))]

use axum::{Router, body::Body, http::Request, routing::get};
use meshwise::{
    core::Env,
    log::{LogFormat, LogLines, LogOutput},
};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn builder(lines: &LogLines, env: &[(&str, &str)]) -> meshwise::MeshBuilder {
    let lines = lines.clone();
    meshwise::builder("orders", "1.0.0")
        .with_env(Env::from_pairs(env.iter().copied()))
        .logs(move |logs| logs.with_format(LogFormat::Json).with_output(LogOutput::memory(&lines)))
}

/// Calls a service, which logs a line and calls another; returns what that was sent, and the line.
async fn sent_on(env: &[(&str, &str)], traceparent: Option<&str>) -> (String, serde_json::Value) {
    let lines = LogLines::new();
    let mesh = builder(&lines, env).build().expect("a mesh");
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = peer.local_addr().expect("an address");
    let echo = get(|request: Request<Body>| async move {
        let header = request.headers().get("traceparent");
        header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    });
    let served = tokio::spawn(async move { axum::serve(peer, Router::new().fallback(echo)).await });

    let client = mesh.client("auth").with_base_url(format!("http://{address}")).build();
    let client = client.expect("a client");
    let handler = get(move || async move {
        tracing::info!("in the handler");
        let answer = client.get("/check").send().await.expect("an answer");
        answer.text().await.expect("a body")
    });
    let app = mesh.wrap(Router::new().route("/orders/{id}", handler)).expect("wrapped");
    let request = traceparent
        .iter()
        .fold(Request::get("/orders/7"), |request, header| request.header("traceparent", *header));
    let response =
        app.oneshot(request.body(Body::empty()).expect("one")).await.expect("infallible");
    let body = axum::body::to_bytes(response.into_body(), 1000).await.expect("a body");
    mesh.shutdown().await;
    served.abort();
    let lines = lines.lines();
    let line = lines.iter().find(|line| line.contains("in the handler")).expect("a line");
    let line = serde_json::from_str(line).expect("JSON");
    (String::from_utf8(body.to_vec()).expect("text"), line)
}

#[tokio::test]
async fn the_callers_trace_is_logged_and_handed_on() {
    for flags in ["01", "00"] {
        let came = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
        let (sent, line) = sent_on(&[], Some(&came)).await;
        let parts: Vec<&str> = sent.split('-').collect();
        assert_eq!((parts[1], parts[3]), (TRACE, flags), "{sent}");
        assert_ne!(parts[2], "00f067aa0ba902b7", "a call has an id of its own");
        assert_eq!(line["trace_id"], TRACE, "{line}");
    }
}

#[tokio::test]
async fn a_trace_that_begins_here_has_ids_and_goes_on_as_sampled() {
    let (sent, line) = sent_on(&[], None).await;
    let parts: Vec<&str> = sent.split('-').collect();
    assert_eq!(line["trace_id"], parts[1], "{line} {sent}");
    assert_eq!(parts[3], "03", "sampled, and its id is random");
    assert_ne!(line["span_id"], parts[2], "the line is the served call's");
}

#[tokio::test]
async fn tracing_that_is_off_hands_a_callers_trace_on_as_it_came() {
    let came = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let (sent, _) = sent_on(&[("OTEL_SDK_DISABLED", "true")], Some(&came)).await;
    assert_eq!(sent, came);
}

#[tokio::test]
async fn what_an_operator_says_of_spans_is_refused_and_names_the_feature() {
    let build = |env: &[(&str, &str)]| builder(&LogLines::new(), env).build();
    let error = build(&[("MESHWISE_TRACES_SPAN_FILTER", "info")]).expect_err("refused").to_string();
    assert!(error.contains("MESHWISE_TRACES_SPAN_FILTER"), "{error}");
    assert!(error.contains("feature `traces`"), "{error}");
    let standard = [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    build(&standard).expect("they are told as not used");
}

/// A platform sets them for all services of a machine: they stop nothing, and it is told who would read them.
#[tokio::test]
async fn what_a_part_would_read_that_is_not_built_in_is_told_with_its_feature() {
    let otlp = cfg!(any(feature = "otlp-grpc", feature = "otlp-http", feature = "otlp-http-json"));
    let env = [
        ("OTEL_TRACES_SAMPLER", "always_on", Some("traces")),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10", Some("traces")),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1", Some("traces")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", (!otlp).then_some("otlp-http")),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "1000", (!otlp).then_some("otlp-http")),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000", (!otlp).then_some("otlp-http")),
        ("OTEL_SERVICE_NAME", "billing", None),
    ];
    let variables: Vec<_> = env.iter().map(|(name, value, _)| (*name, *value)).collect();
    let lines = LogLines::new();
    let mesh = builder(&lines, &variables).build().expect("a mesh");
    mesh.shutdown().await;
    let lines = lines.lines();
    let told = lines.iter().find(|line| line.contains("are set and not used")).expect("a line");
    for (name, _, feature) in env {
        match feature {
            Some(feature) => {
                let told_of = format!("{name} (the feature `{feature}` of meshwise reads it)");
                assert!(told.contains(&told_of), "{told_of}: {told}");
            }
            None => assert!(!told.contains(name), "{name}: {told}"),
        }
    }
    let strict: Vec<_> = variables.into_iter().chain([("MESHWISE_STRICT", "true")]).collect();
    let error = builder(&LogLines::new(), &strict).build().expect_err("strict").to_string();
    let wanted = "OTEL_TRACES_SAMPLER is set and not used; enable the feature `traces` of meshwise";
    assert!(error.contains(wanted), "{error}");
}
