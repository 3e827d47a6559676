//! A collector that does as it is told, over HTTP.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest},
    logs::v1::ResourceLogs,
    metrics::v1::ResourceMetrics,
};
use prost::Message;
use std::{
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a collector does with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Accepts,
    /// Takes a batch, and refuses so many records of it.
    AcceptsAllBut(i64),
    /// Answers this status, the first so many times; then it accepts.
    Answers(u16, usize),
    /// Answers 200 with this type, if any, and body.
    Says(Option<&'static str>, &'static str),
    Hangs,
}

pub(crate) struct Collector {
    pub(crate) url: String,
    seen: Arc<Seen>,
    _runtime: tokio::runtime::Runtime,
}

struct Seen {
    manner: Manner,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    requests: usize,
    logs: Vec<ResourceLogs>,
    metrics: Vec<ResourceMetrics>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Seen { manner, inner: Mutex::default() });
        let app = Router::new()
            .route("/v1/logs", post(logs))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&seen));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app).await
        });
        Self { url, seen, _runtime: runtime }
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().requests
    }

    /// Returns the logs that were taken.
    pub(crate) fn logs(&self) -> Vec<ResourceLogs> {
        self.seen.lock().logs.clone()
    }

    /// Returns the metrics that were taken, in the order of the requests.
    pub(crate) fn metrics(&self) -> Vec<ResourceMetrics> {
        self.seen.lock().metrics.clone()
    }
}

async fn logs(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&seen, || {
        let request: ExportLogsServiceRequest = decode(&headers, &body);
        seen.lock().logs.extend(request.resource_logs);
    })
    .await
}

async fn metrics(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&seen, || {
        let request: ExportMetricsServiceRequest = decode(&headers, &body);
        seen.lock().metrics.extend(request.resource_metrics);
    })
    .await
}

fn decode<M: Message + Default>(headers: &HeaderMap, body: &Bytes) -> M {
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    M::decode(body.clone()).expect("a message")
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    refused: i64,
    #[prost(string, tag = "2")]
    said: String,
}

async fn answer(seen: &Seen, take: impl FnOnce()) -> Response {
    let request = {
        let mut inner = seen.lock();
        inner.requests += 1;
        inner.requests
    };
    match seen.manner {
        Manner::Answers(status, times) if request <= times => {
            let status = StatusCode::from_u16(status).expect("a status");
            let soon = [(header::RETRY_AFTER, HeaderValue::from_static("0"))];
            (status, soon).into_response()
        }
        Manner::Hangs => std::future::pending().await,
        Manner::Says(content_type, body) => {
            take();
            let mut response = Response::new(body.into());
            if let Some(value) = content_type {
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            }
            response
        }
        Manner::AcceptsAllBut(n) => {
            take();
            // The answers of all signals are alike on the wire.
            let partial_success = Some(PartialSuccess { refused: n, said: "too old".to_owned() });
            Answer { partial_success }.encode_to_vec().into_response()
        }
        Manner::Accepts | Manner::Answers(..) => {
            take();
            Vec::<u8>::new().into_response()
        }
    }
}
