//! `mesh.serve` over real sockets: what is observed, what is answered, how it ends.

mod draining;
mod layers;
mod messages;
mod upgrades;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    response::Response,
    routing::get,
};
use http_body_util::BodyExt;
use meshwise::{
    OpsAddr, ServeBuilder, ServeError, ShutdownReport, client::reqwest, core::Env,
    http::ServerMode, resilience::ShedConfig,
};
use meshwise_testing::TestMesh;
use meshwise_tests::{PATIENCE, eventually, raw};
use std::{convert::Infallible, future::pending, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// A service that `mesh.serve` serves.
struct Up {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<ShutdownReport, ServeError>>,
}

impl Up {
    async fn new(
        mesh: &TestMesh,
        router: Router,
        change: impl FnOnce(ServeBuilder) -> ServeBuilder,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let server = change(mesh.server().with_shutdown(stopped));
        let task = tokio::spawn(server.serve(listener, router));
        eventually("it serves", || !mesh.lines().containing("serving; ").json().is_empty()).await;
        Self { address, stop: Some(stop), task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn stop(&mut self) {
        drop(self.stop.take());
    }

    async fn ended(self) -> ShutdownReport {
        timeout(PATIENCE, self.task).await.expect("in time").expect("no panic").expect("a report")
    }
}

fn plain(builder: ServeBuilder) -> ServeBuilder {
    builder
}

/// Sends a request on a connection of its own.
async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    timeout(PATIENCE, raw(address, request.as_bytes())).await.expect("in time")
}

/// An event stream: one event, then none for ever.
fn events() -> Response {
    let first =
        futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n"))]);
    let pieces = futures_util::StreamExt::chain(first, futures_util::stream::pending());
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(pieces))
        .expect("a response")
}

fn routes() -> Router {
    Router::new()
        .route("/orders/{id}", get(|| async { "ok" }))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
        .route("/hang", get(async || pending::<&'static str>().await))
        .route("/events", get(async || events()))
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
}

#[tokio::test]
async fn what_no_route_serves_is_observed_and_ops_routes_are_not_public() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), plain).await;
    let ops = mesh.ops_addr().expect("ops routes");
    assert_ne!(ops, up.address);
    for (method, path, status) in [
        ("GET", "/orders/7", "200"),
        ("GET", "/nope", "404"),
        ("GET", "/metrics", "404"),
        ("POST", "/orders/7", "405"),
    ] {
        let answer = ask(up.address, method, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
    }
    eventually("all calls end", || mesh.spans().data().len() == 4).await;
    let metrics = ask(ops, "GET", "/metrics").await;
    for (method, route, status, count) in [
        ("GET", "/orders/{id}", "200", 1),
        ("GET", "", "404", 2),
        ("POST", "/orders/{id}", "405", 1),
    ] {
        mesh.metric("http_server_request_duration_seconds_count")
            .label("http_request_method", method)
            .label("http_route", route)
            .label("http_response_status_code", status)
            .assert_value(f64::from(count));
    }
    assert!(metrics.contains("http_server_request_duration_seconds_count"), "{metrics}");
    mesh.lines().of_target("meshwise::access").assert_count(4);
    for path in ["/livez", "/readyz", "/resilience"] {
        assert!(ask(ops, "GET", path).await.starts_with("HTTP/1.1 200 "), "{path}");
    }
    let line = format!("serving; ops routes on {ops}");
    mesh.lines().containing(&line).one().assert_field("address", up.address.to_string());
}

#[tokio::test]
async fn methods_without_a_path_of_their_own_are_calls_too() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), plain).await;
    assert!(ask(up.address, "CONNECT", "example.com:443").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(up.address, "OPTIONS", "*").await.starts_with("HTTP/1.1 404 "));
    eventually("both end", || mesh.spans().data().len() == 2).await;
    let line = |message: &str| {
        mesh.lines().json().iter().any(|line| line["message"].as_str() == Some(message))
    };
    assert!(line("CONNECT") && line("OPTIONS *"));
}

#[tokio::test]
async fn a_panic_is_answered_recorded_and_its_connection_lives() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), plain).await;
    let mut stream = TcpStream::connect(up.address).await.expect("a connection");
    let both = b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\nGET /orders/7 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(both).await.expect("sent");
    let mut answers = String::new();
    let read = stream.read_to_string(&mut answers);
    timeout(PATIENCE, read).await.expect("in time").expect("two answers");
    let (first, second) = answers.rsplit_once("HTTP/1.1 ").expect("two answers");
    assert!(first.starts_with("HTTP/1.1 500 ") && first.contains("x-request-id"), "{answers}");
    assert!(second.starts_with("200 ") && second.ends_with("ok"), "{answers}");
    mesh.spans()
        .named("GET /panic")
        .one()
        .assert_attribute("error.type", "panic")
        .assert_attribute("http.response.status_code", 500)
        .assert_attribute("http.response.body.size", 21)
        .assert_failed();
    mesh.lines()
        .of_target("meshwise::access")
        .containing("/panic")
        .one()
        .assert_field("http.response.body.size", 21);
    mesh.metric("http_server_request_duration_seconds_count")
        .label("error_type", "panic")
        .label("http_response_status_code", "500")
        .assert_value(1.0);
    mesh.metric("http_server_active_requests").assert_value(0.0);
}

#[tokio::test]
async fn handlers_learn_the_peer_s_address() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), plain).await;
    let answer = ask(up.address, "GET", "/peer").await;
    assert!(answer.contains("\r\n\r\n127.0.0.1:"), "{answer}");
    mesh.spans().named("GET /peer").one().assert_attribute("client.address", "127.0.0.1");
}
