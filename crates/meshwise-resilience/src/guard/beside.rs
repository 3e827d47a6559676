//! The attempt that is made beside a first one which is slower than most; the first good answer wins.

use super::{
    CallKind, GuardedFuture, Plan, RequestKind,
    future::{StageProj, poll_inner},
    gate::Carried,
    kind::ended,
};
use crate::{
    clock, names,
    retry::{RetryVerdict, Withdrawal},
};
use meshwise_core::Refused;
use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// What a hedged call has once its first attempt has made its caller wait.
pub(super) struct Beside<S: Service<Req>, Req> {
    began: u64,
    second: Second<S, Req>,
    /// What the first attempt came to, if that was no good.
    failed: Option<Result<S::Response, S::Error>>,
}

enum Second<S: Service<Req>, Req> {
    /// It may begin later.
    Later,
    /// Paid for; it begins once its service is ready.
    Paid(S, Req, Withdrawal),
    Calling(Pin<Box<S::Future>>),
    /// It is over, or never began.
    Over,
}

impl<S, K, Req, P> GuardedFuture<S, K, Req, P>
where
    S: Service<<K as RequestKind<Req>>::Request, Error: From<Refused>> + 'static,
    K: CallKind<Req, S::Response, P, Request: 'static>,
    P: Plan,
{
    /// Polls the first attempt, and the one beside it.
    pub(super) fn poll_both(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<K::Response, S::Error>> {
        let this = self.as_mut().project();
        let StageProj::Calling { inner, ticket: Some(ticket), pending, spare } =
            this.stage.project()
        else {
            return Poll::Pending;
        };
        let gate = Arc::clone(&ticket.gate);
        let (Some(hedge), Some(place), Some(timer)) =
            (&gate.hedge, this.beside.place(), this.timer.place())
        else {
            return Poll::Pending;
        };
        let first_is_over = place.as_ref().is_some_and(|beside| beside.failed.is_some());
        if !first_is_over && let Poll::Ready(result) = poll_inner(inner, ticket, cx) {
            let well = hedge.pays(ended::<K, Req, _, _, P>(pending, &result, ticket));
            if let Some(beside) = place {
                hedge.lasted(beside.began);
            }
            // A hedge that has begun may yet do better; one that has not is not begun any more, for
            // trying again is up to the retries.
            match place {
                Some(Beside { second: Second::Calling(_), failed, .. }) if !well => {
                    *failed = Some(result);
                }
                Some(Beside { second: Second::Calling(_), .. }) => {
                    hedge.ended(false);
                    return self.both_end(result);
                }
                _ => return self.both_end(result),
            }
        }
        if place.is_none() && !K::harmless(pending).1 {
            return Poll::Pending;
        }
        let beside = place.get_or_insert_with(|| Beside {
            began: clock::exact(),
            second: Second::Later,
            failed: None,
        });
        loop {
            match &mut beside.second {
                Second::Later => {
                    ready!(timer.poll(hedge.at(beside.began), cx));
                    beside.second = Second::Over;
                    let spare = spare.place().and_then(|spare| spare.as_ref());
                    let Some(withdrawal) = hedge.config.budget.withdraw() else {
                        return Poll::Pending;
                    };
                    let (Some(spare), Some(request)) = (spare, K::again(pending, 1)) else {
                        return Poll::Pending;
                    };
                    let peer = &*gate.peer;
                    tracing::debug!(target: names::TARGET, peer, "hedging a slow call");
                    beside.second = Second::Paid(spare.fresh(), request, withdrawal);
                }
                Second::Paid(service, ..) => {
                    let is_ready = ready!(service.poll_ready(cx)).is_ok();
                    let paid = mem::replace(&mut beside.second, Second::Over);
                    // If it failed, the first attempt is still there to answer.
                    if let (true, Second::Paid(mut service, request, withdrawal)) = (is_ready, paid)
                    {
                        withdrawal.spend();
                        beside.second = Second::Calling(Box::pin(service.call(request)));
                    }
                }
                Second::Calling(second) => {
                    let result = ready!(second.as_mut().poll(cx));
                    beside.second = Second::Over;
                    let well = hedge.pays(ended::<K, Req, _, _, P>(pending, &result, ticket));
                    hedge.ended(well);
                    let first = beside.failed.take();
                    if well && first.is_none() {
                        // The first would have taken longer still.
                        hedge.lasted(beside.began);
                    }
                    return match (well, first) {
                        (true, _) => self.both_end(result),
                        (false, Some(first)) => self.both_end(first),
                        (false, None) => Poll::Pending,
                    };
                }
                Second::Over => return Poll::Pending,
            }
        }
    }

    /// Hands an answer on; the attempt that is still in flight is dropped at once.
    fn both_end(
        mut self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
    ) -> Poll<Result<K::Response, S::Error>> {
        *self.as_mut().project().beside = P::Beside::default();
        self.again_or(result, RetryVerdict::Well).map_or(Poll::Pending, Poll::Ready)
    }
}
