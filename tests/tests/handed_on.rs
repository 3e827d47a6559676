//! A handler that hands requests on to a peer, as gateways do: what a stranger has written into them
//! chooses nothing.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshwise::{
    client::{Client, reqwest},
    http::{ClientMode, RequestIdPolicy, ServerLayer, ServerMode},
};
use meshwise_testing::TestMesh;
use meshwise_tests::{Served, eventually, raw, serve};
use tower::ServiceExt;

async fn hand_on(State(client): State<Client>, request: Request) -> Response {
    match client.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Answers with what came.
async fn peer() -> Served {
    serve(Router::new().fallback(async |method: Method, uri: Uri, headers: HeaderMap| {
        format!("{method} {uri} {headers:?}")
    }))
    .await
}

fn client(mesh: &TestMesh, peer: &Served, path: &str) -> Client {
    mesh.client("stock").with_base_url(peer.url(path)).build().expect("a client")
}

async fn gateway(client: Client, layer: ServerLayer) -> Served {
    let routes = Router::new().route("/{*path}", any(hand_on)).fallback(any(hand_on));
    serve(routes.with_state(client).layer(layer)).await
}

#[tokio::test]
async fn a_request_that_says_it_is_grpc_is_what_its_answer_is() {
    for mode in [ServerMode::Edge, ServerMode::Internal] {
        let (mesh, peer) = (TestMesh::new("gateway"), peer().await);
        let up = gateway(client(&mesh, &peer, ""), mesh.server_layer().with_mode(mode)).await;
        let http = reqwest::Client::new();
        // A breaker has seen enough after 20 calls.
        for i in 0..30 {
            let said = ["application/grpc", "Application/GRPC+proto", "application/grpc; a=b"];
            let request = http.get(up.url(&format!("/orders/secret-{i}")));
            let request = request.header("content-type", said[i % said.len()]);
            assert_eq!(request.send().await.expect("an answer").status(), 200);
        }
        let plain = http.get(up.url("/orders/31")).send().await.expect("an answer");
        assert_eq!(plain.status(), 200);
        eventually("all calls end", || mesh.spans().data().len() == 62).await;
        mesh.metric("http_client_request_duration_seconds_count")
            .label("http_response_status_code", "200")
            .assert_value(31.0);
        mesh.metric("meshwise_breaker_state").label("peer", "stock").assert_value(0.0);
        let text = mesh.metrics_text();
        assert!(!text.contains("secret") && !text.contains("rpc_client_call_duration_seconds_c"));
        for span in mesh.spans().data() {
            assert!(!span.name.contains("secret"), "{span:?}");
            assert!(!span.attributes.iter().any(|kv| kv.key.as_str() == "error.type"), "{span:?}");
        }
    }
}

#[tokio::test]
async fn a_grpc_call_that_is_handed_on_is_one() {
    let mesh = TestMesh::new("gateway");
    let refuse = async || {
        let status = tonic::Status::unavailable("not today");
        status.into_http::<Body>()
    };
    let peer = serve(Router::new().fallback(refuse)).await;
    let up = gateway(client(&mesh, &peer, ""), mesh.server_layer()).await;
    let call = reqwest::Client::new().post(up.url("/stock.v1.Stock/Take-7"));
    let answer = call.header("content-type", "application/grpc").send().await.expect("an answer");
    assert_eq!(answer.headers()["grpc-status"], "14");
    mesh.metric("rpc_client_call_duration_seconds_count")
        .label("rpc_method", "_OTHER")
        .label("rpc_status_code", "UNAVAILABLE")
        .label("error_type", "UNAVAILABLE")
        .assert_value(1.0);
}

#[tokio::test]
async fn the_peer_gets_it_whatever_host_it_names() {
    let (mesh, peer) = (TestMesh::new("gateway"), peer().await);
    let stranger = serve(Router::new().fallback(async || "the stranger's")).await;
    let up = gateway(client(&mesh, &peer, "/base"), mesh.server_layer()).await;
    for (asked, seen) in [
        (stranger.url("/latest?x=1"), "/base/latest?x=1"),
        (format!("https://{}/latest", peer.address), "/base/latest"),
        // The origin is the base URL's.
        (peer.url("/admin"), "/base/admin"),
        (peer.url("/based"), "/base/based"),
        (peer.url("/base/../admin"), "/base/admin"),
        (peer.url("/base/x?y=1"), "/base/x?y=1"),
        (peer.url("?x=1"), "/base/?x=1"),
        (stranger.url("/../admin"), "/base/admin"),
        ("/../admin".to_owned(), "/base/admin"),
        ("/%2e%2E/x/.%2e/admin?x=1".to_owned(), "/base/admin?x=1"),
        ("/..\\admin".to_owned(), "/base/admin"),
        ("/orders".to_owned(), "/base/orders"),
    ] {
        let request = format!("GET {asked} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw(up.address, request.as_bytes()).await;
        assert!(answer.contains(&format!("GET {seen} ")), "{asked}: {answer}");
    }
    let long = "x".repeat(65_500);
    let far = client(&mesh, &peer, &format!("/{long}"));
    let request = Request::get(format!("/{long}")).body(Body::empty()).expect("a request");
    let error = far.oneshot(request).await.expect_err("it fits in no URI");
    assert_eq!(error.error_type().as_str(), "request");
    // HTTP/2 always names one.
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let answer = http.get(up.url("/orders")).send().await.expect("an answer");
    let text = answer.text().await.expect("a body");
    assert!(text.starts_with("GET /base/orders "), "{text}");
    // Here it is the base URL's.
    let stream = tokio::net::TcpStream::connect(up.address).await.expect("a connection");
    let (executor, stream) = (TokioExecutor::new(), TokioIo::new(stream));
    let (mut http, connection) = http2::handshake(executor, stream).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = Request::get(peer.url("/admin")).body(Body::empty()).expect("a request");
    let answer = http.send_request(request).await.expect("an answer");
    let text = answer.into_body().collect().await.expect("a body").to_bytes();
    assert!(text.starts_with(b"GET /base/admin "), "{text:?}");
    connection.abort();
    let request = "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = raw(up.address, request.as_bytes()).await;
    assert!(answer.contains("OPTIONS /base/ "), "{answer}");
}

#[tokio::test]
async fn the_request_id_that_goes_on_is_the_call_s_own() {
    use RequestIdPolicy::{Accept, Auto, Make};
    for (mode, policy, said, taken) in [
        (ServerMode::Internal, Auto, &["a-1"][..], Some("a-1")),
        (ServerMode::Internal, Auto, &["no id, as it has blanks"], None),
        (ServerMode::Internal, Auto, &["a-1", "a-2"], Some("a-1")),
        (ServerMode::Internal, Auto, &["", "a-2"], None),
        (ServerMode::Internal, Make, &["a-1"], None),
        (ServerMode::Edge, Auto, &["a-1"], None),
        (ServerMode::Edge, Accept, &["a-1"], Some("a-1")),
        (ServerMode::Edge, Accept, &["no id, as it has blanks"], None),
    ] {
        let (mesh, peer) = (TestMesh::new("gateway"), peer().await);
        let layer = mesh.server_layer().with_mode(mode).with_request_id(policy);
        let up = gateway(client(&mesh, &peer, ""), layer).await;
        let mut request = reqwest::Client::new().get(up.url("/x"));
        for id in said {
            request = request.header("x-request-id", *id);
        }
        let answer = request.send().await.expect("an answer");
        let own = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert!(taken.is_none_or(|taken| taken == own), "{mode:?} {policy:?} {said:?}: {own}");
        let seen = answer.text().await.expect("a body");
        assert_eq!(seen.matches("\"x-request-id\"").count(), 1, "{seen}");
        assert!(seen.contains(&format!("\"x-request-id\": \"{own}\"")), "{seen}, not {own}");
    }
}

/// Context in formats that are read and in those that are not.
const CONTEXT: &[(&str, &str)] = &[
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", "mw=p:00f067aa0ba902b7;s:admin;a:7"),
    ("baggage", "tenant=root"),
    ("b3", "0"),
    ("x-b3-flags", "1"),
    ("uber-trace-id", "1:1:0:1"),
    ("uberctx-user", "ada"),
    ("jaeger-debug-id", "x"),
    ("jaeger-baggage", "user=ada"),
    ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
    ("x-cloud-trace-context", "105445aa7843bc8bf206b12000100000/1;o=1"),
    ("x-datadog-trace-id", "1"),
    ("x-datadog-anything", "1"),
    ("ot-tracer-traceid", "1"),
    ("ot-baggage-user", "ada"),
    ("x-ot-span-context", "x"),
    ("grpc-trace-bin", "AAA"),
    ("grpc-tags-bin", "AAA"),
    ("correlation-context", "user=ada"),
    ("request-context", "appId=cid-v1:x"),
    ("sentry-trace", "x"),
    ("elastic-apm-traceparent", "x"),
    ("newrelic", "x"),
];

#[tokio::test]
async fn foreign_context_of_every_format_ends_at_the_edge() {
    let (mesh, peer) = (TestMesh::new("gateway"), peer().await);
    let edge = mesh.server_layer().with_mode(ServerMode::Edge);
    let to_peer = gateway(client(&mesh, &peer, ""), edge).await;
    let third = mesh.client("third").with_base_url(peer.url("")).with_mode(ClientMode::External);
    let to_third = gateway(third.build().expect("a client"), mesh.server_layer()).await;
    for up in [to_peer, to_third] {
        let mut request = reqwest::Client::new().get(up.url("/x"));
        for (name, value) in CONTEXT {
            request = request.header(*name, *value);
        }
        let seen = request.send().await.expect("an answer").text().await.expect("a body");
        for (name, value) in CONTEXT {
            assert!(!seen.contains(&format!("\"{name}\": \"{value}\"")), "{name} in {seen}");
        }
        assert!(seen.contains("\"traceparent\""), "its own: {seen}");
    }
}

/// hyper sends 500 in the place of what is no final answer.
#[tokio::test]
async fn a_final_answer_that_is_informational_has_failed() {
    let mesh = TestMesh::new("gateway");
    for (path, status) in [("/a", StatusCode::CONTINUE), ("/b", StatusCode::EARLY_HINTS)] {
        let routes = Router::new().route(path, any(async move || status));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = routes.layer(mesh.server_layer()).oneshot(request).await.expect("an answer");
        answer.into_body().collect().await.expect("a body");
        let span = mesh.spans().with_attribute("http.route", path).one();
        span.assert_failed().assert_attribute("error.type", status.as_u16().to_string());
    }
}
