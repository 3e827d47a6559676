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
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The metrics, and how many of those that are refused have been told.
#[derive(Clone, Debug)]
pub(super) struct Scraped {
    pub(super) metrics: Metrics,
    pub(super) told: Arc<AtomicUsize>,
}

pub(super) async fn get(State(scraped): State<Scraped>, headers: HeaderMap) -> Response {
    let opened = on_blocking_thread(move || {
        let mut stream = scraped.metrics.stream(&headers);
        scraped.tell_refused();
        let first = stream.next();
        (first, stream)
    });
    // The first piece is made before the head is sent, so that what fails at once is told by it.
    let Ok((first, stream)) = opened.await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "a metrics collector panicked\n")
            .into_response();
    };
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
    /// Logs each metric that is not recorded, once.
    fn tell_refused(&self) {
        let refused = self.metrics.refused();
        let told = self.told.fetch_max(refused.len(), Relaxed);
        for metric in refused.iter().skip(told) {
            tracing::warn!(target: "meshwise", "not on /metrics: {metric}");
        }
    }
}
