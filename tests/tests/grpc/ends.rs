//! Every way in which a call can end: once, with the right code, duration and counts.

use super::{TonicServer, ask, client};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{Response, StatusCode},
};
use meshwise::{
    GrpcClient,
    client::reqwest,
    core::Deadline,
    http::ClientMode,
    opentelemetry::trace::{SpanKind, Status as SpanStatus},
};
use meshwise_testing::TestMesh;
use meshwise_tests::{
    PATIENCE,
    echo::{Ask, EchoClient},
    eventually, serve,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Request};

const UNARY: &str = "meshwise.test.v1.Echo/Unary";
const SERVER_STREAM: &str = "meshwise.test.v1.Echo/ServerStream";
const CLIENT_STREAM: &str = "meshwise.test.v1.Echo/ClientStream";

/// How one side of a call ended.
struct End<'a> {
    code: &'a str,
    error_type: Option<&'a str>,
    /// Messages of the response, if they are known.
    answers: Option<i64>,
}

/// Asserts that a side has seen exactly one call, which ended like this.
async fn ended(mesh: &TestMesh, kind: SpanKind, method: &str, end: End<'_>) {
    eventually("the call ends", || mesh.spans().of_kind(&kind).data().len() == 1).await;
    let span = mesh.spans().of_kind(&kind).one();
    assert_eq!(span.data().name, method);
    span.assert_attribute("rpc.system.name", "grpc")
        .assert_attribute("rpc.method", method.to_owned())
        .assert_attribute("rpc.status_code", end.code.to_owned());
    match end.error_type {
        Some(error_type) => span.assert_attribute("error.type", error_type.to_owned()),
        None => span.assert_no_attribute("error.type"),
    };
    if let Some(answers) = end.answers {
        span.assert_attribute("meshwise.rpc.response.messages", answers);
    }
    let side = if kind == SpanKind::Server { "server" } else { "client" };
    let metric = format!("rpc_{side}_call_duration_seconds_count");
    mesh.metric(&metric).assert_value(1.0);
    let labelled = mesh
        .metric(&metric)
        .label("rpc_system_name", "grpc")
        .label("rpc_method", method)
        .label("rpc_status_code", end.code);
    match end.error_type {
        Some(error_type) => labelled.label("error_type", error_type).assert_value(1.0),
        None => labelled.assert_value(1.0),
    };
}

/// Asserts how the client and the server saw a call.
async fn both_ended(mesh: &TestMesh, method: &str, client: End<'_>, server: End<'_>) {
    ended(mesh, SpanKind::Client, method, client).await;
    ended(mesh, SpanKind::Server, method, server).await;
}

fn ok(answers: i64) -> End<'static> {
    End { code: "OK", error_type: None, answers: Some(answers) }
}

fn failed<'a>(code: &'a str, error_type: &'a str, answers: i64) -> End<'a> {
    End { code, error_type: Some(error_type), answers: Some(answers) }
}

#[tokio::test]
async fn a_unary_call_counts_its_messages_and_bytes() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    client(&mesh, server.address).unary(ask("hello")).await.expect("an answer");
    both_ended(&mesh, UNARY, ok(1), ok(1)).await;
    for span in mesh.spans().data() {
        let of = |key: &str| span.attributes.iter().find(|kv| kv.key.as_str() == key);
        let bytes = of("meshwise.rpc.request.bytes").map(|kv| kv.value.to_string());
        assert_eq!(bytes.as_deref(), Some("7"), "a tag, a length and five letters");
        assert!(of("http.response.body.size").is_none());
    }
    mesh.spans()
        .of_kind(&SpanKind::Server)
        .one()
        .assert_child_of(&mesh.spans().of_kind(&SpanKind::Client).one())
        .assert_attribute("client.address", "127.0.0.1");
    mesh.lines()
        .of_target("meshwise::access")
        .one()
        .assert_field("rpc.method", UNARY)
        .assert_field("rpc.status_code", "OK");
}

/// The codes that are errors of the server, by OpenTelemetry's conventions for gRPC.
const OF_SERVER: [&str; 6] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

#[tokio::test]
async fn all_seventeen_codes_are_told_as_they_are() {
    for code in 0..17 {
        let mesh = TestMesh::new("both");
        let server = TonicServer::echo(&mesh).await;
        let request = Ask { code, ..ask("x") };
        let answer = client(&mesh, server.address).unary(request).await;
        let said = answer.map_or_else(|status| status.code() as u32, |_| 0);
        assert_eq!(said, code);
        let name = meshwise::core::GrpcCode::from_number(code);
        let of_server = OF_SERVER.iter().copied().find(|of_server| *of_server == name.as_str());
        let of_client = match name.as_str() {
            "OK" => None,
            other => Some(other),
        };
        let end = |error_type| End { code: name.as_str(), error_type, answers: None };
        ended(&mesh, SpanKind::Client, UNARY, end(of_client)).await;
        // Its handler has read the request; UNIMPLEMENTED could come from anywhere.
        let known = code != 12;
        let method = if known { UNARY } else { "_OTHER" };
        ended(&mesh, SpanKind::Server, method, end(of_server)).await;
        let span = mesh.spans().of_kind(&SpanKind::Server).one();
        let red = matches!(span.data().status, SpanStatus::Error { .. });
        assert_eq!(red, of_server.is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_message() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let request = Ask { code: 13, ..ask("x") };
    let mut client = client(&mesh, server.address);
    let mut answers = client.server_stream(request).await.expect("a head").into_inner();
    assert_eq!(answers.message().await.expect_err("a status").code(), Code::Internal);
    let end = || failed("INTERNAL", "INTERNAL", 0);
    both_ended(&mesh, SERVER_STREAM, end(), end()).await;
}

#[tokio::test]
async fn a_stream_that_fails_after_some_messages() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let request = Ask { answers: 3, code: 15, ..ask("x") };
    let mut client = client(&mesh, server.address);
    let answers = client.server_stream(request).await.expect("a head").into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[3].as_ref().expect_err("a status").code(), Code::DataLoss);
    let end = || failed("DATA_LOSS", "DATA_LOSS", 3);
    both_ended(&mesh, SERVER_STREAM, end(), end()).await;
}

#[tokio::test]
async fn streams_both_ways_count_both_ways() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let asks = tokio_stream::iter([ask("a"), ask("b"), ask("c")]);
    let mut client = client(&mesh, server.address);
    let answers = client.both(asks).await.expect("a head").into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 3);
    both_ended(&mesh, "meshwise.test.v1.Echo/Both", ok(3), ok(3)).await;
    for kind in [SpanKind::Client, SpanKind::Server] {
        let span = mesh.spans().of_kind(&kind).one();
        span.assert_attribute("meshwise.rpc.request.messages", 3);
    }
}

#[tokio::test]
async fn a_stream_of_requests_is_answered_once() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let asks = tokio_stream::iter([ask("a"), ask("b")]);
    let answer = client(&mesh, server.address).client_stream(asks).await.expect("an answer");
    assert_eq!(answer.into_inner().text, "ab");
    both_ended(&mesh, CLIENT_STREAM, ok(1), ok(1)).await;
}

#[tokio::test]
async fn a_stream_that_its_client_gives_up() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let request = Ask { answers: 1_000_000, ..ask("x") };
    let mut client = client(&mesh, server.address);
    let mut answers = client.server_stream(request).await.expect("a head").into_inner();
    answers.message().await.expect("a good one").expect("a message");
    drop(answers);
    let end = || End { code: "CANCELLED", error_type: Some("cancelled"), answers: None };
    both_ended(&mesh, SERVER_STREAM, end(), end()).await;
}

/// tonic's server makes a status of a request that breaks off; its caller never gets it.
#[tokio::test]
async fn a_caller_that_leaves_in_its_upload_is_no_failure_of_the_server() {
    let whole: &[u8] = &[0, 0, 0, 0, 3, 0x0a, 1, b'x'];
    for (path, sent, method) in
        [(CLIENT_STREAM, whole, CLIENT_STREAM), (UNARY, &whole[..6], "_OTHER")]
    {
        for connection_breaks in [true, false] {
            let mesh = TestMesh::new("echo");
            let server = TonicServer::echo(&mesh).await;
            let stream = TcpStream::connect(server.address).await.expect("a connection");
            let (mut send, mut connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            let mut ping = connection.ping_pong().expect("the first");
            let connection = tokio::spawn(connection);
            let request = http::Request::post(format!("http://echo/{path}"))
                .header("content-type", "application/grpc")
                .body(())
                .expect("a request");
            let (_answer, mut body) = send.send_request(request, false).expect("sent");
            body.send_data(Bytes::copy_from_slice(sent), false).expect("sent");
            // The first ping may overtake the request. Once both are answered the server has it all, and its
            // handler, on this thread, runs on to where it waits for more.
            for _ in 0..2 {
                ping.ping(h2::Ping::opaque()).await.expect("a pong");
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            if connection_breaks {
                connection.abort();
            } else {
                body.send_reset(h2::Reason::CANCEL);
            }
            let end = End { code: "CANCELLED", error_type: Some("cancelled"), answers: None };
            ended(&mesh, SpanKind::Server, method, end).await;
            let span = mesh.spans().of_kind(&SpanKind::Server).one();
            span.assert_attribute("meshwise.ended_by", "caller");
            assert_eq!(span.data().status, SpanStatus::Unset);
            let lines = || mesh.lines().of_target("meshwise::access");
            eventually("the line after the span", || !lines().json().is_empty()).await;
            lines()
                .one()
                .assert_field("outcome", "cancelled")
                .assert_field("meshwise.ended_by", "caller");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_never_polled_ends_too() {
    let mesh = TestMesh::new("both");
    let address: SocketAddr = ([127, 0, 0, 1], 9).into();
    let mut service = mesh
        .grpc_client("echo")
        .with_endpoint(format!("http://{address}"))
        .build()
        .expect("a client");
    let request = http::Request::post("/meshwise.test.v1.Echo/Unary")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::empty())
        .expect("a request");
    std::future::poll_fn(|cx| tower::Service::poll_ready(&mut service, cx)).await.expect("ready");
    drop(tower::Service::call(&mut service, request));
    let end = End { code: "CANCELLED", error_type: Some("cancelled"), answers: Some(0) };
    ended(&mesh, SpanKind::Client, UNARY, end).await;
}

#[tokio::test]
async fn a_stream_that_the_server_breaks_off() {
    let mesh = TestMesh::new("client");
    // Not tonic: tonic's server never breaks a stream off without a status.
    let (piece, pieces) = tokio::sync::mpsc::channel::<Result<Bytes, &str>>(1);
    let pieces = Arc::new(Mutex::new(Some(ReceiverStream::new(pieces))));
    let broken = move || async move {
        let pieces = pieces.lock().expect("a lock").take().expect("one call");
        Response::builder()
            .header("content-type", "application/grpc")
            .body(Body::from_stream(pieces))
            .expect("a response")
    };
    let served = serve(Router::new().fallback(broken)).await;
    let mut client = client(&mesh, served.address);
    let mut answers = client.server_stream(ask("x")).await.expect("a head").into_inner();
    let message = Bytes::from_static(&[0, 0, 0, 0, 3, 0x0a, 1, b'x']);
    piece.send(Ok(message)).await.expect("room");
    answers.message().await.expect("a good one").expect("a message");
    piece.send(Err("gone")).await.expect("room");
    assert_eq!(answers.message().await.expect_err("a reset").code(), Code::Internal);
    ended(&mesh, SpanKind::Client, SERVER_STREAM, failed("INTERNAL", "INTERNAL", 1)).await;
}

#[tokio::test]
async fn an_answer_without_a_status_is_never_ok() {
    for (status, code) in [
        (StatusCode::OK, "UNKNOWN"),
        (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        (StatusCode::NOT_FOUND, "UNIMPLEMENTED"),
        (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    ] {
        let mesh = TestMesh::new("client");
        let served = serve(Router::new().fallback(move || async move {
            (status, [("content-type", "application/grpc")], Body::empty())
        }))
        .await;
        client(&mesh, served.address).unary(ask("x")).await.expect_err("no answer");
        ended(&mesh, SpanKind::Client, UNARY, failed(code, code, 0)).await;
    }
}

#[tokio::test]
async fn no_one_there_is_unavailable() {
    let mesh = TestMesh::new("client");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let status = client(&mesh, address).unary(ask("x")).await.expect_err("nobody");
    assert_eq!(status.code(), Code::Unavailable);
    ended(&mesh, SpanKind::Client, UNARY, failed("UNAVAILABLE", "connect", 0)).await;
}

/// A client whose deadline the server does not learn of: so only one of them acts on it.
fn reticent(mesh: &TestMesh, address: SocketAddr) -> EchoClient<GrpcClient> {
    let client = mesh.grpc_client("echo").without_guards();
    let client = client.with_endpoint(format!("http://{address}"));
    EchoClient::new(client.with_mode(ClientMode::External).build().expect("a client"))
}

#[tokio::test]
async fn a_deadline_that_passes_at_the_client_is_a_timeout_there_and_a_client_gone_at_the_server() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let mut client = reticent(&mesh, server.address);
    let mut request = Request::new(Ask { delay_ms: 60_000, ..ask("x") });
    let deadline = Deadline::after(Instant::now(), Duration::from_millis(300));
    request.extensions_mut().insert(deadline);
    let status = timeout(PATIENCE, client.unary(request)).await.expect("in time");
    assert_eq!(status.expect_err("too late").code(), Code::DeadlineExceeded);
    ended(&mesh, SpanKind::Client, UNARY, failed("DEADLINE_EXCEEDED", "timeout", 0)).await;
    ended(&mesh, SpanKind::Server, "_OTHER", failed("CANCELLED", "cancelled", 0)).await;
}

#[tokio::test]
async fn a_deadline_that_passes_at_the_server_is_a_timeout_there() {
    let mesh = TestMesh::new("server");
    let server = TonicServer::echo(&mesh).await;
    // A client that would wait for ever.
    let message = [0, 0, 0, 0, 7, 0x0a, 1, b'x', 0x20, 0xe0, 0xd4, 0x03];
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let answer = http
        .post(format!("http://{}/{UNARY}", server.address))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "20m")
        .body(message.to_vec())
        .send();
    timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
    ended(&mesh, SpanKind::Server, "_OTHER", failed("DEADLINE_EXCEEDED", "timeout", 0)).await;
}

#[tokio::test]
async fn a_deadline_covers_a_stream_to_its_end() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let mut client = reticent(&mesh, server.address);
    let mut request = Request::new(Ask { answers: 2, delay_ms: 60_000, ..ask("x") });
    let deadline = Deadline::after(Instant::now(), Duration::from_millis(500));
    request.extensions_mut().insert(deadline);
    let answers = client.server_stream(request).await.expect("a head").into_inner();
    // tonic's stream tells its error once more if it is asked again.
    let answers = answers.take(3).collect::<Vec<_>>();
    let answers = timeout(PATIENCE, answers).await.expect("in time");
    assert_eq!(answers[2].as_ref().expect_err("too late").code(), Code::DeadlineExceeded);
    let server_s = || End { code: "CANCELLED", error_type: Some("cancelled"), answers: Some(2) };
    both_ended(&mesh, SERVER_STREAM, failed("DEADLINE_EXCEEDED", "timeout", 2), server_s()).await;
}

#[tokio::test]
async fn a_spent_deadline_is_not_sent() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let mut request = Request::new(ask("x"));
    request.extensions_mut().insert(Deadline::at(Instant::now()));
    let status = client(&mesh, server.address).unary(request).await.expect_err("spent");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    mesh.spans().assert_none();
    mesh.metric("meshwise_calls_refused_total")
        .label("peer", "echo")
        .label("reason", "deadline_exceeded")
        .assert_value(1.0);
}

#[tokio::test]
async fn a_handler_that_panics_has_failed() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    client(&mesh, server.address).unary(ask("panic")).await.expect_err("no answer");
    let end = End { code: "UNKNOWN", error_type: Some("panic"), answers: Some(0) };
    // It never answered, so nothing proves that the method is there.
    ended(&mesh, SpanKind::Server, "_OTHER", end).await;
}
