//! The future of a call that may be made twice at a time.

use super::layer::Core;
use crate::{
    clock,
    debug::debug,
    guard::{CallKind, RequestKind, Ticket, poll_sleep},
    names,
    retry::{RetryVerdict, Withdrawal},
};
use meshwise_core::internal::Limits;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Sleep;
use tower_service::Service;

pin_project! {
    /// Resolves to the first good answer, or else to the last.
    ///
    /// The attempt that is still in flight then is dropped at once. Dropped at any point the future
    /// leaves nothing behind: what was taken out of the budget for a hedge that was not begun goes
    /// back.
    pub struct HedgeFuture<S, K, Req, Res, E>
    where
        S: Service<K::Request>,
        K: RequestKind<Req>,
    {
        core: Arc<Core<S, K>>,
        pending: K::Pending,
        // Whether there may be a hedge, and was none.
        may: bool,
        #[pin]
        first: Option<S::Future>,
        #[pin]
        second: Option<S::Future>,
        #[pin]
        sleep: Option<Sleep>,
        // Set when the first attempt makes its caller wait.
        began: Option<u64>,
        // The hedge, paid for, while it becomes ready.
        hedge: Option<Hedge<S, K::Request>>,
        // What the first of two attempts came to, if that was no good.
        failed: Option<Result<Res, E>>,
    }
}

struct Hedge<S, Req> {
    service: S,
    request: Req,
    withdrawal: Withdrawal,
}

impl<S, K, Req, Res, E> HedgeFuture<S, K, Req, Res, E>
where
    S: Service<K::Request>,
    K: RequestKind<Req>,
{
    pub(super) fn new(first: S::Future, pending: K::Pending, core: Arc<Core<S, K>>) -> Self {
        Self {
            core,
            may: K::may_overlap(&pending),
            pending,
            first: Some(first),
            second: None,
            sleep: None,
            began: None,
            hedge: None,
            failed: None,
        }
    }
}

impl<S, K, Req> Future for HedgeFuture<S, K, Req, S::Response, S::Error>
where
    S: Service<<K as RequestKind<Req>>::Request> + Clone + 'static,
    K: CallKind<Req, S::Response, S::Error, Request: 'static>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let shared = &this.core.hedge;
        let good = |pending: &K::Pending, result: &Self::Output| {
            let limits = Limits::current().unwrap_or(Limits::NONE);
            let mut ticket = Ticket::new(Arc::clone(&this.core.gate), limits);
            K::answered(pending, result, &mut ticket) == RetryVerdict::Well
        };

        if let Some(first) = this.first.as_mut().as_pin_mut()
            && let Poll::Ready(result) = first.poll(cx)
        {
            this.first.set(None);
            if let Some(began) = this.began {
                shared.estimate.record(clock::nanos(clock::exact().saturating_sub(*began)));
            }
            let well = good(this.pending, &result);
            if well {
                shared.config.budget.hedge_succeeded();
            }
            // A hedge that has begun may yet do better; one that has not is not begun any more, for
            // trying again is up to the retries.
            if this.second.is_none() || well {
                if this.second.is_some() {
                    shared.lost.increment(1);
                }
                this.second.set(None);
                *this.hedge = None;
                return Poll::Ready(result);
            }
            *this.failed = Some(result);
        }

        loop {
            if let Some(second) = this.second.as_mut().as_pin_mut() {
                let Poll::Ready(result) = second.poll(cx) else { return Poll::Pending };
                this.second.set(None);
                if good(this.pending, &result) {
                    shared.config.budget.hedge_succeeded();
                    shared.won.increment(1);
                    if let Some(began) = this.began.filter(|_| this.first.is_some()) {
                        // The first would have taken longer still.
                        shared.estimate.record(clock::nanos(clock::exact().saturating_sub(began)));
                    }
                    this.first.set(None);
                    return Poll::Ready(result);
                }
                shared.lost.increment(1);
                if this.first.is_some() {
                    return Poll::Pending;
                }
                return Poll::Ready(this.failed.take().unwrap_or(result));
            }

            if let Some(hedge) = this.hedge {
                match hedge.service.poll_ready(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => {
                        // The first attempt is still there to answer.
                        *this.hedge = None;
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => {}
                }
                let Some(Hedge { mut service, request, withdrawal }) = this.hedge.take() else {
                    return Poll::Pending;
                };
                withdrawal.spend();
                this.second.set(Some(service.call(request)));
                continue;
            }

            if !*this.may || this.first.is_none() {
                return Poll::Pending;
            }
            let began = *this.began.get_or_insert_with(clock::exact);
            let at = began.saturating_add(clock::to_nanos(shared.wait()));
            if poll_sleep(this.sleep.as_mut(), at, cx).is_pending() {
                return Poll::Pending;
            }
            *this.may = false;
            let Some(withdrawal) = shared.config.budget.withdraw() else { return Poll::Pending };
            let Some(request) = K::again(this.pending, 1) else {
                return Poll::Pending;
            };
            tracing::debug!(target: names::TARGET, peer = &*shared.peer, "hedging a slow call");
            *this.hedge = Some(Hedge { service: this.core.spare.fresh(), request, withdrawal });
        }
    }
}

debug!(
    "HedgeFuture", [S, K, Req, Res, E] HedgeFuture<S, K, Req, Res, E>
    where [S: Service<K::Request>, K: RequestKind<Req>],
    hedge: "hedged" = hedge.second.is_some()
);
