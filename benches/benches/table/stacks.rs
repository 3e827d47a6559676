//! The stacks that are compared, each set up as its own guide has it.

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderValue, Request},
    routing::get,
};
use axum_prometheus::PrometheusMetricLayer;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use futures_util::FutureExt;
use meshwise::{
    Mesh,
    http::{AccessLog, Recording, RequestIdPolicy, Telemetry},
    log::{LogFormat, LogOutput},
    trace::{BatchConfig, SamplerConfig, SpanExport},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
    },
};
use std::{io, sync::OnceLock, time::Duration};
use tower::ServiceExt;
use tower_http::trace::{DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::{Dispatch, Level};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

/// Room for all spans of a batch of calls: a dropped span would be a cheap one.
pub(crate) const QUEUE: usize = 65_536;
/// Exporters are woken by full batches only.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// The peers' metrics: what the `metrics` macros go to.
static PEERS_METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Takes spans and metrics and forgets them: the exporters are not what is compared.
#[derive(Clone, Debug)]
pub(crate) struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
    fn set_resource(&mut self, _: &Resource) {}
}

/// Sets what the peers keep process-wide; ours stays beside it.
pub(crate) fn set_globals() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _ = PEERS_METRICS.set(recorder.handle());
    metrics::set_global_recorder(recorder).expect("nobody else sets one");
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
}

/// Empties the raw samples that metrics-exporter-prometheus keeps, as its upkeep does.
pub(crate) fn drain_peers_metrics() {
    if let Some(handle) = PEERS_METRICS.get() {
        handle.run_upkeep();
    }
}

/// An axum service with its subscriber.
pub(crate) struct Stack {
    pub(crate) app: Router,
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) settle: Box<dyn Fn() + Send + Sync>,
}

/// One service: `/orders/{id}` writes a log line, `/quiet/{id}` does not.
pub(crate) fn routes() -> Router {
    async fn order(Path(id): Path<u64>) -> &'static str {
        tracing::info!(id, "looking up");
        "an order"
    }
    async fn quiet(Path(_): Path<u64>) -> &'static str {
        "an order"
    }
    Router::new().route("/orders/{id}", get(order)).route("/quiet/{id}", get(quiet))
}

/// Applies the layers once, as serving does, and not anew for each request, as a bare `Router`.
pub(crate) fn served(app: Router) -> Router {
    app.with_state(())
}

/// Asks for `path` as a browser or another service would, and reads the answer.
pub(crate) fn call(app: &Router, path: &'static str) {
    let request = Request::get(path)
        .header("host", "orders")
        .header("user-agent", HeaderValue::from_static("bench"))
        .body(Body::empty())
        .expect("a request");
    let answered = async {
        let response = app.clone().oneshot(request).await.expect("infallible");
        axum::body::to_bytes(response.into_body(), 1024).await.expect("a body");
    };
    answered.now_or_never().expect("nothing waits here");
}

/// A service with no layer but one that does nothing: axum boxes for any.
pub(crate) fn bare() -> Stack {
    bare_of(routes())
}

pub(crate) fn bare_of(routes: Router) -> Stack {
    let app = routes.layer(tower::layer::util::Identity::new());
    Stack { app, dispatch: None, settle: Box::new(|| ()) }
}

/// What of meshwise is switched on.
#[derive(Clone, Copy)]
pub(crate) struct Ours {
    pub(crate) sampled: Option<bool>,
    pub(crate) metrics: bool,
    pub(crate) logs: bool,
    pub(crate) access: bool,
    /// A `tracing` span for each call, as is the front door's default.
    pub(crate) span: bool,
}

pub(crate) fn mesh(sampled: bool) -> Mesh {
    mesh_with(sampled, BatchConfig::new().with_queue_size(QUEUE).with_delay(NEVER))
}

pub(crate) fn mesh_with(sampled: bool, batch: BatchConfig) -> Mesh {
    mesh_to(sampled, SpanExport::custom(Nowhere), batch)
}

pub(crate) fn mesh_to(sampled: bool, export: SpanExport, batch: BatchConfig) -> Mesh {
    let sampler = if sampled { SamplerConfig::always_on() } else { SamplerConfig::always_off() };
    meshwise::builder("bench", "0.0.0")
        .with_env(meshwise::core::Env::empty())
        .logs(|logs| {
            // As is usual in production: lines are gathered by a thread of their own.
            logs.with_format(LogFormat::Json).with_output(LogOutput::writer(io::sink()))
        })
        .traces(move |traces| traces.with_sampler(sampler).with_exporter(export).with_batch(batch))
        .build()
        .expect("a mesh")
}

/// meshwise, as it is after `install`: the subscriber is set around everything, not by each layer.
pub(crate) fn ours(what: Ours) -> Stack {
    ours_with(what, routes(), mesh(what.sampled.unwrap_or(false)))
}

pub(crate) fn ours_with(what: Ours, routes: Router, mesh: Mesh) -> Stack {
    ours_to(what, routes, mesh, Telemetry::new)
}

/// meshwise without the map, the register of calls and what routes cost.
pub(crate) fn ours_without_overview(what: Ours) -> Stack {
    ours_to(what, routes(), mesh(what.sampled.unwrap_or(false)), Telemetry::without_overview)
}

fn ours_to(
    what: Ours,
    routes: Router,
    mesh: Mesh,
    telemetry: impl FnOnce(Recording) -> Telemetry,
) -> Stack {
    let mut recording = Recording::new(mesh.service().clone()).with_tracing_span(what.span);
    if what.sampled.is_some() {
        recording = recording.with_tracing(mesh.tracing().clone());
    }
    if what.metrics {
        recording = recording.with_metrics(mesh.metrics().clone());
    }
    let access = if what.access { AccessLog::all() } else { AccessLog::off() };
    let layer = meshwise::axum::server_layer(telemetry(recording)).with_access_log(access);
    // The peers of the row with nothing but metrics make no request ids either.
    let layer = match what.sampled.is_some() || what.access {
        true => layer,
        false => layer.with_request_id(RequestIdPolicy::Off),
    };
    let dispatch = (what.logs || what.access).then(|| mesh.dispatch().clone());
    let settle = settle(mesh);
    Stack { app: routes.layer(layer), dispatch, settle }
}

/// Waits until what was logged and traced is gone.
pub(crate) fn settle(mesh: Mesh) -> Box<dyn Fn() + Send + Sync> {
    Box::new(move || {
        assert!(mesh.logs().flush(Duration::from_secs(20)), "lines are stuck");
        mesh.tracing().provider().force_flush().expect("spans are stuck");
    })
}

/// OpenTelemetry's own pipeline.
pub(crate) fn sdk(sampled: bool) -> SdkTracerProvider {
    let sampler = if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_scheduled_delay(NEVER)
        .build();
    let processor = BatchSpanProcessor::builder(Nowhere).with_batch_config(config).build();
    SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(processor).build()
}

/// The usual stack: axum-tracing-opentelemetry over tracing-opentelemetry, axum-prometheus, and
/// tracing-subscriber's JSON lines.
pub(crate) fn usual(sampled: bool, logs: bool) -> Stack {
    let provider = sdk(sampled);
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    // As the crates' own guides have it: one filter for all layers, which must let the target
    // `otel::tracing` through, or there are no spans.
    let lines = logs.then(|| tracing_subscriber::fmt::layer().json().with_writer(io::sink));
    let subscriber = Registry::default()
        .with(EnvFilter::new("info,otel::tracing=trace"))
        .with(lines)
        .with(spans);
    let app = routes()
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default())
        .layer(PrometheusMetricLayer::new());
    Stack { app, dispatch: Some(Dispatch::new(subscriber)), settle: settle_sdk(provider) }
}

pub(crate) fn settle_sdk(provider: SdkTracerProvider) -> Box<dyn Fn() + Send + Sync> {
    Box::new(move || {
        provider.force_flush().expect("spans are stuck");
        drain_peers_metrics();
    })
}

/// axum-prometheus alone.
pub(crate) fn prometheus() -> Stack {
    let app = routes().layer(PrometheusMetricLayer::new());
    Stack { app, dispatch: None, settle: Box::new(drain_peers_metrics) }
}

/// tower-http's `TraceLayer` with a line for each answer, as its docs have it, and no spans
/// exported.
pub(crate) fn trace_layer() -> Stack {
    let subscriber = Registry::default()
        .with(EnvFilter::new("info"))
        .with(tracing_subscriber::fmt::layer().json().with_writer(io::sink));
    let layer = TraceLayer::new_for_http()
        .make_span_with(tower_http::trace::DefaultMakeSpan::new().level(Level::INFO))
        .on_request(DefaultOnRequest::new().level(Level::DEBUG))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let app = routes().layer(layer);
    Stack { app, dispatch: Some(Dispatch::new(subscriber)), settle: Box::new(|| ()) }
}

/// opentelemetry-instrumentation-tower; it has no log lines of its own.
pub(crate) fn instrumentation_tower(sampled: Option<bool>, logs: bool) -> Stack {
    use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
    let provider = sdk(sampled.unwrap_or(false));
    opentelemetry::global::set_tracer_provider(provider.clone());
    let exporter = NoMetrics;
    let reader = PeriodicReader::builder(exporter).with_interval(NEVER).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    opentelemetry::global::set_meter_provider(meters);
    let layer = LayerBuilder::builder().with_tracing(sampled.is_some()).build();
    let app = routes().layer(layer.expect("a layer"));
    let lines = Registry::default()
        .with(EnvFilter::new("info"))
        .with(tracing_subscriber::fmt::layer().json().with_writer(io::sink));
    let dispatch = logs.then(|| Dispatch::new(lines));
    Stack { app, dispatch, settle: settle_sdk(provider) }
}

/// Takes metrics and forgets them.
#[derive(Debug)]
struct NoMetrics;

impl opentelemetry_sdk::metrics::exporter::PushMetricExporter for NoMetrics {
    async fn export(&self, _: &opentelemetry_sdk::metrics::data::ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
    fn temporality(&self) -> opentelemetry_sdk::metrics::Temporality {
        opentelemetry_sdk::metrics::Temporality::Cumulative
    }
}
