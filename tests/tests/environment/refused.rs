//! Collectors that refuse what they are sent, and say the reason, and answers that cannot be read.

use super::run;
use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    routing::post,
};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::{io::Write as _, net::SocketAddr};

/// Starts a collector that answers with this status, these headers and this body.
fn collector(
    status: StatusCode,
    headers: &'static [(&'static str, &'static str)],
    body: &[u8],
) -> (SocketAddr, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let body = body.to_vec();
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let refuse = move || async move { (status, headers, body) };
    let app = Router::new().route("/v1/traces", post(refuse));
    runtime.spawn(async move { axum::serve(listener, app).await });
    (address, runtime)
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const TEXT: (&str, &str) = ("content-type", "text/plain");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// Runs a service that sends its spans to such a collector; returns what its line of the loss says, and all
/// that it logged.
fn lost(
    status: StatusCode,
    headers: &'static [(&'static str, &'static str)],
    body: &[u8],
) -> (String, String) {
    let (address, _running) = collector(status, headers, body);
    let ran = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"))]);
    let lines = ran.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lost: Vec<Value> =
        lines.filter(|line| line["message"].to_string().contains("spans were lost")).collect();
    let [line] = &lost[..] else { panic!("{headers:?}: {ran:#?}") };
    let error = line["error"].as_str().or(line["error.message"].as_str()).unwrap_or_default();
    (error.to_owned(), ran.out.clone())
}

/// As collectors say it (a `google.rpc.Status`, in protobuf or JSON) and as proxies do.
#[test]
fn what_a_collector_says_is_in_the_line_that_tells_of_the_loss() {
    for (content_type, body) in [
        (PROTOBUF, &b"\x08\x03\x12\x2bspan 7:\nno name, sent Bearer abcdefgh12345."[..]),
        (
            ("content-type", "application/json"),
            br#"{"code":3,"message":"span 7:\nno name, sent Bearer abcdefgh12345."}"#,
        ),
        (TEXT, b"span 7:\nno name, sent Bearer abcdefgh12345.\n"),
    ] {
        let headers: &'static [_] = Box::leak(Box::new([content_type]));
        let (error, out) = lost(StatusCode::BAD_REQUEST, headers, body);
        let said = "the collector answered HTTP 400 Bad Request: span 7: no name, sent Bearer ";
        assert!(error.starts_with(said), "{content_type:?}: {error}");
        assert!(!out.contains("abcdefgh12345"), "{out}");
    }
}

#[test]
fn what_is_compressed_is_read_or_named() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
    };
    let three_old = b"\x0a\x0b\x08\x03\x12\x07too old";
    let (ok, bad) = (StatusCode::OK, StatusCode::BAD_REQUEST);
    for (status, headers, body, said) in [
        (bad, &[TEXT, GZIP], gzip(b"span 7: no name"), "HTTP 400 Bad Request: span 7: no name"),
        (ok, &[PROTOBUF, GZIP], gzip(three_old), "refused 3 spans: too old"),
        (ok, &[PROTOBUF, GZIP], three_old.to_vec(), "is said to be gzip, and is not"),
        (ok, &[PROTOBUF, ("content-encoding", "br")], b"\x0b".to_vec(), "compressed (br)"),
    ] {
        let (error, _) = lost(status, headers, &body);
        assert!(error.contains(said), "{headers:?}: {error}");
    }
}
