//! The future of a call whose turn may be yet to come.

use super::layer::{Limits, Place};
use crate::{
    clock,
    timeout::{not_the_neighbour, poll_sleep},
};
use meshwise_core::Refused;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::time::Sleep;
use tower_service::Service;

pin_project! {
    /// Resolves to the inner service's answer, or to a refusal.
    ///
    /// Dropped while it waits, it gives its turn back if nobody has queued up behind it.
    pub struct RateLimitFuture<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, S::Future, Req>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, Req> {
        Calling { #[pin] future: F },
        // Boxed: it is seldom there, and would make every future larger.
        Waiting { waiting: Option<Box<Waiting<S, Req>>> },
        Refused { refused: Option<Refused> },
    }
}

/// A call whose turn is yet to come.
struct Waiting<S, Req> {
    // First: who is dropped gives the turn back before anything else happens.
    turn: Turn,
    until: Instant,
    sleep: Pin<Box<Option<Sleep>>>,
    service: S,
    request: Req,
}

/// A place in time, given back if the call is dropped before it comes.
struct Turn(Option<(Place, Arc<Limits>)>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((place, limits)) = self.0.take() {
            not_the_neighbour();
            limits.give_back(place);
        }
    }
}

impl<S: Service<Req>, Req> RateLimitFuture<S, Req> {
    /// Begins at once.
    #[inline]
    pub(super) const fn now(future: S::Future) -> Self {
        Self { state: State::Calling { future } }
    }

    /// Begins when its turn comes, with the service that is ready now.
    #[cold]
    pub(super) fn later(service: S, request: Req, place: Place, limits: Arc<Limits>) -> Self {
        let now = clock::now();
        let until = now.checked_add(clock::nanos(place.taken.wait)).unwrap_or(now);
        let turn = Turn(Some((place, limits)));
        let waiting = Waiting { turn, until, sleep: Box::pin(None), service, request };
        Self { state: State::Waiting { waiting: Some(Box::new(waiting)) } }
    }

    /// Does not begin.
    #[cold]
    pub(super) const fn never(refused: Refused) -> Self {
        Self { state: State::Refused { refused: Some(refused) } }
    }
}

impl<S, Req> Future for RateLimitFuture<S, Req>
where
    S: Service<Req>,
    S::Error: From<Refused>,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let StateProj::Calling { future } = self.as_mut().project().state.project() {
            return future.poll(cx);
        }
        self.poll_waiting(cx)
    }
}

impl<S, Req> RateLimitFuture<S, Req>
where
    S: Service<Req>,
    S::Error: From<Refused>,
{
    #[cold]
    #[inline(never)]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Refused { refused } => {
                    return match refused.take() {
                        Some(refused) => Poll::Ready(Err(refused.into())),
                        // Polled after its end, which futures need not allow.
                        None => Poll::Pending,
                    };
                }
                StateProj::Waiting { waiting } => {
                    let Some(call) = waiting else { return Poll::Pending };
                    ready!(poll_sleep(call.sleep.as_mut(), call.until, cx));
                    let Some(mut call) = waiting.take() else { return Poll::Pending };
                    // Its turn has come; it is used up now.
                    call.turn.0 = None;
                    call.service.call(call.request)
                }
            };
            state.set(State::Calling { future });
        }
    }
}

impl<S: Service<Req>, Req> fmt::Debug for RateLimitFuture<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture").finish_non_exhaustive()
    }
}
