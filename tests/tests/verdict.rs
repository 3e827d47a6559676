//! How a call ended is decided once: guards and telemetry see the same end, over real sockets,
//! whatever its caller does with the response.

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get},
};
use bytes::Bytes;
use meshwise::{
    Mesh,
    client::{Client, reqwest},
    core::Deadline,
    opentelemetry::trace::SpanKind,
    resilience::{BreakerConfig, BreakerSnapshot, BreakerState, Idempotent, PeerConfig},
};
use meshwise_testing::TestMesh;
use meshwise_tests::{
    PATIENCE, Served,
    echo::{Ask, Echo, EchoClient, EchoServer},
    eventually, serve,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_stream::StreamExt;
use tonic::{Code, service::Routes, transport::Server};
use tower::ServiceExt;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn breaker(mesh: &Mesh) -> BreakerSnapshot {
    mesh.guards().breaker("stock").expect("a breaker").snapshot()
}

/// A client of `stock`, with the default guards but for what is changed.
fn client(
    mesh: &Mesh,
    url: impl Into<String>,
    guards: impl FnOnce(PeerConfig) -> PeerConfig + Send + 'static,
) -> Client {
    mesh.client("stock").with_base_url(url).with_guards(guards).build().expect("a client")
}

fn as_it_is(guards: PeerConfig) -> PeerConfig {
    guards
}

/// Returns `error.type` of the one span of a kind.
fn error_type(mesh: &TestMesh, kind: &SpanKind) -> Option<String> {
    let span = mesh.spans().of_kind(kind).one();
    let found = span.data().attributes.iter().find(|one| one.key.as_str() == "error.type");
    found.map(|one| one.value.to_string())
}

/// What the caller does with the body of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reader {
    Drops,
    ReadsHalf,
    ReadsAll,
}

/// A body in many pieces, more than a socket takes at once; or one that breaks off.
fn pieces(breaks: bool) -> Body {
    let piece = move |n| match (n, breaks) {
        (20, true) => Err(io::Error::other("broken on purpose")),
        _ => Ok(Bytes::from(vec![b'x'; 64 * 1024])),
    };
    Body::from_stream(tokio_stream::iter((0..40).map(piece)))
}

async fn answer(Path((code, kind)): Path<(u16, String)>) -> Response {
    let body = match kind.as_str() {
        "empty" => Body::empty(),
        kind => pieces(kind == "breaks"),
    };
    (StatusCode::from_u16(code).expect("a status"), body).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_s_verdict_stands_whatever_is_read_of_the_body() {
    for (code, failed, at_client, at_server) in [
        (200, false, None, None),
        (404, false, Some("404"), None),
        (429, false, Some("429"), None),
        (500, true, Some("500"), Some("500")),
        (503, true, Some("503"), Some("503")),
    ] {
        for (body, reader) in [
            ("empty", Reader::ReadsAll),
            ("whole", Reader::Drops),
            ("whole", Reader::ReadsHalf),
            ("whole", Reader::ReadsAll),
        ] {
            let case = format!("{code}, {body}, {reader:?}");
            let (mesh, stock) = (TestMesh::new("orders"), TestMesh::new("stock"));
            let app = Router::new().route("/{code}/{kind}", any(answer));
            let served = serve(app.layer(stock.server_layer())).await;
            let client = client(&mesh, served.url(""), PeerConfig::without_retry);
            let answer = client.get(format!("/{code}/{body}")).send().await;
            let mut answer = answer.expect("an answer");
            assert_eq!(answer.status(), code);
            match reader {
                Reader::Drops => {}
                Reader::ReadsHalf => assert!(answer.chunk().await.expect("a piece").is_some()),
                Reader::ReadsAll => while answer.chunk().await.expect("a piece").is_some() {},
            }
            drop(answer);
            let seen = breaker(&mesh);
            assert_eq!((seen.calls, seen.failed), (1, u64::from(failed)), "{case}");
            assert_eq!(error_type(&mesh, &SpanKind::Client).as_deref(), at_client, "{case}");
            drop(client);
            eventually("the server's call ends", || stock.spans().data().len() == 1).await;
            assert_eq!(error_type(&stock, &SpanKind::Server).as_deref(), at_server, "{case}");
            assert_eq!(mesh.guards().bulkhead("stock").expect("one").snapshot().in_use, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_a_failure_whatever_its_head_said() {
    let (mesh, stock) = (TestMesh::new("orders"), TestMesh::new("stock"));
    let app = Router::new().route("/{code}/{kind}", any(answer));
    let served = serve(app.layer(stock.server_layer())).await;
    let client = client(&mesh, served.url(""), as_it_is);
    let mut answer = client.get("/200/breaks").send().await.expect("a head");
    while let Ok(Some(_)) = answer.chunk().await {}
    let seen = breaker(&mesh);
    assert_eq!((seen.calls, seen.failed), (1, 1), "sent once: its reader has seen some of it");
    assert_eq!(error_type(&mesh, &SpanKind::Client).as_deref(), Some("reset"));
    assert_eq!(error_type(&stock, &SpanKind::Server).as_deref(), Some("body"));
}

/// A peer whose health can be switched, and which answers with a text.
async fn sick_or_well() -> (Served, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let app = Router::new().route(
        "/",
        any(async |State(well): State<Arc<AtomicBool>>| match well.load(SeqCst) {
            true => (StatusCode::OK, r#"{"ok":true}"#),
            false => (StatusCode::SERVICE_UNAVAILABLE, r#"{"error":"down"}"#),
        }),
    );
    (serve(app.with_state(Arc::clone(&well))).await, well)
}

#[tokio::test]
async fn answers_that_are_looked_at_and_not_read_open_a_breaker_and_close_it() {
    let (served, well) = sick_or_well().await;
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, served.url(""), |guards| {
        let breaker = BreakerConfig::new().with_open_time(ms(50), ms(50)).with_open_jitter(0.0);
        guards.without_retry().with_breaker(breaker)
    });
    for _ in 0..20 {
        assert_eq!(client.get("/").send().await.expect("an answer").status(), 503);
    }
    assert_eq!(breaker(&mesh).state, BreakerState::Open, "20 unread 503s");
    well.store(true, SeqCst);
    let mut answered = 0;
    let closes = async {
        while breaker(&mesh).state != BreakerState::Closed {
            if let Ok(response) = client.get("/").send().await {
                assert_eq!(response.status(), 200);
                answered += 1;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closes).await.expect("it closes");
    assert_eq!(answered, 3, "three trials that went well");
    for _ in 0..100 {
        client.get("/").send().await.expect("not refused");
    }
}

#[tokio::test]
async fn each_failed_attempt_counts_also_those_that_retries_gave_up() {
    let (served, _) = sick_or_well().await;
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, served.url(""), as_it_is);
    let mut calls = 0;
    while breaker(&mesh).state == BreakerState::Closed {
        drop(client.get("/").send().await);
        calls += 1;
        assert!(calls < 20, "20 failed attempts are 7 calls of three");
    }
    assert_eq!(calls, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_good_answers_that_no_one_reads_outweigh_a_few_errors() {
    let hits = Arc::new(AtomicUsize::new(0));
    let app = Router::new().route(
        "/",
        get(async |State(hits): State<Arc<AtomicUsize>>| {
            if hits.fetch_add(1, SeqCst).is_multiple_of(50) {
                (StatusCode::INTERNAL_SERVER_ERROR, "{}")
            } else {
                (StatusCode::OK, r#"{"ok":true}"#)
            }
        }),
    );
    let served = serve(app.with_state(hits)).await;
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, served.url(""), PeerConfig::without_retry);
    for _ in 0..2000 {
        drop(client.get("/").send().await.expect("never refused"));
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 40));
}

/// Answers after 60 ms, over HTTP and gRPC.
async fn dawdles() -> Served {
    let http = Router::new().route(
        "/",
        get(async || {
            tokio::time::sleep(ms(60)).await;
            "late"
        }),
    );
    let grpc = Routes::new(EchoServer::new(Echo)).into_axum_router().reset_fallback();
    serve(http.merge(grpc)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_in_a_hurry_do_not_open_the_breaker_for_others() {
    #[derive(Clone)]
    struct Peers(Client, EchoClient<meshwise::GrpcClient>);
    let stock = dawdles().await;
    let mesh = TestMesh::new("orders");
    let http = client(&mesh, stock.url(""), as_it_is);
    let grpc = mesh.grpc_client("stock").with_endpoint(stock.url("")).build().expect("a client");
    let app = Router::new()
        .route(
            "/http",
            get(async |State(Peers(stock, _)): State<Peers>| match stock.get("/").send().await {
                Ok(answer) => answer.status(),
                Err(_) => StatusCode::ACCEPTED,
            }),
        )
        .route(
            "/grpc",
            get(async |State(Peers(_, mut stock)): State<Peers>| {
                let ask = Ask { text: "x".into(), delay_ms: 60, ..Ask::default() };
                match stock.unary(ask).await {
                    Ok(_) => StatusCode::OK,
                    Err(_) => StatusCode::ACCEPTED,
                }
            }),
        )
        .with_state(Peers(http, EchoClient::new(grpc)));
    let orders = serve(app.layer(mesh.server_layer())).await;
    for path in ["/http", "/grpc"] {
        let mut hurried = JoinSet::new();
        for _ in 0..60 {
            let (url, caller) = (orders.url(path), reqwest::Client::new());
            hurried.spawn(async move {
                caller.get(url).header("x-request-timeout-ms", "20").send().await
            });
        }
        while let Some(answer) = hurried.join_next().await {
            let answer = answer.expect("joined").expect("an answer");
            assert_eq!(answer.status(), 202, "{path}: its time was up");
        }
        let seen = breaker(&mesh);
        assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0), "{path}");
        let unhurried = reqwest::get(orders.url(path)).await.expect("an answer");
        assert_eq!(unhurried.status(), 200, "{path}");
    }
}

/// A peer that breaks its first connections in a way, and answers 200 on those after.
struct Breaks {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    /// Reads the request, and closes.
    Fin,
    /// Reads the request, and resets.
    Rst,
    /// Sends half of a head, and closes.
    HalfHead,
    /// Closes as soon as the connection is there.
    AtOnce,
}

impl Breaks {
    async fn start(first: usize, how: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (connections, requests) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let breaks = count.fetch_add(1, SeqCst) < first;
                if breaks && how == Break::AtOnce {
                    continue;
                }
                read_request(&mut stream).await;
                seen.fetch_add(1, SeqCst);
                if !breaks {
                    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                    drop(stream.write_all(ok).await);
                    continue;
                }
                match how {
                    Break::Rst => drop(stream.set_zero_linger()),
                    Break::HalfHead => drop(stream.write_all(b"HTTP/1.1 200").await),
                    Break::Fin | Break::AtOnce => {}
                }
            }
        });
        Self { url, connections, requests, task }
    }
}

impl Drop for Breaks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut piece = [0; 1024];
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => seen.extend_from_slice(&piece[..n]),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_before_the_head_is_tried_again() {
    for how in [Break::Fin, Break::Rst, Break::HalfHead, Break::AtOnce] {
        for method in ["GET", "PUT", "DELETE"] {
            let peer = Breaks::start(1, how).await;
            let mesh = TestMesh::new("orders");
            let client = client(&mesh, &peer.url, as_it_is);
            let method = method.parse().expect("a method");
            let answer = client.request(method, "/").send().await;
            assert_eq!(answer.expect("an answer").status(), 200, "{how:?}");
            assert_eq!(peer.connections.load(SeqCst), 2, "{how:?}");
            let spans = mesh.spans().with_attribute("error.type", "reset");
            spans.assert_count(1);
        }
    }
    // What may not be repeated is not, once the peer may have seen it.
    let peer = Breaks::start(1, Break::Fin).await;
    let mesh = TestMesh::new("orders");
    client(&mesh, &peer.url, as_it_is).post("/").send().await.expect_err("sent once");
    assert_eq!(peer.requests.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_not_there_for_a_moment_is_waited_for() {
    // A port that is free, and taken a little later.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, format!("http://{address}"), as_it_is);
    let calls = async { client.post("/").send().await.map(|answer| answer.status().as_u16()) };
    let comes = async {
        let attempts = || mesh.spans().of_kind(&SpanKind::Client).data().len();
        eventually("three attempts were refused", || attempts() >= 3).await;
        let listener = TcpListener::bind(address).await.expect("the port");
        let app = Router::new().route("/", any(async || "here"));
        tokio::spawn(async move { axum::serve(listener, app).await });
    };
    let (answer, ()) = tokio::join!(calls, comes);
    assert_eq!(answer.expect("an answer"), 200, "a POST, too: none was sent before");
    let refused = mesh.spans().with_attribute("error.type", "connect");
    assert!(refused.data().len() >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooled_connection_that_went_stale_costs_no_call() {
    // Answers once on each connection, keeps it open, and resets it when it is used again.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_request(&mut stream).await;
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                drop(stream.write_all(ok).await);
                read_request(&mut stream).await;
                drop(stream.set_zero_linger());
            });
        }
    });
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, url, as_it_is);
    // Fewer than a breaker judges by: each second attempt breaks.
    for _ in 0..9 {
        let answer = client.get("/").send().await.expect("an answer");
        assert_eq!(answer.bytes().await.expect("a body"), "ok");
    }
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_call_whose_connection_is_cut_is_tried_again_if_it_may_be() {
    // A proxy that cuts its first connection once the request has passed.
    let echo = serve(Routes::new(EchoServer::new(Echo)).into_axum_router()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let task = tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let cut = counted.fetch_add(1, SeqCst) == 0;
            let address = echo.address;
            tokio::spawn(async move {
                if cut {
                    // HTTP/2's preface, settings and the request itself.
                    let mut piece = [0; 4096];
                    while from.read(&mut piece).await.is_ok_and(|n| n > 0 && n < 150) {}
                    return;
                }
                let mut to = TcpStream::connect(address).await.expect("the service");
                drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
            });
        }
    });
    let mesh = TestMesh::new("orders");
    let client = mesh.grpc_client("stock").with_endpoint(format!("http://{proxy}"));
    let mut client = EchoClient::new(client.build().expect("a client"));
    let mut request = tonic::Request::new(Ask { text: "x".into(), ..Ask::default() });
    request.extensions_mut().insert(Idempotent(true));
    let answer = timeout(PATIENCE, client.unary(request)).await.expect("in time");
    assert_eq!(answer.expect("an answer").into_inner().text, "x");
    assert_eq!(connections.load(SeqCst), 2);
    task.abort();
}

#[tokio::test]
async fn what_could_not_be_sent_says_nothing_of_the_peer() {
    let served = serve(Router::new().route("/fine", get(async || "fine"))).await;
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, served.url(""), as_it_is);
    for path in ["check", "no slash", ""] {
        for _ in 0..30 {
            let error = client.get(path).send().await.expect_err("no path");
            assert!(!error.to_string().contains("no answer from the peer"), "{error}");
        }
    }
    // Bodies of our own that break while they are sent.
    for _ in 0..30 {
        let pieces = [Ok(Bytes::from_static(b"x")), Err(io::Error::other("lost"))];
        let body = reqwest::Body::wrap_stream(tokio_stream::iter(pieces));
        let mut request = Request::put("/fine").body(body).expect("a request");
        request.extensions_mut().insert(Deadline::after(Instant::now(), PATIENCE));
        client.clone().oneshot(request).await.map(|answer| answer.status()).expect_err("broken");
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0));
    assert_eq!(client.get("/fine").send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_hands_http_2_requests_on_reaches_a_peer_that_speaks_http_1() {
    let stock = serve(Router::new().route("/fine", any(async || "fine"))).await;
    let mesh = TestMesh::new("gateway");
    let client = client(&mesh, stock.url(""), as_it_is);
    async fn hand_on(State(stock): State<Client>, mut request: Request) -> Response {
        *request.uri_mut() = request.uri().path().parse().expect("a path");
        match stock.oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
    let app = Router::new().fallback(hand_on).with_state(client).layer(mesh.server_layer());
    let gateway = serve(app).await;
    let h2 = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    for _ in 0..25 {
        let answer = h2.get(gateway.url("/fine")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(reqwest::get(gateway.url("/fine")).await.expect("an answer").status(), 200);
    assert_eq!(breaker(&mesh).failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_answers_cancelled_though_no_caller_left_is_not_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = Server::builder().timeout(ms(30)).add_service(EchoServer::new(Echo));
    let task = tokio::spawn(async move { server.serve_with_incoming(incoming).await });
    let mesh = TestMesh::new("orders");
    let client = mesh.grpc_client("stock").with_endpoint(format!("http://{address}"));
    let mut client = EchoClient::new(client.build().expect("a client"));
    for _ in 0..20 {
        let ask = Ask { text: "x".into(), delay_ms: 5000, ..Ask::default() };
        assert_eq!(client.unary(ask).await.expect_err("late").code(), Code::Cancelled);
    }
    assert_eq!(breaker(&mesh).state, BreakerState::Open);
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_is_set_as_tonic_s_users_do_covers_all_attempts() {
    let echo = serve(Routes::new(EchoServer::new(Echo)).into_axum_router()).await;
    let mesh = TestMesh::new("orders");
    for guarded in [true, false] {
        let client = mesh.grpc_client(if guarded { "stock" } else { "bare" });
        let client = if guarded { client } else { client.without_guards() };
        let client = client.with_endpoint(echo.url("")).build().expect("a client");
        let mut client = EchoClient::new(client);
        let ask = Ask { text: "x".into(), delay_ms: 5000, ..Ask::default() };
        let mut request = tonic::Request::new(ask.clone());
        request.extensions_mut().insert(Idempotent(true));
        request.set_timeout(ms(300));
        let began = Instant::now();
        let error = client.unary(request).await.expect_err("late");
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(began.elapsed() < ms(700), "{guarded}: {:?}", began.elapsed());
        // And of a stream whose server dawdles before its end.
        let mut request = tonic::Request::new(Ask { answers: 1, ..ask });
        request.set_timeout(ms(300));
        let began = Instant::now();
        let mut stream = client.server_stream(request).await.expect("a head").into_inner();
        let ended = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert_eq!(ended.expect_err("late").code(), Code::DeadlineExceeded, "{guarded}");
        assert!(began.elapsed() < ms(700), "{guarded}: {:?}", began.elapsed());
    }
    let seen = breaker(&mesh);
    assert_eq!(seen.failed, 0, "300 ms are less than 0.4 of an attempt's 3 s");
}

/// Makes a piece every 100 ms, so many of them.
fn upload(count: usize) -> reqwest::Body {
    let pieces = tokio_stream::iter(0..count).then(async |_| {
        tokio::time::sleep(ms(100)).await;
        Ok::<_, io::Error>(Bytes::from_static(b"piece"))
    });
    reqwest::Body::wrap_stream(pieces)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_sends_slowly_is_not_cut_and_the_peer_not_blamed() {
    let served = serve(
        Router::new()
            .route("/", any(async |body: Bytes| body.len().to_string()))
            .merge(Routes::new(EchoServer::new(Echo)).into_axum_router().reset_fallback()),
    )
    .await;
    let mesh = TestMesh::new("orders");
    let judged = |guards: PeerConfig| {
        let breaker = BreakerConfig::new()
            .with_slow_calls(ms(600), 0.1)
            .with_consecutive_failures(1, Duration::ZERO);
        guards.with_timeout(ms(800)).with_breaker(breaker)
    };
    let http = client(&mesh, served.url(""), judged);
    let answer = http.post("/").body(upload(20)).send().await.expect("not cut");
    assert_eq!(answer.text().await.expect("a body"), "100");
    let grpc = mesh.grpc_client("stock").with_endpoint(served.url("")).with_guards(judged);
    let mut grpc = EchoClient::new(grpc.build().expect("a client"));
    let asks = tokio_stream::iter(0..20).then(async |_| {
        tokio::time::sleep(ms(100)).await;
        Ask { text: "x".into(), ..Ask::default() }
    });
    grpc.client_stream(asks).await.expect("not cut");
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed, seen.slow), (BreakerState::Closed, 0, 0));
    // What was set on purpose holds, and blames no one.
    let late = http.post("/").body(upload(100)).timeout(ms(500)).send().await;
    late.expect_err("its time was up");
    assert_eq!(breaker(&mesh).failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_shorter_than_its_length_says_is_the_peer_s_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort";
            drop(stream.write_all(short).await);
        }
    });
    let mesh = TestMesh::new("orders");
    let client = client(&mesh, url, as_it_is);
    let answer = client.get("/").send().await.expect("a head");
    answer.bytes().await.expect_err("a body that breaks off");
    eventually("the failure is counted", || breaker(&mesh).failed == 1).await;
    let spans = mesh.spans().of_kind(&SpanKind::Client).one();
    let ended = spans.data().attributes.iter().find(|one| one.key.as_str() == "error.type");
    let ended = ended.map(|one| one.value.to_string());
    assert!(matches!(ended.as_deref(), Some("reset" | "body")), "{ended:?}");
    task.abort();
}
