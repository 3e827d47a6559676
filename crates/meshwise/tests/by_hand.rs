//! Each part wired by hand into what is there already.

use axum::{Router, body::Body, http::Request, routing::get};
use meshwise::{
    core::Service,
    http::{Recording, Telemetry},
    log::{LogConfig, LogFormat, LogLines, LogOutput},
    metrics::Metrics,
    opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider},
    trace::Tracing,
};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::test]
async fn own_subscriber_provider_and_recorder() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let recorder = std::sync::Arc::new(metrics_util::debugging::DebuggingRecorder::new());
    let snapshotter = recorder.snapshotter();
    let lines = LogLines::new();
    let service = Service::new("orders", "1.2.3");
    let (layer, _handle) = LogConfig::new(service.clone())
        .with_format(LogFormat::Json)
        .with_output(LogOutput::memory(&lines))
        .build()
        .expect("a layer");
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let recording = Recording::new(service)
        .with_tracing(Tracing::from_provider(provider.clone()))
        .with_metrics(Metrics::from_recorder(recorder));
    let telemetry = Telemetry::new(recording);
    let app = Router::new()
        .route("/orders/{id}", get(|| async { tracing::info!("by hand") }))
        .layer(meshwise::axum::server_layer(telemetry));
    drop(app.oneshot(Request::get("/orders/7").body(Body::empty()).expect("one")).await);

    // The exporter forgets everything once its provider is gone, which we still hold.
    provider.force_flush().expect("flushed");
    let spans = exporter.get_finished_spans().expect("spans");
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, "GET /orders/{id}");
    let id = spans[0].span_context.trace_id().to_string();
    assert!(lines.lines().iter().any(|line| line.contains("by hand") && line.contains(&id)));
    let names: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, ..)| key.key().name().to_owned())
        .collect();
    assert!(names.iter().any(|name| name == "http_server_request_duration_seconds"), "{names:?}");
}
