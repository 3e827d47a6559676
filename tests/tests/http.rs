//! What passes through the layers untouched, over real sockets.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        Path,
        ws::{Message, WebSocketUpgrade},
    },
    http::{HeaderMap, Method, Request, StatusCode, Version},
    response::Response,
    routing::{Route, any, get, post},
};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full, channel::Channel};
use meshwise::{
    client::{Client, reqwest},
    http::ServerLayer,
};
use meshwise_testing::TestMesh;
use meshwise_tests::{PATIENCE, Served, eventually, raw, serve};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, layer::layer_fn};

async fn served(mesh: &TestMesh, routes: Router) -> Served {
    serve(routes.layer(mesh.server_layer())).await
}

fn client(mesh: &TestMesh, served: &Served) -> Client {
    mesh.client("peer").with_base_url(served.url("")).build().expect("a client")
}

#[tokio::test]
async fn content_length_stays_and_head_has_it_too() {
    let mesh = TestMesh::new("server");
    let served = served(&mesh, Router::new().route("/", get(|| async { "hello" }))).await;
    for method in ["GET", "HEAD"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw(served.address, request.as_bytes()).await;
        assert!(answer.contains("content-length: 5"), "{answer}");
        assert!(!answer.contains("transfer-encoding"), "{answer}");
    }
    eventually("both calls end", || mesh.spans().data().len() == 2).await;
    for span in mesh.spans().data() {
        assert!(!span.attributes.iter().any(|kv| kv.key.as_str() == "error.type"), "{span:?}");
    }
}

#[tokio::test]
async fn routes_are_templates_nested_ones_joined_and_fallbacks_empty() {
    let mesh = TestMesh::new("server");
    let inner = Router::new().route("/orders/{id}", get(|| async {}));
    let routes = Router::new()
        .nest("/api", inner)
        .route("/files/{*path}", get(|| async {}))
        .fallback(|| async { StatusCode::NOT_FOUND });
    let served = served(&mesh, routes).await;
    let http = reqwest::Client::new();
    for path in ["/api/orders/7", "/files/a/b/c", "/nowhere/at/all"] {
        http.get(served.url(path)).send().await.expect("an answer").bytes().await.expect("a body");
    }
    mesh.spans().named("GET /api/orders/{id}").one();
    mesh.spans().named("GET /files/{*path}").one();
    mesh.spans().named("GET").one().assert_no_attribute("http.route");
    mesh.metric("http_server_request_duration_seconds_count")
        .label("http_route", "")
        .label("http_response_status_code", "404")
        .assert_value(1.0);
    assert!(!mesh.metrics_text().contains("nowhere"));
}

#[tokio::test]
async fn what_is_mounted_is_known_by_its_mount_or_its_own_routes() {
    let mesh = TestMesh::new("server");
    let file = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::from("a file")))
    });
    let layer = mesh.server_layer();
    let inner = Router::new().route("/users/{id}", get(|| async {})).layer(layer.clone());
    let routes = Router::new()
        .route("/orders/{id}", get(|| async {}))
        .layer(layer.clone())
        .nest_service("/files", layer.layer(file))
        .nest_service("/{tenant}/v1", inner);
    let served = serve(routes).await;
    let http = reqwest::Client::new();
    for path in
        ["/orders/7", "/files/a/secret-1", "/files", "/acme/v1/users/7", "/acme/v1/unheard-of"]
    {
        http.get(served.url(path)).send().await.expect("an answer").bytes().await.expect("a body");
    }
    for (route, status, calls) in [
        ("/orders/{id}", "200", 1.0),
        ("/files", "200", 2.0),
        ("/{tenant}/v1/users/{id}", "200", 1.0),
        ("/{tenant}/v1", "404", 1.0),
    ] {
        mesh.metric("http_server_request_duration_seconds_count")
            .label("http_route", route)
            .label("http_response_status_code", status)
            .assert_value(calls);
    }
    let text = mesh.metrics_text();
    for raw in ["secret", "acme", "unheard"] {
        assert!(!text.contains(raw), "{raw} in {text}");
    }
}

#[tokio::test]
async fn a_web_socket_passes_and_its_call_ends_with_the_upgrade() {
    let mesh = TestMesh::new("server");
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    };
    let served = served(&mesh, Router::new().route("/ws", any(echo))).await;
    let url = format!("ws://{}/ws", served.address);
    let (mut socket, response) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
    assert_eq!(response.status().as_u16(), 101);
    for text in ["one", "two"] {
        let message = tokio_tungstenite::tungstenite::Message::text(text);
        socket.send(message).await.expect("sent");
        let back = socket.next().await.expect("a message").expect("a good one");
        assert_eq!(back.into_text().expect("text").as_str(), text);
    }
    let span = mesh.spans().named("GET /ws").one();
    span.assert_attribute("http.response.status_code", 101).assert_no_attribute("error.type");
    mesh.metric("http_server_active_requests").assert_value(0.0);
}

#[tokio::test]
async fn streams_flow_piece_by_piece_both_ways() {
    let mesh = TestMesh::new("server");
    let upper = post(|body: Body| async {
        let pieces = body
            .into_data_stream()
            .map(|piece| piece.map(|bytes| Bytes::from(bytes.to_ascii_uppercase())));
        Response::new(Body::from_stream(pieces))
    });
    let served = served(&mesh, Router::new().route("/", upper)).await;
    let mut client = client(&mesh, &served);

    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    let request = Request::post("/").body(body).expect("a request");
    sender.send_data("first".into()).await.expect("room");
    let response = ServiceExt::<Request<Channel<Bytes, Infallible>>>::ready(&mut client)
        .await
        .expect("ready")
        .call(request);
    let response = timeout(PATIENCE, response).await.expect("in time").expect("an answer");
    let mut body = Box::pin(response.into_body());
    let mut next = async || {
        let frame = timeout(PATIENCE, body.frame()).await.expect("in time");
        frame.map(|frame| frame.expect("a frame").into_data().expect("data"))
    };
    assert_eq!(next().await.as_deref(), Some(&b"FIRST"[..]), "before the second piece is sent");
    sender.send_data("second".into()).await.expect("room");
    assert_eq!(next().await.as_deref(), Some(&b"SECOND"[..]));
    mesh.spans().assert_none();
    drop(sender);
    assert_eq!(next().await, None);
    eventually("both ends finish", || mesh.spans().data().len() == 2).await;
    for span in mesh.spans().data() {
        assert!(!span.attributes.iter().any(|kv| kv.key.as_str() == "error.type"), "{span:?}");
    }
}

#[tokio::test]
async fn http_2_and_trailers_pass() {
    let mesh = TestMesh::new("server");
    let with_trailers = get(|request: Request<Body>| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().expect("a value"));
        let body = Full::new(Bytes::from_static(b"abc"));
        Response::new(Body::new(body.with_trailers(async { Some(Ok(trailers)) })))
    });
    let served = served(&mesh, Router::new().route("/", with_trailers)).await;
    let transport = reqwest::Client::builder().http2_prior_knowledge();
    let client = mesh.client("peer").with_base_url(served.url("")).with_transport(transport);
    let client = client.build().expect("a client");
    let mut request = Request::new(Full::<Bytes>::default());
    *request.version_mut() = Version::HTTP_2;
    let response = client.oneshot(request).await.expect("an answer");
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(body.trailers().expect("trailers")["x-sum"], "7");
    eventually("both ends finish", || mesh.spans().data().len() == 2).await;
    for span in mesh.spans().of_kind(&meshwise::opentelemetry::trace::SpanKind::Server).data() {
        assert!(span.attributes.iter().any(|kv| {
            kv.key.as_str() == "network.protocol.version" && kv.value.as_str() == "2"
        }));
    }
}

/// A retry of reqwest's would be a call that no guard allowed and no span shows.
#[tokio::test]
async fn a_transport_of_one_s_own_tries_nothing_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let busy = get({
        let asked = Arc::clone(&asked);
        move || async move {
            match asked.fetch_add(1, SeqCst) {
                0 => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::OK,
            }
        }
    });
    let served = serve(Router::new().route("/", busy)).await;
    let transport = || {
        let policy = reqwest::retry::for_host(served.address.ip().to_string()).no_budget();
        reqwest::Client::builder().retry(policy.classify_fn(|tried| match tried.status() {
            Some(StatusCode::SERVICE_UNAVAILABLE) => tried.retryable(),
            _ => tried.success(),
        }))
    };
    let bare = transport().build().expect("a client").get(served.url("/"));
    assert_eq!(bare.send().await.expect("an answer").status(), 200);
    assert_eq!(asked.swap(0, SeqCst), 2, "alone, it tries again");

    let mesh = TestMesh::new("caller");
    let client = mesh.client("busy").without_guards().with_base_url(served.url(""));
    let client = client.with_transport(transport()).build().expect("a client");
    assert_eq!(client.get("/").send().await.expect("an answer").status(), 503);
    assert_eq!(asked.load(SeqCst), 1, "the peer was asked once");
    mesh.spans().one().assert_attribute("http.response.status_code", 503);
}

#[tokio::test]
async fn a_client_that_goes_away_midway_leaves_a_good_answer() {
    let mesh = TestMesh::new("server");
    let (sender, receiver) = oneshot::channel::<()>();
    let slot = Arc::new(std::sync::Mutex::new(Some(sender)));
    let endless = get(move || {
        let alive = slot.lock().expect("not poisoned").take();
        async move {
            let pieces = futures_util::stream::unfold(alive, |alive| async move {
                tokio::task::yield_now().await;
                Some((Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096])), alive))
            });
            Response::new(Body::from_stream(pieces))
        }
    });
    let served = served(&mesh, Router::new().route("/endless", endless)).await;
    let client = reqwest::Client::new();
    let mut response = client.get(served.url("/endless")).send().await.expect("a head");
    response.chunk().await.expect("a piece");
    drop((response, client));
    timeout(PATIENCE, receiver).await.expect("the stream is dropped").expect_err("with its sender");
    eventually("the call ends", || !mesh.spans().data().is_empty()).await;
    let span = mesh.spans().named("GET /endless").one();
    span.assert_attribute("meshwise.ended_by", "caller").assert_not_failed();
    let lines = || mesh.lines().of_target("meshwise::access");
    eventually("the line after the span", || !lines().json().is_empty()).await;
    let line = lines().one();
    line.assert_field("outcome", "success").assert_field("meshwise.ended_by", "caller");
    mesh.metric("http_server_active_requests").assert_value(0.0);
}

#[tokio::test]
async fn a_handler_that_panics_is_a_failed_call() {
    let mesh = TestMesh::new("server");
    let panics = get(|| async {
        if true {
            panic!("on purpose")
        }
    });
    let served = served(&mesh, Router::new().route("/", panics)).await;
    reqwest::Client::new().get(served.url("/")).send().await.expect_err("no answer");
    let span = mesh.spans().named("GET /").one();
    span.assert_attribute("error.type", "panic").assert_failed();
    mesh.metric("http_server_active_requests").assert_value(0.0);
    mesh.metric("http_server_request_duration_seconds_count")
        .label("error_type", "panic")
        .assert_value(1.0);
}

/// Logs when it is called, before it hands the call on.
#[derive(Clone)]
struct Logs<S>(S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for Logs<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        tracing::info!("called");
        self.0.call(request)
    }
}

#[tokio::test]
async fn what_a_middleware_logs_when_it_is_called_is_the_call_s() {
    let routes = || Router::new().route("/", get(|| async {}));
    let joins: [fn(Router, ServerLayer) -> Router; 2] = [
        |routes, mesh| routes.layer(layer_fn(Logs::<Route>)).layer(mesh),
        |routes, mesh| {
            routes.layer(ServiceBuilder::new().layer(mesh).layer(layer_fn(Logs::<Route>)))
        },
    ];
    for join in joins {
        let mesh = TestMesh::new("server");
        let served = serve(join(routes(), mesh.server_layer())).await;
        reqwest::get(served.url("/")).await.expect("an answer");
        let span = mesh.spans().named("GET /").one();
        let line = mesh.lines().containing("called").one();
        line.assert_field("trace_id", span.data().span_context.trace_id().to_string().as_str());
        line.assert_field("span_id", span.data().span_context.span_id().to_string().as_str());
    }
}

#[tokio::test]
async fn a_deadline_ends_the_wait_for_a_peer_and_travels() {
    let mesh = TestMesh::new("caller");
    let slow = TestMesh::new("slow");
    let hang = get(|headers: HeaderMap| async move {
        assert!(headers.contains_key("x-request-timeout-ms"));
        std::future::pending::<()>().await;
    });
    let served = served(&slow, Router::new().route("/", hang)).await;
    let client = client(&mesh, &served);
    let call = client.get("/").timeout(Duration::from_millis(50)).send();
    timeout(PATIENCE, call).await.expect("in time").expect_err("out of time");
    mesh.spans()
        .one()
        .assert_attribute("error.type", "timeout")
        .assert_attribute("meshwise.ended_by", "own_limit")
        .assert_failed();
    eventually("the peer sees it go", || !slow.spans().data().is_empty()).await;
    // Its own clock may say that the time was up, or just not yet.
    let span = slow.spans().one();
    let seen = span.data().attributes.iter().find(|kv| kv.key.as_str() == "error.type");
    let seen = seen.map(|kv| kv.value.to_string()).unwrap_or_default();
    assert!(["timeout", "cancelled"].contains(&seen.as_str()), "{seen}");
}

/// What reqwest says of an answer names the peer's URL, and no secret in it.
#[tokio::test]
async fn errors_of_answers_name_the_peer_s_url() {
    let mesh = TestMesh::new("caller");
    let served = served(&TestMesh::new("peer"), Router::new()).await;
    for base in ["", "/base/"] {
        let client = mesh.client(&format!("peer{}", base.len())).with_base_url(served.url(base));
        let client = client.build().expect("a client");
        let answer = client.get("/nope").query("token", "s3cr3t").send().await.expect("an answer");
        let error = answer.error_for_status().expect_err("404").to_string();
        let url = served.url(&format!("{}/nope", base.trim_end_matches('/')));
        assert!(error.contains(&format!("({url})")), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_a_connect_error() {
    let mesh = TestMesh::new("caller");
    let client = mesh.client("gone").without_guards().with_base_url("http://127.0.0.1:1");
    let client = client.build().expect("a client");
    client.get("/").send().await.expect_err("nobody is there");
    mesh.spans().one().assert_attribute("error.type", "connect").assert_failed();
    mesh.metric("http_client_request_duration_seconds_count")
        .label("server_service_name", "gone")
        .label("error_type", "connect")
        .assert_value(1.0);
}

#[tokio::test]
async fn two_services_share_one_trace_and_know_who_called() {
    let (front, back) = (TestMesh::new("front"), TestMesh::new("back"));
    let lookup = get(|Path(id): Path<u32>| async move {
        tracing::info!(id, "looked up");
    });
    let behind = served(&back, Router::new().route("/items/{id}", lookup)).await;
    let to_back = client(&front, &behind);
    let ask = get(move || {
        let to_back = to_back.clone();
        async move {
            to_back.get("/items/7").template("/items/{id}").send().await.expect("an answer");
        }
    });
    let ahead = served(&front, Router::new().route("/", ask)).await;
    let response = reqwest::Client::new()
        .request(Method::GET, ahead.url("/"))
        .header("x-request-id", "req-1")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.headers()["x-request-id"], "req-1");
    let server = front.spans().named("GET /").one();
    let client = front.spans().named("GET /items/{id}").one();
    let behind = back.spans().named("GET /items/{id}").one();
    client.assert_child_of(&server);
    behind.assert_child_of(&client).assert_attribute("client.service.name", "front");
    back.lines()
        .containing("looked up")
        .one()
        .assert_in_span(&behind)
        .assert_field("request_id", "req-1");
}
