//! What strangers and accidents can do, and what stays bounded.

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderValue, Method, Request, Response, StatusCode},
    routing::{any, get},
};
use meshwise_testing::TestMesh;
use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Waker},
};
use tower::{Service, ServiceExt};

fn request(method: &str, path: &str) -> Request<Body> {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
}

fn app(mesh: &TestMesh) -> Router {
    Router::new()
        .route("/items/{id}", any(|Path(_): Path<String>| async {}))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(mesh.server_layer())
}

fn series(mesh: &TestMesh) -> usize {
    // It is there once enough was measured.
    let later = |line: &str| line.starts_with("meshwise_capacity_headroom_ratio");
    mesh.metrics_text().lines().filter(|line| !line.starts_with('#') && !later(line)).count()
}

#[tokio::test]
async fn inventive_strangers_make_no_new_series() {
    let mesh = TestMesh::with("server", |b| {
        b.logs(|logs| logs.with_filter("off"))
            .traces(|t| t.with_sampler(meshwise::trace::SamplerConfig::always_off()))
    });
    let mut app = app(&mesh);
    let known = [("GET", "/items/a"), ("BREW", "/x"), ("GET", "/x"), ("BREW", "/items/a")];
    // Some of the calls of each route are metered, and make a series of it.
    for (method, path) in known.into_iter().cycle().take(4_000) {
        drop(app.call(request(method, path)).await);
    }
    let before = series(&mesh);
    for i in 0..100_000 {
        let mut request = match i % 4 {
            0 => request("GET", &format!("/items/{i}")),
            1 => request("GET", &format!("/nowhere/{i}")),
            2 => request(&format!("M{i}"), "/x"),
            _ => request("GET", "/items/a"),
        };
        let host = HeaderValue::try_from(format!("host-{i}")).expect("a value");
        request.headers_mut().insert("host", host);
        drop(app.call(request).await);
    }
    assert_eq!(series(&mesh), before);
}

#[tokio::test]
async fn callers_by_the_thousand_share_one_name() {
    let mesh = TestMesh::with("server", |b| {
        b.logs(|logs| logs.with_filter("off"))
            .traces(|t| t.with_sampler(meshwise::trace::SamplerConfig::always_off()))
    });
    let names = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let seen = std::sync::Arc::clone(&names);
    let mut app = Router::new()
        .route(
            "/",
            get(move |call: meshwise::axum::CurrentCall| {
                seen.lock().expect("not poisoned").insert(call.caller().unwrap_or("-").to_owned());
                async {}
            }),
        )
        .layer(mesh.server_layer());
    for i in 0..10_000 {
        let mut request = request("GET", "/");
        let headers = request.headers_mut();
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(trace));
        let state = format!("mw=p:00f067aa0ba902b7;s:caller-{i}");
        headers.insert("tracestate", HeaderValue::try_from(state).expect("a value"));
        drop(app.call(request).await);
    }
    let names = names.lock().expect("not poisoned");
    assert!(names.len() <= 201, "{} callers are told apart", names.len());
    assert!(names.contains("caller-0") && names.contains("_other"));
}

#[tokio::test]
async fn peers_by_the_thousand_stay_bounded() {
    let mesh = TestMesh::with("caller", |b| {
        b.logs(|logs| logs.with_filter("off"))
            .traces(|t| t.with_sampler(meshwise::trace::SamplerConfig::always_off()))
    });
    let layer = mesh.client_layer("proxy");
    let mut client = tower::ServiceBuilder::new()
        .layer(layer)
        .service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    for i in 0..100_000 {
        drop(client.call(request("GET", &format!("http://host-{i}:{}/", i % 60_000 + 1))).await);
    }
    let series = series(&mesh);
    assert!(series < 50_000, "{series} lines");
    assert!(mesh.metrics_text().contains("server_address=\"_other\""));
    assert!(mesh.metric("meshwise_label_overflow_total").value().is_some_and(|n| n > 0.0));
}

#[tokio::test]
async fn sixty_four_kib_of_baggage_do_no_harm() {
    let mesh = TestMesh::new("server");
    let mut app = app(&mesh);
    for baggage in
        ["k=v,".repeat(16_384), format!("k={}", "v".repeat(65_536)), "=,;%".repeat(16_384)]
    {
        let mut request = request("GET", "/items/1");
        let value = HeaderValue::try_from(baggage).expect("a value");
        request.headers_mut().insert("baggage", value);
        let response = app.call(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn garbage_in_every_propagation_header_is_ignored() {
    let mesh = TestMesh::with("server", |b| {
        b.with_env(meshwise::core::Env::from_pairs([(
            "OTEL_PROPAGATORS",
            "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog",
        )]))
    });
    let mut app = app(&mesh);
    let headers = [
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-b3-flags",
        "x-b3-parentspanid",
        "uber-trace-id",
        "uberctx-a",
        "x-amzn-trace-id",
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
        "x-datadog-tags",
        "x-datadog-origin",
        "x-request-id",
        "x-request-timeout-ms",
        "grpc-timeout",
        "content-length",
        "host",
        "user-agent",
        "content-type",
    ];
    let random = fastrand::Rng::with_seed(7);
    let mut random = random;
    for _ in 0..2_000 {
        let mut request = request("GET", "/items/1");
        for name in headers {
            let length = random.usize(0..80);
            let bytes: Vec<u8> = (0..length)
                .map(|_| match random.u8(0..4) {
                    0 => b"-=;:,%0"[random.usize(0..7)],
                    1 => random.u8(b'0'..=b'9'),
                    2 => random.u8(0x20..=0x7e),
                    _ => random.u8(0x80..=0xff),
                })
                .collect();
            let value = HeaderValue::from_bytes(&bytes).expect("opaque bytes are allowed");
            request.headers_mut().insert(name, value);
        }
        let response = app.call(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
    }
    mesh.metric("http_server_active_requests").assert_value(0.0);
}

#[tokio::test]
async fn ten_thousand_calls_cancelled_at_random_all_finish_once() {
    let mesh = TestMesh::with("server", |b| b.logs(|logs| logs.with_filter("off")));
    let steps = |Path(id): Path<String>| async move {
        for _ in 0..id.len() {
            tokio::task::yield_now().await;
        }
        // A body that comes in pieces, so that calls are cancelled within it too.
        Body::from_stream(futures_util::stream::iter(["a", "b", "c"].map(Ok::<_, Infallible>)))
    };
    let app = Router::new().route("/{id}", get(steps)).layer(mesh.server_layer());
    let mut random = fastrand::Rng::with_seed(42);
    let mut calls: Vec<_> = (0..10_000)
        .map(|_| {
            let path = format!("/{}", "x".repeat(random.usize(1..8)));
            let app = app.clone();
            let call = Box::pin(async move {
                let response = app.oneshot(request("GET", &path)).await.expect("infallible");
                axum::body::to_bytes(response.into_body(), 100).await.expect("a body");
            });
            (call, random.usize(0..16))
        })
        .collect();
    assert_eq!(calls.len(), 10_000);
    let mut cx = Context::from_waker(Waker::noop());
    let mut completed = 0;
    // All are in flight at once; each is dropped after its number of polls, done or not.
    for round in 0..16 {
        calls.retain_mut(|(call, polls)| {
            if round >= *polls {
                return false;
            }
            let done = pin!(call).poll(&mut cx).is_ready();
            completed += usize::from(done);
            !done
        });
    }
    drop(calls);
    assert!((1000..9000).contains(&completed), "{completed} were completed");

    mesh.metric("http_server_active_requests").assert_value(0.0);
    let count = mesh.metric("http_server_request_duration_seconds_count");
    let begun = mesh.spans().data().len();
    count.assert_value(begun as f64);
    let cancelled = count.clone().label("error_type", "cancelled").value().unwrap_or_default();
    assert_eq!(cancelled as usize + completed, begun, "each call ended as it should");
}
