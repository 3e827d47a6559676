//! Trying again, without making a failure worse.
//!
//! | question | answer, unless told otherwise |
//! |---|---|
//! | which requests | GET, HEAD, OPTIONS, TRACE, PUT, DELETE; any with `Idempotency-Key`; any marked [`Idempotent`]; gRPC methods listed as such |
//! | on what | what the peer never saw (any request, with attempts of its own for up to 1 s); 502, 503, 504; 429 with `Retry-After`; an attempt's own timeout; connections that break before the head; gRPC `UNAVAILABLE` in the head of the response |
//! | never on | an open breaker, a full bulkhead, a spent limit or deadline; a response whose head was 2xx, whatever its body does |
//! | how often | 3 attempts in all, fewer on behalf of a call that is a retry itself |
//! | when | after a random part of 25 ms, 50 ms ... at most 1 s; `Retry-After` (seconds and dates, up to 10 s) is waited before it, `grpc-retry-pushback-ms` instead of it, and a negative pushback stops; never past the deadline |
//! | how many | as many as the [`RetryBudget`] has: 20 % of the calls that went well in the last 10 s, and 10 a second |
//! | bodies | up to 64 KiB are kept while they flow; a longer one is sent once |
//!
//! A call that succeeds allocates what copying its headers takes, and nothing else: a body that lies
//! ready as a whole is copied by reference. A streaming one costs two allocations and, each frame, a
//! lock that no one else takes unless the call is tried again.

mod budget;
mod kind;
mod replay;

pub use budget::{RetryBudget, Withdrawal};
pub use kind::{AnyRetries, HttpRetries, Idempotent, KeptRequest};
pub use replay::ReplayBody;
pub(crate) use replay::Upload;

use crate::{
    clock::{self, to_nanos},
    config::{self, ConfigError, setters},
    count::counter,
    handle::Handle,
    names,
};
use meshwise_core::{
    Backoff, CallEnd,
    internal::Limits,
    outcome::{Health, RetryAfter, Retryable},
    settings::{RetrySettings, Size},
};
use metrics::Counter;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// Reads and changes retries at run time.
pub type RetryHandle = Handle<Retries>;

impl RetryHandle {
    /// Returns how many attempts are made in all.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.guard.attempts.load(Relaxed)
    }

    /// Sets how many attempts are made in all; 1 turns retries off, those of routes with attempts of their
    /// own too.
    ///
    /// # Errors
    /// Says what is allowed if it is none, or more than 10; nothing is changed then.
    pub fn set_attempts(&self, attempts: u32) -> Result<(), ConfigError> {
        check_attempts(attempts)?;
        self.guard.attempts.store(attempts, Relaxed);
        self.guard.off.store(attempts == 1, Relaxed);
        Ok(())
    }

    /// Returns the budget.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.guard.budget
    }
}

/// Says how often, when and within which budget to try again.
#[derive(Clone, Debug)]
#[must_use]
pub struct RetryConfig {
    pub(crate) said: RetrySettings,
    /// Takes the place of the one that is said.
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) incoming: Option<fn() -> u32>,
}

setters! { RetryConfig.said = Self { said: config::DEFAULTS.peer.retry.clone(), budget: None, incoming: None }; {
    /// Sets how many attempts are made in all, 1 (no retries) to 10; 3 by default.
    with_attempts(attempts: u32) => enabled = true, attempts = attempts;
    /// Sets the waits between attempts; up to 25 ms, doubled up to 1 s, by default.
    with_backoff(waits: Backoff) =>
        backoff.base = waits.base, backoff.max = waits.max, backoff.jitter = waits.jitter;
    /// Sets the longest wait that a peer can ask for by `Retry-After` or
    /// `grpc-retry-pushback-ms`; 10 s by default. After a longer one there is no retry.
    with_longest_asked(wait: Duration) => longest_asked = wait;
    /// Sets how many bytes of a request's body are kept; 64 KiB by default. A longer one is sent
    /// once.
    with_body_limit(bytes: usize) => body_limit = Size(bytes as u64);
} }

impl RetryConfig {
    /// Sets the budget; share one between all layers (and hedges) that call the same peer.
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.said.budget = budget.said().clone();
        self.budget = Some(budget);
        self
    }

    /// Sets how to find out how many times the incoming call, on whose behalf this one is made, had
    /// been tried before; it is asked in `Service::call`, on the thread that calls.
    ///
    /// Each of these tries is taken off the attempts made here, so that retries do not multiply
    /// from hop to hop.
    pub const fn with_incoming(mut self, incoming: fn() -> u32) -> Self {
        self.incoming = Some(incoming);
        self
    }

    fn backoff(&self) -> Backoff {
        let said = &self.said.backoff;
        let base = said.base.or_none();
        let backoff = Backoff::new(base, config::at_most(&said.max, base));
        if said.jitter.or_none() { backoff } else { backoff.without_jitter() }
    }
}

pub(crate) fn check_attempts(attempts: u32) -> Result<(), ConfigError> {
    let mut said = RetrySettings::default();
    said.attempts.set(attempts);
    config::check("retry", said.wrong())
}

/// How long a call that the peer never saw is sent again.
const UNSENT: Duration = Duration::from_secs(1);

/// After how many of those the wait between two no longer grows.
const UNSENT_STEPS: u8 = 3;

/// The retries behind a layer, its services and handles.
#[derive(Debug)]
pub struct Retries {
    attempts: AtomicU32,
    /// Whether they were turned off by hand.
    off: AtomicBool,
    backoff: Backoff,
    longest_asked: Duration,
    body_limit: u32,
    incoming: Option<fn() -> u32>,
    pub(crate) budget: RetryBudget,
    // How often they went which way.
    success: Counter,
    failure: Counter,
    budget_exhausted: Counter,
    not_idempotent: Counter,
    pub(crate) body_not_kept: Counter,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    /// How many bytes of its body are kept if there may be another attempt.
    keep: u32,
    /// How many attempts may be made, and how many were; those that the incoming call, on whose
    /// behalf this one is made, or this request was tried before are taken off.
    allowed: u32,
    pub(crate) made: u32,
    before: u16,
    /// How often the peer was not reached, and until when it is tried for that.
    pub(crate) unsent: u8,
    unsent_until: u64,
    /// When the whole call ends, and the deadline that others have set for it.
    pub(crate) ends: u64,
    deadline: u64,
    /// What bounds the incoming call; `u64::MAX` if nothing does.
    pub(crate) bound: u64,
}

impl Tries {
    /// One attempt, and no other.
    pub(crate) const ONCE: Self = Self::new((0, 1, 0), &Limits::NONE, u64::MAX);

    #[inline(always)]
    const fn new(most: (u32, u32, u16), whole: &Limits, bound: u64) -> Self {
        let (keep, allowed, before) = most;
        let (made, unsent, unsent_until) = (1, 0, 0);
        let (ends, deadline) = (whole.ends(), whole.deadline());
        Self { keep, allowed, before, made, unsent, unsent_until, ends, deadline, bound }
    }

    /// Keeps a request, and so many bytes of its body, for one attempt beside the first.
    pub(crate) const fn beside(keep: u32) -> Self {
        Self::new((keep, 2, 0), &Limits::NONE, u64::MAX)
    }

    /// Returns how many bytes of its body are kept; `None` if there will be no other attempt.
    #[inline]
    pub(crate) fn keep(&self) -> Option<u32> {
        (self.allowed > 1).then_some(self.keep)
    }

    /// Takes note that the request was tried so often before it came here.
    pub(crate) fn were_before(&mut self, tried: u32) {
        self.before = self.before.max(u16::try_from(tried).unwrap_or(u16::MAX));
    }

    /// At the deadline itself there is no time left for an attempt.
    fn in_time(&self, until: u64) -> Option<u64> {
        (until < self.ends).then_some(until)
    }

    /// Takes note of another attempt, and returns what limits the whole call, after the last one's.
    pub(crate) fn again(&mut self, last: Limits) -> Limits {
        self.made = self.made.saturating_add(1);
        last.sent_at(clock::exact()).restored(self.deadline)
    }
}

/// Says how an attempt went, and whether another makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryVerdict {
    /// It went well, or failed by its caller's own fault.
    Well,
    /// It failed, and another try would not help or must not be made.
    Final,
    /// It failed in a way that another try may mend, after the wait that the peer asked for.
    Again(Option<RetryAfter>),
    /// The peer never saw it: it may be sent again whatever it is, with attempts of its own for up
    /// to 1 s.
    Unsent,
    /// As [`RetryVerdict::Again`], but doing it twice could do harm.
    Unsafe,
    /// As [`RetryVerdict::Again`], but the peer asks not to be called again.
    Stop,
}

impl RetryVerdict {
    /// Decides by how an attempt ended, for a request that may be repeated or not.
    pub(crate) fn of(end: &CallEnd, repeatable: bool) -> Self {
        match (end.retryable, end.retry_after) {
            (Retryable::Always, _) => Self::Unsent,
            (_, Some(RetryAfter::Stop)) => Self::Stop,
            (Retryable::Never, _) if end.health() == Health::Well => Self::Well,
            (Retryable::Never, _) => Self::Final,
            (Retryable::IfRepeatable, _) if !repeatable => Self::Unsafe,
            (Retryable::IfRepeatable, wait) => Self::Again(wait),
        }
    }
}

impl Retries {
    #[allow(clippy::needless_pass_by_value, reason = "as all guards take theirs")]
    pub(crate) fn new(peer: &Arc<str>, config: RetryConfig) -> Result<Arc<Self>, ConfigError> {
        let RetryConfig { said, budget, incoming } = &config;
        config::check("retry", said.wrong())?;
        let backoff = config.backoff();
        if backoff.max < backoff.base {
            let allowed = format!("at least retry.backoff.base ({:?})", backoff.base);
            let max = format_args!("{:?}", backoff.max);
            return Err(ConfigError::new("retry.backoff.max", max, allowed));
        }
        let budget = budget.clone().unwrap_or_else(|| RetryBudget::of(said.budget.clone()));
        budget.feed();
        let attempts = if said.enabled.or(true) { said.attempts.or_none() } else { 1 };
        let counter = |result| counter(names::RETRIES, peer, (names::RESULT, result));
        Ok(Arc::new(Self {
            attempts: AtomicU32::new(attempts),
            off: AtomicBool::new(false),
            backoff,
            longest_asked: said.longest_asked.or_none(),
            body_limit: said.body_limit.or_none().0.try_into().unwrap_or(u32::MAX),
            incoming: *incoming,
            budget,
            success: counter("success"),
            failure: counter("failure"),
            budget_exhausted: counter("budget_exhausted"),
            not_idempotent: counter("not_idempotent"),
            body_not_kept: counter("body_not_kept"),
        }))
    }

    /// Begins a call; the gate of its route may say how many attempts there are.
    #[inline(always)]
    pub(crate) fn begin(&self, attempts: Option<u32>, whole: &Limits, bound: u64) -> Tries {
        let own = attempts.filter(|_| !self.off.load(Relaxed));
        let allowed = own.unwrap_or_else(|| self.attempts.load(Relaxed));
        let tried = |incoming: fn() -> u32| u16::try_from(incoming()).unwrap_or(u16::MAX);
        let incoming = self.incoming.map_or(0, tried);
        Tries::new((self.body_limit, allowed, incoming), whole, bound)
    }

    /// Decides whether there is another attempt, and when; it may be paid for.
    pub(crate) fn next(
        &self,
        tries: &mut Tries,
        verdict: RetryVerdict,
    ) -> Option<(u64, Option<Withdrawal>)> {
        if tries.made > 1 {
            match verdict {
                RetryVerdict::Well => self.success.increment(1),
                _ => self.failure.increment(1),
            }
        }
        if let RetryVerdict::Stop | RetryVerdict::Unsafe | RetryVerdict::Again(_) = verdict {
            self.budget.failed();
        }
        let wait = match verdict {
            RetryVerdict::Well | RetryVerdict::Final | RetryVerdict::Stop => return None,
            _ if tries.keep().is_none() => return None,
            RetryVerdict::Unsafe => {
                self.not_idempotent.increment(1);
                return None;
            }
            RetryVerdict::Unsent => return Some((self.when_unsent(tries)?, None)),
            RetryVerdict::Again(wait) => wait,
        };
        if tries.made.saturating_add(tries.before.into()) >= tries.allowed {
            return None;
        }
        let until = self.when(tries, wait)?;
        let withdrawal = self.budget.withdraw();
        if withdrawal.is_none() {
            self.budget_exhausted.increment(1);
        }
        Some((until, Some(withdrawal?)))
    }

    /// Returns when a call that the peer never saw is sent again: it costs the peer nothing, neither an
    /// attempt, nor the budget.
    fn when_unsent(&self, tries: &mut Tries) -> Option<u64> {
        let now = clock::exact();
        if tries.unsent == 0 {
            tries.unsent_until = now.saturating_add(to_nanos(UNSENT));
        }
        tries.unsent = tries.unsent.saturating_add(1);
        let last = tries.unsent_until;
        if now >= last {
            return None;
        }
        // Steps stay short, so that the peer is asked often while its port may open.
        let wait = self.backoff.wait(tries.unsent.min(UNSENT_STEPS).into());
        tries.allowed = tries.allowed.saturating_add(1);
        tries.in_time(now.saturating_add(to_nanos(wait)).min(last))
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
}

#[cfg(test)]
mod tests;
