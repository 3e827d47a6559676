//! The usual exporters as plug-ins, through the standard interfaces; and what their current versions
//! cannot do, which is the reason that our own stand in their place (docs/architecture.md, "The usual
//! exporters"). A test of the second sort that fails says that a row there is out of date.

use axum::{Router, body::Body, http::Request, routing::get};
use meshwise::{
    core::{DropReason, Env, Service, SignalReport},
    http::{Recording, Telemetry},
    metrics::{Metrics, MetricsConfig},
    opentelemetry::trace::Tracer as _,
    trace::{OtlpConfig, OtlpProtocol, SpanExport},
};
use meshwise_tests::PATIENCE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};
use tonic::{Response, Status};
use tower::ServiceExt as _;

/// A collector that takes all spans, and says that it has rejected some of each batch.
#[derive(Clone, Default)]
struct Collector {
    ids: Arc<Mutex<Vec<Vec<u8>>>>,
    rejects: i64,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|spans| spans.scope_spans).flat_map(|scope| scope.spans);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.extend(spans.map(|span| span.span_id));
        let partial_success = (self.rejects > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: self.rejects,
            error_message: "too old".to_owned(),
        });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

impl Collector {
    /// Listens on a free port; returns its URL.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = TraceServiceServer::new(self.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        url
    }

    fn ids(&self) -> Vec<Vec<u8>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const SPANS: u32 = 100;

/// Ends some spans, and says what became of them.
async fn export(exporter: SpanExport) -> SignalReport {
    let mesh = meshwise::builder("orders", "1.0.0")
        .with_env(Env::empty())
        .traces(|traces| traces.with_exporter(exporter))
        .build()
        .expect("a mesh");
    for n in 0..SPANS {
        mesh.tracing().tracer().in_span(format!("span {n}"), |_| ());
    }
    let _report = mesh.tracing().flush(PATIENCE).await.expect("flushed");
    mesh.shutdown().await.traces
}

fn plugin(url: &str) -> SpanExport {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(url);
    SpanExport::custom(exporter.build().expect("an exporter"))
}

fn ours(url: &str) -> SpanExport {
    SpanExport::otlp(OtlpConfig::new().with_protocol(OtlpProtocol::Grpc).with_endpoint(url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opentelemetry_otlp_exports_every_span_once() {
    let collector = Collector::default();
    let report = export(plugin(&collector.start().await)).await;
    let ids = collector.ids();
    assert_eq!(ids.len(), SPANS as usize);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), SPANS as usize);
    assert_eq!((report.delivered, report.total_dropped()), (u64::from(SPANS), 0));
}

/// `opentelemetry-otlp` 0.33: a partial success is logged and returned as success, so no account of
/// spans balances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opentelemetry_otlp_hides_what_a_collector_rejects() {
    let collector = Collector { rejects: 3, ..Collector::default() };
    let url = collector.start().await;
    let theirs = export(plugin(&url)).await;
    assert_eq!((theirs.delivered, theirs.total_dropped()), (u64::from(SPANS), 0), "row 1 is old");
    let ours = export(ours(&url)).await;
    let lost = ours.dropped_because(DropReason::ExportFailed);
    assert!(lost >= 3 && ours.delivered + lost == u64::from(SPANS), "{ours}");
}

/// Serves a call whose metrics `metrics-exporter-prometheus` keeps.
async fn recorded(builder: PrometheusBuilder) -> PrometheusHandle {
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    let recording = Recording::new(Service::new("orders", "1.0.0"))
        .with_metrics(Metrics::from_recorder(Arc::new(recorder)));
    let telemetry = Telemetry::new(recording);
    let app = Router::new()
        .route("/orders/{id}", get(async || "an order"))
        .layer(meshwise::axum::server_layer(telemetry));
    let request = Request::get("/orders/7")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(Body::empty());
    let answer = app.oneshot(request.expect("a request")).await.expect("an answer");
    axum::body::to_bytes(answer.into_body(), 100).await.expect("a body");
    handle
}

const DURATION: &str = "http_server_request_duration_seconds";

#[tokio::test]
async fn metrics_exporter_prometheus_keeps_calls() {
    let builder = PrometheusBuilder::new().set_buckets(&[0.1, 1.0]).expect("buckets");
    let page = recorded(builder).await.render();
    let wanted = format!("{DURATION}_count{{");
    let line = page.lines().find(|line| line.starts_with(&wanted)).expect("the call is counted");
    assert!(line.contains("http_route=\"/orders/{id}\"") && line.ends_with(" 1"), "{line}");
    assert!(page.contains(&format!("# TYPE {DURATION} histogram")), "{page}");
}

/// `metrics-exporter-prometheus` 0.18: no exemplars, in no format; ours names the sampled trace.
#[tokio::test]
async fn metrics_exporter_prometheus_has_no_exemplars() {
    let builder = PrometheusBuilder::new().set_buckets(&[0.1, 1.0]).expect("buckets");
    let page = recorded(builder).await.render();
    assert!(!page.contains("trace_id") && !page.contains("# EOF"), "row 3 is old:\n{page}");
}

/// `metrics-exporter-prometheus` 0.18: histograms hold every raw sample until something drains them.
#[test]
fn metrics_exporter_prometheus_holds_raw_samples() {
    const SAMPLES: usize = 100_000;
    let record = |recorder: &dyn metrics::Recorder| {
        metrics::with_local_recorder(recorder, || {
            let histogram = metrics::histogram!("wait_seconds");
            histogram.record(0.5);
            allocation_counter::measure(|| {
                for _ in 0..SAMPLES {
                    histogram.record(0.5);
                }
            })
        })
    };
    let theirs = record(&PrometheusBuilder::new().build_recorder());
    assert!(theirs.bytes_current > SAMPLES as i64 * 8, "row 2 is old: {theirs:?}");
    let ours = MetricsConfig::new(Service::new("orders", "1.0.0")).build().expect("metrics");
    let ours = record(&ours.recorder());
    assert_eq!(ours.count_total, 0, "{ours:?}");
}
