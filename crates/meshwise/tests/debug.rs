//! `/debug/calls`, `/debug/bundle` and what calls cost, over real sockets.

use axum::{
    Router,
    http::{Request, StatusCode},
    routing::get,
};
use http_body_util::BodyExt as _;
use meshwise::{
    Mesh,
    axum::DebugAccess,
    builder,
    client::reqwest,
    log::{LogLines, LogOutput},
    resilience::{
        AdaptiveConfig, BulkheadConfig, BulkheadLayer, GuardErrorLayer, PeerConfig, RateConfig,
        RefusalResponseLayer,
    },
    trace::SpanExport,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::Notify};
use tower::ServiceExt as _;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn mesh_with(name: &str, access: DebugAccess) -> Mesh {
    let lines = LogLines::new();
    let env = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2")];
    builder(name, "1.2.3")
        .with_env(meshwise::core::Env::from_pairs(env))
        .with_debug_access(access)
        .logs(move |logs| logs.with_output(LogOutput::memory(&lines)))
        .traces(|traces| traces.with_exporter(SpanExport::none()))
        .build()
        .expect("a mesh")
}

fn mesh(name: &str) -> Mesh {
    mesh_with(name, DebugAccess::Local)
}

async fn serve(mesh: &Mesh, app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = mesh.wrap(app).expect("layers");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn ask(ops: SocketAddr, path: &str) -> Value {
    let answer = reqwest::get(format!("http://{ops}{path}")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let body = answer.bytes().await.expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

/// Asks until `wanted` finds what it looks for.
async fn until<T>(ops: SocketAddr, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = wanted(&ask(ops, path).await) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it is never there")
}

fn find<'v>(calls: &'v Value, list: &str, side: &str) -> Option<&'v Value> {
    calls[list].as_array()?.iter().find(|call| call["side"] == side)
}

#[tokio::test]
async fn a_call_in_flight_says_what_it_waits_for_and_is_gone_at_its_end() {
    let (orders, stock) = (mesh("orders"), mesh("stock"));
    let release = Arc::new(Notify::new());
    let held = Arc::clone(&release);
    let levels = Router::new().route(
        "/levels/{item}",
        get(move || {
            let held = Arc::clone(&held);
            async move { held.notified().await }
        }),
    );
    let url = format!("http://{}", serve(&stock, levels).await);
    let client = orders.client("stock").with_base_url(url).build().expect("a client");
    let app = Router::new().route(
        "/orders/{id}",
        get(move || {
            let client = client.clone();
            async move { client.get("/levels/7").send().await.map_or("ill", |_| "well") }
        }),
    );
    let address = serve(&orders, app).await;
    let ops_server = orders.serve_ops("127.0.0.1:0").await.expect("ops");
    let ops = ops_server.address();
    let stock_ops_server = stock.serve_ops("127.0.0.1:0").await.expect("ops");
    let stock_ops = stock_ops_server.address();
    let asking = tokio::spawn(reqwest::get(format!("http://{address}/orders/1?secret=x")));

    let (served, made) = until(ops, "/debug/calls", |calls| {
        let made = find(calls, "in_flight", "client")?.clone();
        Some((find(calls, "in_flight", "server")?.clone(), made))
    })
    .await;
    assert_eq!(served["route"], "/orders/{id}");
    assert_eq!(served["waits_for"], "peers");
    assert_eq!(served["peers"], serde_json::json!(["stock"]));
    assert_eq!(made["peer"], "stock");
    assert_eq!(made["waits_for"], "peer");
    // The guard's limit of an attempt.
    assert!(made["left_ms"].as_f64().is_some_and(|left| left > 0.0), "{made}");
    assert!(made["age_ms"].as_f64() <= served["age_ms"].as_f64(), "{made} {served}");
    assert_eq!(made["trace_id"], served["trace_id"]);
    assert!(served["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    assert!(!served.to_string().contains("secret"), "{served}");

    let below =
        until(stock_ops, "/debug/calls", |calls| find(calls, "in_flight", "server").cloned()).await;
    assert_eq!(below["caller"], "orders");
    assert_eq!(below["waits_for"], "handler");
    assert_eq!(below["trace_id"], served["trace_id"]);

    release.notify_one();
    let answer = asking.await.expect("no panic").expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "well");
    until(ops, "/debug/calls", |calls| (calls["total"] == 0).then_some(())).await;
    let calls = ask(ops, "/debug/calls").await;
    assert_eq!(calls["failed"], serde_json::json!([]));
    let slow = find(&calls, "slowest", "server").expect("it was the slowest");
    assert_eq!((&slow["route"], &slow["status"]), (&"/orders/{id}".into(), &200.into()));
}

/// Serves a route that asks stock, which answers no one.
async fn asking_stock(
    orders: &Mesh,
    stock: &Mesh,
    guards: impl Fn(PeerConfig) -> PeerConfig + Send + Sync + 'static,
) -> SocketAddr {
    let silent = Router::new().route("/levels/{item}", get(std::future::pending::<()>));
    let url = format!("http://{}", serve(stock, silent).await);
    let client = orders.client("stock").with_base_url(url).with_guards(guards);
    let client = client.build().expect("a client");
    let ask = get(move || {
        let client = client.clone();
        async move { client.get("/levels/7").send().await.map_or("ill", |_| "well") }
    });
    serve(orders, Router::new().route("/orders/{id}", ask)).await
}

/// Waits until one call to stock is in flight, and another waits in the guard's queue.
async fn one_waits(ops: SocketAddr, guard: &str) {
    let (served, queued) = until(ops, "/debug/calls", |calls| {
        let served = calls["in_flight"].as_array()?;
        let served = served.iter().find(|call| call["waits_for"] == "queue")?.clone();
        find(calls, "in_flight", "client")?;
        Some((served, calls["queued"].as_array()?.clone()))
    })
    .await;
    assert_eq!(served["peers"], serde_json::json!(["stock"]), "{served}");
    let [queued] = &queued[..] else { panic!("{queued:?}") };
    assert_eq!((&queued["guard"], &queued["peer"]), (&guard.into(), &"stock".into()), "{queued}");
    assert_eq!(queued["side"], "client");
    assert_eq!(queued["within"]["trace_id"], served["trace_id"], "{queued}");
    assert_eq!(queued["within"]["route"], "/orders/{id}");
    assert!(queued["age_ms"].as_f64() <= served["age_ms"].as_f64(), "{queued} {served}");
}

#[tokio::test]
async fn a_call_that_waits_for_a_guard_is_in_a_queue_until_it_leaves() {
    let hour = Duration::from_secs(3600);
    let bulkhead = BulkheadConfig::new().with_limit(1).with_queue(10, hour);
    let adaptive = AdaptiveConfig::gradient2().with_limits(1, 1, 1);
    let adaptive = BulkheadConfig::new().with_adaptive_limit(adaptive).with_queue(10, hour);
    let rate = RateConfig::new(1, hour).with_max_wait(2 * hour);
    let plain = |guards: PeerConfig| guards.without_timeout().without_total();
    type Guards = Box<dyn Fn(PeerConfig) -> PeerConfig + Send + Sync>;
    let all: [(&str, Guards); 3] = [
        ("bulkhead", Box::new(move |guards| plain(guards).with_bulkhead(bulkhead.clone()))),
        ("bulkhead", Box::new(move |guards| plain(guards).with_bulkhead(adaptive.clone()))),
        ("rate", Box::new(move |guards| plain(guards).with_rate_limit(rate.clone()))),
    ];
    for (guard, guards) in all {
        let (orders, stock) = (mesh("orders"), mesh("stock"));
        let address = asking_stock(&orders, &stock, guards).await;
        let ops_server = orders.serve_ops("127.0.0.1:0").await.expect("ops");
        let ops = ops_server.address();
        let ask = || tokio::spawn(reqwest::get(format!("http://{address}/orders/1")));
        let asking = [ask(), ask()];
        one_waits(ops, guard).await;
        // Whoever asked is gone, and so is what it waited for.
        asking.iter().for_each(tokio::task::JoinHandle::abort);
        until(ops, "/debug/calls", |calls| {
            (calls["total"] == 0 && calls["queued"] == serde_json::json!([])).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_served_call_that_waits_for_this_service_s_own_bulkhead_says_so() {
    let orders = mesh("orders");
    let config = BulkheadConfig::new().with_limit(1).with_queue(10, Duration::from_secs(3600));
    let own = BulkheadLayer::new("orders", config).expect("valid settings");
    let guarded =
        tower::ServiceBuilder::new().layer(RefusalResponseLayer).layer(own).layer(GuardErrorLayer);
    let app = Router::new().route("/orders/{id}", get(std::future::pending::<()>));
    let address = serve(&orders, app.layer(guarded)).await;
    let ops_server = orders.serve_ops("127.0.0.1:0").await.expect("ops");
    let ops = ops_server.address();
    let ask = || tokio::spawn(reqwest::get(format!("http://{address}/orders/1")));
    let asking = [ask(), ask()];
    let waits = |calls: &Value| {
        let calls = calls["in_flight"].as_array()?.iter();
        let mut waits: Vec<_> = calls.filter_map(|call| call["waits_for"].as_str()).collect();
        waits.sort_unstable();
        (waits == ["handler", "queue"]).then_some(())
    };
    until(ops, "/debug/calls", waits).await;
    let queued = &ask_page(ops).await["queued"][0];
    assert_eq!((&queued["guard"], &queued["peer"]), (&"bulkhead".into(), &"orders".into()));
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    until(ops, "/debug/calls", |calls| (calls["queued"] == serde_json::json!([])).then_some(()))
        .await;
}

async fn ask_page(ops: SocketAddr) -> Value {
    ask(ops, "/debug/calls").await
}

#[cfg(feature = "messaging")]
#[tokio::test]
async fn messages_in_hand_are_listed_until_they_are_settled() {
    use meshwise::messaging::System;
    let mailer = mesh("mailer");
    let ops_server = mailer.serve_ops("127.0.0.1:0").await.expect("ops");
    let ops = ops_server.address();
    assert_eq!(ask_page(ops).await["messages"], serde_json::json!([]));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = vec![
        ("traceparent".to_owned(), format!("00-{trace}-00f067aa0ba902b7-01")),
        ("x-attempt".to_owned(), "2".to_owned()),
    ];
    let consumer = mailer.messaging().consumer(System::NATS, "order.placed").with_group("mailer");
    let first = consumer.receive(&headers);
    let page = ask_page(ops).await;
    let message = &page["messages"][0];
    assert_eq!(message["destination"], "order.placed");
    assert_eq!((&message["system"], &message["group"]), (&"nats".into(), &"mailer".into()));
    assert_eq!((&message["trace_id"], &message["attempt"]), (&trace.into(), &2.into()));
    assert!(message["age_ms"].as_f64().is_some_and(|age| age >= 0.0), "{message}");
    let many: Vec<_> = (0..3).map(|_| consumer.receive(&headers)).collect();
    let page = ask(ops, "/debug/calls?limit=2").await;
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2));
    first.ack();
    drop(many);
    assert_eq!(ask_page(ops).await["messages"], serde_json::json!([]));
}

#[tokio::test]
async fn calls_that_failed_are_kept_with_their_ids() {
    let orders = mesh("orders");
    let broken = get(async || StatusCode::INTERNAL_SERVER_ERROR);
    let address = serve(&orders, Router::new().route("/broken/{id}", broken)).await;
    let ops_server = orders.serve_ops("127.0.0.1:0").await.expect("ops");
    let ops = ops_server.address();
    reqwest::get(format!("http://{address}/broken/1")).await.expect("an answer");
    let failed = until(ops, "/debug/calls", |c| find(c, "failed", "server").cloned()).await;
    assert_eq!(failed["route"], "/broken/{id}");
    assert_eq!(failed["error_type"], "500");
    assert!(failed["trace_id"].as_str().is_some_and(|id| id.len() == 32));
}

#[tokio::test]
async fn a_bundle_holds_what_a_review_wants_and_no_secret() {
    let orders = mesh("orders");
    let app = Router::new().route(
        "/loud",
        get(async || {
            tracing::info!("all is well");
            tracing::error!(password = "hunter2", "the disk is full");
        }),
    );
    let address = serve(&orders, app).await;
    let ops_server = orders.serve_ops("127.0.0.1:0").await.expect("ops");
    let ops = ops_server.address();
    reqwest::get(format!("http://{address}/loud")).await.expect("an answer");
    let bundle = until(ops, "/debug/bundle", |bundle| {
        let lines = bundle["logs"]["recent"].as_array()?;
        let map = bundle["map"].as_array()?;
        let failed = lines.last()?.as_str()?.contains("disk");
        (failed && !map.is_empty()).then(|| bundle.clone())
    })
    .await;
    assert_eq!(
        (&bundle["service"]["name"], &bundle["service"]["version"]),
        (&"orders".into(), &"1.2.3".into())
    );
    assert_eq!(bundle["readiness"]["status"], "ready");
    assert!(bundle["config"].is_object() && bundle["resilience"].is_object(), "{bundle}");
    let lines = bundle["logs"]["recent"].as_array().expect("lines");
    let last = lines.last().and_then(Value::as_str).expect("a line");
    assert!(last.contains("the disk is full"), "{lines:?}");
    assert!(!bundle.to_string().contains("all is well"), "only what went wrong is kept");
    let metrics = bundle["metrics"].as_str().expect("a page");
    assert!(metrics.contains("http_server_request_duration_seconds_count"), "{metrics}");
    let map = bundle["map"].to_string();
    assert!(map.contains("traces_service_graph_request_total{client=\\\"user\\\""), "{map}");
    assert!(!bundle.to_string().contains("hunter2"), "{bundle:#}");
}

#[tokio::test]
async fn who_may_not_read_is_told_so() {
    let get = |mesh: &Mesh, from: Option<[u8; 4]>, header: Option<&str>| {
        let mut request = Request::get("/debug/calls");
        if let Some(header) = header {
            request = request.header(header, "10.0.0.1");
        }
        let mut request = request.body(axum::body::Body::empty()).expect("a request");
        if let Some(ip) = from {
            let address = SocketAddr::from((ip, 9));
            request.extensions_mut().insert(axum::extract::ConnectInfo(address));
        }
        let router: Router = mesh.ops_router();
        async move {
            let answer = router.oneshot(request).await.expect("infallible");
            let status = answer.status();
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            (status, String::from_utf8_lossy(&body).into_owned())
        }
    };
    let local = mesh("orders");
    assert_eq!(get(&local, Some([127, 0, 0, 1]), None).await.0, StatusCode::OK);
    for (from, header) in
        [(Some([10, 0, 0, 1]), None), (None, None), (Some([127, 0, 0, 1]), Some("x-forwarded-for"))]
    {
        let (status, said) = get(&local, from, header).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{from:?} {header:?}");
        assert!(said.contains("MESHWISE_OPS_DEBUG"), "{said}");
    }
    let on = mesh_with("orders", DebugAccess::On);
    assert_eq!(get(&on, Some([10, 0, 0, 1]), None).await.0, StatusCode::OK);
    let off = mesh_with("orders", DebugAccess::Off);
    assert_eq!(get(&off, Some([127, 0, 0, 1]), None).await.0, StatusCode::NOT_FOUND);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_computes_and_one_that_waits_are_told_apart() {
    const CALLS: u32 = 10;
    const TIME: Duration = Duration::from_millis(10);
    let orders = mesh("orders");
    let app = Router::new()
        .route("/compute", get(async || compute(TIME)))
        .route("/block", get(async || block(TIME)))
        // Real time: what a route waits for is compared with the clock of its thread.
        .route("/wait", get(async || tokio::time::sleep(TIME).await));
    let address = serve(&orders, app).await;
    for route in ["compute", "block", "wait"] {
        for _ in 0..CALLS {
            reqwest::get(format!("http://{address}/{route}")).await.expect("an answer");
        }
    }
    let all = (TIME * CALLS).as_secs_f64();
    let cost = |what: &str, route: &str| {
        let text = orders.metrics().render_text();
        let series = format!("meshwise_route_{what}_seconds_total{{route=\"/{route}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&*series)?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {series}\n{text}"))
    };
    // The last call may not have ended when its answer is there.
    let least = 0.9 * all;
    assert!((least..1.5 * all).contains(&cost("cpu", "compute")), "{}", cost("cpu", "compute"));
    assert!(cost("busy", "compute") >= least);
    assert!(cost("busy", "block") >= least);
    assert!(cost("cpu", "block") < 0.3 * all, "{}", cost("cpu", "block"));
    assert!(cost("busy", "wait") < 0.5 * all, "{}", cost("busy", "wait"));
    assert!(cost("cpu", "wait") < 0.3 * all, "{}", cost("cpu", "wait"));
}

/// Takes so much of the processor, as the kernel counts it for this thread.
#[cfg(target_os = "linux")]
fn compute(time: Duration) {
    let read = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        stat.split(' ')
            .next()
            .and_then(|nanos| nanos.parse().ok())
            .map_or(time, Duration::from_nanos)
    };
    let (until, since) = (read() + time, Instant::now());
    while read() < until && since.elapsed() < PATIENCE {}
}

/// Keeps the worker, and does nothing.
#[cfg(target_os = "linux")]
fn block(time: Duration) {
    let (_keep, nothing) = mpsc::channel::<()>();
    assert!(nothing.recv_timeout(time).is_err());
}
