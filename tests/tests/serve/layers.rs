//! The layers in their order, and where the ops routes are.

use super::*;
use meshwise::api::{ApiRoutes, Declared, ProvidedApi, ProvidedVersion};

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

/// What a service declares that provides one version of one API.
const fn declared() -> Declared {
    const VERSIONS: &[ProvidedVersion] = &[ProvidedVersion::new("1.0.0")];
    const PROVIDES: &[ProvidedApi] = &[ProvidedApi {
        api: "orders",
        scheme: "semver",
        transport: "http",
        description: None,
        versions: VERSIONS,
    }];
    Declared { provides: PROVIDES, ..Declared::new("orders") }
}

#[tokio::test]
async fn versions_of_apis_are_served_and_counted() {
    let mesh = TestMesh::with("orders", |builder| builder.apis(declared()));
    let up = Up::new(&mesh, Router::new().nest("/v1", routes()), plain).await;
    ask(up.address, "GET", "/v1/orders/7").await;
    assert!(mesh.metrics_text().contains("meshwise_api_calls_total{"), "{}", mesh.metrics_text());
    let ops = mesh.ops_addr().expect("ops routes");
    assert!(ask(ops, "GET", "/apis").await.contains("1.0.0"));
}

/// Also what is wrapped already, and for what no rule fits.
#[tokio::test]
async fn what_is_wrapped_and_then_served_counts_once() {
    let mesh = TestMesh::with("orders", |builder| builder.apis(declared()));
    let by_prefix = || ApiRoutes::new().path("/v1", "orders", "1.0.0");
    let wrapped = mesh.server().with_api(move |api| api.with_routes(by_prefix()));
    let wrapped = wrapped.wrap(routes().nest("/v1", routes())).expect("layers");
    let up = Up::new(&mesh, wrapped, move |server| {
        server.with_api(move |api| api.with_routes(by_prefix()))
    })
    .await;
    for path in ["/v1/orders/7", "/orders/7", "/nope"] {
        ask(up.address, "GET", path).await;
    }
    eventually("all end", || mesh.spans().data().len() == 3).await;
    mesh.metric("meshwise_api_calls_total").label("api", "orders").assert_value(1.0);
    mesh.metric("meshwise_api_unrouted_requests_total").assert_value(1.0);
    mesh.metric("http_server_request_duration_seconds_count")
        .label("http_route", "/v1/orders/{id}")
        .assert_value(1.0);
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
