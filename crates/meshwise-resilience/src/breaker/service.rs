//! The guarded service, the ticket of a call, and the call's future.

use super::{
    shared::{Pass, Shared},
    state::End,
};
use crate::{
    CallKind, HttpCalls, Ticket,
    clock::{self, nanos},
    count::Rejected,
    spare::{self, Spare},
    timeout::timed_out,
};
use meshwise_core::{Outcome, Refused};
use pin_project_lite::pin_project;
use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// The breaker behind a layer, its services and handles.
pub(super) struct Guard {
    pub(super) peer: Arc<str>,
    pub(super) shared: Shared,
    pub(super) rejected: Rejected,
}

thread_local! {
    static SPARE: Spare<Guard> = const { Cell::new(None) };
}

impl Guard {
    /// Refuses a call that was told to come without asking the inner service.
    #[cold]
    fn refuse_still(&self) -> Refused {
        // It was open when asked. Were its time over just now, this call could still not be made:
        // the inner service was not asked. The next can.
        self.refuse(self.shared.refuses(clock::coarse).unwrap_or(Some(0)))
    }

    #[cold]
    fn refuse(&self, left: Option<u64>) -> Refused {
        self.rejected.refuse(&self.peer, left.map(nanos))
    }
}

/// Guards a service with a circuit breaker; made by [`BreakerLayer`](super::BreakerLayer).
///
/// - `poll_ready` asks the inner service, unless the breaker is open: then it is ready at once, so
///   that the refusal does not wait for a service that may be the very one in trouble. (An inner
///   service that is not ready keeps its callers waiting as ever, and its errors at `poll_ready`
///   are passed on and not counted.)
/// - `call` refuses or calls at once. Refusing leaves the inner service as ready as it was.
/// - Clones share the breaker, and nothing of their readiness.
/// - Dropping the future or the response's body gives back a trial call's place.
pub struct BreakerService<S, K = HttpCalls> {
    inner: S,
    guard: Arc<Guard>,
    calls: K,
    /// Stays with this clone, as the readiness of `inner` does.
    asked: Asked,
}

/// What `poll_ready` found since the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Nobody asked. Whoever calls now breaks the contract with the inner service, not with us.
    Nothing,
    /// The inner service is ready.
    Inner,
    /// The breaker was open, and the inner service was not asked: it must not be called.
    Open,
}

impl<S, K> BreakerService<S, K> {
    pub(super) fn new(inner: S, guard: Arc<Guard>, calls: K) -> Self {
        Self { inner, guard, calls, asked: Asked::Nothing }
    }
}

impl<S: Clone, K: Clone> Clone for BreakerService<S, K> {
    fn clone(&self) -> Self {
        // What `self` has polled ready is another service than the clone's.
        Self::new(self.inner.clone(), Arc::clone(&self.guard), self.calls.clone())
    }
}

impl<S, K, Request> Service<Request> for BreakerService<S, K>
where
    S: Service<Request>,
    S::Error: From<Refused>,
    K: CallKind<Request, S::Response, S::Error>,
{
    type Response = K::Response<BreakerTicket>;
    type Error = S::Error;
    type Future = BreakerFuture<S, K, Request>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.guard.shared.refuses(clock::coarse).is_some() {
            if self.asked == Asked::Nothing {
                self.asked = Asked::Open;
            }
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx))?;
        self.asked = Asked::Inner;
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Request) -> Self::Future {
        if self.asked == Asked::Open {
            self.asked = Asked::Nothing;
            return BreakerFuture::refused(self.guard.refuse_still());
        }
        match self.guard.shared.admit(clock::coarse) {
            Ok(pass) => {
                // Taken before the inner service is called: should it panic, the place is free.
                let guard = Some(spare::take(&SPARE, &self.guard));
                let Pass { word, began } = pass;
                let ticket = BreakerTicket { word, guard, began };
                let pending = self.calls.begin(&request);
                let calls = self.calls.clone();
                self.asked = Asked::Nothing;
                BreakerFuture::calling(self.inner.call(request), calls, pending, ticket)
            }
            Err(left) => BreakerFuture::refused(self.guard.refuse(left)),
        }
    }
}

impl<S, K> fmt::Debug for BreakerService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService").field("peer", &self.guard.peer).finish_non_exhaustive()
    }
}

/// Carries an admitted call to its end; in a response's body it goes on until that ends.
// Moved often, and word by word: two words that were written one by one are slow to read as one.
#[repr(C)]
pub struct BreakerTicket {
    word: u64,
    guard: Option<Arc<Guard>>,
    began: u64,
}

impl BreakerTicket {
    /// Leaves one behind that has ended.
    #[inline]
    fn take(&mut self) -> Self {
        Self { word: self.word, guard: self.guard.take(), began: self.began }
    }

    #[inline]
    fn end(&mut self, end: End) {
        if let Some(guard) = self.guard.take() {
            let pass = Pass { word: self.word, began: self.began };
            guard.shared.end(pass, end, clock::coarse);
            spare::keep(&SPARE, guard);
        }
    }

    #[cold]
    fn abandon(&mut self) {
        // A timeout further out ends the call of a neighbour that hangs by dropping it.
        let timed_out = self.guard.as_ref().is_some_and(|guard| timed_out(&guard.peer));
        self.end(if timed_out { End::Failed } else { End::Cancelled });
    }
}

impl Ticket for BreakerTicket {
    #[inline]
    fn finish(mut self, outcome: Outcome) {
        self.end(match outcome {
            Outcome::Success => End::Succeeded,
            Outcome::Failure(_) => End::Failed,
            _ => End::Cancelled,
        });
    }

    fn discard(mut self) {
        self.end(End::Discarded);
    }
}

impl Drop for BreakerTicket {
    #[inline]
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.abandon();
        }
    }
}

impl fmt::Debug for BreakerTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerTicket")
            .field("ended", &self.guard.is_none())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The response of a [`BreakerService`].
    pub struct BreakerFuture<S, K, Request>
    where
        S: Service<Request>,
        K: CallKind<Request, S::Response, S::Error>,
    {
        #[pin]
        state: State<S::Future, K, K::Pending>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, K, P> {
        // Field by field, and taken one by one: an option of them all is slow to move.
        Calling { #[pin] inner: F, calls: K, pending: P, ticket: BreakerTicket },
        Refused { refused: Option<Refused> },
    }
}

impl<S, K, Request> BreakerFuture<S, K, Request>
where
    S: Service<Request>,
    K: CallKind<Request, S::Response, S::Error>,
{
    #[inline(always)]
    fn calling(inner: S::Future, calls: K, pending: K::Pending, ticket: BreakerTicket) -> Self {
        Self { state: State::Calling { inner, calls, pending, ticket } }
    }

    #[cold]
    fn refused(refused: Refused) -> Self {
        Self { state: State::Refused { refused: Some(refused) } }
    }
}

impl<S, K, Request> Future for BreakerFuture<S, K, Request>
where
    S: Service<Request>,
    S::Error: From<Refused>,
    K: CallKind<Request, S::Response, S::Error>,
{
    type Output = Result<K::Response<BreakerTicket>, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Calling { inner, calls, pending, ticket } => {
                let result = ready!(inner.poll(cx));
                Poll::Ready(calls.answer(pending, result, ticket.take()))
            }
            StateProj::Refused { refused } => tell(refused),
        }
    }
}

#[cold]
fn tell<T, E: From<Refused>>(refused: &mut Option<Refused>) -> Poll<Result<T, E>> {
    match refused.take() {
        Some(refused) => Poll::Ready(Err(refused.into())),
        // Polled after its end, which futures need not allow.
        None => Poll::Pending,
    }
}

impl<S, K, Request> fmt::Debug for BreakerFuture<S, K, Request>
where
    S: Service<Request>,
    K: CallKind<Request, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture").finish_non_exhaustive()
    }
}
