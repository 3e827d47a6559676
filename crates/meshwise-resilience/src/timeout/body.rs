//! The body that is broken off when its time is up.

use super::{Until, poll_sleep};
use crate::clock;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Sleep;

pin_project! {
    /// Passes a response's body through, and breaks it off with a [`Refused`](crate::Refused) when
    /// its time is up.
    pub struct TimeoutBody<B> {
        #[pin]
        inner: B,
        // Set when the body first makes its reader wait.
        #[pin]
        sleep: Option<Sleep>,
        until: Option<Until>,
        broken_off: bool,
    }
}

impl<B> TimeoutBody<B> {
    pub(super) fn new(inner: B, until: Option<Until>) -> Self {
        Self { inner, sleep: None, until, broken_off: false }
    }
}

impl<B> Body for TimeoutBody<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        if *this.broken_off {
            return Poll::Ready(None);
        }
        let frame = match this.inner.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Some(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => None,
        };
        let Some(until) = this.until.as_ref() else {
            return frame.map_or(Poll::Pending, Poll::Ready);
        };
        let passed = match &frame {
            // A stream that always has more must not outrun its limit.
            Some(Some(Ok(_))) => !this.inner.is_end_stream() && clock::coarse_now() >= until.moment,
            Some(_) => false,
            None => poll_sleep(this.sleep.as_mut(), until.moment, cx).is_ready(),
        };
        if passed {
            let refused = until.shared.refuse_passed();
            *this.broken_off = true;
            this.sleep.set(None);
            *this.until = None;
            return Poll::Ready(Some(Err(refused.into())));
        }
        frame.map_or(Poll::Pending, Poll::Ready)
    }

    fn is_end_stream(&self) -> bool {
        self.broken_off || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.broken_off { SizeHint::with_exact(0) } else { self.inner.size_hint() }
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
            .field("until", &self.until.as_ref().map(|until| until.moment))
            .field("broken_off", &self.broken_off)
            .finish_non_exhaustive()
    }
}
