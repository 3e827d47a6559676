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
        // Until the call's end.
        ticket: Option<T>,
        call: Call,
    }
}

/// What is known of the call while its body flows.
#[derive(Clone, Copy)]
struct Call {
    protocol: Protocol,
    status: StatusCode,
    verdict: Option<Outcome>,
}

impl Call {
    fn outcome(self, trailers: Option<&http::HeaderMap>) -> Outcome {
        self.verdict.unwrap_or_else(|| classify(self.protocol).end(self.status, trailers))
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
        let call = Call { protocol, status, verdict };
        // Nobody polls a body that says it has ended, so this is its end.
        if inner.is_end_stream() {
            ticket.finish(call.outcome(None));
            return Self::unwatched(inner);
        }
        Self { inner, ticket: Some(ticket), call }
    }
}

impl<B, T> WatchedBody<B, T> {
    /// Wraps a body whose call has been judged already.
    #[inline]
    pub(crate) fn unwatched(inner: B) -> Self {
        let call = Call { protocol: Protocol::Http, status: StatusCode::OK, verdict: None };
        Self { inner, ticket: None, call }
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
        if this.ticket.is_none() {
            return Poll::Ready(frame);
        }
        let ended = match &frame {
            Some(Ok(frame)) => frame.is_trailers() || this.inner.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        if ended && let Some(ticket) = this.ticket.take() {
            ticket.finish(match &frame {
                Some(Err(_)) => Outcome::Failure(ErrorType::BODY),
                Some(Ok(frame)) => this.call.outcome(frame.trailers_ref()),
                None => this.call.outcome(None),
            });
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
        Self::unwatched(B::default())
    }
}

impl<B, T> fmt::Debug for WatchedBody<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedBody").field("ended", &self.ticket.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
