//! What observing an incoming call adds to a bare axum service: meshwise beside the usual stack
//! (axum-prometheus, axum-tracing-opentelemetry, tracing-subscriber's JSON lines), with one log
//! line in the handler, sampled and not.

use axum::{Router, body::Body, extract::Path, http::Request, routing::get};
use axum_prometheus::PrometheusMetricLayer;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use benches::{Contestant, Effort, run, table};
use meshwise::{
    http::Telemetry,
    log::{LogFormat, LogOutput},
    trace::{SamplerConfig, SpanExport},
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use std::io;
use tower::ServiceExt;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

/// Takes spans and forgets them: the exporters are not what is compared.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
    fn set_resource(&mut self, _: &Resource) {}
}

fn routes() -> Router {
    async fn order(Path(id): Path<u64>) -> &'static str {
        tracing::info!(id, "looking up");
        "an order"
    }
    Router::new().route("/orders/{id}", get(order))
}

fn request() -> Request<Body> {
    Request::get("/orders/7")
        .header("host", "orders")
        .header("user-agent", "bench")
        .body(Body::empty())
        .expect("a request")
}

fn main() {
    let effort = Effort::from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    let _inside = runtime.enter();
    for (title, sampled) in [("sampled", true), ("unsampled", false)] {
        let bare = routes();
        let ours = ours(sampled);
        let (usual, dispatch) = usual(sampled);
        let call = |app: &Router| {
            runtime.block_on(async {
                let response = app.clone().oneshot(request()).await.expect("infallible");
                axum::body::to_bytes(response.into_body(), 1024).await.expect("a body");
            });
        };
        let taken = run(
            effort,
            &mut [
                Contestant::new("bare axum", || call(&bare)),
                Contestant::new("meshwise", || {
                    dispatcher::with_default(ours.1.dispatch(), || call(&ours.0));
                }),
                Contestant::new("meshwise, without any log line", || call(&ours.0)),
                Contestant::new("prometheus + tracing-opentelemetry + JSON", || {
                    dispatcher::with_default(&dispatch, || call(&usual));
                }),
            ],
        );
        table(
            &format!("one request, {title}, with an access log and one line in the handler"),
            &taken,
        );
    }
}

fn ours(sampled: bool) -> (Router, meshwise::Mesh) {
    let sampler = if sampled { SamplerConfig::always_on() } else { SamplerConfig::always_off() };
    let mesh = meshwise::builder("bench", "0.0.0")
        .with_env(meshwise::core::Env::empty())
        .logs(|logs| logs.with_format(LogFormat::Json).with_output(LogOutput::writer(io::sink())))
        .traces(|traces| traces.with_sampler(sampler).with_exporter(SpanExport::custom(Nowhere)))
        .build()
        .expect("a mesh");
    // As after `install`: the subscriber is set around everything, not by each layer.
    let telemetry = Telemetry::builder(mesh.service().clone())
        .with_tracing(mesh.tracing().clone())
        .with_metrics(mesh.metrics().clone())
        .build();
    (routes().layer(meshwise::axum::server_layer(telemetry)), mesh)
}

fn usual(sampled: bool) -> (Router, Dispatch) {
    let sampler = if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
    let provider =
        SdkTracerProvider::builder().with_sampler(sampler).with_batch_exporter(Nowhere).build();
    opentelemetry::global::set_text_map_propagator(
        opentelemetry_sdk::propagation::TraceContextPropagator::new(),
    );
    let tracer = provider.tracer("bench");
    let (lines, guard) = (io::sink as fn() -> io::Sink, provider);
    std::mem::forget(guard);
    // As the crates' own guides have it: one filter for all layers, which must let the target
    // `otel::tracing` through, or there are no spans.
    let subscriber = Registry::default()
        .with(EnvFilter::new("info,otel::tracing=trace"))
        .with(tracing_subscriber::fmt::layer().json().with_writer(lines))
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    let app = routes()
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default())
        .layer(PrometheusMetricLayer::new());
    (app, Dispatch::new(subscriber))
}
