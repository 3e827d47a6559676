//! The future of a guarded call: it calls, waits, or was refused.

use super::{
    CallKind, Enforce, Gate, Plan, RequestKind, Spare, Ticket, Timer,
    beside::Beside,
    gate::{Awaited, Carried, DEADLINES, HEDGE, LIMIT, Queued, RETRY, has},
    kind::ended,
    ticket::end_on_panic,
};
use crate::{
    breaker::Breaker,
    clock,
    debug::debug,
    names,
    retry::{RetryVerdict, Tries},
};
use meshwise_core::{Refused, outcome::Rule};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

pin_project! {
    /// Resolves to the response of a [`Guarded`] service, or to a refusal.
    pub struct GuardedFuture<S, K, Req, P>
    where
        S: Service<K::Request>,
        K: RequestKind<Req>,
        P: Plan,
    {
        #[pin]
        pub(super) stage: Stage<S, S::Future, K::Request, K::Pending, P>,
        // Set when the call first makes its caller wait.
        pub(super) timer: P::Timer,
        pub(super) beside: P::Beside<Beside<S, K::Request>>,
    }

    impl<S, K, Req, P> PinnedDrop for GuardedFuture<S, K, Req, P>
    where
        S: Service<K::Request>,
        K: RequestKind<Req>,
        P: Plan,
    {
        fn drop(this: Pin<&mut Self>) {
            if has::<P>(DEADLINES) && matches!(this.stage, Stage::Calling { ticket: Some(_), .. }) {
                this.give_up();
            }
        }
    }
}

pin_project! {
    #[project = StageProj]
    #[project_replace = StageLeft]
    pub(super) enum Stage<S, F, Req, K, P: Plan> {
        // What goes with a call lies here, and not in a type of its own, which would be dropped apart.
        Calling {
            #[pin]
            inner: F,
            ticket: Option<Ticket<P>>,
            pending: K,
            // Makes the service of the next attempt.
            spare: P::Waits<Arc<Spare<S>>>,
        },
        // Boxed: it is seldom there, and would make every future larger.
        Waiting { waiting: P::Waits<Box<Waiting<S, Req, K, P>>> },
        Over { refused: Option<Refused> },
    }
}

/// What a call waits with for a permit, its turn or its next attempt.
pub(super) struct Waiting<S, Req, K, P: Plan> {
    pub(super) ticket: Ticket<P>,
    pub(super) pending: K,
    pub(super) spare: P::Waits<Arc<Spare<S>>>,
    pub(super) queued: Queued,
    pub(super) timer: Timer,
    /// Ready to be called, or about to become so.
    pub(super) service: Option<S>,
    pub(super) request: Req,
}

impl<S, F, Req, K, P: Plan> Stage<S, F, Req, K, P> {
    pub(super) fn waiting(waiting: Waiting<S, Req, K, P>) -> Self {
        Self::Waiting { waiting: P::Waits::of(Some(Box::new(waiting))) }
    }
}

/// What an attempt came to, and whether another makes sense.
type Attempted<S, Req> =
    (Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>, RetryVerdict);

impl<S, K, Req, P> Future for GuardedFuture<S, K, Req, P>
where
    S: Service<<K as RequestKind<Req>>::Request, Error: From<Refused>> + 'static,
    K: CallKind<Req, S::Response, P, Request: 'static>,
    P: Plan,
{
    type Output = Result<K::Response, S::Error>;

    // The way of a call that goes well, and no other: in a loop with what may come after an attempt, what
    // the service came to would be moved from place to place.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if has::<P>(HEDGE) {
            return self.poll_both(cx);
        }
        let this = self.as_mut().project();
        let StageProj::Calling { inner, ticket: place, pending, .. } = this.stage.project() else {
            return self.go_on(None, cx);
        };
        let Some(ticket) = place else { return Poll::Pending };
        let attempted = match poll_inner(inner, ticket, cx) {
            Poll::Ready(Ok(answer)) => {
                sent_body::<K, Req, P>(pending, ticket);
                let verdict = K::answered(pending, &answer, ticket);
                // Whether no further attempt is to be thought of.
                let first = |tries: &mut Tries| tries.made == 1 && verdict == RetryVerdict::Well;
                if !has::<P>(RETRY) || K::tries(pending).is_none_or(first) {
                    return Poll::Ready(Ok(K::response(pending, answer, place)));
                }
                Some((Ok(answer), verdict))
            }
            polled => Some(ready!(self.as_mut().attempted(polled, cx))),
        };
        self.go_on(attempted, cx)
    }
}

/// Polls an attempt; a gate that sets deadlines shows them to whatever runs within.
#[inline(always)]
pub(super) fn poll_inner<F: Future, P: Plan>(
    inner: Pin<&mut F>,
    ticket: &mut Ticket<P>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let shown = has::<P>(DEADLINES | LIMIT) && ticket.gate.enforce == Enforce::Whole;
    let entered = shown.then(|| ticket.limits.enter());
    let polled = end_on_panic(Some(ticket), || inner.poll(cx));
    drop(entered);
    polled
}

/// Takes off the time that the peer waited for the request's body.
#[inline]
fn sent_body<K: RequestKind<Req>, Req, P: Plan>(pending: &K::Pending, ticket: &mut Ticket<P>) {
    if let Some(sent) = K::sent(pending) {
        ticket.sent_body(sent);
    }
}

impl<S, K, Req, P> GuardedFuture<S, K, Req, P>
where
    S: Service<<K as RequestKind<Req>>::Request, Error: From<Refused>> + 'static,
    K: CallKind<Req, S::Response, P, Request: 'static>,
    P: Plan,
{
    /// Takes what an attempt came to; if that is nothing yet, waits for the end of the time that it has, and
    /// ends it.
    fn attempted(
        self: Pin<&mut Self>,
        polled: Poll<Result<S::Response, S::Error>>,
        cx: &mut Context<'_>,
    ) -> Poll<Attempted<S, K::Request>> {
        let this = self.project();
        let StageProj::Calling { ticket: Some(ticket), pending, .. } = this.stage.project() else {
            return Poll::Pending;
        };
        if let Poll::Ready(result) = polled {
            sent_body::<K, Req, P>(pending, ticket);
            let verdict = ended::<K, Req, _, _, P>(pending, &result, ticket);
            return Poll::Ready((result, verdict));
        }
        let Some(timer) = this.timer.place() else { return Poll::Pending };
        loop {
            let Some(until) = ticket.head_until() else { return Poll::Pending };
            ready!(timer.poll_limit(until, cx));
            if !K::sent(pending).is_some_and(|sent| ticket.sent_body(sent)) {
                break;
            }
            // It had to wait for the request's body: there is time left.
            timer.clear();
        }
        let (refused, end) = ticket.expire();
        Poll::Ready((Err(refused.into()), RetryVerdict::of(&end, K::harmless(pending).0)))
    }

    /// Goes on after an attempt that was not well, and with a call that waits or was refused.
    #[cold]
    fn go_on(
        mut self: Pin<&mut Self>,
        mut attempted: Option<Attempted<S, K::Request>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<K::Response, S::Error>> {
        loop {
            if let Some((result, verdict)) = attempted
                && let Some(result) = self.as_mut().again_or(result, verdict)
            {
                return Poll::Ready(result);
            }
            ready!(self.as_mut().poll_waiting(cx))?;
            attempted = match self.as_mut().project().stage.project() {
                StageProj::Calling { inner, ticket: Some(ticket), .. } => {
                    let polled = poll_inner(inner, ticket, cx);
                    Some(ready!(self.as_mut().attempted(polled, cx)))
                }
                StageProj::Over { refused } => {
                    // Polled after its end, which futures need not allow.
                    let Some(refused) = refused.take() else { return Poll::Pending };
                    return Poll::Ready(Err(refused.into()));
                }
                _ => return Poll::Pending,
            };
        }
    }

    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        let StageProj::Waiting { waiting: place } = this.stage.as_mut().project() else {
            return Poll::Ready(Ok(()));
        };
        let Some(Some(waiting)) = place.place() else { return Poll::Pending };
        let Waiting { ticket, pending, spare, queued, timer, service, .. } = &mut **waiting;
        let gate = Arc::clone(&ticket.gate);
        loop {
            let over = match queued.what {
                Awaited::Permit(_) => timer.poll_limit(queued.until, cx),
                _ => timer.poll(queued.until, cx),
            };
            let over = over.is_ready();
            let admission = match &mut queued.what {
                Awaited::Permit(_) | Awaited::Turn => {
                    ready!(gate.poll_queued(ticket, queued, cx, over))
                }
                Awaited::Attempt(withdrawal) => {
                    if !over {
                        return Poll::Pending;
                    }
                    let ready = Awaited::Ready(withdrawal.take());
                    let until = K::tries(pending).map_or(u64::MAX, |tries| tries.ends);
                    let spare = spare.place().and_then(|spare| spare.as_ref());
                    *service = spare.map(|spare| spare.fresh());
                    Ok(Some(Box::new(Queued::new(ready, until))))
                }
                Awaited::Ready(withdrawal) => {
                    let Some(service) = service else { return Poll::Pending };
                    if gate.is_open::<P>() {
                        gate.refuse_unready().map_or(Ok(None), Err)
                    } else {
                        match service.poll_ready(cx) {
                            Poll::Pending if over => Err(gate.refuse(Rule::TimedOut)),
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(Err(error)) => {
                                this.stage.set(Stage::Over { refused: None });
                                return Poll::Ready(Err(error));
                            }
                            Poll::Ready(Ok(())) => {
                                if let Some(withdrawal) = withdrawal.take() {
                                    withdrawal.spend();
                                }
                                let (tries, last) = (K::tries(pending), ticket.limits);
                                let limits =
                                    tries.map_or(last, |tries| gate.again::<P>(tries, last));
                                ticket.next(limits);
                                gate.admit(ticket, || None, || "")
                            }
                        }
                    }
                }
            };
            timer.clear();
            match admission {
                Ok(Some(next)) => *queued = *next,
                Err(refused) => {
                    if let (Some(tries), Some(retry)) = (K::tries(pending), &gate.retry) {
                        _ = retry.next(tries, RetryVerdict::Final);
                    }
                    this.stage.set(Stage::Over { refused: Some(refused) });
                    return Poll::Ready(Ok(()));
                }
                Ok(None) => {
                    let Some(waiting) = place.place().and_then(Option::take) else {
                        return Poll::Pending;
                    };
                    let Waiting { mut ticket, pending, spare, service, request, .. } = *waiting;
                    let Some(mut service) = service else { return Poll::Pending };
                    ticket.sent();
                    let shown = ticket.limits.enter();
                    let inner = end_on_panic(Some(&mut ticket), || service.call(request));
                    drop(shown);
                    let ticket = Some(ticket);
                    this.stage.set(Stage::Calling { inner, ticket, pending, spare });
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Goes on to wait for the next attempt, or returns what the last one came to.
    pub(super) fn again_or(
        self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
        verdict: RetryVerdict,
    ) -> Option<Result<K::Response, S::Error>> {
        let mut this = self.project();
        // The inner future is dropped at once: what it holds is free.
        let over = Stage::Over { refused: None };
        let StageLeft::Calling { mut ticket, mut pending, spare, .. } =
            this.stage.as_mut().project_replace(over)
        else {
            return None;
        };
        let next =
            ticket.as_ref().and_then(|ticket| next::<K, Req>(&ticket.gate, &mut pending, verdict));
        let (Some((queued, request)), Some(held)) = (next, &mut ticket) else {
            return Some(result.map(|response| K::response(&pending, response, &mut ticket)));
        };
        // The guards are told of what failed. If the breaker opens by an answer, that is the call's: the peer says
        // more in it than a refusal would.
        held.give_up();
        let is_open = |breaker: &Arc<Breaker>| breaker.refuses(clock::coarse).is_some();
        if result.is_ok() && held.gate.breaker.as_ref().is_some_and(is_open) {
            return Some(result.map(|response| K::response(&pending, response, &mut ticket)));
        }
        // It is dropped before the wait.
        drop(result);
        let ticket = ticket?;
        let (timer, service) = (Timer::default(), None);
        let waiting = Waiting { ticket, pending, spare, queued, timer, service, request };
        this.stage.set(Stage::waiting(waiting));
        this.timer.place().into_iter().for_each(Timer::clear);
        None
    }
}

/// Decides whether there is another attempt, and prepares it.
fn next<K: RequestKind<Req>, Req>(
    gate: &Gate,
    pending: &mut K::Pending,
    verdict: RetryVerdict,
) -> Option<(Queued, K::Request)> {
    let (retry, tries) = (gate.retry.as_ref()?, K::tries(pending)?);
    let (until, withdrawal) = retry.next(tries, verdict)?;
    let made = tries.made;
    // From here on the body goes with the next attempt: while it waits the source is not read.
    let Some(request) = K::again(pending, made) else {
        retry.body_not_kept.increment(1);
        return None;
    };
    let (peer, attempt) = (&*gate.peer, made + 1);
    tracing::debug!(target: names::TARGET, peer, attempt, "trying a call again");
    Some((Queued::new(Awaited::Attempt(withdrawal), until), request))
}

impl<S: Service<K::Request>, K: RequestKind<Req>, Req, P: Plan> GuardedFuture<S, K, Req, P> {
    #[inline(always)]
    pub(super) fn at(stage: Stage<S, S::Future, K::Request, K::Pending, P>) -> Self {
        let (timer, beside) = (P::Timer::default(), P::Beside::default());
        Self { stage, timer, beside }
    }

    /// Shows what is within by which limits to judge that it is given up.
    #[inline(never)]
    fn give_up(self: Pin<&mut Self>) {
        let mut stage = self.project().stage;
        if let StageProj::Calling { ticket: Some(ticket), pending, .. } = stage.as_mut().project()
            && let Some(sent) = K::sent(pending)
        {
            let _shown = ticket.give_up_after(sent);
            stage.set(Stage::Over { refused: None });
        }
    }

    pub(super) fn refused(refused: Refused) -> Self {
        Self::at(Stage::Over { refused: Some(refused) })
    }
}

debug!(
    "GuardedFuture", [S, K, Req, P] GuardedFuture<S, K, Req, P>
    where [S: Service<K::Request>, K: RequestKind<Req>, P: Plan]
);
