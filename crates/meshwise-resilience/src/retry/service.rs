//! The service that tries calls again, and the call's future.

use super::{RetryJudge, RetryKind, RetryVerdict, RetryWait, Withdrawal, layer::Shared};
use crate::{
    clock,
    guard::poll_sleep,
    names,
    sync::{Mutex, lock},
};
use meshwise_core::{Deadline, Limits};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::time::Sleep;
use tower_service::Service;

/// How long a call that the peer never saw is sent again.
const UNSENT: Duration = Duration::from_secs(1);

/// After how many of those the wait between two no longer grows.
const UNSENT_STEPS: u32 = 3;

/// Tries calls to `S` again. Made by [`RetryLayer`](super::RetryLayer).
///
/// Readiness is the inner service's, and the first attempt uses it up. Later attempts are made by
/// fresh clones, which have to become ready by themselves.
#[derive(Clone)]
pub struct RetryService<S, K = super::HttpRetries> {
    inner: S,
    pub(super) core: Arc<Core<S, K>>,
}

/// What a call needs when it is tried again.
pub(super) struct Core<S, K> {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: K,
    pub(super) limit: Option<fn() -> Option<Deadline>>,
    /// A clone that is never made ready or called, only cloned when a call is tried again: it costs
    /// a call less than a clone of its own would. The lock is there for services that are not
    /// `Sync`.
    pub(super) spare: Mutex<S>,
}

impl<S, K> RetryService<S, K> {
    pub(super) const fn new(inner: S, core: Arc<Core<S, K>>) -> Self {
        Self { inner, core }
    }

    pub(crate) fn kind(&self) -> &K {
        &self.core.kind
    }

    /// Calls within limits that hold for all attempts; `attempts` overrides how many there are.
    #[inline(always)]
    pub(crate) fn call_within<Req>(
        &mut self,
        request: Req,
        limits: Option<Limits>,
        attempts: Option<u32>,
    ) -> RetryFuture<S, K, Req>
    where
        S: Service<K::Request> + Clone,
        K: RetryKind<Req>,
    {
        let core = &self.core;
        let shared = &core.shared;
        let configured = attempts.unwrap_or_else(|| shared.attempts.load(Relaxed));
        let bound = core.limit.and_then(|limit| limit()).map(Deadline::moment);
        // Two ways out, so that neither copies what only the other needs.
        let (request, kept, allowed) = if configured == 1 {
            (core.kind.once(request), None, 1)
        } else {
            let incoming = shared.config.incoming.map_or(0, |incoming| incoming());
            let tried = incoming.max(core.kind.tried(&request));
            let (request, kept) = core.kind.keep(request, shared.config.body_limit);
            (request, Some(kept), configured.saturating_sub(tried).max(1))
        };
        let core = Arc::clone(core);
        let attempt = attempt_limits(limits, bound);
        let future = {
            let _entered = attempt.map(Limits::enter);
            self.inner.call(request)
        };
        let call = Call { core, kept, allowed, made: 1, unsent: None, limits, attempt, bound };
        RetryFuture { call, state: State::Calling { future } }
    }
}

/// Returns the limits of an attempt that begins now: it leaves its caller some time to do without it.
#[inline]
fn attempt_limits(limits: Option<Limits>, bound: Option<Instant>) -> Option<Limits> {
    match (limits, bound) {
        (Some(limits), Some(bound)) => {
            let now = limits.now();
            let share = bound.saturating_duration_since(now) * 4 / 5;
            Some(limits.with_deadline(now + share))
        }
        (limits, _) => limits,
    }
}

impl<S, K, Req> Service<Req> for RetryService<S, K>
where
    S: Service<K::Request> + Clone,
    K: RetryKind<Req> + RetryJudge<K::Kept, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, K, Req>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let around = Limits::current();
        let told = self.core.kind.told(&request).earliest();
        let limits = match (around, told) {
            (around, None) => around,
            (around, Some(told)) => {
                let around = around.unwrap_or_else(|| Limits::new(clock::now(), clock::now));
                Some(around.with_told(told))
            }
        };
        self.call_within(request, limits, None)
    }
}

impl<S: fmt::Debug, K> fmt::Debug for RetryService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService")
            .field("inner", &self.inner)
            .field("shared", &self.core.shared)
            .finish_non_exhaustive()
    }
}

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
        call: Call<S, K, K::Kept>,
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

/// Where a call stands.
struct Call<S, K, Kept> {
    core: Arc<Core<S, K>>,
    /// `None` if there will be no other attempt.
    kept: Option<Kept>,
    /// How many attempts may be made, and how many were.
    allowed: u32,
    made: u32,
    /// Since when the peer was not reached, and how often.
    unsent: Option<(Instant, u32)>,
    limits: Option<Limits>,
    /// Those of the attempt under way: what cut it is judged by them.
    attempt: Option<Limits>,
    /// What bounds the incoming call.
    bound: Option<Instant>,
}

/// The next attempt, until it begins.
struct Next<S, Req> {
    request: Req,
    /// What it costs; one that follows an attempt which the peer never saw is free.
    withdrawal: Option<Withdrawal>,
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
    /// Tells whether the call waits for its next attempt.
    #[inline]
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Between { .. })
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
            let call = this.call;
            let verdict = call.core.kind.judge(call.kept.as_ref(), &result, call.attempt.as_ref());
            if call.made == 1 && verdict == RetryVerdict::Well {
                call.core.shared.budget.succeeded();
                return Poll::Ready(result);
            }
            let Some(next) = call.next(verdict) else { return Poll::Ready(result) };
            // The failed response is dropped before the wait, and the guards are told of it.
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
                none.insert(lock(&this.call.core.spare).clone())
            }
        };
        // A clone is never ready before it is asked.
        if let Err(error) = ready!(service.poll_ready(cx)) {
            *next = None;
            return Poll::Ready(Err(error));
        }
        let Some(begun) = next.take() else { return Poll::Pending };
        if let Some(withdrawal) = begun.withdrawal {
            withdrawal.spend();
        }
        this.call.made += 1;
        let Some(mut service) = begun.service else { return Poll::Pending };
        this.call.attempt = attempt_limits(this.call.limits, this.call.bound);
        let entered = this.call.attempt.map(Limits::enter);
        let future = service.call(begun.request);
        drop(entered);
        this.state.set(State::Calling { future });
        Poll::Ready(Ok(()))
    }
}

impl<S, K, Kept> Call<S, K, Kept> {
    /// Decides whether there is another attempt, and when.
    #[cold]
    fn next<Req>(&mut self, verdict: RetryVerdict) -> Option<Box<Next<S, K::Request>>>
    where
        K: RetryKind<Req, Kept = Kept>,
    {
        let shared = &self.core.shared;
        if self.made > 1 {
            match verdict {
                RetryVerdict::Well => shared.counts.success.increment(1),
                _ => shared.counts.failure.increment(1),
            }
        }
        let mut withdrawal = None;
        let until = match verdict {
            RetryVerdict::Well => {
                shared.budget.succeeded();
                return None;
            }
            RetryVerdict::Final => return None,
            RetryVerdict::Stop => {
                shared.budget.failed();
                return None;
            }
            RetryVerdict::Unsafe => {
                shared.budget.failed();
                if self.kept.is_some() {
                    shared.counts.not_idempotent.increment(1);
                }
                return None;
            }
            RetryVerdict::Unsent => {
                let now = clock::now();
                let (since, times) = self.unsent.unwrap_or((now, 0));
                self.unsent = Some((since, times + 1));
                let last = since.checked_add(UNSENT)?;
                if now >= last {
                    return None;
                }
                // Steps stay short, so that the peer is asked often while its port may open.
                let wait = shared.config.backoff.wait((times + 1).min(UNSENT_STEPS));
                let until = now.checked_add(wait)?.min(last);
                // It costs the peer nothing: neither an attempt, nor the budget.
                self.allowed = self.allowed.saturating_add(1);
                self.in_time(until)?
            }
            RetryVerdict::Again(wait) => {
                shared.budget.failed();
                if self.made >= self.allowed {
                    return None;
                }
                let until = self.when(wait)?;
                withdrawal = shared.budget.withdraw();
                if withdrawal.is_none() {
                    shared.counts.budget_exhausted.increment(1);
                    return None;
                }
                until
            }
        };
        // From here on the body goes with the next attempt: while it waits the source is not read.
        let request = self.core.kind.again(self.kept.as_mut()?, self.made, false);
        let Some(request) = request else {
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
        let backoff = || config.backoff.wait(self.made);
        let wait = match wait {
            RetryWait::Backoff => backoff(),
            RetryWait::AtLeast(wait) | RetryWait::Exactly(wait) if wait > config.longest_asked => {
                return None;
            }
            RetryWait::AtLeast(wait) => config.backoff.after_asked(self.made, wait),
            RetryWait::Exactly(wait) => wait,
        };
        self.in_time(clock::now().checked_add(wait)?)
    }

    /// At the deadline itself there is no time left for an attempt.
    fn in_time(&self, until: Instant) -> Option<Instant> {
        let end = self.limits.as_ref().and_then(Limits::end);
        end.is_none_or(|end| until < end).then_some(until)
    }
}

impl<S, K, Req> fmt::Debug for RetryFuture<S, K, Req>
where
    S: Service<K::Request>,
    K: RetryKind<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture")
            .field("made", &self.call.made)
            .field("allowed", &self.call.allowed)
            .finish_non_exhaustive()
    }
}
