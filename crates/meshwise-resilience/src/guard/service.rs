//! The guarded service, and the call's future.

use super::{
    Ticket,
    gate::{Admission, Enforce, Gate, Polled, Queued},
    kind::{CallKind, HttpCalls},
};
use meshwise_core::{Limits, Refused, outcome::Rule};
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
};
use tower_service::Service;

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

/// Says where a call that waits gets its service from.
pub trait Again<S> {
    /// Makes another service; `None` if no call ever waits.
    #[doc(hidden)]
    fn again(service: &S) -> Option<S>;
}

/// No call waits: the service need not be `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl<S> Again<S> for Once {
    fn again(_service: &S) -> Option<S> {
        None
    }
}

/// A call that waits takes the service that is ready along, and leaves a clone.
#[derive(Clone, Copy, Debug)]
pub struct Cloned;

impl<S: Clone> Again<S> for Cloned {
    fn again(service: &S) -> Option<S> {
        Some(service.clone())
    }
}

/// Guards a service; made by the layers of this crate.
///
/// - `poll_ready` asks the inner service, unless a circuit breaker is open: then it is ready at once,
///   so that the refusal does not wait for a service that may be the very one in trouble. A permit or
///   a turn belongs to a call: none is held by a service that was found ready and is not called.
/// - `call` refuses or calls at once, or waits in the future it returns. A call that waits takes along
///   the inner service that was found ready, and leaves a clone of it, which is asked anew: a service
///   may be ready only once per clone. Refusing leaves the inner service as ready as it was.
/// - Clones share the guards' state, and nothing of their readiness.
/// - Dropping the future or the response's body at any point gives back what the call holds.
pub struct Guarded<S, K = HttpCalls, A = Once> {
    inner: S,
    gate: Arc<Gate>,
    kind: K,
    /// Stays with this clone, as the readiness of `inner` does.
    readiness: Readiness,
    again: PhantomData<fn() -> A>,
}

/// What `poll_ready` found since the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// `poll_ready` was not called since the last `call`: the inner service may panic.
    NotAsked,
    /// The inner service is ready.
    Inner,
    /// The breaker was open, and the inner service was not asked: it must not be called.
    Open,
}

impl<S, K, A> Guarded<S, K, A> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate>, kind: K) -> Self {
        Self { inner, gate, kind, readiness: Readiness::NotAsked, again: PhantomData }
    }
}

impl<S: Clone, K: Clone, A> Clone for Guarded<S, K, A> {
    fn clone(&self) -> Self {
        // What `self` has polled ready is another service than the clone's.
        Self::new(self.inner.clone(), Arc::clone(&self.gate), self.kind.clone())
    }
}

impl<S, K, A, Req> Service<Req> for Guarded<S, K, A>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    K: CallKind<Req, S::Response, S::Error>,
    A: Again<S>,
{
    type Response = K::Response;
    type Error = S::Error;
    type Future = GuardedFuture<S, K, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.gate.is_open() {
            if self.readiness == Readiness::NotAsked {
                self.readiness = Readiness::Open;
            }
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx))?;
        self.readiness = Readiness::Inner;
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let asked = mem::replace(&mut self.readiness, Readiness::NotAsked);
        if asked == Readiness::Open
            && let Some(refused) = self.gate.refuse_unready()
        {
            return GuardedFuture::refused(refused);
        }
        let kind = self.kind.clone();
        let gate = match self.gate.routes.is_empty() {
            true => &self.gate,
            false => self.gate.routes.find(kind.route(&request)).unwrap_or(&self.gate),
        };
        let path = || kind.route(&request).1;
        match gate.admit(|| kind.told(&request), || kind.key(&request), path) {
            Admission::Go(ticket) => {
                let pending = kind.begin(&request, &ticket);
                let _entered = ticket.limits().copied().map(Limits::enter);
                let inner = self.inner.call(request);
                GuardedFuture {
                    stage: Stage::Calling { inner, kind, pending, ticket },
                    sleep: None,
                }
            }
            Admission::Wait(ticket, queued) => self.wait(request, kind, ticket, queued),
            Admission::Refused(refused) => {
                self.readiness = asked;
                GuardedFuture::refused(refused)
            }
        }
    }
}

impl<S, K, A> Guarded<S, K, A> {
    #[cold]
    #[inline(never)]
    fn wait<Req>(
        &mut self,
        request: Req,
        kind: K,
        ticket: Ticket,
        queued: Queued,
    ) -> GuardedFuture<S, K, Req>
    where
        S: Service<Req>,
        K: CallKind<Req, S::Response, S::Error>,
        A: Again<S>,
    {
        // Only gates whose layers say `Cloned` have calls wait.
        let Some(fresh) = A::again(&self.inner) else {
            return GuardedFuture::refused(self.gate.refuse(Rule::BulkheadFull));
        };
        let inner = mem::replace(&mut self.inner, fresh);
        let waiting = Waiting { ticket, queued, inner, request, kind };
        GuardedFuture { stage: Stage::Waiting { waiting: Some(Box::new(waiting)) }, sleep: None }
    }
}

impl<S, K, A> fmt::Debug for Guarded<S, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("peer", &self.gate.peer).finish_non_exhaustive()
    }
}

pin_project! {
    /// Resolves to the response of a [`Guarded`] service, or to a refusal.
    pub struct GuardedFuture<S, K, Req>
    where
        S: Service<Req>,
        K: CallKind<Req, S::Response, S::Error>,
    {
        #[pin]
        stage: Stage<S, K, Req, S::Future, K::Pending>,
        // Set when the call first makes its caller wait, by a gate that enforces limits.
        #[pin]
        sleep: Option<Sleep>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, K, Req, F, P> {
        Calling { #[pin] inner: F, kind: K, pending: P, ticket: Ticket },
        // Boxed: it is seldom there, and would make every future larger.
        Waiting { waiting: Option<Box<Waiting<S, K, Req>>> },
        Refused { refused: Option<Refused> },
    }
}

/// A call that waits for a permit or its turn.
struct Waiting<S, K, Req> {
    // First: what the call waits for is left before anything else happens.
    ticket: Ticket,
    queued: Queued,
    /// Ready to be called.
    inner: S,
    request: Req,
    kind: K,
}

impl<S, K, Req> GuardedFuture<S, K, Req>
where
    S: Service<Req>,
    K: CallKind<Req, S::Response, S::Error>,
{
    #[cold]
    fn refused(refused: Refused) -> Self {
        Self { stage: Stage::Refused { refused: Some(refused) }, sleep: None }
    }

    /// Waits for a permit or a turn, and calls then.
    #[cold]
    #[inline(never)]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let StageProj::Waiting { waiting } = this.stage.as_mut().project() else {
            return Poll::Ready(());
        };
        let Some(mut call) = waiting.take() else { return Poll::Pending };
        loop {
            let Some(gate) = call.ticket.shared_gate() else { return Poll::Pending };
            let over = poll_sleep(this.sleep.as_mut(), call.queued.until, cx).is_ready();
            match gate.poll_queued(call.ticket.take(), &call.queued, cx, over) {
                Polled::Pending(ticket) => {
                    call.ticket = ticket;
                    *waiting = Some(call);
                    return Poll::Pending;
                }
                Polled::Ready(Admission::Wait(ticket, queued)) => {
                    // From the bulkhead's queue to the rate limit's.
                    (call.ticket, call.queued) = (ticket, queued);
                    this.sleep.set(None);
                }
                Polled::Ready(Admission::Refused(refused)) => {
                    this.stage.set(Stage::Refused { refused: Some(refused) });
                    return Poll::Ready(());
                }
                Polled::Ready(Admission::Go(mut ticket)) => {
                    ticket.sent();
                    this.sleep.set(None);
                    let Waiting { mut inner, request, kind, .. } = *call;
                    let pending = kind.begin(&request, &ticket);
                    let entered = ticket.limits().copied().map(Limits::enter);
                    let inner = inner.call(request);
                    drop(entered);
                    this.stage.set(Stage::Calling { inner, kind, pending, ticket });
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl<S, K, Req> Future for GuardedFuture<S, K, Req>
where
    S: Service<Req>,
    S::Error: From<Refused>,
    K: CallKind<Req, S::Response, S::Error>,
{
    type Output = Result<K::Response, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            match this.stage.as_mut().project() {
                StageProj::Calling { inner, kind, pending, ticket } => {
                    let polled = poll_inner(ticket, || inner.poll(cx));
                    if let Poll::Ready(result) = polled {
                        return Poll::Ready(kind.answer(pending, result, ticket.take()));
                    }
                    let Some(until) = ticket.head_until() else { return Poll::Pending };
                    ready!(poll_sleep(this.sleep, until, cx));
                    let refused = ticket.expire();
                    // Dropped at once: what it holds is free.
                    this.stage.set(Stage::Refused { refused: None });
                    return refused
                        .map_or(Poll::Pending, |refused| Poll::Ready(Err(refused.into())));
                }
                StageProj::Waiting { .. } => ready!(self.as_mut().poll_waiting(cx)),
                StageProj::Refused { refused } => {
                    // Polled after its end, which futures need not allow.
                    let Some(refused) = refused.take() else { return Poll::Pending };
                    return Poll::Ready(Err(refused.into()));
                }
            }
        }
    }
}

/// Polls the inner future; a panic in it ends the call before it unwinds further.
#[inline(always)]
fn poll_inner<T>(ticket: &mut Ticket, poll: impl FnOnce() -> T) -> T {
    struct OnPanic<'a>(&'a mut Ticket);
    impl Drop for OnPanic<'_> {
        #[cold]
        fn drop(&mut self) {
            self.0.panicked();
        }
    }
    // A gate that sets deadlines shows them to whatever runs within.
    let entered = match ticket.gate() {
        Some(gate) if gate.enforce == Enforce::Whole => ticket.limits().copied().map(Limits::enter),
        _ => None,
    };
    let guard = OnPanic(ticket);
    let result = poll();
    // Only unwinding runs the guard's drop.
    mem::forget(guard);
    drop(entered);
    result
}

impl<S, K, Req> fmt::Debug for GuardedFuture<S, K, Req>
where
    S: Service<Req>,
    K: CallKind<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedFuture").finish_non_exhaustive()
    }
}
