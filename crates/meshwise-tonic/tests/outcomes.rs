//! How a gRPC call over a real socket ended, on both of its sides, and what its caller gets.

#[path = "../../meshwise-http/tests/support/mod.rs"]
mod support;

use axum::{Router, body::Body, extract::Path, response::Response, routing::post};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use meshwise_core::{
    Deadline,
    outcome::{FaultKind, Faults},
};
use meshwise_http::{ObservedBody, ServerLayer, ServerMode};
use meshwise_tonic::{GrpcClientBuilder, Observed as Client, TransportBody, fault, server_layer};
use opentelemetry_sdk::trace::SpanData;
use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use support::{Observed, attribute, observed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Status, service::Routes, transport::Server};
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(20);
const MESSAGE: [u8; 6] = [0, 0, 0, 0, 1, b'x'];

struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Serves routes with tonic's own server, within a layer.
async fn serve(server: Server, layer: ServerLayer, routes: Router) -> Served {
    let (listener, address) = listen().await;
    let routes = Routes::from(routes);
    let task = tokio::spawn(async move {
        let served = server.layer(layer).add_routes(routes);
        served.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("serving");
    });
    Served { address, task }
}

fn client(o: &Observed, address: SocketAddr) -> Client {
    let builder = GrpcClientBuilder::new(&o.telemetry, "peer");
    builder.with_endpoint(format!("http://{address}")).build().expect("a client")
}

fn request(path: &str) -> Request<tonic::body::Body> {
    let body = tonic::body::Body::new(Full::new(Bytes::from_static(&MESSAGE)));
    let request = Request::post(format!("http://peer{path}"));
    request.header("content-type", "application/grpc").body(body).expect("a request")
}

/// Sends a call; it ends with the status that a generated client would give.
async fn call(
    client: &Client,
    request: Request<tonic::body::Body>,
) -> Result<Response<ObservedBody<TransportBody>>, Status> {
    let call = client.clone().oneshot(request);
    tokio::time::timeout(PATIENCE, call).await.expect("in time")
}

async fn span(o: &Observed) -> SpanData {
    let wait = async {
        while o.spans.spans().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the call ends");
    o.span()
}

/// What a span says of the end: code, `error.type`, and who ended it.
fn end(span: &SpanData) -> [Option<String>; 3] {
    ["rpc.status_code", "error.type", "meshwise.ended_by"]
        .map(|key| attribute(span, key).map(|value| value.to_string()))
}

fn ends(code: &str, error: Option<&str>, by: Option<&str>) -> [Option<String>; 3] {
    [Some(code), error, by].map(|text| text.map(ToOwned::to_owned))
}

/// Answers with a code in the head, or in the trailers after one message or endless ones, or breaks
/// after one. The request is read first, as a handler does.
async fn answer(Path((code, kind)): Path<(u16, String)>, body: Body) -> Response {
    body.collect().await.expect("a request");
    let status = HeaderValue::from(code);
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), status.clone())]);
    let piece = || Ok::<_, io::Error>(Frame::data(Bytes::from_static(&MESSAGE)));
    let mut response = Response::builder().header("content-type", "application/grpc");
    let body = match kind.as_str() {
        "head" => {
            response = response.header("grpc-status", status);
            Body::empty()
        }
        "one" => {
            let frames = [piece(), Ok(Frame::trailers(trailers))];
            Body::new(StreamBody::new(futures_util::stream::iter(frames)))
        }
        "endless" => {
            let frames = futures_util::stream::repeat_with(piece);
            Body::new(StreamBody::new(frames.then(|frame| async {
                tokio::task::yield_now().await;
                frame
            })))
        }
        "quiet" => {
            let frames = futures_util::stream::iter([piece()]);
            Body::new(StreamBody::new(frames.chain(futures_util::stream::pending())))
        }
        "breaks" => {
            let frames = [piece(), Err(io::Error::other("disk on fire"))];
            Body::new(StreamBody::new(futures_util::stream::iter(frames)))
        }
        "hangs" => std::future::pending().await,
        "panics" => panic!("on purpose"),
        other => panic!("{other}"),
    };
    response.body(body).expect("a response")
}

fn routes() -> Router {
    Router::new().route("/{code}/{kind}", post(answer))
}

/// How a client treats what it gets.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Whole,
    Head,
    Half,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_what_its_status_says_if_that_has_come() {
    let ok = |code: &str| ends(code, None, None);
    let failed = |code: &str| ends(code, Some(code), None);
    let gone = || ends("CANCELLED", Some("cancelled"), Some("caller"));
    for (path, reader, server_says, client_says) in [
        ("/0/head", Reader::Whole, ok("OK"), ok("OK")),
        ("/0/one", Reader::Whole, ok("OK"), ok("OK")),
        ("/5/head", Reader::Whole, ok("NOT_FOUND"), failed("NOT_FOUND")),
        ("/5/one", Reader::Whole, ok("NOT_FOUND"), failed("NOT_FOUND")),
        ("/13/head", Reader::Head, failed("INTERNAL"), failed("INTERNAL")),
        ("/13/one", Reader::Whole, failed("INTERNAL"), failed("INTERNAL")),
        ("/14/one", Reader::Whole, failed("UNAVAILABLE"), failed("UNAVAILABLE")),
        ("/8/one", Reader::Whole, ok("RESOURCE_EXHAUSTED"), failed("RESOURCE_EXHAUSTED")),
        ("/1/one", Reader::Whole, ok("CANCELLED"), failed("CANCELLED")),
        ("/0/endless", Reader::Head, gone(), gone()),
        ("/0/endless", Reader::Half, gone(), gone()),
        // tonic's body makes a status of any error.
        ("/0/breaks", Reader::Whole, failed("UNKNOWN"), failed("INTERNAL")),
    ] {
        let (server, caller) = (observed(), observed());
        let layer = server_layer(server.telemetry.clone());
        let served = serve(Server::builder(), layer, routes()).await;
        let client = client(&caller, served.address);
        match call(&client, request(path)).await.map(|response| Box::pin(response.into_body())) {
            // The reset may come before the head has gone out.
            Err(status) => assert_eq!((path, status.code()), ("/0/breaks", Code::Internal)),
            Ok(mut body) => match reader {
                Reader::Whole => while let Some(Ok(_)) = body.frame().await {},
                Reader::Head => {}
                Reader::Half => {
                    body.frame().await.expect("a frame").expect("data");
                }
            },
        }
        drop(client);
        let what = format!("{path} {reader:?}");
        assert_eq!(end(&span(&caller).await), client_says, "client: {what}");
        assert_eq!(end(&span(&server).await), server_says, "server: {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_holds_to_the_last_message_however_it_was_set() {
    for by_hand in [true, false] {
        for path in ["/0/hangs", "/0/quiet"] {
            let (server, caller) = (observed(), observed());
            let layer = server_layer(server.telemetry.clone());
            let served = serve(Server::builder(), layer, routes()).await;
            let client = client(&caller, served.address);
            let mut request = request(path);
            if by_hand {
                // As tonic's `Request::set_timeout` does.
                request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("100m"));
            } else {
                let deadline = Deadline::after(Instant::now(), Duration::from_millis(100));
                request.extensions_mut().insert(deadline);
            }
            match call(&client, request).await {
                Err(status) => assert_eq!(status.code(), Code::DeadlineExceeded, "{path}"),
                // tonic's server has the same timer, and says CANCELLED.
                Ok(response) if response.headers().contains_key("grpc-status") => continue,
                Ok(response) => {
                    let mut body = Box::pin(response.into_body());
                    body.frame().await.expect("a frame").expect("a message");
                    let next = tokio::time::timeout(PATIENCE, body.frame()).await;
                    let end = next.expect("in time").expect("an end");
                    let status = end.map(drop).expect_err("its time is up");
                    assert_eq!(status.code(), Code::DeadlineExceeded, "{path}");
                }
            }
            let expected = ends("DEADLINE_EXCEEDED", Some("timeout"), Some("own_limit"));
            assert_eq!(end(&span(&caller).await), expected, "{by_hand} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_s_own_timeout_is_one_where_the_layer_is_told_of_it() {
    let limit = Duration::from_millis(50);
    for (told, code, error, by) in [
        (true, "DEADLINE_EXCEEDED", "timeout", "own_limit"),
        (false, "CANCELLED", "cancelled", "caller"),
    ] {
        let (server, caller) = (observed(), observed());
        let layer = server_layer(server.telemetry.clone());
        let layer = if told { layer.with_outer_timeout(limit) } else { layer };
        let served = serve(Server::builder().timeout(limit), layer, routes()).await;
        let client = client(&caller, served.address);
        let response = call(&client, request("/0/hangs")).await.expect("tonic answers");
        assert_eq!(response.headers()["grpc-status"], "1", "as CANCELLED");
        let span = span(&server).await;
        assert_eq!(end(&span), ends(code, Some(error), Some(by)));
        assert_eq!(span.name, "_OTHER", "no handler has proved the method");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_of_the_request_is_a_timeout_of_a_known_method_at_the_server() {
    // The same path answers once and hangs then.
    let server = observed();
    let first = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let handler = move |body: Body| async move {
        body.collect().await.expect("a request");
        if !first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        answer(Path((0, "one".to_owned())), Body::empty()).await
    };
    let layer = server_layer(server.telemetry.clone());
    let routes = Router::new().route("/a.A/Get", post(handler));
    let served = serve(Server::builder(), layer, routes).await;
    let caller = observed();
    let client = client(&caller, served.address);
    let response = call(&client, request("/a.A/Get")).await.expect("a head");
    response.into_body().collect().await.map(drop).expect("an answer");
    server.spans.clear();
    // By a client without a timer of its own, which might be first: tonic's server answers CANCELLED at its.
    let connection = TcpStream::connect(served.address).await.expect("a connection");
    let (client, connection) = h2::client::handshake(connection).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let request = request("/a.A/Get").map(drop);
    let (mut parts, ()) = request.into_parts();
    parts.headers.insert("grpc-timeout", HeaderValue::from_static("50m"));
    let mut client = client.ready().await.expect("a place");
    let request = Request::from_parts(parts, ());
    let (head, mut body) = client.send_request(request, false).expect("a stream");
    body.send_data(Bytes::from_static(&MESSAGE), true).expect("a message");
    let head = tokio::time::timeout(PATIENCE, head).await.expect("in time").expect("a head");
    assert_eq!(head.headers()["grpc-status"], "1");
    connection.abort();
    let span = span(&server).await;
    assert_eq!(span.name, "a.A/Get");
    let expected = ends("DEADLINE_EXCEEDED", Some("timeout"), Some("foreign_deadline"));
    assert_eq!(end(&span), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_believes_no_deadline() {
    let server = observed();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(HeaderMap::new()));
    let looks = std::sync::Arc::clone(&seen);
    let handler = move |headers: HeaderMap| async move {
        *looks.lock().expect("not poisoned") = headers;
        answer(Path((0, "one".to_owned())), Body::empty()).await
    };
    let layer = server_layer(server.telemetry.clone()).with_mode(ServerMode::Edge);
    let served =
        serve(Server::builder(), layer, Router::new().route("/a.A/Get", post(handler))).await;
    let caller = observed();
    let mut request = request("/a.A/Get");
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("10S"));
    call(&client(&caller, served.address), request).await.map(drop).expect("a head");
    let seen = seen.lock().expect("not poisoned").clone();
    for name in ["traceparent", "tracestate", "grpc-timeout", "x-request-timeout-ms"] {
        assert!(!seen.contains_key(name), "{name}");
    }
    assert!(seen.contains_key("user-agent"), "the rest is there: {seen:?}");
}

/// What a caller gets for an error, and what it is translated into.
async fn failure(address: SocketAddr) -> (Status, FaultKind, Option<bool>, SpanData) {
    let caller = observed();
    let client = client(&caller, address);
    let status = match call(&client, request("/a.A/Get")).await {
        Err(status) => status,
        Ok(response) => {
            let body = response.into_body().collect();
            let body = tokio::time::timeout(PATIENCE, body).await.expect("in time");
            body.map(drop).expect_err("it breaks")
        }
    };
    let mut faults = Faults::new();
    faults.view::<Status>();
    faults.rule(fault);
    let fault = faults.of(&status);
    assert_ne!(fault.error_type().as_str(), "_OTHER", "{status:?}");
    (status, fault.kind, fault.sent, span(&caller).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_and_broken_ones_are_unavailable_with_their_cause() {
    let (listener, address) = listen().await;
    drop(listener);
    let (status, kind, sent, span) = failure(address).await;
    assert_eq!((status.code(), kind, sent), (Code::Unavailable, FaultKind::Connect, Some(false)));
    assert_eq!(end(&span), ends("UNAVAILABLE", Some("connect"), None));

    for (linger, in_body) in [(false, false), (true, false), (false, true), (true, true)] {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            if linger {
                stream.set_zero_linger().expect("linger");
            }
            let mut connection = h2::server::handshake(stream).await.expect("a handshake");
            let (request, mut respond) =
                connection.accept().await.expect("a call").expect("a request");
            let mut body = request.into_body();
            if in_body {
                let head = http::Response::builder().header("content-type", "application/grpc");
                let head = head.body(()).expect("a head");
                let mut out = respond.send_response(head, false).expect("sent");
                out.send_data(Bytes::from_static(&MESSAGE), false).expect("sent");
                // Until it has gone out.
                let more = tokio::time::timeout(Duration::from_millis(100), connection.accept());
                drop(more.await);
                drop(out);
            }
            drop(body.data().now_or_never());
        });
        let (status, kind, _, span) = failure(address).await;
        let what = format!("linger {linger}, in body {in_body}");
        assert_eq!((status.code(), kind), (Code::Unavailable, FaultKind::Reset), "{what}");
        assert_eq!(end(&span), ends("UNAVAILABLE", Some("reset"), None), "{what}");
        assert!(std::error::Error::source(&status).is_some(), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_peer_gives_up_are_what_the_protocol_says() {
    let grpc = FaultKind::Grpc;
    use meshwise_core::GrpcCode;
    for (reason, code, expected, expected_sent) in [
        (h2::Reason::REFUSED_STREAM, Code::Unavailable, FaultKind::Reset, Some(false)),
        (h2::Reason::CANCEL, Code::Cancelled, grpc(GrpcCode::Cancelled), None),
        (h2::Reason::INTERNAL_ERROR, Code::Internal, grpc(GrpcCode::Internal), None),
        (
            h2::Reason::ENHANCE_YOUR_CALM,
            Code::ResourceExhausted,
            grpc(GrpcCode::ResourceExhausted),
            None,
        ),
    ] {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut connection = h2::server::handshake::<_>(stream).await.expect("a handshake");
            let (_request, mut respond) =
                connection.accept().await.expect("a call").expect("a request");
            respond.send_reset(reason);
            while let Some(Ok(_)) = connection.accept().await {}
        });
        let (status, kind, sent, span) = failure(address).await;
        assert_eq!((status.code(), kind, sent), (code, expected, expected_sent), "{reason}");
        let [seen, error, by] = end(&span);
        let name = GrpcCode::from_number(code as u32).as_str();
        assert_eq!((seen.as_deref(), by), (Some(name), None), "{reason}");
        let word = if expected == FaultKind::Reset { "reset" } else { name };
        assert_eq!(error.as_deref(), Some(word));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_past_the_last_one_of_a_goaway_was_not_seen() {
    async fn frame(stream: &mut TcpStream) -> u8 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut rest = vec![0; length as usize];
        stream.read_exact(&mut rest).await.expect("a frame");
        head[3]
    }
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.expect("a preface");
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("sent");
        while frame(&mut stream).await != 1 {}
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        stream.write_all(&goaway).await.expect("sent");
        let mut sink = Vec::new();
        let _ended = stream.read_to_end(&mut sink).await;
    });
    let (status, kind, sent, span) = failure(address).await;
    assert_eq!((status.code(), kind, sent), (Code::Unavailable, FaultKind::Reset, Some(false)));
    assert_eq!(end(&span), ends("UNAVAILABLE", Some("reset"), None));
}

#[test]
fn generated_clients_take_interceptors() {
    // What generated code demands of the response's body.
    fn demanded<B: http_body::Body<Data = Bytes> + Default + Send + 'static>() -> B {
        B::default()
    }
    assert!(http_body::Body::is_end_stream(&demanded::<TransportBody>()));
    assert!(http_body::Body::is_end_stream(&demanded::<ObservedBody<TransportBody>>()));
}
