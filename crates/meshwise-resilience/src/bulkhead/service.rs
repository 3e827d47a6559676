//! The guarded service, and the call's future.

use super::guard::{BulkheadTicket, Guard, Waiter};
use crate::{CallKind, HttpCalls, clock, timeout::poll_sleep};
use meshwise_core::Refused;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::time::Sleep;
use tower_service::Service;

/// Lets only so many calls through at a time; made by [`BulkheadLayer`](super::BulkheadLayer).
///
/// - `poll_ready` asks the inner service and nothing else: a permit belongs to a call, and is not
///   held by a service that somebody found ready and forgot.
/// - `call` takes a permit and calls at once, or waits in the future it returns, or refuses. A call
///   that waits takes along the inner service that was found ready, and leaves a clone of it, which
///   is asked anew: a service may be ready only once per clone.
/// - Clones share the permits and the queue, and nothing of their readiness.
/// - The permit is given back when the response's body has ended (or its head has come, by choice
///   of the [`CallKind`]); when the future or the body is dropped; and when the inner service
///   panics. Dropping a future that waits leaves the queue.
pub struct BulkheadService<S, K = HttpCalls> {
    inner: S,
    guard: Arc<Guard>,
    calls: K,
}

impl<S, K> BulkheadService<S, K> {
    pub(super) fn new(inner: S, guard: Arc<Guard>, calls: K) -> Self {
        Self { inner, guard, calls }
    }
}

impl<S: Clone, K: Clone> Clone for BulkheadService<S, K> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.guard), self.calls.clone())
    }
}

impl<S, K, Request> Service<Request> for BulkheadService<S, K>
where
    S: Service<Request> + Clone,
    S::Error: From<Refused>,
    K: CallKind<Request, S::Response, S::Error>,
{
    type Response = K::Response<BulkheadTicket>;
    type Error = S::Error;
    type Future = BulkheadFuture<S, K, Request>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Request) -> Self::Future {
        match self.guard.take() {
            Some(ticket) => {
                let calls = self.calls.clone();
                BulkheadFuture { state: State::calling(&mut self.inner, request, calls, ticket) }
            }
            None => BulkheadFuture { state: self.call_later(request) },
        }
    }
}

impl<S, K> BulkheadService<S, K> {
    #[cold]
    #[inline(never)]
    fn call_later<Request>(
        &mut self,
        request: Request,
    ) -> State<S, K, Request, S::Future, K::Pending>
    where
        S: Service<Request> + Clone,
        K: CallKind<Request, S::Response, S::Error>,
    {
        let calls = self.calls.clone();
        match self.guard.take_or_wait() {
            Ok(Ok(ticket)) => State::calling(&mut self.inner, request, calls, ticket),
            Ok(Err((waiter, most))) => {
                let clone = self.inner.clone();
                let inner = mem::replace(&mut self.inner, clone);
                let until = clock::now() + most;
                let sleep = Box::pin(None);
                let waiting = Waiting { waiter, until, sleep, inner, request, calls };
                State::Waiting { waiting: Some(Box::new(waiting)) }
            }
            Err(refused) => State::Refused { refused: Some(refused) },
        }
    }
}

impl<S, K> fmt::Debug for BulkheadService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadService").field("peer", &self.guard.peer).finish_non_exhaustive()
    }
}

pin_project! {
    /// The response of a [`BulkheadService`].
    pub struct BulkheadFuture<S, K, Request>
    where
        S: Service<Request>,
        K: CallKind<Request, S::Response, S::Error>,
    {
        #[pin]
        state: State<S, K, Request, S::Future, K::Pending>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, K, Request, F, P> {
        // Field by field, and taken one by one: an option of them all is slow to move.
        Calling { #[pin] inner: F, calls: K, pending: P, ticket: BulkheadTicket },
        // Boxed: it is seldom there, and would make every future larger.
        Waiting { waiting: Option<Box<Waiting<S, K, Request>>> },
        Refused { refused: Option<Refused> },
    }
}

/// A call in the queue.
struct Waiting<S, K, Request> {
    // First: who is dropped leaves the queue before anything else happens.
    waiter: Waiter,
    until: Instant,
    /// Set when it is first polled, for only then a runtime is sure to be there.
    sleep: Pin<Box<Option<Sleep>>>,
    /// Ready to be called.
    inner: S,
    request: Request,
    calls: K,
}

impl<S, K, Request> Waiting<S, K, Request> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<BulkheadTicket, Refused>> {
        if let Poll::Ready(ticket) = self.waiter.poll(cx) {
            return Poll::Ready(Ok(ticket));
        }
        ready!(poll_sleep(self.sleep.as_mut(), self.until, cx));
        Poll::Ready(self.waiter.give_up())
    }
}

impl<S, K, Request> State<S, K, Request, S::Future, K::Pending>
where
    S: Service<Request>,
    K: CallKind<Request, S::Response, S::Error>,
{
    /// Calls; the permit is in the ticket already, and free again should the call panic.
    #[inline(always)]
    fn calling(inner: &mut S, request: Request, calls: K, ticket: BulkheadTicket) -> Self {
        let pending = calls.begin(&request);
        let inner = inner.call(request);
        Self::Calling { inner, calls, pending, ticket }
    }
}

impl<S, K, Request> Future for BulkheadFuture<S, K, Request>
where
    S: Service<Request>,
    S::Error: From<Refused>,
    K: CallKind<Request, S::Response, S::Error>,
{
    type Output = Result<K::Response<BulkheadTicket>, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let StateProj::Calling { inner, calls, pending, ticket } =
            self.as_mut().project().state.project()
        {
            let result = ready!(inner.poll(cx));
            return Poll::Ready(calls.answer(pending, result, ticket.take()));
        }
        self.poll_waiting(cx)
    }
}

impl<S, K, Request> BulkheadFuture<S, K, Request>
where
    S: Service<Request>,
    S::Error: From<Refused>,
    K: CallKind<Request, S::Response, S::Error>,
{
    #[cold]
    #[inline(never)]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Calling { inner, calls, pending, ticket } => {
                    let result = ready!(inner.poll(cx));
                    return Poll::Ready(calls.answer(pending, result, ticket.take()));
                }
                StateProj::Waiting { waiting: slot } => {
                    let Some(waiting) = slot else { return Poll::Pending };
                    let answer = ready!(waiting.poll(cx));
                    let Some(waiting) = slot.take() else { return Poll::Pending };
                    let Waiting { mut inner, request, calls, .. } = *waiting;
                    match answer {
                        Ok(ticket) => {
                            state.set(State::calling(&mut inner, request, calls, ticket));
                        }
                        Err(refused) => return Poll::Ready(Err(refused.into())),
                    }
                }
                StateProj::Refused { refused } => {
                    return match refused.take() {
                        Some(refused) => Poll::Ready(Err(refused.into())),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}

impl<S, K, Request> fmt::Debug for BulkheadFuture<S, K, Request>
where
    S: Service<Request>,
    K: CallKind<Request, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadFuture").finish_non_exhaustive()
    }
}
