//! The body that carries a guard's ticket to the end of the response.

use super::{Ticket, classify};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{ErrorType, Outcome, Protocol};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Passes a response's body through untouched, and finishes the guard's ticket at its end.
    pub struct WatchedBody<B, T> {
        #[pin]
        inner: B,
        watch: Option<Watch<T>>,
    }
}

/// What is known of the call while its body flows.
struct Watch<T> {
    ticket: T,
    protocol: Protocol,
    status: StatusCode,
    verdict: Option<Outcome>,
}

impl<T: Ticket> Watch<T> {
    fn complete(self, trailers: Option<&http::HeaderMap>) {
        let outcome =
            self.verdict.unwrap_or_else(|| classify(self.protocol).end(self.status, trailers));
        self.ticket.finish(outcome);
    }
}

impl<B: Body, T: Ticket> WatchedBody<B, T> {
    #[inline]
    pub(super) fn new(
        inner: B,
        ticket: T,
        protocol: Protocol,
        status: StatusCode,
        verdict: Option<Outcome>,
    ) -> Self {
        let watch = Watch { ticket, protocol, status, verdict };
        // Nobody polls a body that says it has ended, so this is its end.
        if inner.is_end_stream() {
            watch.complete(None);
            return Self::unwatched(inner);
        }
        Self { inner, watch: Some(watch) }
    }

    /// Wraps a body whose call has been judged already.
    pub(crate) fn unwatched(inner: B) -> Self {
        Self { inner, watch: None }
    }
}

impl<B: Body, T: Ticket> Body for WatchedBody<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if this.watch.is_none() {
            return Poll::Ready(frame);
        }
        let ended = match &frame {
            Some(Ok(frame)) => frame.is_trailers() || this.inner.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        if ended && let Some(watch) = this.watch.take() {
            match &frame {
                Some(Err(_)) => watch.ticket.finish(Outcome::Failure(ErrorType::BODY)),
                Some(Ok(frame)) => watch.complete(frame.trailers_ref()),
                None => watch.complete(None),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Default, T> Default for WatchedBody<B, T> {
    /// Wraps a default body; no call is watched.
    fn default() -> Self {
        Self { inner: B::default(), watch: None }
    }
}

impl<B, T> fmt::Debug for WatchedBody<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedBody").field("ended", &self.watch.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
