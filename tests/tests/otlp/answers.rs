//! Answers that collectors and what stands before them give, compressed ones among them: what they say of
//! the records is what is counted, and what cannot be read is named.

use super::{log, mesh, shutdown};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt as _, Full};
use std::{io::Write as _, time::Duration};

/// How many records are sent, in one request.
const SENT: u64 = 10;

#[derive(Clone)]
struct Answer {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    /// gRPC's status comes behind the body.
    grpc: bool,
}

impl Answer {
    fn over_http(headers: &'static [(&'static str, &'static str)], body: &[u8]) -> Self {
        Self { status: 200, headers, body: body.to_vec(), grpc: false }
    }

    fn over_grpc(encoding: &'static [(&'static str, &'static str)], flag: u8, body: &[u8]) -> Self {
        let len = u32::try_from(body.len()).expect("a short message").to_be_bytes();
        let body = [&[flag], &len[..], body].concat();
        Self { status: 200, headers: encoding, body, grpc: true }
    }

    async fn respond(State(answer): State<Self>, _whole: Bytes) -> Response<Body> {
        let body = Full::new(Bytes::from(answer.body));
        let mut response = if answer.grpc {
            let ok = HeaderMap::from_iter([(
                HeaderName::from_static("grpc-status"),
                HeaderValue::from_static("0"),
            )]);
            let mut response = Response::new(Body::new(body.with_trailers(async { Some(Ok(ok)) })));
            let grpc = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert("content-type", grpc);
            response
        } else {
            Response::new(Body::new(body))
        };
        *response.status_mut() = answer.status.try_into().expect("a status");
        for (name, value) in answer.headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        response
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const GRPC_GZIP: &[(&str, &str)] = &[("grpc-encoding", "gzip")];

/// What the OpenTelemetry Collector answers: a partial success that says nothing.
const TOOK_ALL: &[u8] = b"\x0a\x00";
/// Three were refused, being too old.
const THREE_OLD: &[u8] = b"\x0a\x0b\x08\x03\x12\x07too old";
const THREE_POINT_ZERO: &[u8] = br#"{"partialSuccess":{"rejectedLogRecords":3.0}}"#;
/// A hundred were refused, of ten.
const HUNDRED: &[u8] = b"\x0a\x02\x08\x64";
/// Less than none were refused.
const MINUS_FIVE: &[u8] = b"\x0a\x0b\x08\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01";

/// Answers, and how many of the records they say were taken. (What is told of the others is a matter of a
/// process of its own: `environment/refused.rs`.)
fn answers() -> Vec<(&'static str, Answer, u64)> {
    let (http, grpc) = (Answer::over_http, Answer::over_grpc);
    let status = |status, answer| Answer { status, ..answer };
    vec![
        ("gzip", http(&[PROTOBUF, GZIP], &gzip(TOOK_ALL)), SENT),
        ("gzip, partly", http(&[PROTOBUF, GZIP], &gzip(THREE_OLD)), SENT - 3),
        ("gzip, no body", http(&[PROTOBUF, GZIP], b""), SENT),
        ("x-gzip JSON", http(&[JSON, ("content-encoding", "X-GZIP")], &gzip(b"{}")), SENT),
        ("identity", http(&[PROTOBUF, ("content-encoding", "identity")], THREE_OLD), SENT - 3),
        ("br", http(&[PROTOBUF, ("content-encoding", "br")], b"\x0b\x02\x80"), 0),
        ("no gzip", http(&[PROTOBUF, GZIP], TOOK_ALL), 0),
        ("a bomb", http(&[PROTOBUF, GZIP], &gzip(&vec![0; 64 << 20])), 0),
        ("more than sent", http(&[PROTOBUF], HUNDRED), 0),
        ("less than none", http(&[PROTOBUF], MINUS_FIVE), SENT),
        ("202", status(202, http(&[], b"")), SENT),
        ("204", status(204, http(&[], b"")), SENT),
        ("a number with a point", http(&[JSON], THREE_POINT_ZERO), SENT - 3),
        // grpc-go compresses its answer as the request was, unasked.
        ("gRPC gzip", grpc(GRPC_GZIP, 1, &gzip(TOOK_ALL)), SENT),
        ("gRPC gzip, partly", grpc(GRPC_GZIP, 1, &gzip(THREE_OLD)), SENT - 3),
        ("gRPC gzip, not used", grpc(GRPC_GZIP, 0, THREE_OLD), SENT - 3),
        ("gRPC, more than sent", grpc(&[], 0, HUNDRED), 0),
        ("gRPC zstd", grpc(&[("grpc-encoding", "zstd")], 1, b"\x28\xb5"), 0),
        ("gRPC, not said how", grpc(&[], 1, &gzip(TOOK_ALL)), 0),
    ]
}

#[test]
fn what_an_answer_says_is_counted_however_it_is_written() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    for (name, answer, delivered) in answers() {
        let protocol = if answer.grpc { "grpc" } else { "http/protobuf" };
        let app = Router::new().fallback(Answer::respond).with_state(answer);
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(async move { axum::serve(listener, app).await });
        let (mesh, _lines) = mesh(&[
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
        ]);
        log(&mesh, || (0..SENT).for_each(|n| tracing::info!(n, "record")));
        assert!(mesh.logs().flush(Duration::from_secs(20)), "{name}");
        let report = mesh.logs().exported().expect("an exporter");
        assert_eq!(report.delivered, delivered, "{name}: {report}");
        assert_eq!(report.total_dropped(), SENT - delivered, "{name}: {report}");
        let _report = shutdown(&mesh);
    }
}
