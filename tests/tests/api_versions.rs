//! API versions through the front door: each call is counted once, under what its caller gets.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, StatusCode},
    routing::get,
};
use meshwise::api::{
    AfterSunset, ApiRoutes, Date, Declared, DeclaredCallers, ProvidedApi, ProvidedVersion,
    RequiredApi, UndeclaredCallers,
};
use meshwise::client::reqwest;
use meshwise_testing::TestMesh;
use meshwise_tests::echo::{Ask, Echo, EchoClient, EchoServer};
use std::collections::BTreeMap;
use tower::ServiceExt;

const fn version(version: &'static str, deprecated: Option<Date>) -> ProvidedVersion {
    ProvidedVersion { released: Date::new(2018, 1, 1), deprecated, ..ProvidedVersion::new(version) }
}

const fn api(
    api: &'static str,
    scheme: &'static str,
    transport: &'static str,
    versions: &'static [ProvidedVersion],
) -> ProvidedApi {
    ProvidedApi { api, scheme, transport, description: None, versions }
}

const fn provider(provides: &'static [ProvidedApi]) -> Declared {
    Declared { provides, ..Declared::new("shop") }
}

const ECHO: ProvidedApi = api("meshwise.test", "main-minor", "grpc", &[version("1.0", None)]);
const STOCK: ProvidedApi = api("stock", "semver", "http", &[version("1.0.0", None)]);
const AUTH: ProvidedApi = api(
    "auth",
    "main-date-bugfix",
    "http",
    &[version("v1_20171001-1", Date::new(2020, 1, 1)), version("v2_20260101-1", None)],
);

/// Adds up the series of a metric, by a label.
fn counted(mesh: &TestMesh, metric: &str, label: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for line in mesh.metrics_text().lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        if let Some(labels) = series.strip_prefix(metric).filter(|rest| rest.starts_with('{')) {
            let label = labels.split_once(&format!("{label}=\"")).map_or("", |(_, rest)| rest);
            let value: f64 = value.parse().expect("a number");
            *found.entry(label.split('"').next().unwrap_or_default().to_owned()).or_default() +=
                value;
        }
    }
    found
}

fn sum(mesh: &TestMesh, metric: &str) -> f64 {
    counted(mesh, metric, "").into_values().sum()
}

/// The mark that handlers leave on their answers, a 404 among them.
const HANDLED: &str = "x-handled";

fn shelves() -> Router {
    Router::new()
        .route("/items", get(async || ([(HANDLED, "yes")], "all")))
        .route("/items/{item}", get(async || (StatusCode::NOT_FOUND, [(HANDLED, "yes")])))
}

/// Takes a prefix away, as a gateway does on its way to the service.
fn behind_a_gateway(app: Router) -> Router {
    let strip = move |mut request: Request| {
        let uri = request.uri().path().trim_start_matches("/edge").parse().expect("a path");
        *request.uri_mut() = uri;
        app.clone().oneshot(request)
    };
    Router::new().fallback_service(tower::service_fn(strip))
}

#[tokio::test]
async fn every_request_is_counted_once() {
    const PATHS: [&str; 10] = [
        "/items",
        "/items/tea",
        "/v1/items",
        "/stock/v1/items",
        "/api/v1/items",
        "/wp-admin",
        "/.env",
        "/v1/nothing",
        "/meshwise.test.v1.Echo/Unary",
        "/edge/items",
    ];
    let routers: [fn(Router) -> Router; 4] = [
        |shelves| shelves,
        |shelves| Router::new().nest("/v1", shelves),
        |shelves| Router::new().nest("/api/v1", shelves.clone()).nest("/stock/v1", shelves),
        |shelves| Router::new().merge(shelves.clone()).nest_service("/v1", shelves),
    ];
    for declared in [provider(&[STOCK, ECHO]), provider(&[STOCK, AUTH, ECHO]), provider(&[AUTH])] {
        for router in &routers {
            let mesh = TestMesh::with("shop", |builder| builder.apis(declared));
            let grpc = tonic::service::Routes::new(EchoServer::new(Echo));
            let app = mesh.server().with_grpc(grpc).wrap(router(shelves())).expect("layers");
            let app = behind_a_gateway(app);
            let calls = || sum(&mesh, "meshwise_api_calls_total");
            let unrouted = || sum(&mesh, "meshwise_api_unrouted_requests_total");
            let (mut own, mut all, mut before) = (0.0, 0.0, 0.0);
            for path in PATHS {
                for method in ["GET", "POST", "DELETE", "OPTIONS", "HEAD"] {
                    let request = Request::builder().method(method).uri(path);
                    let request = request.body(Body::empty()).expect("a request");
                    let response = app.clone().oneshot(request).await.expect("an answer");
                    let now = calls() + unrouted();
                    let counts = now - before;
                    before = now;
                    // Only what the router itself answers counts for nothing, and only if no rule
                    // fits it.
                    let handled = response.headers().contains_key(HANDLED);
                    let its_own = matches!(response.status().as_u16(), 404 | 405) && !handled;
                    assert!(counts == 1.0 || its_own && counts == 0.0, "{method} {path}: {counts}");
                    own += 1.0 - counts;
                    all += 1.0;
                    drop(axum::body::to_bytes(response.into_body(), 1 << 20).await);
                }
            }
            // Calls of gRPC, and of a service that is not there.
            let served = meshwise_tests::serve(app).await;
            let channel =
                tonic::transport::Endpoint::new(served.url("")).expect("a URL").connect_lazy();
            for _ in 0..25 {
                let mut client = EchoClient::new(channel.clone());
                client.unary(Ask::default()).await.expect("an answer");
                all += 1.0;
            }
            let seen = || {
                sum(&mesh, "http_server_request_duration_seconds_count")
                    + sum(&mesh, "rpc_server_call_duration_seconds_count")
            };
            meshwise_tests::eventually("all have ended", || seen() >= all).await;
            assert_eq!(seen(), calls() + unrouted() + own, "{}", mesh.metrics_text());
            assert!(own >= 10.0, "scanners came by");
        }
    }
}

#[tokio::test]
async fn the_version_that_a_client_of_ours_names_counts() {
    const REQUIRES: &[RequiredApi] = &[RequiredApi::new("auth", "v1_20171001-1")];
    let header = || HeaderName::from_static("accept-version");
    let provided = TestMesh::with("shop", |builder| builder.apis(provider(&[AUTH])));
    let app = provided
        .server()
        .with_api(move |api| {
            let routes = ApiRoutes::new().path_by_header("/auth", "auth", header());
            api.with_routes(routes).with_after_sunset(AfterSunset::Gone)
        })
        .wrap(Router::new().route("/auth/check", get(async || "yes")))
        .expect("layers");
    let served = meshwise_tests::serve(app).await;
    let declared = Declared { requires: REQUIRES, ..Declared::new("checkout") };
    let caller = TestMesh::with("checkout", |builder| builder.apis(declared));
    let client = caller.client("auth").with_base_url(served.url("")).build().expect("a client");
    let response = client.get("/auth/check").send().await.expect("an answer");
    assert_eq!(response.headers()["deprecation"], "@1577836800");
    let versions = counted(&provided, "meshwise_api_calls_total", "version");
    assert_eq!(versions, BTreeMap::from([("v1_20171001-1".to_owned(), 1.0)]));
    let callers = counted(&provided, "meshwise_api_calls_total", "caller");
    assert_eq!(callers, BTreeMap::from([("checkout".to_owned(), 1.0)]));
}

#[tokio::test]
async fn a_pre_release_of_long_ago_takes_no_call_of_the_release() {
    const TAX: ProvidedApi = api(
        "tax",
        "semver",
        "http",
        &[version("1.0.0-rc.1", None), version("1.0.0+build.5", None)],
    );
    let provided = TestMesh::with("shop", |builder| builder.apis(provider(&[TAX])));
    let router = Router::new().route("/tax/v1/rates", get(async || "all"));
    let app = provided.server().wrap(router).expect("layers");
    let request = Request::builder().uri("/tax/v1/rates").body(Body::empty()).expect("a request");
    app.oneshot(request).await.expect("an answer");
    let versions = counted(&provided, "meshwise_api_calls_total", "version");
    assert_eq!(versions, BTreeMap::from([("1.0.0+build.5".to_owned(), 1.0)]));
    assert_eq!(sum(&provided, "meshwise_api_unrouted_requests_total"), 0.0);
}

#[tokio::test]
async fn callers_that_declared_nothing_are_refused_until_the_list_has_them() {
    let declared = DeclaredCallers::new(["orders"]);
    let list = declared.clone();
    let provided = TestMesh::with("shop", |builder| builder.apis(provider(&[STOCK])));
    let app = provided
        .server()
        .with_api(move |api| {
            api.with_declared_callers(list.clone())
                .with_undeclared_callers(UndeclaredCallers::Refuse)
        })
        .wrap(shelves())
        .expect("layers");
    let served = meshwise_tests::serve(app).await;
    let ask = async |service: &'static str| {
        let caller = TestMesh::new(service);
        let client =
            caller.client("stock").with_base_url(served.url("")).build().expect("a client");
        client.get("/items").send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(ask("orders").await, 200);
    assert_eq!(ask("kiosk").await, 403);
    let undeclared = || counted(&provided, "meshwise_api_undeclared_callers_total", "caller");
    assert_eq!(undeclared(), BTreeMap::from([("kiosk".to_owned(), 1.0)]));
    // The list is brought up to date while the service runs.
    declared.replace(["orders", "kiosk"]);
    assert_eq!(ask("kiosk").await, 200);
    assert_eq!(undeclared(), BTreeMap::from([("kiosk".to_owned(), 1.0)]));
}

#[tokio::test]
async fn links_lead_to_what_callers_reach() {
    const VERSIONS: &[ProvidedVersion] = &[
        ProvidedVersion { successor: Some("2.0.0"), ..version("1.0.0", Date::new(2020, 1, 1)) },
        version("2.0.0", None),
    ];
    let apis = |builder: meshwise::MeshBuilder| {
        builder.apis(provider(const { &[api("stock", "semver", "http", VERSIONS)] }))
    };
    // The version is told by a rule that names no successor's path, so only its page is left.
    let rules = |api: meshwise::api::ApiServerBuilder| {
        api.with_routes(ApiRoutes::new().path("/old", "stock", "1.0.0"))
    };
    let routes = || Router::new().route("/old", get(async || "old")).merge(named());
    let named_by_default = TestMesh::with("shop", apis);
    let nested = Router::new().nest("/shop", named());
    let app = named_by_default.wrap(nested).expect("layers");
    let wrapped = meshwise_tests::serve(app).await;
    let successor = async |url: String| {
        let answer = reqwest::get(url).await.expect("an answer");
        assert!(answer.headers().contains_key("deprecation"));
        answer.headers().get("link").map(|link| link.to_str().expect("text").to_owned())
    };
    let link = |path: &str| Some(format!("<{path}>; rel=\"successor-version\""));
    let url = wrapped.url("/shop/stock/v1/items");
    assert_eq!(successor(url).await, link("/shop/stock/v2"));

    for (address, expected) in
        [("127.0.0.1:0", None), ("off", None), ("same-port", link("/apis/stock/2.0.0"))]
    {
        let env = meshwise::core::Env::from_pairs([("MESHWISE_OPS_ADDR", address)]);
        let mesh = TestMesh::with("shop", |builder| apis(builder).with_env(env));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/old", listener.local_addr().expect("an address"));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = mesh.server().with_api(rules).with_shutdown(async { drop(stopped.await) });
        let serving = tokio::spawn(server.serve(listener, routes()));
        assert_eq!(successor(url).await, expected, "{address}");
        if let Some(ops) = mesh.ops_addr() {
            let page = reqwest::get(format!("http://{ops}/apis/")).await.expect("an answer");
            assert_eq!(page.status(), 200, "{address}");
        }
        drop(stop);
        serving.await.expect("no panic").expect("a server");
    }
}

fn named() -> Router {
    Router::new()
        .route("/stock/v1/items", get(async || "1"))
        .route("/stock/v2/items", get(async || "2"))
}

#[test]
fn the_names_in_code_and_in_the_declaration_agree() {
    let build = |env| {
        meshwise::builder("shop", "0.0.0")
            .with_env(meshwise::core::Env::from_pairs(env))
            .apis(provider(&[STOCK]))
            .build()
    };
    assert!(build(vec![]).is_ok());
    let error = build(vec![("OTEL_SERVICE_NAME", "checkout")]).expect_err("two names");
    let text = error.to_string();
    assert!(text.contains("\"checkout\"") && text.contains("\"shop\""), "{text}");
}
