//! Several clients of one peer, its routes, and what operators see and turn.

use super::*;
use meshwise::{
    core::settings::Settings,
    resilience::{HttpRetries, RetryBudget, RetryConfig, RouteConfig},
};

const UNARY: &str = "meshwise.test.v1.Echo/Unary";

fn operated() -> TestMesh {
    TestMesh::with("front", |builder| builder.with_breaker_control(true))
}

/// Turns the breaker of a peer, or of one of its routes, as an operator does.
async fn turn(ops: &Served, peer: &str, mode: &'static str) {
    let url = ops.url(&format!("/resilience/{peer}/breaker"));
    let put = reqwest::Client::new().put(url).body(mode).send().await;
    assert_eq!(put.expect("an answer").status(), 200, "{peer} {mode}");
}

fn gauge(mesh: &TestMesh, name: &str) -> Option<f64> {
    mesh.metric(name).label("peer", "stock").value()
}

/// Clients made before, during and after an outage are one peer: one refuses as the others do, each finds out
/// for all that it is over, and no change is told twice.
#[tokio::test(start_paused = true)]
async fn clients_made_before_in_and_after_an_outage_are_one() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    let mesh = TestMesh::new("front");
    let _entered = mesh.enter();
    let before = peer.client(&mesh, |guards| guards.with_timeout(secs(3)));
    peer.turn(500);
    for _ in 0..25 {
        ask(&before, "/").await;
    }
    assert_eq!((breaker(&mesh).state, peer.asked()), (BreakerState::Open, 20));
    // Made while it is open: they know, and change nothing of what is told.
    let mut during = peer.grpc(&mesh, |guards| guards);
    let third = peer.client(&mesh, |guards| guards.with_timeout(ms(3_000)));
    assert_eq!(gauge(&mesh, "meshwise_breaker_state"), Some(2.0));
    let refused = during.unary(Ask::default()).await.expect_err("refused");
    assert_eq!((refused.code(), ask(&third, "/").await), (Code::Unavailable, 0));
    assert_eq!(peer.asked(), 20);
    peer.turn(0);
    clock.pass(ms(5_600)).await;
    assert_eq!(ask(&third, "/").await, 200);
    let after = peer.client(&mesh, |guards| guards);
    assert_eq!(gauge(&mesh, "meshwise_breaker_state"), Some(1.0));
    assert_eq!(ask(&after, "/").await, 200);
    during.unary(Ask::default()).await.expect("a trial");
    let seen = breaker(&mesh);
    assert_eq!((seen.state, seen.calls, ask(&before, "/").await), (BreakerState::Closed, 0, 200));
    assert_eq!(changes(&mesh), ["opened", "half-opened", "closed"]);
    for (to, times) in [("open", 1.0), ("half_open", 1.0), ("closed", 1.0)] {
        assert_eq!(count(&mesh, "meshwise_breaker_transitions_total", "to", to), times, "{to}");
    }
    assert_eq!(gauge(&mesh, "meshwise_breaker_state"), Some(0.0));
    assert_eq!(mesh.guards().snapshot().len(), 1);
}

/// What an operator forces reaches all clients, those made later too, over both protocols; what began before
/// counts in no other state.
#[tokio::test(start_paused = true)]
async fn each_forced_state_reaches_all_clients_and_counts_what_it_should() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    let mesh = operated();
    let _entered = mesh.enter();
    let one = peer.client(&mesh, |guards| guards);
    let ops = serve(mesh.ops_router()).await;
    let mut calls = 0;
    // Whether calls pass, what is counted of 6, and what the gauge says.
    for (mode, passes, counted, level) in [
        ("forced_open", 0, 0, 2.0),
        ("disabled", 6, 6, 0.0),
        ("forced_closed", 6, 0, 0.0),
        ("forced_open", 0, 0, 2.0),
        ("automatic", 6, 6, 0.0),
    ] {
        let long = tokio::spawn({
            let one = one.clone();
            async move { ask(&one, "/after/100").await }
        });
        clock.settle().await;
        let before = peer.asked();
        turn(&ops, "stock", mode).await;
        let other = peer.client(&mesh, |guards| guards);
        let mut grpc = peer.grpc(&mesh, |guards| guards);
        for _ in 0..2 {
            ask(&one, "/").await;
            ask(&other, "/status/500").await;
            drop(grpc.unary(Ask { code: 14, ..Ask::default() }).await);
        }
        clock.pass(ms(200)).await;
        assert_eq!((peer.asked() - before, breaker(&mesh).calls), (passes, counted), "{mode}");
        assert_eq!(gauge(&mesh, "meshwise_breaker_state"), Some(level), "{mode}");
        long.await.expect("no panic");
        calls += 1;
    }
    assert_eq!(changes(&mesh).len(), calls, "{:?}", changes(&mesh));
}

/// A second client is refused for what differs, by both names, and for nothing that is only said in another way; it
/// leaves the first as it was.
#[tokio::test(start_paused = true)]
async fn a_second_client_may_say_the_same_in_another_way_and_nothing_else() {
    type Change = fn(PeerConfig) -> PeerConfig;
    let cases: [(Change, Change, Option<&str>); 9] = [
        (|it| it, |it| it.with_timeout(secs(3)).with_breaker(BreakerConfig::new()), None),
        (
            |it| it.with_retry(RetryConfig::new()),
            |it| it.with_bulkhead(BulkheadConfig::new()),
            None,
        ),
        (|it| it, |it| it.with_timeout(ms(2_999)), Some("timeout.limit")),
        (|it| it, |it| it.with_total(secs(10)), Some("deadline.total")),
        (
            |it| it,
            |it| it.with_retries(HttpRetries::new().with_idempotent_method(UNARY)),
            Some("retry"),
        ),
        (|it| it.with_streaming(["a.B/C"]), |it| it.with_streaming(["/a.B/C", "a.B/C"]), None),
        (
            |it| it.with_retry(RetryConfig::new().with_budget(RetryBudget::default())),
            |it| it.with_retry(RetryConfig::new().with_budget(RetryBudget::default())),
            None,
        ),
        (
            |it| {
                it.with_retry(RetryConfig::new().with_budget(RetryBudget::tokens(10, 0.1).unwrap()))
            },
            |it| {
                it.with_retry(RetryConfig::new().with_budget(RetryBudget::tokens(10, 0.1).unwrap()))
            },
            Some("retry.budget"),
        ),
        (
            |it| it.with_route("GET /a/{x}", RouteConfig::new()),
            |it| it.with_route("GET /a/{y}", RouteConfig::new().with_attempts(1)),
            Some("routes"),
        ),
    ];
    let peer = Peer::start().await;
    for (at, (one, other, differs)) in cases.into_iter().enumerate() {
        let mesh = TestMesh::new("front");
        let first = peer.client(&mesh, one);
        let second = mesh.grpc_client("stock").with_endpoint(peer.served.url(""));
        match (second.with_guards(other).build(), differs) {
            (Ok(second), None) => {
                EchoClient::new(second).unary(Ask::default()).await.expect("an answer");
            }
            (Err(error), Some(setting)) => {
                let said = meshwise::core::internal::error_chain(&error);
                assert!(said.contains(setting) && said.contains("`stock`"), "{at}: {said}");
            }
            (built, _) => panic!("{at}: {:?}", built.map(drop)),
        }
        assert_eq!(ask(&first, "/").await, 200);
        let counted = 1 + u64::from(differs.is_none());
        assert_eq!((mesh.guards().snapshot().len(), breaker(&mesh).calls), (1, counted), "{at}");
    }
}

/// What is in flight over one client fills the bulkhead of the others; a client that is made meanwhile shows it,
/// and one that is dropped frees nothing but its own calls.
#[tokio::test(start_paused = true)]
async fn the_clients_of_a_peer_fill_one_bulkhead_and_spend_one_budget() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    let mesh = TestMesh::new("front");
    let guards = |guards: PeerConfig| {
        let few = BulkheadConfig::new().with_limit(5).without_queue();
        let budget = RetryBudget::ratio(0.0, 1).expect("a budget");
        guards
            .without_breaker()
            .with_bulkhead(few)
            .with_retry(RetryConfig::new().with_budget(budget))
    };
    let (http, mut grpc) = (peer.client(&mesh, guards), peer.grpc(&mesh, guards));
    let mut held = Vec::new();
    for _ in 0..3 {
        let http = http.clone();
        held.push(tokio::spawn(async move { ask(&http, "/after/2000").await == 200 }));
    }
    for _ in 0..2 {
        let mut grpc = grpc.clone();
        let slow = Ask { delay_ms: 2_000, ..Ask::default() };
        held.push(tokio::spawn(async move { grpc.unary(slow).await.is_ok() }));
    }
    clock.pass(ms(100)).await;
    let third = peer.client(&mesh, guards);
    let in_use = || (bulkhead(&mesh).in_use, gauge(&mesh, "meshwise_bulkhead_in_use"));
    assert_eq!(in_use(), (5, Some(5.0)));
    assert_eq!(ask(&third, "/").await, 0);
    let refused = grpc.unary(Ask::default()).await.expect_err("full");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(third);
    held.remove(0).abort();
    clock.settle().await;
    assert_eq!(in_use(), (4, Some(4.0)));
    clock.pass(secs(3)).await;
    assert_eq!(in_use(), (0, Some(0.0)));
    // 10 retries in all, whoever asks for them.
    peer.turn(503);
    let other = peer.client(&mesh, guards);
    let before = peer.asked();
    clock
        .until(async move {
            for _ in 0..5 {
                ask(&http, "/").await;
                ask(&other, "/").await;
            }
        })
        .await;
    assert_eq!(peer.asked() - before, 20);
    assert_eq!(mesh.guards().snapshot()[0].retry.expect("retries").budget, 0);
}

/// Routes of code and of settings, narrow and wide, in any order and for each protocol: the most particular one
/// counts, its own guards are its own, and what an operator forces on the peer reaches them.
#[tokio::test(start_paused = true)]
async fn the_most_particular_route_counts_wherever_it_was_said() {
    let peer = Peer::start().await;
    let text = format!(
        "[peers.stock]\nurl = \"{}\"\nretry.enabled = false\n\
         [peers.stock.routes.\"/{{*all}}\"]\ntimeout.limit = \"2s\"\n\
         [peers.stock.routes.\"meshwise.test.v1.Echo/*\"]\ntimeout.limit = \"1500ms\"",
        peer.served.url("")
    );
    let settings = Settings::from_toml(&text, "code").expect("settings");
    let mesh = TestMesh::with("front", |builder| {
        builder.with_breaker_control(true).with_settings(settings)
    });
    let once = || BreakerConfig::new().with_consecutive_failures(1, Duration::ZERO);
    let own = |limit| RouteConfig::new().with_timeout(ms(limit));
    // Behind the wide ones of the settings, and behind each other.
    let guards = move |guards: PeerConfig| {
        guards
            .with_route("/status/{code}", own(700))
            .with_route("GET /status/{code}", own(600).with_breaker(once()))
            .with_route("/status/500", own(500).with_breaker(once()))
            .with_route(UNARY, own(400).with_breaker(once()))
    };
    let client = mesh.client("stock").with_guards(guards).build().expect("a client");
    let grpc = mesh.grpc_client("stock").with_guards(guards).build().expect("a client");
    let mut grpc = EchoClient::new(grpc);
    for (path, refused) in [("/status/500", 0), ("/status/501", 0), ("/status/502", 0)] {
        ask(&client, path).await;
        // Each route's own breaker is open by now, and no other.
        assert_eq!(ask(&client, path).await, refused, "{path}");
    }
    let answer = client.post("/status/501").send().await.expect("another breaker");
    assert_eq!((answer.status().as_u16(), ask(&client, "/").await), (501, 200));
    assert_eq!(
        grpc.unary(Ask { code: 13, ..Ask::default() }).await.unwrap_err().code(),
        Code::Internal
    );
    assert_eq!(grpc.unary(Ask::default()).await.unwrap_err().code(), Code::Unavailable);
    grpc.server_stream(Ask::default()).await.expect("another route");
    let shown: Vec<_> = mesh.guards().snapshot().into_iter().map(|it| it.peer).collect();
    let of_unary = format!("stock {UNARY}");
    assert_eq!(shown, ["stock", "stock /status/500", "stock GET /status/{code}", &of_unary]);
    let state = |peer: &str| mesh.guards().breaker(peer).expect("one").state();
    let ops = serve(mesh.ops_router()).await;
    for (mode, expected) in
        [("forced_closed", BreakerState::ForcedClosed), ("automatic", BreakerState::Closed)]
    {
        turn(&ops, "stock", mode).await;
        for peer in &shown {
            assert_eq!(state(peer), expected, "{peer}");
        }
        assert_eq!(ask(&client, "/status/404").await, 404);
        grpc.unary(Ask::default()).await.expect("an answer");
    }
}

/// Each route's limit is told to the peer, by whichever of code and settings it comes.
#[tokio::test(start_paused = true)]
async fn a_wildcard_s_limit_is_told_for_what_no_other_route_names() {
    let told = any(async |headers: HeaderMap| {
        headers["x-request-timeout-ms"].to_str().expect("a text").to_owned()
    });
    let served = serve(Router::new().fallback_service(told)).await;
    let mesh = TestMesh::new("front");
    let client = mesh.client("stock").with_base_url(served.url("/base")).with_guards(|guards| {
        let own = |limit| RouteConfig::new().with_timeout(ms(limit));
        guards
            .with_route("/base/{*rest}", own(100))
            .with_route("GET /base/items/{id}", own(300))
            .with_route("/base/items/{id}/{*rest}", own(200))
            .with_route("POST /base/items/{id}", RouteConfig::new().with_total(ms(50)))
    });
    let client = client.build().expect("a client");
    for (method, path, limit) in [
        ("GET", "/items/7", "300"),
        ("GET", "/items/7?of=8", "300"),
        ("POST", "/items/7", "50"),
        ("DELETE", "/items/7", "100"),
        ("GET", "/items/7/parts/8", "200"),
        ("GET", "/items/", "100"),
        ("GET", "/other", "100"),
    ] {
        let answer = client.request(method.parse().expect("a method"), path).send().await;
        let told = answer.expect("an answer").text().await.expect("a text");
        assert_eq!(told, limit, "{method} {path}");
    }
}
