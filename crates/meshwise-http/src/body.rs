//! The body of an observed response, which ends the call.

use crate::call::{Entered, Running, Slot, broken_off, drop_in};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    fmt::{self, Display},
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// Passes a response's body through untouched, and ends the call with it.
    ///
    /// Frames, trailers, size hint and end-of-stream mark are the inner body's own. The call's
    /// context is current while the inner body is polled, and while it is dropped before its end, so
    /// that code that produces a stream logs and traces as part of its call.
    pub struct ObservedBody<B> {
        // Always there until this is dropped.
        #[pin]
        inner: Option<B>,
        // Taken when the call has ended; dropping it ends the call.
        call: Slot,
    }

    impl<B> PinnedDrop for ObservedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            drop_in(this.call, || this.inner.set(None));
        }
    }
}

impl<B: Body> ObservedBody<B> {
    /// Takes over the end of the call; it ends here and now if there is nothing to wait for.
    pub(crate) fn new(inner: B, mut call: Slot) -> Self {
        // A server never polls a body that says it has ended, so this would not be told later.
        if inner.is_end_stream() {
            if let Some(call) = call.get_mut() {
                call.complete(None);
            }
            call.clear();
        }
        Self { inner: Some(inner), call }
    }
}

impl<B: Body> Body for ObservedBody<B>
where
    B::Error: Display + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(mut inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        if let Some(call) = this.call.get_mut() {
            call.before_frame();
        }
        // What another call has left on this thread says nothing of this one.
        let _left = broken_off();
        let running = Running::begin(this.call);
        let entered = running.enter();
        let polled = inner.as_mut().poll_frame(cx);
        let cost = entered.and_then(Entered::leave);
        running.end(cost);
        let Some(call) = this.call.get_mut() else { return polled };
        // Looked at where it is: a frame that is handed on is moved.
        let Poll::Ready(frame) = &polled else {
            call.awaits(true);
            return polled;
        };
        let ended = match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    call.data(data);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    match broken_off() {
                        Some(broken) => call.broken_off(broken),
                        None => call.complete(Some(trailers)),
                    }
                    true
                } else if inner.is_end_stream() {
                    call.complete(None);
                    true
                } else {
                    false
                }
            }
            Some(Err(error)) => {
                // It has been said to the calls that were dropped for it.
                let _said = broken_off();
                call.failed(error);
                true
            }
            None => {
                call.complete(None);
                true
            }
        };
        if ended {
            this.call.clear();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Default> Default for ObservedBody<B> {
    /// Wraps a default body; no call is observed.
    fn default() -> Self {
        Self { inner: Some(B::default()), call: Slot::default() }
    }
}

impl<B> fmt::Debug for ObservedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody")
            .field("ended", &self.call.get().is_none())
            .finish_non_exhaustive()
    }
}
