//! An OTLP/HTTP collector.

use super::Seen;
use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
};
use tokio::runtime::Runtime;

/// What the collector does with a request.
pub(crate) enum Reply {
    /// Takes it, and answers with this body.
    Accept(Vec<u8>),
    /// Answers with this status and `Retry-After`; the spans do not count as seen.
    Refuse(u16, Option<&'static str>),
    /// Closes the connection without a word; the spans do not count as seen.
    HangUp,
    /// Never answers.
    Hang,
}

#[cfg(feature = "tls")]
type Tls = Arc<rustls::ServerConfig>;
#[cfg(not(feature = "tls"))]
type Tls = std::convert::Infallible;

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
        Self::run(None, Arc::new(script))
    }

    /// Starts a collector that speaks TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn secure(
        config: rustls::ServerConfig,
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(Arc::new(config)), Arc::new(script))
    }

    fn run(tls: Option<Tls>, script: Arc<dyn Fn(usize) -> Reply + Send + Sync>) -> Self {
        let runtime = super::runtime();
        let listener = super::listener(&runtime);
        let address = listener.local_addr().unwrap();
        let url = match &tls {
            None => format!("http://{address}"),
            // The certificate is for the name.
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        let (taken, requests) = mpsc::channel();
        let count = Arc::new(AtomicUsize::new(0));
        let service = Service { script, taken, count: Arc::clone(&count) };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, tls) = (service.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let service = service.clone();
                        async move { service.serve(request).await }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        #[cfg(feature = "tls")]
                        Some(config) => {
                            let acceptor = tokio_rustls::TlsAcceptor::from(config);
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let io = TokioIo::new(stream);
                                drop(server.serve_connection(io, service).await);
                            }
                        }
                        #[cfg(not(feature = "tls"))]
                        Some(never) => match never {},
                    }
                });
            }
        });
        Self { url, requests, count, runtime: Some(runtime) }
    }

    /// Starts a collector that takes everything.
    pub(crate) fn accepting() -> Self {
        Self::start(|_| Reply::Accept(Vec::new()))
    }

    /// Dies: closes the port and all connections.
    pub(crate) fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.die();
    }
}

#[derive(Clone)]
struct Service {
    script: Arc<dyn Fn(usize) -> Reply + Send + Sync>,
    taken: mpsc::Sender<Seen>,
    count: Arc<AtomicUsize>,
}

impl Service {
    async fn serve(
        &self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Full<Bytes>>, &'static str> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| "no body")?.to_bytes().to_vec();
        let mut response = Response::new(Full::default());
        match (self.script)(self.count.fetch_add(1, SeqCst)) {
            Reply::Accept(answer) => {
                let request = decode(&head.headers, &body);
                let path = head.uri.path().to_owned();
                if head.headers["content-type"] == "application/grpc" {
                    // "Trailers-only", which says all there is to say.
                    response.headers_mut().insert("grpc-status", "0".parse().unwrap());
                }
                let _ = self.taken.send(Seen { path, headers: head.headers, body, request });
                *response.body_mut() = Full::new(answer.into());
            }
            Reply::Refuse(status, retry_after) => {
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                if let Some(after) = retry_after {
                    response.headers_mut().insert("retry-after", after.parse().unwrap());
                }
            }
            Reply::HangUp => return Err("hang up"),
            Reply::Hang => std::future::pending().await,
        }
        Ok(response)
    }
}

fn decode(headers: &HeaderMap, body: &[u8]) -> ExportTraceServiceRequest {
    let mut plain = Vec::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    } else {
        plain.extend_from_slice(body);
    }
    match headers["content-type"].to_str().unwrap() {
        "application/json" => serde_json::from_slice(&plain).unwrap(),
        "application/x-protobuf" => ExportTraceServiceRequest::decode(&*plain).unwrap(),
        "application/grpc" => ExportTraceServiceRequest::decode(&plain[5..]).unwrap(),
        other => panic!("content-type {other}"),
    }
}
