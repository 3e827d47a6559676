//! A console on free ports, a client, and what senders send.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshwise_console::{Console, ConsoleConfig};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::net::TcpStream;

/// Returns settings with all ports free.
pub(crate) fn config() -> ConsoleConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    ConsoleConfig::new().with_page(any).with_otlp(any, any)
}

pub(crate) async fn start() -> Console {
    Console::start(config()).await.expect("free ports")
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {:?}", self.body))
    }
}

/// Sends one request over HTTP/1.1.
pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a listener");
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    read(send.send_request(request).await.expect("an answer")).await
}

/// Sends one request over HTTP/2.
pub(crate) async fn send_h2(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a listener");
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut send, connection) = connected.expect("HTTP/2");
    tokio::spawn(connection);
    read(send.send_request(request).await.expect("an answer")).await
}

async fn read(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("a body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, trailers, body: collected.to_bytes() }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    let request = Request::get(path).header("host", address.to_string());
    send(address, request.body(Full::default()).expect("a request")).await
}

/// Asks the page's data.
pub(crate) async fn data(console: &Console, path: &str) -> Value {
    get(console.page(), &format!("/data/{path}")).await.json()
}

pub(crate) fn post(
    address: SocketAddr,
    path: &str,
    kind: &str,
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", address.to_string())
        .header("content-type", kind)
        .body(Full::new(body.into()))
        .expect("a request")
}

/// Posts protobuf, which is taken whole.
pub(crate) async fn export(console: &Console, spans: &ExportTraceServiceRequest) -> Answer {
    let body = prost::Message::encode_to_vec(spans);
    send(console.http(), post(console.http(), "/v1/traces", "application/x-protobuf", body)).await
}

pub(crate) fn nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Makes a span: ids by number, kind by OTLP's number.
pub(crate) fn span(trace: u128, id: u64, parent: u64, kind: i32, name: &str) -> Span {
    let parent = if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() };
    let start = nanos() - 20_000_000;
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: parent,
        name: name.to_owned(),
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 10_000_000,
        ..Span::default()
    }
}

pub(crate) fn failed(mut span: Span, message: &str) -> Span {
    span.status = Some(Status { message: message.to_owned(), code: 2 });
    span
}

pub(crate) fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![text("service.name", service), text("service.version", "1.0")];
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope { name: "test".to_owned(), ..Default::default() }),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

/// Makes an order: the gateway calls orders, which calls stock, which fails, and a database.
pub(crate) fn order(trace: u128) -> ExportTraceServiceRequest {
    const SERVER: i32 = 2;
    const CLIENT: i32 = 3;
    let mut query = span(trace, 6, 3, CLIENT, "SELECT");
    // After the call to stock.
    query.start_time_unix_nano += 1_000_000_000;
    query.end_time_unix_nano += 1_000_000_000;
    query.attributes = vec![text("db.system.name", "postgresql")];
    let mut reserve =
        failed(span(trace, 5, 4, SERVER, "POST /items/{item}/reserve"), "out of stock");
    reserve.attributes = vec![text("http.route", "/items/{item}/reserve")];
    ExportTraceServiceRequest {
        resource_spans: vec![
            of_service(
                "gateway",
                vec![span(trace, 1, 0, SERVER, "POST /orders"), span(trace, 2, 1, CLIENT, "POST")],
            ),
            of_service(
                "orders",
                vec![
                    span(trace, 3, 2, SERVER, "POST /orders"),
                    failed(span(trace, 4, 3, CLIENT, "POST"), "503"),
                    query,
                ],
            ),
            of_service("stock", vec![reserve]),
        ],
    }
}

/// Waits for what is true soon, for at most 10 s.
pub(crate) async fn until<T>(what: &str, mut seen: impl AsyncFnMut() -> Option<T>) -> T {
    let soon = async {
        loop {
            if let Some(found) = seen().await {
                return found;
            }
            // Real time: another process is asked again, for a bounded time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), soon).await.unwrap_or_else(|_| panic!("{what}"))
}
