//! OTLP collectors for another process's spans, over HTTP and gRPC.

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest,
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::any_value::Value,
};
use prost::Message as _;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tonic::{Request, Response, Status};

/// Listens on two ports, as collectors do.
pub(crate) struct Collector {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    spans: Spans,
    _runtime: tokio::runtime::Runtime,
}

/// The names of the spans that came; bodies of log records and names of metrics, too.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

impl Spans {
    fn take(&self, request: ExportTraceServiceRequest) {
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        self.add(scopes.flat_map(|scope| scope.spans).map(|span| span.name));
    }

    fn add(&self, names: impl Iterator<Item = String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }
}

impl Collector {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let spans = Spans::default();
        let listen = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let (http, grpc) = (listen().expect("a port"), listen().expect("a port"));
        let addresses = [&http, &grpc].map(|listener| listener.local_addr().expect("an address"));
        let app = Router::new()
            .route("/v1/traces", post(over_http))
            .route("/v1/logs", post(logs))
            .route("/v1/metrics", post(metrics))
            .with_state(spans.clone());
        runtime.spawn(async move { axum::serve(http, app).await });
        let service = TraceServiceServer::new(OverGrpc(spans.clone()));
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(grpc);
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(incoming));
        let [http, grpc] = addresses;
        Self { http, grpc, spans, _runtime: runtime }
    }

    /// Takes the names of the spans that came up to now.
    pub(crate) fn spans(&self) -> Vec<String> {
        std::mem::take(&mut *self.spans.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn over_http(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    let request = match headers["content-type"].to_str().expect("a type") {
        "application/json" => serde_json::from_slice(&body).expect("JSON"),
        "application/x-protobuf" => ExportTraceServiceRequest::decode(body).expect("protobuf"),
        other => panic!("{other}"),
    };
    spans.take(request);
    Vec::new()
}

async fn logs(State(names): State<Spans>, body: Bytes) {
    let request = ExportLogsServiceRequest::decode(body).expect("protobuf");
    let scopes = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
    let bodies = scopes.flat_map(|scope| scope.log_records).filter_map(|record| record.body?.value);
    names.add(bodies.map(|body| match body {
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    }));
}

async fn metrics(State(names): State<Spans>, body: Bytes) {
    let request = ExportMetricsServiceRequest::decode(body).expect("protobuf");
    let scopes = request.resource_metrics.into_iter().flat_map(|metrics| metrics.scope_metrics);
    names.add(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
}

struct OverGrpc(Spans);

#[tonic::async_trait]
impl TraceService for OverGrpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.take(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
