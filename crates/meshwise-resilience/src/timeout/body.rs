//! The body that is broken off when its time is up.

use super::{Until, poll_sleep, scope::drop_as_timed_out};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::Sleep;

pin_project! {
    /// Passes a response's body through, and breaks it off with a [`Refused`](crate::Refused) when
    /// its time is up.
    pub struct TimeoutBody<B> {
        // None once it was broken off: what it holds is free at once.
        #[pin]
        inner: Option<B>,
        // Set when the body first makes its reader wait.
        #[pin]
        sleep: Option<Sleep>,
        until: Option<Until>,
    }
}

impl<B> TimeoutBody<B> {
    #[inline]
    pub(super) fn new(inner: B, until: Option<Until>) -> Self {
        Self { inner: Some(inner), sleep: None, until }
    }
}

impl<B> Body for TimeoutBody<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = inner.as_mut().poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)));
        let Some(until) = this.until.as_mut() else { return frame };
        let passed = match &frame {
            Poll::Ready(None) => false,
            Poll::Ready(Some(_)) if inner.is_end_stream() => false,
            Poll::Ready(Some(Err(_))) => return frame,
            // A stream that always has more must not outrun its limit.
            Poll::Ready(Some(Ok(_))) if !until.ends.passed() => return frame,
            Poll::Ready(Some(Ok(_))) => true,
            Poll::Pending => {
                ready!(poll_sleep(this.sleep.as_mut(), until.ends.settle(), cx));
                true
            }
        };
        let Some(until) = this.until.take() else { return frame };
        if !passed {
            // It has ended, and its limit with it.
            until.shared.give_back();
            return frame;
        }
        let refused = until.shared.refuse_passed();
        if until.own {
            drop_as_timed_out(until.shared.peer(), || this.inner.set(None));
        }
        this.inner.set(None);
        Poll::Ready(Some(Err(refused.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B: Default> Default for TimeoutBody<B> {
    /// Wraps a default body without a limit.
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutBody")
            .field("until", &self.until.as_ref().map(Until::moment))
            .field("broken_off", &self.inner.is_none())
            .finish_non_exhaustive()
    }
}
