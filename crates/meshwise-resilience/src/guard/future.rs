//! The future of a guarded call: it calls, waits, or was refused.

use super::{
    CallKind, Enforce, RequestKind, Spare, Ticket,
    gate::{Admission, Awaited, Queued},
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
    pub struct GuardedFuture<S, K, Req, T = Untimed>
    where
        S: Service<K::Request>,
        K: RequestKind<Req>,
    {
        #[pin]
        stage: Stage<S, S::Future, K::Request>,
        // Beside the stage, so that it stays in its place when that changes; `None` if the call was
        // refused at once.
        call: Option<Call<S, K::Pending>>,
        // Set when the call first makes its caller wait.
        #[pin]
        timer: T,
    }
}

pin_project! {
    #[project = StageProj]
    pub(super) enum Stage<S, F, Req> {
        Calling { #[pin] inner: F },
        // Boxed: it is seldom there, and would make every future larger.
        Waiting { waiting: Option<Box<Waiting<S, Req>>> },
        Refused { refused: Option<Refused> },
    }
}

/// What goes with a call from its beginning on.
pub(super) struct Call<S, P> {
    pub(super) ticket: Option<Ticket>,
    pub(super) pending: P,
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

impl<S, P> Call<S, P> {
    /// Decides whether there is another attempt, and prepares it.
    #[cold]
    fn next<K, Req>(&mut self, verdict: RetryVerdict) -> Option<Waiting<S, K::Request>>
    where
        K: RequestKind<Req, Pending = P>,
    {
        let gate = Arc::clone(&self.ticket.as_ref()?.gate);
        let (retry, tried) = (gate.retry.as_ref()?, K::tried(&self.pending));
        let tries = K::tries(&mut self.pending)?;
        let (until, withdrawal) = retry.next(tries, tried, verdict)?;
        let tries = *tries;
        // From here on the body goes with the next attempt: while it waits the source is not read.
        let Some(request) = K::again(&mut self.pending, tries.made) else {
            retry.counts.body_not_kept.increment(1);
            return None;
        };
        let (peer, attempt) = (&*gate.peer, tries.made + 1);
        tracing::debug!(target: names::TARGET, peer, attempt, "trying a call again");
        let queued = Queued::new(Awaited::Attempt(withdrawal), until);
        Some(Waiting { queued, sleep: Box::pin(None), service: None, request })
    }
}

impl<S, K, Req, T: Timer> Future for GuardedFuture<S, K, Req, T>
where
    S: Service<<K as RequestKind<Req>>::Request> + 'static,
    S::Error: From<Refused>,
    K: CallKind<Req, S::Response, S::Error, Request: 'static>,
{
    type Output = Result<K::Response, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let inner = match this.stage.as_mut().project() {
                StageProj::Calling { inner } => inner,
                StageProj::Waiting { .. } => {
                    ready!(self.as_mut().poll_waiting(cx))?;
                    continue;
                }
                StageProj::Refused { refused } => {
                    // Polled after its end, which futures need not allow.
                    let Some(refused) = refused.take() else { return Poll::Pending };
                    return Poll::Ready(Err(refused.into()));
                }
            };
            let Some(Call { ticket: place, pending, .. }) = this.call else { return Poll::Pending };
            let Some(ticket) = place else { return Poll::Pending };
            // A gate that sets deadlines shows them to whatever runs within.
            let shown = ticket.gate.enforce == Enforce::Whole;
            let entered = shown.then(|| ticket.limits.enter());
            let polled = end_on_panic(Some(ticket), || inner.poll(cx));
            drop(entered);
            match polled {
                Poll::Ready(result) => {
                    if let Some(sent) = K::sent(pending) {
                        ticket.sent_body(sent);
                    }
                    let verdict = K::answered(pending, &result, ticket);
                    if is_over::<K, Req>(pending, ticket, verdict) {
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
                    ready!(this.timer.as_mut().poll(until, cx));
                    if K::sent(pending).is_some_and(|sent| ticket.sent_body(sent)) {
                        this.timer.reset();
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

impl<S, K, Req, T: Timer> GuardedFuture<S, K, Req, T>
where
    S: Service<<K as RequestKind<Req>>::Request>,
    S::Error: From<Refused>,
    K: CallKind<Req, S::Response, S::Error>,
{
    #[cold]
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        let StageProj::Waiting { waiting: place } = this.stage.as_mut().project() else {
            return Poll::Ready(Ok(()));
        };
        let (Some(waiting), Some(call)) = (&mut *place, this.call.as_mut()) else {
            return Poll::Pending;
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
                    Admission::Wait(Queued::new(ready, until))
                }
                Awaited::Ready(withdrawal) => {
                    let Some(service) = service else { return Poll::Pending };
                    if gate.is_open() {
                        gate.refuse_unready().map_or(Admission::Go, Admission::Refused)
                    } else {
                        match service.poll_ready(cx) {
                            Poll::Pending if over => {
                                Admission::Refused(gate.refuse(Rule::TimedOut))
                            }
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(Err(error)) => {
                                *place = None;
                                *this.call = None;
                                return Poll::Ready(Err(error));
                            }
                            Poll::Ready(Ok(())) => {
                                if let Some(withdrawal) = withdrawal.take() {
                                    withdrawal.spend();
                                }
                                let tries = K::tries(&mut call.pending);
                                let last = ticket.limits;
                                let limits = tries.map_or(last, |tries| gate.again(tries, last));
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
                Admission::Wait(queued) => waiting.queued = queued,
                Admission::Refused(refused) => {
                    let tries = K::tries(&mut call.pending);
                    if let (Some(tries), Some(retry)) = (tries, &gate.retry) {
                        retry.refused(tries);
                    }
                    *this.call = None;
                    this.stage.set(Stage::Refused { refused: Some(refused) });
                    return Poll::Ready(Ok(()));
                }
                Admission::Go => {
                    let Some(waiting) = place.take() else { return Poll::Pending };
                    let Waiting { service, request, .. } = *waiting;
                    let Some(mut service) = service else { return Poll::Pending };
                    ticket.sent();
                    let shown = ticket.limits.enter();
                    let inner = end_on_panic(Some(ticket), || service.call(request));
                    drop(shown);
                    this.stage.set(Stage::Calling { inner });
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
        let call = this.call.as_mut()?;
        if let Some(waiting) = call.next::<K, Req>(verdict) {
            // The failed response is dropped before the wait, and the guards are told of it.
            drop(result);
            call.ticket.iter_mut().for_each(Ticket::give_up);
            this.stage.set(Stage::Waiting { waiting: Some(Box::new(waiting)) });
            this.timer.reset();
            return None;
        }
        // Dropped at once: what it holds is free.
        this.stage.set(Stage::Refused { refused: None });
        let Call { mut ticket, pending, .. } = this.call.take()?;
        Some(result.map(|response| K::response(&pending, response, &mut ticket)))
    }
}

impl<S, K, Req, T: Timer> GuardedFuture<S, K, Req, T>
where
    S: Service<K::Request>,
    K: RequestKind<Req>,
{
    #[inline(always)]
    pub(super) fn new(stage: Stage<S, S::Future, K::Request>, call: Call<S, K::Pending>) -> Self {
        Self { stage, call: Some(call), timer: T::default() }
    }

    pub(super) fn refused(refused: Refused) -> Self {
        let stage = Stage::Refused { refused: Some(refused) };
        Self { stage, call: None, timer: T::default() }
    }
}

/// Tells whether no further attempt is to be thought of; pays into the budget for a first one that
/// went well.
#[inline(always)]
fn is_over<K: RequestKind<Req>, Req>(
    pending: &mut K::Pending,
    ticket: &Ticket,
    verdict: RetryVerdict,
) -> bool {
    let Some(tries) = K::tries(pending) else { return true };
    let well = tries.made == 1 && verdict == RetryVerdict::Well;
    if let (true, Some(retry)) = (well, &ticket.gate.retry) {
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

/// Says whether a call may be ended by a timer, which takes room in its future.
pub trait Timer: Default {
    /// Tells whether the time is there, having set the timer first.
    fn poll(self: Pin<&mut Self>, until: u64, cx: &mut Context<'_>) -> Poll<()>;

    /// Forgets what it was set to.
    fn reset(self: Pin<&mut Self>);
}

/// No timer ends a call: its guards set no limits.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing in it")]
pub struct Untimed;

impl Timer for Untimed {
    fn poll(self: Pin<&mut Self>, _until: u64, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn reset(self: Pin<&mut Self>) {}
}

pin_project! {
    /// Ends a call at its limit.
    #[derive(Debug, Default)]
    pub struct Timed {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer for Timed {
    fn poll(self: Pin<&mut Self>, until: u64, cx: &mut Context<'_>) -> Poll<()> {
        poll_sleep(self.project().sleep, until, cx)
    }

    fn reset(self: Pin<&mut Self>) {
        self.project().sleep.set(None);
    }
}

debug!(
    "GuardedFuture", [S, K, Req, T] GuardedFuture<S, K, Req, T>
    where [S: Service<K::Request>, K: RequestKind<Req>]
);
