//! The usual exporters as plug-ins of a mesh, for `cargo xtask interop plugins`: `plugins URL` sends
//! spans to the collector there by `opentelemetry-otlp`, prints their ids, and then serves the metrics
//! that `metrics-exporter-prometheus` has kept.

use axum::{Router, routing::get};
use meshwise::{
    core::{Env, Service},
    http::{Recording, Telemetry},
    metrics::Metrics,
    opentelemetry::trace::{TraceContextExt as _, Tracer as _},
    trace::SpanExport,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry_otlp::WithExportConfig as _;
use std::{error::Error, sync::Arc, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collector = std::env::args().nth(1).ok_or("usage: plugins URL")?;
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic();
    let exporter = SpanExport::custom(exporter.with_endpoint(collector).build()?);
    let mesh = meshwise::builder("plugins", "1.0.0")
        .with_env(Env::empty())
        .traces(|traces| traces.with_exporter(exporter))
        .build()?;
    for n in 0..500 {
        let print = |context: meshwise::opentelemetry::Context| {
            println!("span {}", context.span().span_context().span_id());
        };
        mesh.tracing().tracer().in_span(format!("span {n}"), print);
    }
    let _report = mesh.tracing().flush(Duration::from_secs(20)).await?;

    let recorder = PrometheusBuilder::new().set_buckets(&[0.005, 0.05, 0.5])?.build_recorder();
    let handle = recorder.handle();
    let recording = Recording::new(Service::new("plugins", "1.0.0"))
        .with_metrics(Metrics::from_recorder(Arc::new(recorder)));
    let telemetry = Telemetry::new(recording);
    let app = Router::new()
        .route("/orders/{id}", get(async || "an order"))
        .layer(meshwise::axum::server_layer(telemetry))
        .route("/metrics", get(async move || handle.render()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("Serving on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
