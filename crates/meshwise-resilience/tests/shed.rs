//! Load shedding: what a caller reads, what is not begun, and what is served all the same.
#![cfg(not(loom))]

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use meshwise_core::Deadline;
use meshwise_resilience::{AdaptiveConfig, ShedConfig, ShedHandle, ShedLayer};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt, service_fn};

fn layer(config: ShedConfig) -> (ShedLayer, ShedHandle) {
    let layer = ShedLayer::new("orders", config).unwrap();
    let handle = layer.handle();
    (layer, handle)
}

async fn served(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("served".to_owned()))
}

async fn hangs(_: Request<()>) -> Result<Response<String>, Infallible> {
    pending().await
}

fn request(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

#[tokio::test]
async fn past_the_limit_callers_get_a_503_that_says_when_to_come_back() {
    let (layer, shed) = layer(ShedConfig::new().with_limit(2));
    let mut busy: Vec<_> =
        (0..2).map(|_| task::spawn(layer.layer(service_fn(hangs)).oneshot(request("/")))).collect();
    for call in &mut busy {
        assert_pending!(call.poll());
    }
    let response = layer.layer(service_fn(served)).oneshot(request("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("overloaded"), "{body:?}");

    let mut grpc = request("/shop.Orders/Place");
    grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = layer.layer(service_fn(served)).oneshot(grpc).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "8");

    // A caller that goes away makes room.
    drop(busy.pop());
    assert_eq!(shed.snapshot().in_use, 1);
    let response = layer.layer(service_fn(served)).oneshot(request("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(shed.snapshot().in_use, 2, "until the body has ended");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "served");
    assert_eq!(shed.snapshot().in_use, 1);
}

#[tokio::test(start_paused = true)]
async fn work_whose_deadline_has_passed_is_not_begun() {
    let (layer, shed) = layer(ShedConfig::new());
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let orders = layer.layer(service_fn(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        served(request)
    }));
    let deadline = Deadline::after(Instant::now().into_std(), Duration::from_millis(100));
    for (wait, status, calls) in [(99, 200, 1), (1, 504, 1), (3_600_000, 504, 1)] {
        advance(Duration::from_millis(wait)).await;
        let mut request = request("/");
        request.extensions_mut().insert(deadline);
        let response = orders.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(begun.load(Ordering::SeqCst), calls);
    }
    assert_eq!(shed.snapshot().in_use, 0);
    // Without a deadline there is none to miss.
    assert_eq!(orders.oneshot(request("/")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn exempt_paths_are_served_however_much_there_is_to_do() {
    let (layer, shed) = layer(
        ShedConfig::new().with_limit(1).with_exempt_path("/livez").with_exempt_path("/readyz"),
    );
    let mut busy = task::spawn(layer.layer(service_fn(hangs)).oneshot(request("/")));
    assert_pending!(busy.poll());
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/livez/more", 503), ("/", 503)] {
        let response = layer.layer(service_fn(served)).oneshot(request(path)).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    assert_eq!(shed.snapshot().in_use, 1);
    drop(busy);
    assert_eq!(shed.snapshot().in_use, 0);
}

#[tokio::test]
async fn the_limit_changes_at_run_time() {
    let (layer, shed) = layer(ShedConfig::new().with_limit(1));
    let call = || layer.layer(service_fn(hangs)).oneshot(request("/"));
    let mut first = task::spawn(call());
    assert_pending!(first.poll());
    assert_eq!(call().await.unwrap().status(), 503);
    shed.set_config(&ShedConfig::new().with_limit(2)).unwrap();
    let mut second = task::spawn(call());
    assert_pending!(second.poll());
    assert_eq!(
        shed.set_config(&ShedConfig::new().with_limit(0)).unwrap_err().to_string(),
        "shed.limit is 0: set it to 1 to 1000000"
    );
    assert_eq!((shed.snapshot().limit, shed.snapshot().in_use), (2, 2));
    let vegas = ShedConfig::new().with_adaptive_limit(AdaptiveConfig::vegas());
    shed.set_config(&vegas).unwrap();
    assert!(shed.snapshot().adaptive);
    assert_eq!(shed.snapshot().limit, 20);
    assert!(ShedLayer::new("orders", ShedConfig::new().with_limit(0)).is_err());
}

#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let recorder = DebuggingRecorder::new();
    let (layer, _) =
        metrics::with_local_recorder(&recorder, || layer(ShedConfig::new().with_limit(1)));
    let mut busy = task::spawn(layer.layer(service_fn(hangs)).oneshot(request("/")));
    assert_pending!(busy.poll());
    for _ in 0..2 {
        layer.layer(service_fn(served)).oneshot(request("/")).await.unwrap();
    }
    let mut late = request("/");
    late.extensions_mut().insert(Deadline::at(Instant::now().into_std()));
    layer.layer(service_fn(served)).oneshot(late).await.unwrap();
    let mut counted: Vec<_> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            match value {
                DebugValue::Counter(value) => Some((labels.join(","), value)),
                _ => None,
            }
        })
        .collect();
    counted.sort();
    let expected = [("orders,deadline_exceeded", 1), ("orders,overloaded", 2)];
    assert_eq!(counted, expected.map(|(labels, value)| (labels.to_owned(), value)));
}
