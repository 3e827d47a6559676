//! The routes for those who operate the service.

use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use meshwise_axum::OpsRouter;
use meshwise_core::Service;
use meshwise_http::Health;
use meshwise_log::{LogConfig, LogHandle, LogLines, LogOutput};
use meshwise_metrics::MetricsConfig;
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing_subscriber::{Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _};

async fn ask(router: &Router, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned()));
    let response = router.clone().oneshot(request.expect("a request")).await.expect("infallible");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn logs() -> LogHandle {
    let config = LogConfig::new(Service::new("orders", "1")).with_filter("info");
    config.with_output(LogOutput::memory(&LogLines::new())).build::<Registry>().expect("logs").1
}

#[tokio::test]
async fn livez_says_ok() {
    let router = OpsRouter::new().build();
    assert_eq!(ask(&router, "GET", "/livez", "").await, (StatusCode::OK, "ok\n".to_owned()));
}

#[tokio::test]
async fn readyz_says_which_check_failed_and_why() {
    let health = Health::new();
    let router: Router = OpsRouter::new().with_health(health.clone()).build();
    let (status, body) = ask(&router, "GET", "/readyz", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        serde_json::from_str::<Value>(&body).expect("JSON"),
        json!({"status": "ready", "checks": []})
    );

    health.add_check("db", || async { Ok(()) });
    health.add_check("stock", || async { Err("connection refused".to_owned()) });
    let (status, body) = ask(&router, "GET", "/readyz", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["status"], "not_ready");
    assert_eq!(body["checks"][0]["status"], "ok");
    assert_eq!(body["checks"][1]["name"], "stock");
    assert_eq!(body["checks"][1]["reason"], "connection refused");

    health.drain();
    let (_, body) = ask(&router, "GET", "/readyz", "").await;
    assert!(body.contains("\"reason\":\"shutting down\""), "{body}");
}

#[tokio::test]
async fn metrics_are_served_and_compressed_when_asked_for() {
    let metrics = MetricsConfig::new(Service::new("orders", "1")).build().expect("metrics");
    let router: Router = OpsRouter::new().with_metrics(metrics).build();
    let (status, body) = ask(&router, "GET", "/metrics", "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("# TYPE meshwise_build_info gauge"), "{body}");

    let request =
        Request::get("/metrics").header(header::ACCEPT_ENCODING, "gzip;q=1, identity;q=0.5");
    let request = request.body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert!(
        response.headers()[header::CONTENT_TYPE]
            .to_str()
            .expect("text")
            .starts_with("text/plain; version=0.0.4")
    );
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(&bytes[..2], b"\x1f\x8b");
}

#[tokio::test]
async fn each_metric_that_is_refused_is_told_once() {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1")).with_filter("info");
    let (layer, handle) = config.with_output(LogOutput::memory(&lines)).build().expect("logs");
    let _subscriber = tracing_subscriber::registry().with(layer).set_default();
    let metrics = MetricsConfig::new(Service::new("orders", "1")).build().expect("metrics");
    let refuse = |name: &'static str| {
        ::metrics::with_local_recorder(&metrics.recorder(), || {
            ::metrics::histogram!(name).record(1.0);
            ::metrics::gauge!(format!("{name}_sum")).set(1.0);
        });
    };
    let router: Router = OpsRouter::new().with_metrics(metrics.clone()).build();
    // Names that come before and after those that were told.
    for name in ["m", "z", "a"] {
        refuse(name);
        for _ in 0..2 {
            let (_, text) = ask(&router, "GET", "/metrics", "").await;
            assert!(text.contains("reason=\"refused\",signal=\"metrics\"} "), "{text}");
        }
    }
    assert!(handle.flush(std::time::Duration::from_secs(60)));
    let told = lines.lines().concat();
    for name in ["m_sum", "z_sum", "a_sum"] {
        assert_eq!(told.matches(&format!("the gauge `{name}` is not")).count(), 1, "{told}");
    }
}

#[tokio::test]
async fn protobuf_is_served_to_those_who_ask_for_it() {
    let metrics = MetricsConfig::new(Service::new("orders", "1")).build().expect("metrics");
    let router: Router = OpsRouter::new().with_metrics(metrics).build();
    let kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                encoding=delimited";
    let request = Request::get("/metrics").header(header::ACCEPT, kind).body(Body::empty());
    let response = router.oneshot(request.expect("a request")).await.expect("infallible");
    assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    // The length of the first family, its first field, and its name.
    assert!(bytes.windows(21).any(|part| part == b"\x0a\x13meshwise_build_info"), "{bytes:?}");
}

#[tokio::test]
async fn the_log_filter_is_changed_only_if_enabled() {
    let closed: Router = OpsRouter::new().build();
    assert_eq!(ask(&closed, "PUT", "/log-level", "debug").await.0, StatusCode::NOT_FOUND);

    let logs = logs();
    let router: Router = OpsRouter::new().with_log_level(logs.clone()).build();
    assert_eq!(ask(&router, "GET", "/log-level", "").await.1, "info\n");
    let (status, said) = ask(&router, "PUT", "/log-level", "warn,orders=debug\n").await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert!(logs.filter().contains("orders=debug"));
    let (status, said) = ask(&router, "PUT", "/log-level", "orders=loud").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(said.contains("loud"), "{said}");
    assert!(logs.filter().contains("orders=debug"), "a bad filter changes nothing");
    assert_eq!(ask(&router, "PUT", "/log-level", "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn metrics_are_streamed_in_pieces() {
    let metrics = MetricsConfig::new(Service::new("orders", "1.0.0")).build().expect("metrics");
    let recorder = metrics.recorder();
    ::metrics::with_local_recorder(&recorder, || {
        for route in 0..2000 {
            ::metrics::histogram!("call_seconds", "route" => route.to_string()).record(0.1);
        }
    });
    let app: Router = OpsRouter::new().with_metrics(metrics).build();
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let mut body = app.oneshot(request).await.expect("an answer").into_body();
    let (mut pieces, mut largest, mut all) = (0, 0, Vec::new());
    while let Some(frame) = body.frame().await {
        let piece = frame.expect("a good one").into_data().expect("data");
        pieces += 1;
        largest = largest.max(piece.len());
        all.extend_from_slice(&piece);
    }
    assert!(pieces > 5 && largest < 100_000, "{pieces} pieces, the largest {largest} bytes");
    let text = String::from_utf8(all).expect("text");
    assert_eq!(text.matches("call_seconds_count").count(), 2000);
}
