//! The future of an attempt, and the timer that is set only for what makes its caller wait.

use super::{Covers, Until, current_deadline, limit::Shared, scope::drop_as_timed_out};
use crate::clock;
use meshwise_core::{Deadline, Refused};
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
};

/// Polls a timer, setting it first if need be.
///
/// It does not take part in tokio's budget: an inner future that has used it up would otherwise keep
/// the timer from ever being seen.
pub(crate) fn poll_sleep(
    mut sleep: Pin<&mut Option<Sleep>>,
    moment: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if sleep.is_none() {
        sleep.set(Some(sleep_until(moment.into())));
    }
    match sleep.as_pin_mut() {
        Some(sleep) => pin!(coop::unconstrained(sleep)).poll(cx),
        None => Poll::Pending,
    }
}

pin_project! {
    /// Resolves to the inner service's answer, or to a refusal once its time is up.
    ///
    /// The inner future is dropped at that moment, so that what it holds is free at once.
    pub struct TimeoutFuture<F, C, Req> {
        #[pin]
        inner: Option<F>,
        #[pin]
        sleep: Option<Sleep>,
        cover: C,
        limit: Option<Duration>,
        // Known from the start only where the body is covered; otherwise when the timer is set.
        moment: Option<Instant>,
        shared: Arc<Shared>,
        request: PhantomData<fn(Req)>,
    }
}

impl<F, C, Req> TimeoutFuture<F, C, Req> {
    pub(super) fn new(
        inner: F,
        cover: C,
        limit: Option<Duration>,
        moment: Option<Instant>,
        shared: Arc<Shared>,
    ) -> Self {
        let inner = Some(inner);
        Self { inner, sleep: None, cover, limit, moment, shared, request: PhantomData }
    }
}

impl<F, C, Req, Res, E> Future for TimeoutFuture<F, C, Req>
where
    F: Future<Output = Result<Res, E>>,
    C: Covers<Req, Res>,
    E: From<Refused>,
{
    type Output = Result<C::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(result) = inner.poll(cx) {
            return Poll::Ready(result.map(|response| {
                let until = this.moment.filter(|_| this.cover.body());
                let until = until.map(|moment| Until {
                    moment,
                    own: true,
                    shared: Arc::clone(this.shared),
                });
                this.cover.cover(response, until)
            }));
        }
        let Some(limit) = *this.limit else { return Poll::Pending };
        let moment =
            *this.moment.get_or_insert_with(|| Deadline::after(clock::now(), limit).moment());
        // An enclosing deadline that passes first has a timer of its own; one is enough.
        if this.sleep.is_none() && current_deadline().is_some_and(|outer| outer.moment() <= moment)
        {
            return Poll::Pending;
        }
        if poll_sleep(this.sleep.as_mut(), moment, cx).is_pending() {
            return Poll::Pending;
        }
        drop_as_timed_out(this.shared.peer(), || this.inner.set(None));
        Poll::Ready(Err(this.shared.refuse_passed().into()))
    }
}

impl<F, C, Req> fmt::Debug for TimeoutFuture<F, C, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").field("limit", &self.limit).finish_non_exhaustive()
    }
}
