//! The future of a guarded call: it calls, waits, or was refused.

use super::{
    CallKind, Enforce, Plan, RequestKind, Spare, Ticket, ended,
    gate::{Awaited, Carried, DEADLINES, LIMIT, Queued, RETRY, find, has},
    ticket::end_on_panic,
};
use crate::{debug::debug, names, retry::RetryVerdict};
use meshwise_core::{
    Refused,
    internal::{Limits, clock::instant},
    outcome::Rule,
};
use pin_project_lite::pin_project;
use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
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
        stage: Stage<S, S::Future, K::Request, K::Pending, P>,
        // Set when the call first makes its caller wait.
        #[pin]
        timer: P::Timer,
    }
}

pin_project! {
    #[project = StageProj]
    #[project_replace = StageLeft]
    pub(super) enum Stage<S, F, Req, K, P: Plan> {
        Calling { #[pin] inner: F, call: Call<S, K, P> },
        // Boxed: it is seldom there, and would make every future larger.
        Waiting { waiting: Box<Waiting<S, Req>>, call: Call<S, K, P> },
        Over { refused: Option<Refused> },
    }
}

/// What goes with a call from its beginning on.
pub(super) struct Call<S, K, P: Plan> {
    pub(super) ticket: Option<Ticket<P>>,
    pub(super) pending: K,
    /// Makes the service of the next attempt.
    pub(super) spare: Option<Arc<Spare<S>>>,
}

/// What a call waits with for a permit, its turn or its next attempt.
pub(super) struct Waiting<S, Req> {
    pub(super) queued: Queued,
    pub(super) sleep: Pin<Box<Option<Sleep>>>,
    /// Ready to be called, or about to become so.
    pub(super) service: Option<S>,
    pub(super) request: Req,
}

impl<S, K, P: Plan> Call<S, K, P> {
    /// Decides whether there is another attempt, and prepares it.
    #[cold]
    fn next<R, Req>(&mut self, verdict: RetryVerdict) -> Option<Waiting<S, R::Request>>
    where
        R: RequestKind<Req, Pending = K>,
    {
        let gate = Arc::clone(&self.ticket.as_ref()?.gate);
        let (retry, tried) = (gate.retry.as_ref()?, R::tried(&self.pending));
        let tries = R::tries(&mut self.pending)?;
        let (until, withdrawal) = retry.next(tries, tried, verdict)?;
        let tries = *tries;
        // From here on the body goes with the next attempt: while it waits the source is not read.
        let Some(request) = R::again(&mut self.pending, tries.made) else {
            retry.counts.body_not_kept.increment(1);
            return None;
        };
        let (peer, attempt) = (&*gate.peer, tries.made + 1);
        tracing::debug!(target: names::TARGET, peer, attempt, "trying a call again");
        let queued = Queued::new(Awaited::Attempt(withdrawal), until);
        Some(Waiting { queued, sleep: Box::pin(None), service: None, request })
    }
}

impl<S, K, Req, P> Future for GuardedFuture<S, K, Req, P>
where
    S: Service<<K as RequestKind<Req>>::Request> + 'static,
    S::Error: From<Refused>,
    K: CallKind<Req, S::Response, P, Request: 'static>,
    P: Plan,
{
    type Output = Result<K::Response, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let this = self.as_mut().project();
            let (inner, Call { ticket: place, pending, .. }) = match this.stage.project() {
                StageProj::Calling { inner, call } => (inner, call),
                StageProj::Waiting { .. } => {
                    ready!(self.as_mut().poll_waiting(cx))?;
                    continue;
                }
                StageProj::Over { refused } => {
                    // Polled after its end, which futures need not allow.
                    let Some(refused) = refused.take() else { return Poll::Pending };
                    return Poll::Ready(Err(refused.into()));
                }
            };
            let Some(ticket) = place else { return Poll::Pending };
            // A gate that sets deadlines shows them to whatever runs within.
            let shown = has::<P>(DEADLINES | LIMIT) && ticket.gate.enforce == Enforce::Whole;
            let entered = shown.then(|| ticket.limits.enter());
            let polled = end_on_panic(Some(ticket), || inner.poll(cx));
            drop(entered);
            match polled {
                Poll::Ready(result) => {
                    if let Some(sent) = K::sent(pending) {
                        ticket.sent_body(sent);
                    }
                    let verdict = ended::<K, Req, _, _, P>(pending, &result, ticket);
                    if is_over::<K, Req, P>(pending, ticket, verdict) {
                        return Poll::Ready(match result {
                            Ok(answer) => Ok(K::response(pending, answer, place)),
                            Err(error) => Err(error),
                        });
                    }
                    if let Some(result) = self.as_mut().again_or(result, verdict) {
                        return Poll::Ready(result);
                    }
                }
                Poll::Pending => {
                    let Some(until) = ticket.head_until() else { return Poll::Pending };
                    let Some(mut sleep) = this.timer.place() else { return Poll::Pending };
                    ready!(poll_sleep(sleep.as_mut(), until, cx));
                    if K::sent(pending).is_some_and(|sent| ticket.sent_body(sent)) {
                        sleep.set(None);
                        continue;
                    }
                    let (refused, end) = ticket.expire();
                    let verdict = RetryVerdict::of(&end, K::repeatable(pending));
                    if let Some(result) = self.as_mut().again_or(Err(refused.into()), verdict) {
                        return Poll::Ready(result);
                    }
                }
            }
        }
    }
}

impl<S, K, Req, P> GuardedFuture<S, K, Req, P>
where
    S: Service<<K as RequestKind<Req>>::Request>,
    S::Error: From<Refused>,
    K: CallKind<Req, S::Response, P>,
    P: Plan,
{
    #[cold]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        let StageProj::Waiting { waiting, call } = this.stage.as_mut().project() else {
            return Poll::Ready(Ok(()));
        };
        let Some(ticket) = &mut call.ticket else { return Poll::Pending };
        let gate = Arc::clone(&ticket.gate);
        loop {
            let Waiting { queued, sleep, service, .. } = &mut **waiting;
            let over = poll_sleep(sleep.as_mut(), queued.until, cx).is_ready();
            let admission = match &mut queued.what {
                Awaited::Permit(_) | Awaited::Turn => {
                    ready!(gate.poll_queued(ticket, queued, cx, over))
                }
                Awaited::Attempt(withdrawal) => {
                    if !over {
                        return Poll::Pending;
                    }
                    let ready = Awaited::Ready(withdrawal.take());
                    let until = K::tries(&mut call.pending).map_or(u64::MAX, |tries| tries.ends);
                    *service = call.spare.as_ref().map(|spare| spare.fresh());
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
                                let tries = K::tries(&mut call.pending);
                                let last = ticket.limits;
                                let limits =
                                    tries.map_or(last, |tries| gate.again::<P>(tries, last));
                                ticket.superseded();
                                *ticket = Ticket::new(Arc::clone(&gate), limits);
                                gate.admit(ticket, || None, || "")
                            }
                        }
                    }
                }
            };
            sleep.set(None);
            match admission {
                Ok(Some(queued)) => waiting.queued = *queued,
                Err(refused) => {
                    let tries = K::tries(&mut call.pending);
                    if let (Some(tries), Some(retry)) = (tries, &gate.retry) {
                        retry.refused(tries);
                    }
                    this.stage.set(Stage::Over { refused: Some(refused) });
                    return Poll::Ready(Ok(()));
                }
                Ok(None) => {
                    let over = Stage::Over { refused: None };
                    let StageLeft::Waiting { waiting, mut call } =
                        this.stage.as_mut().project_replace(over)
                    else {
                        return Poll::Pending;
                    };
                    let Waiting { service, request, .. } = *waiting;
                    let (Some(mut service), Some(ticket)) = (service, &mut call.ticket) else {
                        return Poll::Pending;
                    };
                    ticket.sent();
                    let shown = ticket.limits.enter();
                    let inner = end_on_panic(Some(ticket), || service.call(request));
                    drop(shown);
                    this.stage.set(Stage::Calling { inner, call });
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Goes on to wait for the next attempt, or returns what the last one came to.
    #[cold]
    fn again_or(
        self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
        verdict: RetryVerdict,
    ) -> Option<Result<K::Response, S::Error>> {
        let mut this = self.project();
        // The inner future is dropped at once: what it holds is free.
        let over = Stage::Over { refused: None };
        let StageLeft::Calling { mut call, .. } = this.stage.as_mut().project_replace(over) else {
            return None;
        };
        if let Some(waiting) = call.next::<K, Req>(verdict) {
            // The failed response is dropped before the wait, and the guards are told of it.
            drop(result);
            call.ticket.iter_mut().for_each(Ticket::give_up);
            this.stage.set(Stage::Waiting { waiting: Box::new(waiting), call });
            this.timer.place().into_iter().for_each(|mut sleep| sleep.set(None));
            return None;
        }
        let Call { mut ticket, pending, .. } = call;
        Some(result.map(|response| K::response(&pending, response, &mut ticket)))
    }
}

impl<S, K, Req, P> GuardedFuture<S, K, Req, P>
where
    S: Service<K::Request>,
    K: RequestKind<Req>,
    P: Plan,
{
    #[inline(always)]
    pub(super) fn at(stage: Stage<S, S::Future, K::Request, K::Pending, P>) -> Self {
        Self { stage, timer: P::Timer::of(None) }
    }

    pub(super) fn refused(refused: Refused) -> Self {
        Self::at(Stage::Over { refused: Some(refused) })
    }
}

/// Tells whether no further attempt is to be thought of; pays into the budget for a first one that
/// went well.
#[inline(always)]
fn is_over<K: RequestKind<Req>, Req, P: Plan>(
    pending: &mut K::Pending,
    ticket: &Ticket<P>,
    verdict: RetryVerdict,
) -> bool {
    let Some(tries) = K::tries(pending) else { return true };
    let well = tries.made == 1 && verdict == RetryVerdict::Well;
    if let (true, Some(retry)) = (well, find::<P, _>(RETRY, &ticket.gate.retry)) {
        // Paid in when the attempt began, if that is known: a clock costs as much as the deposit.
        match ticket.limits.began_at() {
            began if began > Limits::NONE.began_at() => retry.budget.succeeded_at(began),
            _ => retry.budget.succeeded(),
        }
    }
    well
}

/// Polls a timer, setting it first if need be.
///
/// It does not take part in tokio's budget: an inner future that has used it up would otherwise keep
/// the timer from ever being seen.
pub(crate) fn poll_sleep(
    mut sleep: Pin<&mut Option<Sleep>>,
    until: u64,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if sleep.is_none() {
        if until == u64::MAX {
            return Poll::Pending;
        }
        sleep.set(Some(sleep_until(instant(until).into())));
    }
    match sleep.as_pin_mut() {
        Some(sleep) => pin!(coop::unconstrained(sleep)).poll(cx),
        None => Poll::Pending,
    }
}

debug!(
    "GuardedFuture", [S, K, Req, P] GuardedFuture<S, K, Req, P>
    where [S: Service<K::Request>, K: RequestKind<Req>, P: Plan]
);
