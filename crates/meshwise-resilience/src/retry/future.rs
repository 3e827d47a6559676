//! The future of a call that may be tried again.

use super::{RetryJudge, RetryKind, RetryVerdict, RetryWait, Withdrawal, layer::Core};
use crate::{clock, names, timeout::poll_sleep};
use meshwise_core::Deadline;
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
    /// Resolves to the answer of the attempt that went well, or else to that of the last.
    ///
    /// Dropped at any point it leaves nothing behind: what was taken out of the budget for a retry
    /// that was not begun goes back.
    pub struct RetryFuture<S, K, Req>
    where
        S: Service<K::Request>,
        K: RetryKind<Req>,
    {
        core: Arc<Core<S, K>>,
        kept: Option<K::Kept>,
        // How many attempts may be made, and how many were.
        attempts: u32,
        made: u32,
        deadline: Option<Deadline>,
        #[pin]
        state: State<S, S::Future, K::Request>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, Req> {
        Calling { #[pin] future: F },
        // Boxed: it is seldom there, and would make every future larger.
        Between { next: Option<Box<Next<S, Req>>> },
    }
}

/// The next attempt, paid for, until it begins.
struct Next<S, Req> {
    request: Req,
    withdrawal: Withdrawal,
    until: Instant,
    sleep: Pin<Box<Option<Sleep>>>,
    /// There once the wait is over: it has to become ready.
    service: Option<S>,
}

impl<S, K, Req> RetryFuture<S, K, Req>
where
    S: Service<K::Request>,
    K: RetryKind<Req>,
{
    #[inline(always)]
    pub(super) fn new(
        future: S::Future,
        kept: Option<K::Kept>,
        attempts: u32,
        deadline: Option<Deadline>,
        core: Arc<Core<S, K>>,
    ) -> Self {
        Self { core, kept, attempts, made: 1, deadline, state: State::Calling { future } }
    }
}

impl<S, K, Req> Future for RetryFuture<S, K, Req>
where
    S: Service<K::Request> + Clone,
    K: RetryKind<Req> + RetryJudge<K::Kept, S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let StateProj::Calling { future } = this.state.as_mut().project() else {
                ready!(self.as_mut().poll_between(cx))?;
                continue;
            };
            let result = ready!(future.poll(cx));
            let core = &**this.core;
            let Some(kept) = this.kept else {
                if core.kind.went_well(&result) {
                    core.shared.config.budget.succeeded();
                }
                return Poll::Ready(result);
            };
            let verdict = core.kind.judge(kept, &result);
            if *this.made == 1 && verdict == RetryVerdict::Well {
                core.shared.config.budget.succeeded();
                return Poll::Ready(result);
            }
            let attempt = Attempts {
                core,
                made: *this.made,
                allowed: *this.attempts,
                deadline: *this.deadline,
            };
            let Some(next) = attempt.next(kept, verdict) else { return Poll::Ready(result) };
            // The failed response is dropped before the wait, and its connection with it.
            drop(result);
            this.state.set(State::Between { next: Some(next) });
        }
    }
}

impl<S, K, Req> RetryFuture<S, K, Req>
where
    S: Service<K::Request> + Clone,
    K: RetryKind<Req>,
{
    /// Waits for the next attempt, and begins it.
    #[cold]
    #[inline(never)]
    fn poll_between(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        let StateProj::Between { next } = this.state.as_mut().project() else {
            return Poll::Ready(Ok(()));
        };
        // There until the next attempt begins, and this state is left.
        let Some(waiting) = next else { return Poll::Pending };
        let service = match &mut waiting.service {
            Some(service) => service,
            none => {
                ready!(poll_sleep(waiting.sleep.as_mut(), waiting.until, cx));
                none.insert(this.core.fresh())
            }
        };
        // A clone is never ready before it is asked.
        if let Err(error) = ready!(service.poll_ready(cx)) {
            *next = None;
            return Poll::Ready(Err(error));
        }
        let Some(mut begun) = next.take() else { return Poll::Pending };
        begun.withdrawal.spend();
        *this.made += 1;
        let Some(service) = &mut begun.service else { return Poll::Pending };
        let future = service.call(begun.request);
        this.state.set(State::Calling { future });
        Poll::Ready(Ok(()))
    }
}

/// Where a call stands after an attempt.
struct Attempts<'a, S, K> {
    core: &'a Core<S, K>,
    made: u32,
    allowed: u32,
    deadline: Option<Deadline>,
}

impl<S, K> Attempts<'_, S, K> {
    /// Decides whether there is another attempt, and when.
    #[cold]
    fn next<Req>(
        &self,
        kept: &mut K::Kept,
        verdict: RetryVerdict,
    ) -> Option<Box<Next<S, K::Request>>>
    where
        K: RetryKind<Req>,
    {
        let shared = &self.core.shared;
        if self.made > 1 {
            match verdict {
                RetryVerdict::Well => shared.counts.success.increment(1),
                _ => shared.counts.failure.increment(1),
            }
        }
        let wait = match verdict {
            RetryVerdict::Well => {
                shared.config.budget.succeeded();
                return None;
            }
            RetryVerdict::Final => return None,
            RetryVerdict::Unsafe => {
                shared.config.budget.failed();
                shared.counts.not_idempotent.increment(1);
                return None;
            }
            RetryVerdict::Again(wait) => wait,
        };
        shared.config.budget.failed();
        if self.made >= self.allowed {
            return None;
        }
        let until = self.when(wait)?;
        let Some(withdrawal) = shared.config.budget.withdraw() else {
            shared.counts.budget_exhausted.increment(1);
            return None;
        };
        let last = self.made + 1 >= self.allowed;
        // From here on the body goes with the next attempt: while it waits nobody reads on.
        let Some(request) = self.core.kind.again(kept, self.made, last) else {
            shared.counts.body_not_kept.increment(1);
            return None;
        };
        tracing::debug!(
            target: names::TARGET,
            peer = &*shared.peer,
            attempt = self.made + 1,
            "trying a call again",
        );
        let sleep = Box::pin(None);
        Some(Box::new(Next { request, withdrawal, until, sleep, service: None }))
    }

    /// Returns when the next attempt may begin; `None` if that is too late.
    fn when(&self, wait: RetryWait) -> Option<Instant> {
        let config = &self.core.shared.config;
        let wait = match wait {
            RetryWait::Backoff => config.backoff.wait(self.made),
            RetryWait::Asked(wait) if wait <= config.longest_asked => wait,
            RetryWait::Asked(_) => return None,
        };
        let until = clock::now().checked_add(wait)?;
        // At the deadline itself there is no time left for an attempt.
        self.deadline.is_none_or(|deadline| until < deadline.moment()).then_some(until)
    }
}

impl<S, K, Req> fmt::Debug for RetryFuture<S, K, Req>
where
    S: Service<K::Request>,
    K: RetryKind<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture")
            .field("made", &self.made)
            .field("attempts", &self.attempts)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
