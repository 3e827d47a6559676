//! How a call ended is decided once: guards and telemetry see the same end, over real sockets,
//! whatever its caller does with the response.

mod callers;
mod connections;
mod further;

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
    core::{Classifier, Deadline, outcome::Verdict},
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
    // On a machine that is busy 2,000 calls take longer than the usual window.
    let window = BreakerConfig::new().with_time_window(Duration::from_secs(300), 10);
    let guards = move |guards: PeerConfig| guards.without_retry().with_breaker(window);
    let client = client(&mesh, served.url(""), guards);
    for _ in 0..2000 {
        drop(client.get("/").send().await.expect("never refused"));
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 40));
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
