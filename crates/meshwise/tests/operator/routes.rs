//! Routes of a peer: as code has them, and as an operator does.

use super::{File, builder};
use axum::{Router, body::Body, http::HeaderMap};
use http_body_util::BodyExt;
use meshwise::{
    Mesh,
    core::{Refused, internal::error_chain, settings::Settings},
    resilience::{BreakerConfig, BreakerMode, BulkheadConfig, PeerConfig, RateConfig, RouteConfig},
};
use std::{
    error::Error,
    iter,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::ServiceExt;

/// Starts a peer that has no answer; the attempts that reach it tell their limits in milliseconds.
async fn peer() -> (String, Arc<Mutex<Vec<u64>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let limits = Arc::clone(&told);
    let app = Router::new().fallback(async move |headers: HeaderMap| {
        let limit = headers["x-request-timeout-ms"].to_str().expect("digits");
        limits.lock().expect("no panic").push(limit.parse().expect("a number"));
        http::StatusCode::SERVICE_UNAVAILABLE
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, told)
}

async fn ops(mesh: &Mesh, path: &str) -> serde_json::Value {
    let request = http::Request::get(path).body(Body::empty());
    let answer = mesh.ops_router::<()>().oneshot(request.expect("a request")).await;
    let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

fn chain(error: &dyn Error) -> Vec<String> {
    iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

fn refused(guards: impl FnOnce(PeerConfig) -> PeerConfig + Send + 'static) -> String {
    let mesh = builder(&[]).build().expect("a mesh");
    let error = mesh.client("stock").with_guards(guards).build().expect_err("a mistake");
    chain(&error).join(": ")
}

/// Where a peer is, is a setting as any other: the closer one is to the operator, the more it counts.
#[tokio::test]
async fn settings_in_code_say_where_a_peer_is_until_others_do() {
    let (one, of_code) = peer().await;
    let (other, of_others) = peer().await;
    let settings = |url: &str| {
        let text = format!("[peers.stock]\nurl = \"{url}\"\nretry.enabled = false");
        Settings::from_toml(&text, "code").expect("settings")
    };
    let variable = [("MESHWISE_PEERS_STOCK_URL", other.as_str())];
    for (environment, base_url) in
        [(&[][..], None), (&[][..], Some(&other)), (&variable[..], Some(&one))]
    {
        let mesh = builder(environment).with_settings(settings(&one)).build().expect("a mesh");
        let mut stock = mesh.client("stock");
        if let Some(url) = base_url {
            stock = stock.with_base_url(url);
        }
        stock.build().expect("a client").get("/").send().await.expect("an answer");
    }
    let calls = |of: Arc<Mutex<Vec<u64>>>| of.lock().expect("no panic").len();
    assert_eq!((calls(of_code), calls(of_others)), (1, 2));
}

/// However it is spelt, what the operator sets of a route changes that and nothing else of what code says.
#[tokio::test]
async fn an_operator_changes_one_setting_of_a_route_and_leaves_code_its_others() {
    for (code, operator) in [
        ("GET /reports/{id}", "GET /reports/{id}"),
        ("GET /reports/{id}", "get /reports/{id}"),
        ("GET /reports/{id}", "GET  /reports/{id}"),
        ("GET /reports/{id}", "GET /reports/{report}"),
        ("GET /reports/{id}", "/reports/{id}"),
        ("/reports/{id}", "GET /reports/{id}"),
    ] {
        let (url, told) = peer().await;
        let config =
            File::new(&format!("[peers.stock.routes.\"{operator}\"]\ntimeout.limit = \"700ms\"\n"));
        let mesh = builder(&[("MESHWISE_CONFIG", config.path())]).build().expect("a mesh");
        let own = RouteConfig::new().with_timeout(Duration::from_secs(8)).with_attempts(1);
        let stock = mesh.client("stock").with_base_url(url);
        let stock = stock.with_guards(move |guards| guards.with_route(code, own)).build();
        let answer = stock.expect("a client").get("/reports/7").send().await.expect("an answer");
        assert_eq!(answer.status(), 503);
        let told = told.lock().expect("no panic").clone();
        assert!(matches!(told[..], [limit] if limit <= 700), "{code} {operator}: {told:?}");

        // What is shown is what is in force.
        let shown = ops(&mesh, "/config").await;
        let name = if code.starts_with('/') { operator } else { code };
        let at = |leaf: &str| shown[format!("peers.stock.routes.\"{name}\".{leaf}")].clone();
        assert_eq!(at("timeout.limit")["value"], "700ms", "{code} {operator}: {shown}");
        assert_eq!(at("timeout.limit")["source"], format!("{}:2", config.path()));
        assert_eq!(
            (&at("retry.attempts")["value"], &at("retry.attempts")["source"]),
            (&1.into(), &"code".into())
        );
    }
}

/// One setting for all methods, and another for one of them, in the same file.
#[tokio::test]
async fn an_operator_s_route_for_a_method_beats_that_for_any() {
    let (url, told) = peer().await;
    let config = File::new(
        "[peers.stock]\nretry.enabled = false\n\
         [peers.stock.routes.\"GET /a/{x}\"]\ntimeout.limit = \"400ms\"\n\
         [peers.stock.routes.\"/a/{id}\"]\ntimeout.limit = \"900ms\"\n\
         [peers.stock.routes.\"/{*all}\"]\ntimeout.limit = \"90ms\"",
    );
    let mesh = builder(&[("MESHWISE_CONFIG", config.path())]).build().expect("a mesh");
    let stock = mesh.client("stock").with_base_url(url).build().expect("a client");
    stock.get("/a/7").send().await.expect("an answer");
    stock.post("/a/7").send().await.expect("an answer");
    stock.get("/b").send().await.expect("an answer");
    let told = told.lock().expect("no panic").clone();
    let [get, post, other] = told[..] else { panic!("{told:?}") };
    assert!(get <= 400 && (401..=900).contains(&post) && other <= 90, "{told:?}");
}

#[tokio::test]
async fn a_route_that_code_names_again_is_changed() {
    let (url, told) = peer().await;
    let mesh = builder(&[]).build().expect("a mesh");
    let of = |millis| RouteConfig::new().with_timeout(Duration::from_millis(millis));
    let stock = mesh.client("stock").with_base_url(url).with_guards(move |guards| {
        guards.with_route("GET /a/{x}", of(100).with_attempts(1)).with_route("get /a/{y}", of(900))
    });
    stock.build().expect("a client").get("/a/7").send().await.expect("an answer");
    let told = told.lock().expect("no panic").clone();
    assert!(matches!(told[..], [limit] if (101..=900).contains(&limit)), "{told:?}");
    let shown = ops(&mesh, "/config").await;
    assert_eq!(shown["peers.stock.routes.\"GET /a/{x}\".timeout.limit"]["value"], "900ms");
    assert!(!shown.to_string().contains("/a/{y}"), "{shown}");
}

#[test]
fn a_route_or_method_that_can_match_nothing_is_refused_by_name() {
    for (route, hint) in [
        ("GET /a/:id", "`{id}` for `:id`"),
        ("GET/a", "`GET /items/{id}`"),
        ("a.B/C/", "`package.Service/Method`"),
    ] {
        let error = refused(move |guards| guards.with_route(route, RouteConfig::new()));
        assert!(error.contains(&format!("{route:?}")) && error.contains(hint), "{error}");
    }
    for method in ["a.B.C", "a.B", "", "*", "a.B//C"] {
        let error = refused(move |guards| guards.with_streaming([method]));
        assert!(error.contains(method) && error.contains("shop.v1.Stock/Watch"), "{error}");
    }
    let mesh = builder(&[]).build().expect("a mesh");
    let guards = |guards: PeerConfig| guards.with_streaming(["/a.B/C", "a.B/*", "a.B/C"]);
    mesh.client("stock").with_guards(guards).build().expect("methods");
    let shown = mesh.settings().peer("stock").streaming.methods;
    assert_eq!(shown.get().expect("set").join(" "), "a.B/C a.B/*");
}

#[tokio::test]
async fn guards_that_a_route_has_of_its_own_are_shown() {
    let mesh = builder(&[]).build().expect("a mesh");
    let guards = |guards: PeerConfig| {
        let full = RouteConfig::new().with_bulkhead(BulkheadConfig::new().with_limit(7));
        let fast = RouteConfig::new().with_rate_limit(RateConfig::new(5, Duration::from_secs(1)));
        let broken = RouteConfig::new().with_breaker(BreakerConfig::new());
        let bare = RouteConfig::new().without_bulkhead().with_attempts(1);
        guards
            .with_route("/full", full)
            .with_route("/fast", fast)
            .with_route("/broken", broken)
            .with_route("/bare", bare)
    };
    mesh.client("stock").with_guards(guards).build().expect("a client");
    let shown = ops(&mesh, "/resilience").await;
    let of = |peer: &str| {
        let mut all = shown["peers"].as_array().expect("a list").iter();
        all.find(|it| it["peer"] == peer).cloned()
    };
    assert_eq!(of("stock /full").expect("shown")["bulkhead"]["limit"], 7);
    assert_eq!(of("stock /fast").expect("shown")["rate_limit"]["per_second"], 5.0);
    assert_eq!(of("stock /broken").expect("shown")["breaker"]["state"], "closed");
    assert!(
        of("stock /broken").expect("shown")["bulkhead"].is_null() && of("stock /bare").is_none()
    );
}

#[test]
fn a_client_that_could_not_be_made_leaves_no_guards_behind() {
    let mesh = builder(&[]).build().expect("a mesh");
    let stock = |url: &str, millis| {
        let limit = Duration::from_millis(millis);
        let client = mesh.client("stock").with_base_url(url);
        client.with_guards(move |guards| guards.with_timeout(limit)).build()
    };
    stock("not a url", 100).expect_err("no URL");
    assert!(mesh.guards().snapshot().is_empty());
    stock("http://stock", 200).expect("a client");
}

#[tokio::test]
async fn a_refusal_is_found_below_what_a_call_says_and_read_once() {
    let mesh = builder(&[]).build().expect("a mesh");
    let stock = mesh.client("stock").build().expect("a client");
    mesh.guards().breaker("stock").expect("a breaker").set_mode(BreakerMode::ForcedOpen);
    let error = stock.get("/").send().await.expect_err("refused");
    assert_eq!(error_chain(&error), error.to_string());
    // What makes an answer of it looks for it there.
    let source = error.source().expect("a source");
    assert!(source.is::<Refused>() && error.to_string().contains("stock"), "{error}");
}
