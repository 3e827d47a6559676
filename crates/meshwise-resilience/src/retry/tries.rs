//! Whether a call is tried again, and when.

use super::{Backoff, RetryBudget, RetryConfig, RetryVerdict, Withdrawal};
use crate::{
    clock::{self, to_nanos},
    config_error::ConfigError,
    count::counter,
    guard::Gate,
    names,
};
use meshwise_core::{internal::Limits, outcome::RetryAfter};
use metrics::Counter;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// How long a call that the peer never saw is sent again.
const UNSENT: Duration = Duration::from_secs(1);

/// After how many of those the wait between two no longer grows.
const UNSENT_STEPS: u32 = 3;

/// The retries behind a layer, its services and handles.
#[derive(Debug)]
pub struct Retries {
    peer: Arc<str>,
    /// Nothing else depends on it, so `Relaxed` does.
    pub(super) attempts: AtomicU32,
    backoff: Backoff,
    longest_asked: Duration,
    body_limit: u32,
    incoming: Option<fn() -> u32>,
    pub(crate) budget: RetryBudget,
    pub(crate) counts: Counts,
}

/// The metric's handles, resolved once.
#[derive(Debug)]
pub(crate) struct Counts {
    success: Counter,
    failure: Counter,
    budget_exhausted: Counter,
    not_idempotent: Counter,
    pub(crate) body_not_kept: Counter,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    /// How many bytes of its body are kept; `None` if there will be no other attempt.
    pub(crate) keep: Option<u32>,
    /// How many attempts may be made, and how many were; those that the incoming call, on whose
    /// behalf this one is made, was tried before are taken off.
    allowed: u32,
    incoming: u32,
    pub(crate) made: u32,
    /// How often the peer was not reached, and since when.
    unsent: u32,
    unsent_since: u64,
    /// When the whole call ends, and the deadline that others have set for it.
    ends: u64,
    deadline: u64,
    /// What bounds the incoming call; `u64::MAX` if nothing does.
    bound: u64,
}

impl Tries {
    #[inline(always)]
    const fn new(keep: Option<u32>, allowed: u32, whole: &Limits, bound: u64) -> Self {
        let (incoming, made, unsent, unsent_since) = (0, 1, 0, 0);
        let (ends, deadline) = (whole.ends(), whole.deadline());
        Self { keep, allowed, incoming, made, unsent, unsent_since, ends, deadline, bound }
    }

    /// Keeps a request, and so many bytes of its body, for one attempt beside the first.
    pub(crate) const fn beside(keep: u32) -> Self {
        Self::new(Some(keep), 2, &Limits::NONE, u64::MAX)
    }

    /// Returns when the whole call ends; `u64::MAX` for never.
    pub(crate) const fn ends(&self) -> u64 {
        self.ends
    }

    /// Tells whether the peer was not reached in an attempt before.
    pub(crate) const fn is_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// Takes note of another attempt, and returns its limits, after those of the last one.
    pub(crate) fn again(&mut self, gate: &Gate, last: Limits) -> Limits {
        self.made += 1;
        let whole = last.sent_at(clock::exact()).restored(self.deadline);
        gate.attempt(if gate.limit.is_some() { whole.past_head() } else { whole }, self.bound)
    }
}

impl Retries {
    pub(crate) fn new(peer: &Arc<str>, config: &RetryConfig) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let budget = config.budget()?;
        budget.feed();
        Ok(Arc::new(Self {
            peer: Arc::clone(peer),
            attempts: AtomicU32::new(config.attempts()),
            backoff: config.backoff(),
            longest_asked: config.said.longest_asked.or_none(),
            body_limit: config.said.body_limit.or_none().0.try_into().unwrap_or(u32::MAX),
            incoming: config.incoming,
            budget,
            counts: Counts::new(peer),
        }))
    }

    /// Begins a call; the gate of its route may say how many attempts there are.
    #[inline(always)]
    pub(crate) fn begin(&self, gate: &Gate, whole: &Limits, bound: u64) -> Tries {
        let allowed = gate.attempts.unwrap_or_else(|| self.attempts.load(Relaxed));
        let mut tries = Tries::new(None, allowed, whole, bound);
        if allowed > 1 {
            tries.keep = Some(self.body_limit);
            tries.incoming = self.incoming.map_or(0, |incoming| incoming());
        }
        tries
    }

    /// Decides whether there is another attempt, and when; it may be paid for. `tried` says how many
    /// times the request was tried before it came here.
    pub(crate) fn next(
        &self,
        tries: &mut Tries,
        tried: u32,
        verdict: RetryVerdict,
    ) -> Option<(u64, Option<Withdrawal>)> {
        if tries.made > 1 {
            match verdict {
                RetryVerdict::Well => self.counts.success.increment(1),
                _ => self.counts.failure.increment(1),
            }
        }
        match verdict {
            RetryVerdict::Well => self.budget.succeeded(),
            RetryVerdict::Final | RetryVerdict::Unsent => {}
            RetryVerdict::Stop | RetryVerdict::Unsafe | RetryVerdict::Again(_) => {
                self.budget.failed();
            }
        }
        match verdict {
            RetryVerdict::Well | RetryVerdict::Final | RetryVerdict::Stop => None,
            RetryVerdict::Unsafe => {
                if tries.keep.is_some() {
                    self.counts.not_idempotent.increment(1);
                }
                None
            }
            _ if tries.keep.is_none() => None,
            RetryVerdict::Unsent => {
                let now = clock::exact();
                if tries.unsent == 0 {
                    tries.unsent_since = now;
                }
                tries.unsent = tries.unsent.saturating_add(1);
                let last = tries.unsent_since.saturating_add(to_nanos(UNSENT));
                if now >= last {
                    return None;
                }
                // Steps stay short, so that the peer is asked often while its port may open.
                let wait = self.backoff.wait(tries.unsent.min(UNSENT_STEPS));
                // It costs the peer nothing: neither an attempt, nor the budget.
                tries.allowed = tries.allowed.saturating_add(1);
                tries
                    .in_time(now.saturating_add(to_nanos(wait)).min(last))
                    .map(|until| (until, None))
            }
            RetryVerdict::Again(wait) => {
                if tries.made.saturating_add(tries.incoming.max(tried)) >= tries.allowed {
                    return None;
                }
                let until = self.when(tries, wait)?;
                let withdrawal = self.budget.withdraw();
                if withdrawal.is_none() {
                    self.counts.budget_exhausted.increment(1);
                    return None;
                }
                Some((until, withdrawal))
            }
        }
    }

    /// Returns when the next attempt may begin; `None` if that is too late.
    fn when(&self, tries: &Tries, wait: Option<RetryAfter>) -> Option<u64> {
        let wait = match wait {
            None => self.backoff.wait(tries.made),
            Some(RetryAfter::AtLeast(wait)) if wait <= self.longest_asked => {
                self.backoff.after_asked(tries.made, wait)
            }
            Some(RetryAfter::Exactly(wait)) if wait <= self.longest_asked => wait,
            Some(_) => return None,
        };
        tries.in_time(clock::exact().saturating_add(to_nanos(wait)))
    }

    /// Takes note that a guard refused another attempt.
    pub(crate) fn refused(&self, tries: &Tries) {
        if tries.made > 1 {
            self.counts.failure.increment(1);
        }
    }

    pub(crate) fn tell(&self, tries: &Tries) {
        tracing::debug!(
            target: names::TARGET,
            peer = &*self.peer,
            attempt = tries.made + 1,
            "trying a call again",
        );
    }
}

impl Tries {
    /// At the deadline itself there is no time left for an attempt.
    fn in_time(&self, until: u64) -> Option<u64> {
        (until < self.ends()).then_some(until)
    }
}

impl Counts {
    fn new(peer: &Arc<str>) -> Self {
        let counter = |result| counter(names::RETRIES, peer, (names::RESULT, result));
        Self {
            success: counter("success"),
            failure: counter("failure"),
            budget_exhausted: counter("budget_exhausted"),
            not_idempotent: counter("not_idempotent"),
            body_not_kept: counter("body_not_kept"),
        }
    }
}
