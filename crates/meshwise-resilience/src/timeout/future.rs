//! The future of an attempt, and the timer that is set only for what makes its caller wait.

use super::{
    Covers, Until, current_deadline,
    limit::{Ends, Shared, TIMEOUT},
    scope::drop_as_timed_out,
};
use crate::spare;
use meshwise_core::Refused;
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
        ends: Option<Ends>,
        // Until the call is over.
        shared: Option<Arc<Shared>>,
        request: PhantomData<fn(Req)>,
    }
}

impl<F, C, Req> TimeoutFuture<F, C, Req> {
    #[inline]
    pub(super) fn new(
        inner: F,
        cover: C,
        limit: Option<Duration>,
        ends: Option<Ends>,
        shared: Arc<Shared>,
    ) -> Self {
        let (inner, shared) = (Some(inner), Some(shared));
        Self { inner, sleep: None, cover, limit, ends, shared, request: PhantomData }
    }
}

impl<F, C, Req, Res, E> Future for TimeoutFuture<F, C, Req>
where
    F: Future<Output = Result<Res, E>>,
    C: Covers<Req, Res>,
    E: From<Refused>,
{
    type Output = Result<C::Response, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(result) = inner.poll(cx) {
            let result = result.map(|response| {
                let until = match *this.ends {
                    // What the future shares goes on to the body.
                    Some(ends) if this.cover.body() => {
                        this.shared.take().map(|shared| Until { ends, own: true, shared })
                    }
                    _ => None,
                };
                this.cover.cover(response, until)
            });
            if let Some(shared) = this.shared.take() {
                spare::keep(&TIMEOUT, shared);
            }
            return Poll::Ready(result);
        }
        let Some(limit) = *this.limit else { return Poll::Pending };
        let moment = this.ends.get_or_insert_with(|| Ends::exactly_from_now(limit)).settle();
        // An enclosing deadline that passes first has a timer of its own; one is enough.
        if this.sleep.is_none() && current_deadline().is_some_and(|outer| outer.moment() <= moment)
        {
            return Poll::Pending;
        }
        if poll_sleep(this.sleep.as_mut(), moment, cx).is_pending() {
            return Poll::Pending;
        }
        let Some(shared) = this.shared.take() else { return Poll::Pending };
        drop_as_timed_out(shared.peer(), || this.inner.set(None));
        Poll::Ready(Err(shared.refuse_passed().into()))
    }
}

impl<F, C, Req> fmt::Debug for TimeoutFuture<F, C, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").field("limit", &self.limit).finish_non_exhaustive()
    }
}
