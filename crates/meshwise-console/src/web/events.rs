//! Tells a page that there is something new.

use crate::{
    respond::{self, Reply},
    shared::Shared,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;

/// So many pages are told.
const PAGES: usize = 64;
/// The time between two events at least, and the longest silence.
const PAUSE: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(15);

struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Starts telling.
pub(super) fn stream(shared: &Arc<Shared>) -> Reply {
    if shared.changes.receiver_count() >= PAGES {
        return respond::text(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n");
    }
    let (send, events) = mpsc::channel(1);
    let mut changes = shared.changes.subscribe();
    changes.mark_changed();
    tokio::spawn(async move {
        loop {
            let event = match tokio::time::timeout(SILENCE, changes.changed()).await {
                Ok(Ok(())) => format!("data: {}\n\n", *changes.borrow_and_update()),
                Ok(Err(_)) => return,
                Err(_) => ": nothing new\n\n".to_owned(),
            };
            // Fails once the page is gone.
            if send.send(event.into()).await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    let mut reply = Response::new(Events(events).boxed_unsync());
    let event_stream = HeaderValue::from_static("text/event-stream");
    reply.headers_mut().insert(header::CONTENT_TYPE, event_stream);
    reply
}
