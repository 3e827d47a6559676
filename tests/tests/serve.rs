//! `mesh.serve` over real sockets: what is observed, what is answered, how it ends.

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
        .assert_failed();
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

#[tokio::test]
async fn it_is_not_ready_at_once_but_goes_on_taking_calls_for_a_while() {
    let mesh = TestMesh::new("orders");
    let mut up =
        Up::new(&mesh, routes(), |server| server.with_drain_delay(Duration::from_secs(3600))).await;
    let ops = mesh.ops_addr().expect("ops routes");
    assert!(ask(ops, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    up.stop();
    eventually("it drains", || mesh.health().is_draining()).await;
    for _ in 0..3 {
        let ready = ask(ops, "GET", "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        assert!(ask(up.address, "GET", "/orders/7").await.starts_with("HTTP/1.1 200 "));
    }
    assert!(!up.task.is_finished());
    up.task.abort();
}

#[tokio::test]
async fn draining_ends_by_its_limit_and_each_call_has_its_end() {
    let mesh = TestMesh::new("orders");
    let mut up = Up::new(&mesh, routes(), |server| {
        server.with_drain_delay(Duration::ZERO).with_drain_timeout(Duration::from_millis(300))
    })
    .await;
    let ops = mesh.ops_addr().expect("ops routes");
    let http = reqwest::Client::new();
    let mut events = http.get(up.url("/events")).send().await.expect("a head");
    assert!(events.chunk().await.expect("an event").is_some());
    let hanging = tokio::spawn(http.get(up.url("/hang")).send());
    let idle = TcpStream::connect(up.address).await.expect("a connection");
    eventually("it hangs", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 2"))
    })
    .await;
    up.stop();
    eventually("it drains", || mesh.health().is_draining()).await;
    // The ops routes outlive the listener.
    eventually("the port is closed", || std::net::TcpStream::connect(up.address).is_err()).await;
    assert!(ask(ops, "GET", "/readyz").await.starts_with("HTTP/1.1 503 "));
    assert!(ask(ops, "GET", "/metrics").await.starts_with("HTTP/1.1 200 "));

    let report = up.ended().await;
    assert_eq!(report.broken_off, 2);
    assert!(report.to_string().ends_with("calls: 2 broken off"), "{report}");
    let hung = hanging.await.expect("no panic").expect("an answer");
    assert_eq!(hung.status(), 503);
    events.chunk().await.expect_err("the stream breaks off");
    drop(idle);
    for (name, status) in [("GET /hang", 503), ("GET /events", 200)] {
        mesh.spans()
            .named(name)
            .one()
            .assert_attribute("http.response.status_code", status)
            .assert_attribute("error.type", "shutdown")
            .assert_attribute("meshwise.ended_by", "shutdown")
            .assert_failed();
    }
    mesh.metric("http_server_active_requests").assert_value(0.0);
    eventually("the ops routes end", || std::net::TcpStream::connect(ops).is_err()).await;
    // What comes later reports the same.
    let again = mesh.shutdown().await;
    assert_eq!(again.to_string(), report.to_string());
}

#[tokio::test]
async fn calls_in_flight_finish_and_idle_connections_hold_nothing_up() {
    let mesh = TestMesh::new("orders");
    let (release, released) = oneshot::channel::<()>();
    let slot = std::sync::Mutex::new(Some(released));
    let slow = std::sync::Arc::new(slot);
    let slow = get(move || {
        let released = slow.lock().expect("not poisoned").take();
        async move {
            if let Some(released) = released {
                let _ = released.await;
            }
            "finished"
        }
    });
    let mut up = Up::new(&mesh, Router::new().route("/slow", slow), |server| {
        server.with_drain_timeout(Duration::from_secs(3600))
    })
    .await;
    let http = reqwest::Client::new();
    let call = tokio::spawn(http.get(up.url("/slow")).send());
    eventually("it is in flight", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 1"))
    })
    .await;
    let mut idle = TcpStream::connect(up.address).await.expect("a connection");
    up.stop();
    let mut nothing = Vec::new();
    let closed = timeout(PATIENCE, idle.read_to_end(&mut nothing)).await.expect("in time");
    assert_eq!(closed.expect("closed"), 0);
    release.send(()).expect("it waits");
    let answer = call.await.expect("no panic").expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "finished");
    assert_eq!(up.ended().await.broken_off, 0);
}

#[tokio::test]
async fn streams_over_http_2_are_broken_off_too() {
    let mesh = TestMesh::new("orders");
    let mut up =
        Up::new(&mesh, routes(), |server| server.with_drain_timeout(Duration::from_millis(100)))
            .await;
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let mut events = Vec::new();
    for _ in 0..20 {
        let mut stream = http.get(up.url("/events")).send().await.expect("a head");
        assert!(stream.chunk().await.expect("an event").is_some());
        events.push(stream);
    }
    up.stop();
    assert_eq!(up.ended().await.broken_off, 20);
    for mut stream in events {
        stream.chunk().await.expect_err("the stream breaks off");
    }
    assert_eq!(mesh.spans().named("GET /events").data().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_its_thread_holds_the_end_up_no_longer_than_bounds() {
    let mesh = TestMesh::new("orders");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    let block = get(move || {
        let released = std::sync::Arc::clone(&released);
        async move {
            let _ = released.lock().expect("not poisoned").recv_timeout(PATIENCE);
            "late"
        }
    });
    let mut up = Up::new(&mesh, Router::new().route("/block", block), |server| {
        server.with_drain_timeout(Duration::from_millis(50))
    })
    .await;
    let call = tokio::spawn(reqwest::Client::new().get(up.url("/block")).send());
    eventually("it blocks", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 1"))
    })
    .await;
    up.stop();
    let _ = up.ended().await;
    release.send(()).expect("it still waits");
    let _ = call.await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nothing_up() {
    let mesh = TestMesh::new("orders");
    let endless = get(|| async {
        let piece = || Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65_536]));
        Response::new(Body::from_stream(futures_util::stream::repeat_with(piece)))
    });
    let mut up = Up::new(&mesh, Router::new().route("/endless", endless), |server| {
        server.with_drain_timeout(Duration::from_millis(50))
    })
    .await;
    let mut stream = TcpStream::connect(up.address).await.expect("a connection");
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    stream.read_exact(&mut [0; 1000]).await.expect("a beginning");
    up.stop();
    assert_eq!(up.ended().await.broken_off, 1);
    mesh.spans()
        .named("GET /endless")
        .one()
        .assert_attribute("error.type", "shutdown")
        .assert_attribute("meshwise.ended_by", "shutdown");
}

/// A web socket that answers, and one that hears nothing but the end of the drain.
fn sockets(drained: impl Future<Output = ()> + Clone + Send + Sync + 'static) -> Router {
    use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade, close_code};
    let polite = move |upgrade: WebSocketUpgrade| {
        let drained = drained.clone();
        async {
            upgrade.on_upgrade(|mut socket| async move {
                drained.await;
                let frame = CloseFrame { code: close_code::AWAY, reason: "later".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
            })
        }
    };
    let deaf = |upgrade: WebSocketUpgrade| async {
        upgrade
            .on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
    };
    Router::new().route("/polite", get(polite)).route("/deaf", get(deaf))
}

#[tokio::test]
async fn a_web_socket_is_waited_for_and_then_closed() {
    use futures_util::{FutureExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    for (path, broken_off) in [("/polite", 0), ("/deaf", 1)] {
        let mesh = TestMesh::new("orders");
        let drained = mesh.health().drained().boxed().shared();
        let mut up = Up::new(&mesh, sockets(drained), |server| {
            let limit = if broken_off == 0 { PATIENCE } else { Duration::from_millis(100) };
            server.with_drain_timeout(limit)
        })
        .await;
        let url = format!("ws://{}{path}", up.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
        up.stop();
        let last = timeout(PATIENCE, socket.next()).await.expect("it hears of the end");
        match last {
            Some(Ok(Message::Close(Some(frame)))) if broken_off == 0 => {
                assert_eq!(frame.reason.as_str(), "later");
            }
            None | Some(Err(_)) if broken_off == 1 => {}
            other => panic!("{path}: {other:?}"),
        }
        drop(socket);
        assert_eq!(up.ended().await.broken_off, broken_off, "{path}");
    }
}

/// Both directions of an upgraded connection wait when the drain ends.
#[tokio::test]
async fn an_upgraded_connection_that_waits_to_read_and_to_write_is_closed() {
    use hyper_util::rt::TokioIo;
    let mesh = TestMesh::new("orders");
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let raw_bytes = get(move |mut request: axum::extract::Request| {
        let ended = ended.clone();
        async move {
            tokio::spawn(async move {
                let io = hyper::upgrade::on(&mut request).await.expect("an upgrade");
                let (mut read, mut write) = tokio::io::split(TokioIo::new(io));
                let reader = ended.clone();
                tokio::spawn(async move {
                    let read = read.read(&mut [0; 10]).await;
                    reader.send(("read", read.map_err(|error| error.kind()))).expect("waits");
                });
                let error = loop {
                    if let Err(error) = write.write_all(&[0; 65_536]).await {
                        break error.kind();
                    }
                };
                ended.send(("write", Err(error))).expect("waits");
            });
            let upgrade = [("connection", "upgrade"), ("upgrade", "raw")];
            (http::StatusCode::SWITCHING_PROTOCOLS, upgrade)
        }
    });
    let mut up = Up::new(&mesh, Router::new().route("/raw", raw_bytes), |server| {
        server.with_drain_timeout(Duration::from_millis(50))
    })
    .await;
    let mut stream = TcpStream::connect(up.address).await.expect("a connection");
    let ask = b"GET /raw HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";
    stream.write_all(ask).await.expect("sent");
    stream.read_exact(&mut [0; 1000]).await.expect("a beginning");
    up.stop();
    assert_eq!(up.ended().await.broken_off, 1);
    for _ in 0..2 {
        let end = timeout(PATIENCE, ends.recv()).await.expect("in time").expect("it tells");
        assert!(
            matches!(end, ("read", Ok(0)) | ("write", Err(std::io::ErrorKind::BrokenPipe))),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn ops_routes_can_share_the_port_or_be_off() {
    let same = |text| Env::from_pairs([("MESHWISE_OPS_ADDR", text)]);
    let mesh = TestMesh::with("orders", |builder| builder.with_env(same("same-port")));
    // With a fallback of one's own, and without.
    let up = Up::new(&mesh, routes().fallback(|| async { "mine" }), plain).await;
    assert_eq!(mesh.ops_addr(), Some(up.address));
    assert!(ask(up.address, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(up.address, "GET", "/nope").await.ends_with("mine"));
    mesh.spans().named("GET").one();

    let mesh = TestMesh::with("orders", |builder| {
        builder.with_env(Env::empty()).with_ops_addr(OpsAddr::SamePort)
    });
    let up = Up::new(&mesh, routes(), plain).await;
    assert!(ask(up.address, "GET", "/metrics").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(up.address, "GET", "/nope").await.starts_with("HTTP/1.1 404 "));
    mesh.spans().named("GET").one().assert_attribute("http.response.status_code", 404);

    let mesh = TestMesh::with("orders", |builder| builder.with_env(same("off")));
    let up = Up::new(&mesh, routes(), plain).await;
    assert_eq!(mesh.ops_addr(), None);
    assert!(ask(up.address, "GET", "/readyz").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn an_ops_port_that_is_taken_is_told_and_stops_no_one() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let wanted = taken.local_addr().expect("an address");
    let mesh = TestMesh::with("orders", |builder| {
        builder.with_env(Env::empty()).with_ops_addr(OpsAddr::At(wanted))
    });
    let up = Up::new(&mesh, routes(), plain).await;
    let ops = mesh.ops_addr().expect("ops routes");
    assert!(ops != wanted && ask(ops, "GET", "/livez").await.starts_with("HTTP/1.1 200 "));
    let line = mesh.lines().at_level("WARN").one();
    line.assert_field("wanted", wanted.to_string().as_str())
        .assert_field("address", ops.to_string().as_str());
    drop(up);

    // An address that this machine does not have.
    let nowhere: SocketAddr = "192.0.2.1:9464".parse().expect("an address");
    let mesh = TestMesh::with("orders", |builder| {
        builder.with_env(Env::empty()).with_ops_addr(OpsAddr::At(nowhere))
    });
    let up = Up::new(&mesh, routes(), plain).await;
    assert_eq!(mesh.ops_addr(), None);
    assert!(ask(up.address, "GET", "/orders/7").await.starts_with("HTTP/1.1 200 "));
    mesh.lines().at_level("WARN").containing("MESHWISE_OPS_ADDR").one();
}

#[tokio::test]
async fn two_servers_of_one_mesh_end_together() {
    let mesh = TestMesh::new("orders");
    let mut one =
        Up::new(&mesh, routes(), |server| server.with_drain_timeout(Duration::from_millis(10)))
            .await;
    let two = Router::new().route("/two", get(|| async { "two" }));
    let mut two = Up::new(&mesh, two, plain).await;
    one.stop();
    eventually("the first is closed", || std::net::TcpStream::connect(one.address).is_err()).await;
    let (address, ops) = (two.address, mesh.ops_addr().expect("ops routes"));
    assert!(ask(address, "GET", "/two").await.ends_with("two"));
    assert!(ask(ops, "GET", "/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(!one.task.is_finished(), "the last one flushes");
    two.stop();
    assert_eq!(one.ended().await.to_string(), two.ended().await.to_string());
    mesh.spans().named("GET /two").one();
}

#[tokio::test]
async fn a_server_that_is_dropped_ends_its_connections() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), plain).await;
    let mut events = reqwest::get(up.url("/events")).await.expect("a head");
    assert!(events.chunk().await.expect("an event").is_some());
    up.task.abort();
    timeout(PATIENCE, events.chunk()).await.expect("in time").expect_err("it breaks");
    eventually("the call ends", || !mesh.spans().data().is_empty()).await;
}

#[tokio::test]
async fn edge_mode_and_shedding_are_settings() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), |server| {
        server.with_mode(ServerMode::Edge).with_shed(ShedConfig::new().with_limit(1))
    })
    .await;
    let hanging = tokio::spawn(reqwest::get(up.url("/hang")));
    eventually("it hangs", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 1"))
    })
    .await;
    let answer = reqwest::Client::new()
        .get(up.url("/orders/7"))
        .header("x-request-id", "a-stranger-s")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 503, "shed");
    assert_ne!(answer.headers()["x-request-id"], "a-stranger-s");
    // What is shed is observed.
    mesh.spans().named("GET /orders/{id}").one().assert_attribute("http.response.status_code", 503);
    hanging.abort();
}

#[tokio::test]
async fn what_is_wrapped_serves_itself() {
    let mesh = TestMesh::new("orders");
    let app = mesh.wrap(routes()).expect("layers");
    let app = mesh.ops_router().merge(app);
    let served = meshwise_tests::serve(app).await;
    assert!(ask(served.address, "GET", "/panic").await.starts_with("HTTP/1.1 500 "));
    assert!(ask(served.address, "GET", "/nope").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(served.address, "GET", "/livez").await.starts_with("HTTP/1.1 200 "));
    eventually("two calls", || mesh.spans().data().len() == 2).await;
    mesh.spans().named("GET").one().assert_attribute("http.response.status_code", 404);
}

/// The order that the guide shows for wiring by hand, and the one that it warns of.
#[tokio::test]
async fn wiring_by_hand_sees_what_the_guide_says() {
    for right in [true, false] {
        let mesh = TestMesh::new("orders");
        let observed = routes().layer(mesh.server_layer());
        let app = match right {
            true => mesh.ops_router().merge(observed),
            false => observed.merge(mesh.ops_router()),
        };
        let served = meshwise_tests::serve(app).await;
        assert!(ask(served.address, "GET", "/nope").await.starts_with("HTTP/1.1 404 "));
        assert!(ask(served.address, "POST", "/orders/7").await.starts_with("HTTP/1.1 405 "));
        assert!(ask(served.address, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
        let seen = if right { 2 } else { 1 };
        eventually("what is seen ends", || mesh.spans().data().len() == seen).await;
    }
}

/// axum tells a layer around `nest_service` nothing; one on what is mounted tells it.
#[tokio::test]
async fn what_is_mounted_has_a_route_if_it_tells() {
    use tower::Layer;
    let mesh = TestMesh::new("orders");
    let files = || tower::service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
    let app = routes()
        .nest_service("/untold", files())
        .nest_service("/files", mesh.server_layer().layer(files()))
        .nest_service("/v1", routes().layer(mesh.server_layer()));
    let up = Up::new(&mesh, app, plain).await;
    let paths = ["/untold/a/b", "/files/a/b", "/v1/orders/7", "/v1/nope", "/orders/7", "/nope"];
    for path in paths {
        ask(up.address, "GET", path).await;
    }
    eventually("all end", || mesh.spans().data().len() == paths.len()).await;
    for (route, count) in
        [("", 2.0), ("/files", 1.0), ("/v1/orders/{id}", 1.0), ("/v1", 1.0), ("/orders/{id}", 1.0)]
    {
        mesh.metric("http_server_request_duration_seconds_count")
            .label("http_route", route)
            .assert_value(count);
        let name = if route.is_empty() { "GET".to_owned() } else { format!("GET {route}") };
        for span in mesh.spans().named(&name).data() {
            let mut attributes = span.attributes.iter();
            let told = attributes.find(|attribute| attribute.key.as_str() == "http.route");
            assert_eq!(told.is_some(), !route.is_empty(), "no empty attribute: {name}");
        }
    }
}

#[tokio::test]
async fn versions_of_apis_are_served_and_counted() {
    use meshwise::api::{Declared, ProvidedApi, ProvidedVersion};
    const VERSIONS: &[ProvidedVersion] = &[ProvidedVersion::new("1.0.0")];
    const PROVIDES: &[ProvidedApi] = &[ProvidedApi {
        api: "orders",
        scheme: "semver",
        transport: "http",
        description: None,
        versions: VERSIONS,
    }];
    let declared = Declared { provides: PROVIDES, ..Declared::new("orders") };
    let mesh = TestMesh::with("orders", |builder| builder.apis(declared));
    let up = Up::new(&mesh, Router::new().nest("/v1", routes()), plain).await;
    ask(up.address, "GET", "/v1/orders/7").await;
    assert!(mesh.metrics_text().contains("meshwise_api_calls_total{"), "{}", mesh.metrics_text());
    let ops = mesh.ops_addr().expect("ops routes");
    assert!(ask(ops, "GET", "/apis").await.contains("1.0.0"));
}

#[tokio::test]
async fn a_web_socket_passes() {
    use axum::extract::ws::{Message, WebSocketUpgrade};
    use futures_util::{SinkExt, StreamExt};
    let mesh = TestMesh::new("orders");
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    };
    let up = Up::new(&mesh, Router::new().route("/ws", axum::routing::any(echo)), plain).await;
    let url = format!("ws://{}/ws", up.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
    let message = tokio_tungstenite::tungstenite::Message::text("one");
    socket.send(message).await.expect("sent");
    let back = socket.next().await.expect("a message").expect("a good one");
    assert_eq!(back.into_text().expect("text").as_str(), "one");
}

#[tokio::test]
async fn bodies_keep_their_length_and_trailers() {
    let mesh = TestMesh::new("orders");
    let with_trailers = get(|| async {
        let trailers = http::HeaderMap::from_iter([(
            "x-sum".parse::<http::HeaderName>().expect("a name"),
            "7".parse().expect("a value"),
        )]);
        let body = http_body_util::Full::new(Bytes::from_static(b"abc"));
        Response::new(Body::new(body.with_trailers(async { Some(Ok(trailers)) })))
    });
    let up = Up::new(&mesh, routes().route("/trailers", with_trailers), plain).await;
    for method in ["GET", "HEAD"] {
        let answer = ask(up.address, method, "/orders/7").await;
        assert!(answer.contains("content-length: 2"), "{answer}");
        assert!(!answer.contains("transfer-encoding"), "{answer}");
    }
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let answer = http.get(up.url("/trailers")).send().await.expect("an answer");
    let body = http::Response::from(answer).into_body().collect().await.expect("a body");
    assert_eq!(body.trailers().expect("trailers")["x-sum"], "7");
}
