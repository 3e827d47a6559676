//! The guarded service, and its layer.

use super::{
    CallKind, Gate, GuardedFuture, Plan, RequestKind, Ticket, Timer,
    future::{Stage, Waiting},
    gate::{
        BREAKER, BULKHEAD, Carried, DEADLINES, HEDGE, Held, LIMIT, Queued, RATE, RETRY, ROUTES,
        find, has,
    },
};
use crate::{
    debug::debug,
    handle::Handle,
    retry::Tries,
    sync::{Mutex, lock},
};
use meshwise_core::{Classifier, Refused, internal::Limits, outcome::Rule};
use std::{
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// Guards a service; made by the layers of this crate.
///
/// - `poll_ready` asks the inner service, unless a circuit breaker is open: then it is ready at once,
///   so that the refusal does not wait for a service that may be the very one in trouble. (Where routes
///   have guards of their own it asks always: which breaker there is, the call's route says.) A permit or
///   a turn belongs to a call: none is held by a service that was found ready and is not called.
/// - `call` refuses or calls at once, or waits in the future it returns. A call that waits takes along
///   the inner service that was found ready, and leaves a clone of it, which is asked anew: a service
///   may be ready only once per clone. Refusing leaves the inner service as ready as it was.
/// - Readiness is used up by the first attempt. Later ones are made by fresh clones, which have to
///   become ready by themselves.
/// - Clones share the guards' state, and nothing of their readiness.
/// - The inner service borrows nothing (`'static`): then the compiler can tell that a call is `Send`,
///   whatever its error, and it can be made in a spawned task.
/// - Dropping the future or the response's body at any point releases what the call holds; what was
///   taken out of a budget for a retry that was not begun goes back, too.
pub struct Guarded<S, K, P> {
    inner: S,
    gate: Arc<Gate>,
    kind: K,
    /// There where calls may wait or be made again.
    spare: Option<Arc<Spare<S>>>,
    /// Stays with this clone, as the readiness of `inner` does.
    readiness: Readiness,
    plan: PhantomData<fn() -> P>,
}

/// What `poll_ready` found since the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// `poll_ready` was not called since the last `call`: the inner service may panic.
    NotAsked,
    Inner,
    /// The breaker was open, and the inner service was not asked: it must not be called.
    Open,
}

/// A clone that is never made ready or called, only cloned: that costs a call less than a clone of its
/// own would.
pub(crate) struct Spare<S> {
    /// The lock is there for services that are not `Sync`.
    service: Mutex<S>,
    /// Known where the service is known to be `Clone`.
    clone: fn(&S) -> S,
}

impl<S: Clone> Spare<S> {
    pub(crate) fn of(service: &S) -> Arc<Self> {
        Arc::new(Self { service: Mutex::new(service.clone()), clone: S::clone })
    }
}

impl<S> Spare<S> {
    pub(crate) fn fresh(&self) -> S {
        (self.clone)(&lock(&self.service))
    }
}

impl<S, K, P> Guarded<S, K, P> {
    pub(crate) const fn new(
        inner: S,
        gate: Arc<Gate>,
        kind: K,
        spare: Option<Arc<Spare<S>>>,
    ) -> Self {
        Self { inner, gate, kind, spare, readiness: Readiness::NotAsked, plan: PhantomData }
    }
}

impl<S: Clone, K: Clone, P> Clone for Guarded<S, K, P> {
    fn clone(&self) -> Self {
        // What `self` has polled ready is another service than the clone's.
        let (inner, kind) = (self.inner.clone(), self.kind.clone());
        Self::new(inner, Arc::clone(&self.gate), kind, self.spare.clone())
    }
}

impl<S, K, P, Req> Service<Req> for Guarded<S, K, P>
where
    S: Service<<K as RequestKind<Req>>::Request, Error: From<Refused>> + 'static,
    K: CallKind<Req, S::Response, P, Request: 'static>,
    P: Plan,
{
    type Response = K::Response;
    type Error = S::Error;
    type Future = GuardedFuture<S, K, Req, P>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.gate.is_open::<P>() {
            if self.readiness == Readiness::NotAsked {
                self.readiness = Readiness::Open;
            }
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx))?;
        if has::<P>(BREAKER) {
            self.readiness = Readiness::Inner;
        }
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        if has::<P>(BREAKER) && self.readiness == Readiness::Open {
            self.readiness = Readiness::NotAsked;
            if let Some(refused) = self.gate.refuse_unready() {
                return GuardedFuture::refused(refused);
            }
        }
        let kind = &self.kind;
        let gate = self.gate.of_route::<P>(|| kind.route(&request));
        let mut bound = u64::MAX;
        let whole = match gate.limits::<P>(|| kind.told(&request, gate), &mut bound) {
            Ok(whole) => whole,
            Err(refused) => return GuardedFuture::refused(refused),
        };
        let limits = if has::<P>(DEADLINES) { gate.attempt::<P>(whole, bound) } else { whole };
        let (mut passed, queued) = match Passed::<P>::through(gate, limits, kind, &request) {
            Ok(passed) => passed,
            Err(refused) => return GuardedFuture::refused(refused),
        };
        self.readiness = Readiness::NotAsked;
        let retry = find::<P, _>(RETRY, &gate.retry);
        let attempts = find::<P, _>(ROUTES, &gate.attempts).copied();
        let tries = match (retry, find::<P, _>(HEDGE, &gate.hedge)) {
            (Some(retry), _) => retry.begin(attempts, &whole, bound),
            (None, Some(hedge)) => hedge.begin(),
            (None, None) => Tries::ONCE,
        };
        let again = has::<P>(RETRY | HEDGE);
        let spare = P::Waits::of(if again { self.spare.clone() } else { None });
        let mut pending = kind.keep(&request, gate, tries);
        K::fill(&request, &mut pending);
        let limits = limits.with_stream(K::http(&pending).streaming);
        let request = K::send(request, &mut pending);
        if has::<P>(BULKHEAD | RATE)
            && let Some(queued) = queued
        {
            return self.wait(request, *queued, passed.ticket(limits), pending, spare);
        }
        // What others have set around this call, the service within sees anyway.
        let shown = has::<P>(DEADLINES | LIMIT).then(|| limits.enter());
        passed.called = true;
        let inner = self.inner.call(request);
        drop(shown);
        let ticket = Some(passed.ticket(limits));
        GuardedFuture::at(Stage::Calling { inner, ticket, pending, spare })
    }
}

/// A call that has passed, until the service was called; a panic ends it.
///
/// The ticket is made afterwards: made before, it would have to be moved.
struct Passed<'a, P: Plan> {
    gate: &'a Arc<Gate>,
    pass: P::Pass,
    held: P::Held,
    called: bool,
}

impl<'a, P: Plan> Passed<'a, P> {
    /// Lets a call pass at once, as nearly all do, or after a closer look; it may have to wait.
    ///
    /// # Errors
    /// Refuses it.
    #[inline(always)]
    fn through<Req>(
        gate: &'a Arc<Gate>,
        limits: Limits,
        kind: &impl RequestKind<Req>,
        request: &Req,
    ) -> Result<(Self, Option<Box<Queued>>), Refused> {
        let ((pass, held), queued) = match gate.pass::<P>() {
            Some(held) => (held, None),
            None => {
                let mut ticket = Ticket::<P>::new(Arc::clone(gate), limits);
                let (key, path) = (|| kind.key(request), || kind.route(request).1);
                let queued = gate.admit(&mut ticket, key, path)?;
                (ticket.leave(), queued)
            }
        };
        Ok((Self { gate, pass, held, called: false }, queued))
    }

    #[inline(always)]
    fn ticket(mut self, limits: Limits) -> Ticket<P> {
        let held = (self.pass, mem::replace(&mut self.held, P::Held::of(Held::Nothing)));
        let gate = Arc::clone(self.gate);
        // Only unwinding runs the drop.
        mem::forget(self);
        Ticket::with(gate, limits, held)
    }
}

impl<P: Plan> Drop for Passed<'_, P> {
    #[cold]
    fn drop(&mut self) {
        let held = (self.pass, mem::replace(&mut self.held, P::Held::of(Held::Nothing)));
        let mut ticket = Ticket::<P>::with(Arc::clone(self.gate), Limits::NONE, held);
        if self.called {
            ticket.panicked();
        }
    }
}

impl<S, K, P: Plan> Guarded<S, K, P> {
    #[cold]
    fn wait<Req>(
        &mut self,
        request: K::Request,
        queued: Queued,
        ticket: Ticket<P>,
        pending: K::Pending,
        again: P::Waits<Arc<Spare<S>>>,
    ) -> GuardedFuture<S, K, Req, P>
    where
        S: Service<K::Request>,
        K: RequestKind<Req>,
    {
        // Only gates whose layers make spares have calls wait.
        let Some(spare) = &self.spare else {
            return GuardedFuture::refused(self.gate.refuse(Rule::BulkheadFull));
        };
        let service = Some(mem::replace(&mut self.inner, spare.fresh()));
        let (spare, timer) = (again, Timer::default());
        let waiting = Waiting { ticket, pending, spare, queued, timer, service, request };
        GuardedFuture::at(Stage::waiting(waiting))
    }
}

debug!("Guarded", [S, K, P] Guarded<S, K, P>, guarded: "peer" = guarded.gate.peer);

/// Puts a guard around services, for calls of a kind `K` ([`CallKind`](crate::CallKind)).
///
/// One layer is one guard: all services it makes, and their clones, share it. What its services do at
/// `poll_ready` and `call` stands at [`Guarded`].
#[must_use]
pub struct GuardLayer<G, K> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) guard: Arc<G>,
    pub(crate) kind: K,
}

impl<G, K> GuardLayer<G, K> {
    pub(crate) fn front(gate: Gate, guard: Arc<G>, kind: K) -> Self {
        Self { gate: Arc::new(gate), guard, kind }
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Gate)) -> Self {
        change(Arc::make_mut(&mut self.gate));
        self
    }

    /// Sets how answers and errors are judged: what counts against the peer, what is tried again, what
    /// is overload.
    pub fn with_classifier(self, classifier: Classifier) -> Self {
        self.change(|gate| gate.classifier = classifier)
    }

    /// Guards another kind of calls; the guard stays the same one.
    pub fn with_calls<L>(self, kind: L) -> GuardLayer<G, L> {
        GuardLayer { gate: self.gate, guard: self.guard, kind }
    }

    /// Returns the guard, to be read and turned.
    #[must_use]
    pub fn handle(&self) -> Handle<G> {
        Handle::new(&self.guard, &self.gate.peer)
    }
}

impl<G, K: Clone> GuardLayer<G, K> {
    pub(crate) fn around<S>(&self, inner: S, spare: Option<Arc<Spare<S>>>) -> Guarded<S, K, G> {
        Guarded::new(inner, Arc::clone(&self.gate), self.kind.clone(), spare)
    }
}

/// Makes a guard's front a layer. Where calls may wait, or be made again, the service must be
/// `Clone`.
macro_rules! layer {
    ($guard:ty) => {
        layer!($guard, [], |_| None);
    };
    ($guard:ty, Clone) => {
        layer!($guard, [: Clone], |inner| Some($crate::guard::Spare::of(inner)));
    };
    ($guard:ty, [$($bound:tt)*], $spare:expr) => {
        impl<S $($bound)*, K: Clone> tower_layer::Layer<S> for $crate::guard::GuardLayer<$guard, K> {
            type Service = $crate::guard::Guarded<S, K, $guard>;

            fn layer(&self, inner: S) -> Self::Service {
                let spare: fn(&S) -> Option<std::sync::Arc<$crate::guard::Spare<S>>> = $spare;
                let spare = spare(&inner);
                self.around(inner, spare)
            }
        }
    };
}

pub(crate) use layer;

impl<G, K: Clone> Clone for GuardLayer<G, K> {
    fn clone(&self) -> Self {
        let (gate, guard) = (Arc::clone(&self.gate), Arc::clone(&self.guard));
        Self { gate, guard, kind: self.kind.clone() }
    }
}

debug!("GuardLayer", [G, K] GuardLayer<G, K>, layer: "peer" = layer.gate.peer);
