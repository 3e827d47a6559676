//! Chains of services and streams, with all defaults, over real sockets: the right breaker opens, and
//! what is well is left alone.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures_util::StreamExt;
use meshwise::{
    Mesh,
    client::{Client, reqwest},
    resilience::{BreakerSnapshot, BreakerState, BulkheadConfig, PeerConfig},
};
use meshwise_testing::TestMesh;
use meshwise_tests::{
    PATIENCE, Served,
    echo::{Ask, Echo, EchoClient, EchoServer},
    eventually, serve,
};
use std::{
    convert::Infallible,
    future::pending,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::timeout};
use tonic::{Code, service::Routes};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One service of a chain: `/` calls the next one, `/other` needs none.
struct Hop {
    mesh: TestMesh,
    served: Served,
}

fn breaker(mesh: &Mesh) -> BreakerSnapshot {
    mesh.guards().breaker("next").expect("a breaker").snapshot()
}

/// Answers for the next service, or without it.
async fn ask_next(State(next): State<Client>) -> Response {
    match next.get("/").send().await {
        Ok(answer) => answer.status().into_response(),
        // What it can do without.
        Err(_) => (StatusCode::OK, "without").into_response(),
    }
}

impl Hop {
    async fn start(name: &str, next: &Served) -> Self {
        let mesh = TestMesh::new(name);
        let client = mesh.client("next").with_base_url(next.url(""));
        let app = Router::new()
            .route("/", get(ask_next))
            .route("/other", get(async || "other"))
            .with_state(client.build().expect("a client"));
        let served = serve(app.layer(mesh.server_layer())).await;
        Self { mesh, served }
    }
}

/// A chain whose last service hangs, callers of the first, and what they saw of `/other`.
async fn chain(hops: usize) -> Vec<Hop> {
    let last = serve(Router::new().route("/", get(pending::<()>))).await;
    let mut chain: Vec<Hop> = Vec::new();
    for hop in 0..hops {
        let next = chain.last().map_or(&last, |hop| &hop.served);
        chain.push(Hop::start(&format!("hop-{hop}"), next).await);
    }
    // The first service is called as any other of its clients would: by the one before it.
    let front = chain.last().expect("a hop");
    let before = TestMesh::new("front");
    let caller = before.client("next").with_base_url(front.served.url(""));
    let caller = caller.build().expect("a client");
    let mut calls = JoinSet::new();
    for _ in 0..25 {
        let caller = caller.clone();
        calls.spawn(async move { caller.get("/").send().await.map(|answer| answer.status()) });
    }
    while let Some(answer) = calls.join_next().await {
        let answer = answer.expect("joined").expect("the chain answers, without its last");
        assert_eq!(answer, 200);
    }
    // Whoever called the one that hangs has found out; no one else was blamed.
    let (at_fault, others) = chain.split_first().expect("a hop");
    assert_eq!(breaker(&at_fault.mesh).state, BreakerState::Open, "{:?}", breaker(&at_fault.mesh));
    for hop in others.iter().map(|hop| &hop.mesh).chain([&before]) {
        let seen = breaker(hop);
        assert_eq!(seen.state, BreakerState::Closed, "{seen:?}");
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..500 {
        let began = Instant::now();
        let answer = caller.get("/other").send().await.expect("not refused");
        assert_eq!(answer.status(), 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < ms(250), "{slowest:?}");
    drop(last);
    chain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_chain_with_all_defaults_only_the_breaker_for_what_hangs_opens() {
    drop(timeout(PATIENCE, chain(2)).await.expect("in time"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_in_a_chain_of_four_calls() {
    drop(timeout(PATIENCE, chain(3)).await.expect("in time"));
}

/// A service in the middle: its peer hangs, and its caller gives it so long.
async fn hurried(own_limit: Duration, told: Duration) -> (BreakerSnapshot, BreakerSnapshot) {
    let last = serve(Router::new().route("/", get(pending::<()>))).await;
    let middle = TestMesh::new("middle");
    let next = middle.client("next").with_base_url(last.url(""));
    let next = next.with_guards(move |guards| guards.with_timeout(own_limit));
    let app = Router::new().route("/", get(ask_next)).with_state(next.build().expect("a client"));
    let served = serve(app.layer(middle.server_layer())).await;
    let front = TestMesh::new("front");
    let caller = front.client("next").with_base_url(served.url(""));
    let caller = caller.with_guards(move |guards| guards.with_timeout(told).without_retry());
    let caller = caller.build().expect("a client");
    let mut calls = JoinSet::new();
    for _ in 0..25 {
        let caller = caller.clone();
        calls.spawn(async move { caller.get("/").send().await.map(|answer| answer.status()) });
    }
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.expect("joined").expect("an answer without the last"), 200);
    }
    (breaker(&front), breaker(&middle))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hop_that_is_given_less_than_its_own_limit_blames_by_its_share_of_it() {
    // 0.8 of 1 s are enough to judge a peer by that may take 2 s, and not one that may take 3 s.
    let (front, middle) = hurried(ms(1900), ms(1000)).await;
    assert_eq!((front.state, middle.state), (BreakerState::Closed, BreakerState::Open));
    let (front, middle) = hurried(ms(3000), ms(1000)).await;
    assert_eq!((front.state, middle.state), (BreakerState::Closed, BreakerState::Closed));
    assert_eq!(middle.failed, 0);
}

#[tokio::test]
async fn a_peer_is_told_the_smaller_of_deadline_and_attempt_limit() {
    let told = get(async |headers: HeaderMap| {
        headers["x-request-timeout-ms"].to_str().expect("a text").to_owned()
    });
    let served = serve(Router::new().route("/", told)).await;
    let mesh = TestMesh::new("caller");
    let client = mesh.client("next").with_base_url(served.url("")).build().expect("a client");
    let ask = async || {
        let answer = client.get("/").send().await.expect("an answer");
        answer.text().await.expect("a body").parse::<u64>().expect("a number")
    };
    let left = ask().await;
    assert!((2800..=3000).contains(&left), "{left}: the attempt's 3 s, not the call's 10");
}

/// An event each so many milliseconds, for ever.
async fn events() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    let ticks = futures_util::stream::repeat(()).then(async |()| {
        // Real time: one side of a real socket takes its time.
        tokio::time::sleep(ms(100)).await;
        Ok(Event::default().data("tick"))
    });
    Sse::new(ticks).keep_alive(KeepAlive::default())
}

/// A peer with streams over HTTP and gRPC, and a plain route.
async fn streams() -> Served {
    let http =
        Router::new().route("/events", get(events)).route("/plain", get(async || "plain answer"));
    let grpc = Routes::new(EchoServer::new(Echo)).into_axum_router().reset_fallback();
    serve(http.merge(grpc)).await
}

/// How long streams are held open: 6 s, or as many as `MESHWISE_PROOF_SECONDS` says.
fn proof() -> Duration {
    let said = std::env::var("MESHWISE_PROOF_SECONDS").ok();
    Duration::from_secs(said.and_then(|said| said.parse().ok()).unwrap_or(6))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_stay_open_for_as_long_as_the_proof_takes() {
    let served = streams().await;
    let mesh = TestMesh::new("caller");
    let client = mesh.client("next").with_base_url(served.url("")).build().expect("a client");
    let grpc = mesh.grpc_client("next").with_endpoint(served.url("")).build().expect("a client");
    // All that is no deadline passes within the proof.
    let guards = mesh.guards().peer("next").expect("the peer");
    guards.deadline().expect("a total").set_limit(Some(proof() / 3)).expect("a limit");
    let mut held = JoinSet::new();
    for _ in 0..25 {
        let mut events = client.get("/events").send().await.expect("a stream");
        held.spawn(async move {
            let began = Instant::now();
            while began.elapsed() < proof() {
                events.chunk().await.expect("not cut").expect("more");
            }
        });
    }
    let quiet = u32::try_from(proof().as_millis()).expect("a time");
    for _ in 0..100 {
        let ask = Ask { text: "x".into(), answers: 1, delay_ms: quiet, ..Ask::default() };
        let mut grpc = EchoClient::new(grpc.clone());
        held.spawn(async move {
            let mut watch = grpc.server_stream(ask).await.expect("a head").into_inner();
            assert!(watch.message().await.expect("a message").is_some());
            assert!(watch.message().await.expect("not cut").is_none());
        });
    }
    let began = Instant::now();
    while began.elapsed() < proof() / 2 {
        let answer = client.get("/plain").send().await.expect("unhurt");
        assert_eq!(answer.text().await.expect("a body"), "plain answer");
        // Real time: one side of a real socket takes its time.
        tokio::time::sleep(ms(20)).await;
    }
    while let Some(stream) = held.join_next().await {
        stream.expect("no stream was cut");
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0));
}

/// Guards whose every limit passes within the test, for calls that are no streams.
fn short(guards: PeerConfig) -> PeerConfig {
    guards.with_bulkhead(BulkheadConfig::new().with_limit(4).without_queue())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_are_not_cut_hold_no_permit_and_say_nothing_bad() {
    let served = streams().await;
    let mesh = TestMesh::new("caller");
    let client = mesh.client("next").with_base_url(served.url("")).with_guards(short);
    let client = client.build().expect("a client");
    // The default total, scaled down by its handle: it is no deadline that was set on purpose.
    let guards = mesh.guards().peer("next").expect("the peer");
    guards.deadline().expect("a total").set_limit(Some(ms(1000))).expect("a limit");
    let mut readers = JoinSet::new();
    for _ in 0..25 {
        let mut events = client.get("/events").send().await.expect("a stream");
        readers.spawn(async move {
            let began = Instant::now();
            while began.elapsed() < ms(3000) {
                events.chunk().await.expect("not cut").expect("more");
            }
        });
    }
    assert_eq!(mesh.guards().bulkhead("next").expect("one").snapshot().in_use, 0);
    for _ in 0..50 {
        let answer = client.get("/plain").send().await.expect("unhurt");
        assert_eq!(answer.text().await.expect("a body"), "plain answer");
    }
    while let Some(read) = readers.join_next().await {
        read.expect("no reader was cut");
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_are_grpc_streams_whether_they_are_listed_or_found_out() {
    let served = streams().await;
    for listed in [false, true] {
        let mesh = TestMesh::new("caller");
        let client = mesh.grpc_client("next").with_endpoint(served.url(""));
        let client = client.with_guards(move |guards| match listed {
            true => short(guards).with_streaming(["meshwise.test.v1.Echo/ServerStream"]),
            false => short(guards),
        });
        let mut client = EchoClient::new(client.build().expect("a client"));
        let guards = mesh.guards().peer("next").expect("the peer");
        guards.deadline().expect("a total").set_limit(Some(ms(500))).expect("a limit");
        // One message, and then quiet for longer than the total.
        let ask = || Ask { text: "x".into(), answers: 1, delay_ms: 1500, ..Ask::default() };
        let mut watches = Vec::new();
        for _ in 0..20 {
            let mut watch = client.server_stream(ask()).await.expect("a head").into_inner();
            assert!(watch.message().await.expect("a message").is_some());
            watches.push(tokio::spawn(async move { watch.message().await }));
        }
        eventually("no permit is held", || {
            mesh.guards().bulkhead("next").expect("one").snapshot().in_use == 0
        })
        .await;
        client.unary(Ask { text: "y".into(), ..Ask::default() }).await.expect("unhurt");
        for watch in watches {
            let ended = watch.await.expect("joined");
            assert!(ended.expect("not cut").is_none(), "listed: {listed}");
        }
        let seen = breaker(&mesh);
        assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0), "listed: {listed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_somebody_set_still_cuts_a_stream() {
    let served = streams().await;
    let mesh = TestMesh::new("caller");
    let plain = mesh.client("next").with_base_url(served.url("")).build().expect("a client");
    // Set on the request.
    let began = Instant::now();
    let request = plain.get("/events").timeout(ms(500));
    let mut events = request.send().await.expect("a stream");
    let error = loop {
        match events.chunk().await {
            Ok(piece) => assert!(piece.is_some(), "it does not end by itself"),
            Err(error) => break error,
        }
    };
    assert!((ms(450)..ms(2000)).contains(&began.elapsed()), "{:?}: {error}", began.elapsed());
    // Set as the peer's total.
    let mesh = TestMesh::new("caller");
    let total = mesh.client("next").with_base_url(served.url(""));
    let total = total.with_guards(|guards| guards.with_total(ms(500))).build().expect("a client");
    let began = Instant::now();
    let mut events = total.get("/events").send().await.expect("a stream");
    while let Ok(Some(_)) = events.chunk().await {}
    assert!((ms(450)..ms(2000)).contains(&began.elapsed()), "{:?}", began.elapsed());
    // And over gRPC.
    let mesh = TestMesh::new("caller");
    let client = mesh.grpc_client("next").with_endpoint(served.url("")).build().expect("a client");
    let ask = Ask { text: "x".into(), answers: 1, delay_ms: 60_000, ..Ask::default() };
    let mut request = tonic::Request::new(ask);
    request.set_timeout(ms(500));
    let mut watch =
        EchoClient::new(client).server_stream(request).await.expect("a head").into_inner();
    assert!(watch.message().await.expect("a message").is_some());
    assert_eq!(watch.message().await.expect_err("cut").code(), Code::DeadlineExceeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_head_lets_a_body_take_its_time() {
    let slow = get(async || {
        let pieces = tokio_stream::iter(0..4).then(async |_| {
            // Real time: one side of a real socket takes its time.
            tokio::time::sleep(ms(300)).await;
            Ok::<_, Infallible>("piece")
        });
        Response::new(axum::body::Body::from_stream(pieces))
    });
    let served = serve(Router::new().route("/", slow)).await;
    let mesh = TestMesh::new("caller");
    let client = mesh.client("next").with_base_url(served.url(""));
    let client = client.with_guards(|guards| guards.until_head().with_total(ms(400)));
    let answer = client.build().expect("a client").get("/").send().await.expect("a head");
    assert_eq!(answer.text().await.expect("all of it").len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_take_their_time_are_not_blamed_on_the_peer() {
    let bytes = axum::body::Bytes::from(vec![b'x'; 16 << 20]);
    let big = get(move || std::future::ready(bytes.clone()));
    let served = serve(Router::new().route("/", big)).await;
    let mesh = TestMesh::new("caller");
    let client = mesh.client("next").with_base_url(served.url(""));
    // Enough for the heads on a machine that is busy, too, and less than the bodies take.
    let client = client.with_guards(|guards| guards.with_total(ms(2000)).without_retry());
    let client = client.build().expect("a client");
    let mut readers = JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        readers.spawn(async move {
            let mut answer = client.get("/").send().await.expect("a head");
            while let Ok(Some(_)) = answer.chunk().await {
                // Real time: one side of a real socket takes its time.
                tokio::time::sleep(ms(150)).await;
            }
        });
    }
    while let Some(read) = readers.join_next().await {
        read.expect("no panic");
    }
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_a_peer_share_its_guards() {
    let served = streams().await;
    let mesh = TestMesh::with("caller", |builder| builder.with_breaker_control(true));
    let one = mesh.client("next").with_base_url(served.url("")).build().expect("a client");
    let other = mesh.client("next").with_base_url(served.url("")).build().expect("a client");
    let grpc = mesh.grpc_client("next").with_endpoint(served.url("")).build().expect("a client");
    let mut grpc = EchoClient::new(grpc);
    let ops = serve(mesh.ops_router()).await;
    let set = async |mode: &'static str| {
        let url = ops.url("/resilience/next/breaker");
        reqwest::Client::new().put(url).body(mode).send().await.expect("an answer").status()
    };
    assert_eq!(set("forced_open").await, 200);
    one.get("/plain").send().await.expect_err("refused");
    other.get("/plain").send().await.expect_err("refused");
    grpc.unary(Ask::default()).await.expect_err("refused");
    assert_eq!(set("automatic").await, 200);
    one.get("/plain").send().await.expect("an answer");
    other.get("/plain").send().await.expect("an answer");
    grpc.unary(Ask { text: "x".into(), ..Ask::default() }).await.expect("an answer");
    assert_eq!(breaker(&mesh).calls, 3, "one breaker counts them all");
    let unequal = mesh.client("next").with_base_url(served.url(""));
    let error = unequal.with_guards(PeerConfig::without_breaker).build().expect_err("unequal");
    let said = meshwise::core::internal::error_chain(&error);
    assert!(said.contains("`next`") && said.contains("breaker"), "{said}");
}
