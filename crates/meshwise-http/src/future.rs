//! The future of an observed call.

use crate::{
    body::ObservedBody,
    call::{Call, Entered, Running, Slot, broken_off, drop_in},
};
use http::Response;
use http_body::Body;
use meshwise_core::outcome::BrokenOff;
use pin_project_lite::pin_project;
use std::{
    fmt::{self, Display},
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// Resolves to the inner service's response, its body observed until its end.
    ///
    /// The call's context is current while the inner future is polled, and while it is dropped.
    /// Dropping this future before it is ready ends the call as cancelled.
    #[doc(hidden)]
    pub struct ObservedFuture<F> {
        // Always there until this is dropped.
        #[pin]
        inner: Option<F>,
        // Taken when the response passes on to the body, which then ends the call.
        call: Slot,
    }

    impl<F> PinnedDrop for ObservedFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            drop_in(this.call, || this.inner.set(None));
        }
    }
}

impl<F> ObservedFuture<F> {
    pub(crate) fn new(inner: F, call: Slot) -> Self {
        Self { inner: Some(inner), call }
    }
}

impl<F, B, E> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Display + 'static,
{
    type Output = Result<Response<ObservedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Pending };
        let running = Running::begin(this.call);
        let entered = running.enter();
        let mut polled = inner.poll(cx);
        let cost = entered.and_then(Entered::leave);
        running.end(cost);
        // Looked at where it is: a response that is handed on is moved.
        match (&mut polled, this.call.get_mut()) {
            (Poll::Pending, _) => return Poll::Pending,
            (Poll::Ready(_), None) => {}
            (Poll::Ready(Ok(response)), Some(call)) => observe(response, call),
            (Poll::Ready(Err(error)), Some(call)) => {
                call.failed(error);
                this.call.clear();
            }
        }
        polled.map_ok(|response| response.map(|body| ObservedBody::new(body, this.call.take())))
    }
}

#[inline]
fn observe<B: Body>(response: &mut Response<B>, call: &mut Call) {
    call.head(response);
    // What answers in place of the code below says why.
    if let Some(broken) = response.extensions_mut().remove::<BrokenOff>() {
        // It has been said to the calls that were dropped for it.
        let _said = broken_off();
        call.answered_for(broken);
    }
}

impl<F> fmt::Debug for ObservedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedFuture")
            .field("done", &self.call.get().is_none())
            .finish_non_exhaustive()
    }
}
