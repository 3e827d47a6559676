//! A collector that refuses what it is sent, and says the reason.

use super::run;
use axum::{Router, http::StatusCode, routing::post};
use serde_json::Value;
use std::net::SocketAddr;

/// Starts a collector that answers 400 with this type and body.
fn collector(
    content_type: &'static str,
    body: &'static [u8],
) -> (SocketAddr, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let refuse =
        move || async move { (StatusCode::BAD_REQUEST, [("content-type", content_type)], body) };
    let app = Router::new().route("/v1/traces", post(refuse));
    runtime.spawn(async move { axum::serve(listener, app).await });
    (address, runtime)
}

/// As collectors say it (a `google.rpc.Status`, in protobuf or JSON) and as proxies do.
#[test]
fn what_a_collector_says_is_in_the_line_that_tells_of_the_loss() {
    for (content_type, body) in [
        (
            "application/x-protobuf",
            &b"\x08\x03\x12\x2bspan 7:\nno name, sent Bearer abcdefgh12345."[..],
        ),
        (
            "application/json",
            br#"{"code":3,"message":"span 7:\nno name, sent Bearer abcdefgh12345."}"#,
        ),
        ("text/plain", b"span 7:\nno name, sent Bearer abcdefgh12345.\n"),
    ] {
        let (address, _running) = collector(content_type, body);
        let ran = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"))]);
        let lines = ran.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lost: Vec<Value> =
            lines.filter(|line| line["message"].to_string().contains("spans were lost")).collect();
        let [line] = &lost[..] else { panic!("{content_type}: {ran:#?}") };
        let error = line["error"].as_str().or(line["error.message"].as_str()).unwrap_or_default();
        let said = "the collector answered HTTP 400 Bad Request: span 7: no name, sent Bearer ";
        assert!(error.starts_with(said), "{content_type}: {line}");
        assert!(!ran.out.contains("abcdefgh12345"), "{ran:#?}");
    }
}
