//! An OTLP/gRPC collector: tonic's server, so that both ends are not ours.

use super::Seen;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
    mpsc,
};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status, async_trait, codec::CompressionEncoding, transport::Server,
};

/// What the collector does with a request.
pub(crate) enum Reply {
    Accept(ExportTraceServiceResponse),
    Refuse(Status),
    Hang,
}

pub(crate) struct Collector {
    pub(crate) url: String,
    /// The requests that were taken.
    pub(crate) requests: mpsc::Receiver<Seen>,
    /// How many requests came, taken or not.
    pub(crate) count: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Collector {
    /// Starts a collector that asks `script` about each request, by its number.
    pub(crate) fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let runtime = super::runtime();
        let listener = super::listener(&runtime);
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (taken, requests) = mpsc::channel();
        let count = Arc::new(AtomicUsize::new(0));
        let service = Service { script: Box::new(script), taken, count: Arc::clone(&count) };
        let service = TraceServiceServer::new(service).accept_compressed(CompressionEncoding::Gzip);
        let incoming = TcpListenerStream::new(listener);
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { url, requests, count, runtime: Some(runtime) }
    }

    /// Starts a collector that takes everything.
    pub(crate) fn accepting() -> Self {
        Self::start(|_| Reply::Accept(ExportTraceServiceResponse::default()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service {
    script: Box<dyn Fn(usize) -> Reply + Send + Sync>,
    taken: mpsc::Sender<Seen>,
    count: Arc<AtomicUsize>,
}

#[async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        match (self.script)(self.count.fetch_add(1, SeqCst)) {
            Reply::Accept(answer) => {
                let (metadata, _, request) = request.into_parts();
                let _ = self.taken.send(Seen {
                    path: String::new(),
                    headers: metadata.into_headers(),
                    body: Vec::new(),
                    request,
                });
                Ok(Response::new(answer))
            }
            Reply::Refuse(status) => Err(status),
            Reply::Hang => std::future::pending().await,
        }
    }
}
