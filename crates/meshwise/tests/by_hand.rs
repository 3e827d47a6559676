//! Each part wired by hand into what is there already.

use axum::{Router, body::Body, http::Request, routing::get};
use meshwise::{
    core::Service,
    http::{Recording, Telemetry},
    log::{LogConfig, LogFormat, LogLines, LogOutput},
    metrics::Metrics,
    opentelemetry::{
        Context, KeyValue,
        baggage::BaggageExt,
        trace::{
            FutureExt as _, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
        },
    },
    opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider},
    trace::Tracing,
};
use std::sync::Arc;
use tower::ServiceExt;
use tracing::{Subscriber, span::Attributes};
use tracing_subscriber::{Layer, layer::SubscriberExt};

#[tokio::test]
async fn own_subscriber_provider_and_recorder() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let recorder = Arc::new(metrics_util::debugging::DebuggingRecorder::new());
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

/// Panics at the `tracing` span of each call, as code of a third party's may.
struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_new_span(
        &self,
        attributes: &Attributes<'_>,
        _: &tracing::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        assert_ne!(attributes.metadata().target(), "meshwise::call", "a layer that panics");
    }
}

#[tokio::test]
async fn a_subscriber_that_panics_leaves_no_call_in_flight() {
    let recorder = Arc::new(metrics_util::debugging::DebuggingRecorder::new());
    let snapshotter = recorder.snapshotter();
    let recording = Recording::new(Service::new("orders", "1.2.3"))
        .with_tracing(Tracing::from_provider(SdkTracerProvider::builder().build()))
        .with_metrics(Metrics::from_recorder(recorder))
        .with_tracing_span(true);
    let telemetry = Telemetry::new(recording);
    let app = Router::new()
        .route("/orders/{id}", get(|| async {}))
        .layer(meshwise::axum::server_layer(telemetry.clone()));
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(Panics));
    let request = Request::get("/orders/7").body(Body::empty()).expect("one");
    let answer = tokio::spawn(app.oneshot(request)).await;
    assert!(answer.is_err_and(|error| error.is_panic()));
    assert!(telemetry.calls().in_flight.is_empty(), "{:?}", telemetry.calls());
    let counted = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .any(|(key, ..)| key.key().name() == "http_server_request_duration_seconds");
    assert!(counted, "it is counted");
}

/// What surrounds a server (a span that its start is recorded in, say) is not what its calls belong to.
#[tokio::test]
async fn a_served_call_is_no_child_of_what_surrounds_its_server() {
    let metrics =
        Metrics::from_recorder(Arc::new(metrics_util::debugging::DebuggingRecorder::new()));
    let alone = Recording::new(Service::new("orders", "1.2.3")).with_metrics(metrics);
    let provider = SdkTracerProvider::builder().build();
    let traced = alone.clone().with_tracing(Tracing::from_provider(provider));
    let ids = SpanContext::new(
        TraceId::from(7),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    for recording in [alone, traced] {
        async fn handler() -> String {
            let context = Context::current();
            let ids = context.span().span_context().trace_id();
            format!("{} {}", ids == TraceId::from(7), context.baggage().len())
        }
        let app = Router::new()
            .route("/", get(handler))
            .layer(meshwise::axum::server_layer(Telemetry::new(recording)));
        for around in [
            Context::new().with_remote_span_context(ids.clone()),
            Context::new().with_baggage([KeyValue::new("tenant", "root")]),
        ] {
            let request = Request::get("/").body(Body::empty()).expect("one");
            let answer = app.clone().oneshot(request).with_context(around).await.expect("one");
            let seen = axum::body::to_bytes(answer.into_body(), 100).await.expect("a body");
            assert_eq!(seen, "false 0");
        }
    }
}
