//! `/metrics`, in pieces that never hold more than one in memory.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use meshwise_metrics::{ExpositionStream, Metrics};
use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// The metrics, and what has been told of those that are refused: 100 lines at most, for no more
/// are remembered.
#[derive(Clone, Debug)]
pub(super) struct Scraped {
    pub(super) metrics: Metrics,
    pub(super) told: Arc<Mutex<HashSet<String>>>,
}

pub(super) async fn get(State(scraped): State<Scraped>, headers: HeaderMap) -> Response {
    let opened = on_blocking_thread(move || {
        let mut stream = scraped.metrics.stream(&headers);
        let first = stream.next();
        (first, stream, scraped.untold())
    });
    // The first piece is made before the head is sent, so that what fails at once is told by it.
    let Ok((first, stream, untold)) = opened.await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "a metrics collector panicked\n")
            .into_response();
    };
    // Here, for other threads may have no subscriber.
    for metric in untold {
        tracing::warn!(target: "meshwise", "not on /metrics: {metric}");
    }
    let head = (stream.content_type(), stream.content_encoding());
    let pieces = stream::try_unfold((first, stream), |(piece, stream)| async move {
        let Some(piece) = piece else { return Ok(None) };
        let next = on_blocking_thread(move || after(stream)).await?;
        Ok::<_, io::Error>(Some((piece, next)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(head.0));
    if let Some(encoding) = head.1 {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn after(mut stream: ExpositionStream) -> (Option<Bytes>, ExpositionStream) {
    (stream.next(), stream)
}

/// Runs what reads files of `/proc` and walks over all series: not on a worker thread. Nothing is
/// held between two pieces, however slowly they are read.
async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

impl Scraped {
    /// Returns each metric that is not recorded, once.
    fn untold(&self) -> Vec<String> {
        let refused = self.metrics.refused().into_iter().map(|metric| metric.to_string());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        refused.filter(|metric| told.insert(metric.clone())).collect()
    }
}
