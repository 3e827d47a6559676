//! What the clones of a layer share: which guards there are, and how a call passes them.

use super::{Routes, Streaming, Ticket, ticket::Held};
use crate::{
    breaker::{Breaker, Pass},
    bulkhead::{Bulkhead, Permit, Place},
    clock,
    count::Refusals,
    debug::debug,
    rate::Rate,
    retry::{Retries, Tries, Withdrawal},
    timeout::{Deadlines, TimeLimit, Told},
};
use meshwise_core::{
    CallEnd, Classifier, Refused,
    internal::Limits,
    outcome::{Rule, Side},
};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The guards that a call passes: limits for the whole of it; then, for each attempt, a limit, breaker,
/// bulkhead and rate limit, in this order.
#[derive(Clone)]
pub struct Gate {
    pub(crate) peer: Arc<str>,
    pub(crate) side: Side,
    pub(crate) classifier: Classifier,
    pub(crate) deadlines: Option<Arc<Deadlines>>,
    /// A total and a number of attempts that take the place of the peer's.
    pub(crate) total: Option<Duration>,
    pub(crate) attempts: Option<u32>,
    pub(crate) retry: Option<Arc<Retries>>,
    pub(crate) limit: Option<Arc<TimeLimit>>,
    pub(crate) enforce: Enforce,
    /// Counts what is broken off at a limit.
    pub(crate) timed_out: Option<Refusals>,
    pub(crate) breaker: Option<Arc<Breaker>>,
    pub(crate) bulkhead: Option<Arc<Bulkhead>>,
    pub(crate) rate: Option<Arc<Rate>>,
    pub(crate) streaming: Streaming,
    /// Paths that pass however full the bulkhead is.
    pub(crate) exempt: Box<[String]>,
    /// The gates of routes that have one of their own.
    pub(crate) routes: Routes<Arc<Self>>,
}

/// Says which limits a gate sets timers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enforce {
    /// None: a guard further out does.
    Nothing,
    /// All of them, to the head of the response.
    Head,
    /// All of them, to the end of the response; its own limit holds to the head.
    Attempt,
    /// All of them, to the end of the response; whatever runs within sees them.
    Whole,
}

pub(super) enum Admission {
    Go,
    Wait(Queued),
    Refused(Refused),
}

pub(super) struct Queued {
    pub(super) what: Awaited,
    key: Option<u64>,
    /// `u64::MAX`: for as long as it takes.
    pub(super) until: u64,
    /// Whether the time that ends is the call's own, not that of the queue.
    limited: bool,
    since: u64,
}

pub(super) enum Awaited {
    Permit(u64),
    /// Its turn, at `until`.
    Turn,
    /// Its next attempt, at `until`, which may have been paid for.
    Attempt(Option<Withdrawal>),
    /// A service that is ready for its next attempt.
    Ready(Option<Withdrawal>),
}

impl Queued {
    fn waited(&self) -> u64 {
        clock::exact().saturating_sub(self.since)
    }

    pub(super) const fn new(what: Awaited, until: u64) -> Self {
        Self { what, key: None, until, limited: true, since: 0 }
    }
}

impl Gate {
    pub(crate) fn new(peer: Arc<str>) -> Self {
        Self {
            peer,
            side: Side::Client,
            classifier: Classifier::new(),
            deadlines: None,
            total: None,
            attempts: None,
            retry: None,
            limit: None,
            enforce: Enforce::Nothing,
            timed_out: None,
            breaker: None,
            bulkhead: None,
            rate: None,
            streaming: Streaming::default(),
            exempt: Box::default(),
            routes: Routes::default(),
        }
    }

    #[inline]
    pub(super) fn of_route<'a>(
        self: &Arc<Self>,
        route: impl FnOnce() -> (&'a str, &'a str),
    ) -> &Arc<Self> {
        if self.routes.is_empty() { self } else { self.routes.find(route()).unwrap_or(self) }
    }

    /// Says whether a call would be refused now by the breaker, without making it one.
    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.refuses(clock::coarse).is_some())
    }

    /// Counts a call that is broken off, and tells of it.
    pub(crate) fn refuse(&self, rule: Rule) -> Refused {
        match &self.timed_out {
            Some(timed_out) if rule == Rule::TimedOut => timed_out.refuse(None),
            _ => Refused::new(rule, Arc::clone(&self.peer)),
        }
    }

    /// Refuses a call that was told to come without asking the inner service.
    pub(super) fn refuse_unready(&self) -> Option<Refused> {
        // It was open when asked. Were its time over just now, this call could still not be made: the
        // inner service was not asked. The next can.
        let refuse =
            |breaker: &Breaker| breaker.refuse(breaker.refuses(clock::coarse).unwrap_or(Some(0)));
        self.breaker.as_deref().map(refuse)
    }

    /// Works out what limits a call that begins now, and (as `bound`) the moment that the incoming
    /// call is bounded by.
    ///
    /// # Errors
    /// Refuses a call whose deadline has passed.
    #[inline(always)]
    pub(super) fn limits(
        &self,
        told: impl FnOnce() -> Told,
        bound: &mut u64,
    ) -> Result<Limits, Refused> {
        let around = Limits::current();
        if let Some(deadlines) = &self.deadlines {
            return deadlines.limits(around, told(), self.total, bound);
        }
        let around = match around {
            Some(around) if self.limit.is_some() => around.sent_at(clock::exact()),
            Some(around) => around,
            None if self.limit.is_some() => Limits::at(clock::exact()),
            None => Limits::NONE,
        };
        // Retries that stand alone heed the request's deadline.
        let told = if self.retry.is_some() { told().earliest() } else { None };
        Ok(match told {
            Some(told) => around.with_asked(told),
            None => around,
        })
    }

    /// Tells whether there are limits that the service within does not see yet.
    #[inline]
    pub(super) fn sets_limits(&self) -> bool {
        self.deadlines.is_some() || self.limit.is_some()
    }

    /// Returns the limits of another attempt, after those of the last.
    pub(super) fn again(&self, tries: &mut Tries, last: Limits) -> Limits {
        let whole = tries.again(last);
        self.attempt(if self.limit.is_some() { whole.past_head() } else { whole }, tries.bound)
    }

    /// Returns the limits of an attempt that begins when its limits do.
    #[inline(always)]
    pub(crate) fn attempt(&self, mut limits: Limits, bound: u64) -> Limits {
        if bound != u64::MAX {
            limits = limits.ahead_of(bound);
        }
        match self.limit.as_ref().and_then(|limit| limit.get()) {
            Some(limit) if self.enforce == Enforce::Whole => limits.with_total_nanos(limit),
            Some(limit) => limits.with_attempt_nanos(limit),
            None => limits,
        }
    }

    /// Lets an attempt pass at once, as nearly all do; `None` leaves it to [`admit`](Self::admit), with
    /// nothing taken.
    #[inline(always)]
    pub(super) fn pass(&self) -> Option<(Pass, Option<Permit>)> {
        if self.rate.as_ref().is_some_and(|rate| rate.is_on()) {
            return None;
        }
        let pass = match &self.breaker {
            Some(breaker) => breaker.pass(clock::coarse)?,
            None => Pass::NONE,
        };
        let permit = match &self.bulkhead {
            Some(bulkhead) => Some(bulkhead.take()?),
            None => None,
        };
        Some((pass, permit))
    }

    #[cold]
    pub(super) fn admit<'a>(
        &self,
        ticket: &mut Ticket,
        key: impl FnOnce() -> Option<u64>,
        path: impl Fn() -> &'a str,
    ) -> Admission {
        if let Some(breaker) = &self.breaker {
            match breaker.admit(clock::coarse) {
                Ok(pass) => ticket.pass = pass,
                Err(left) => return turn_away(ticket, breaker.refuse(left)),
            }
        }
        if let Some(bulkhead) = &self.bulkhead {
            match bulkhead.take() {
                Some(permit) => ticket.held = Held::Permit(permit),
                // A call without a permit; nothing else stands in its way.
                None if !self.exempt.is_empty()
                    && self.exempt.iter().any(|exempt| exempt == path()) =>
                {
                    return Admission::Go;
                }
                None => return self.queue(bulkhead, ticket, key()),
            }
        }
        match &self.rate {
            Some(rate) if rate.is_on() => self.turn(ticket, key()),
            _ => Admission::Go,
        }
    }

    fn queue(&self, bulkhead: &Bulkhead, ticket: &mut Ticket, key: Option<u64>) -> Admission {
        match bulkhead.permits.take_or_queue() {
            Place::Permit => {
                ticket.held = Held::Permit(bulkhead.permit());
                self.turn(ticket, key)
            }
            Place::Full => turn_away(ticket, bulkhead.refuse()),
            Place::Queued(number) => {
                ticket.held = Held::Queued(number);
                let since = clock::exact();
                let (most, end) = (since.saturating_add(bulkhead.max_wait()), ticket.limits.ends());
                let (limited, until) = (end < most, end.min(most));
                let what = Awaited::Permit(number);
                Admission::Wait(Queued { what, key, until, limited, since })
            }
        }
    }

    fn turn(&self, ticket: &mut Ticket, key: Option<u64>) -> Admission {
        let Some(rate) = &self.rate else { return Admission::Go };
        match rate.take(key, ticket.limits.ends()) {
            Err(refused) => turn_away(ticket, refused),
            Ok(Some(turn)) if turn.wait() > 0 => {
                let since = clock::exact();
                let until = since.saturating_add(turn.wait());
                ticket.turn(turn);
                Admission::Wait(Queued { since, ..Queued::new(Awaited::Turn, until) })
            }
            Ok(_) => Admission::Go,
        }
    }

    /// Polls what a call waits for. `over` says that its time is up.
    pub(super) fn poll_queued(
        &self,
        ticket: &mut Ticket,
        queued: &Queued,
        cx: &mut Context<'_>,
        over: bool,
    ) -> Poll<Admission> {
        let (Awaited::Permit(number), Some(bulkhead)) = (&queued.what, &self.bulkhead) else {
            if !over {
                return Poll::Pending;
            }
            ticket.take_off(queued.waited());
            ticket.turn_came();
            return Poll::Ready(Admission::Go);
        };
        let permit = match bulkhead.poll(*number, cx) {
            None if !over => return Poll::Pending,
            // It may have come just now.
            None => bulkhead.leave(*number),
            permit => permit,
        };
        if let Some(permit) = permit {
            ticket.take_off(queued.waited());
            ticket.held = Held::Permit(permit);
            return Poll::Ready(self.turn(ticket, queued.key));
        }
        ticket.held = Held::Nothing;
        let refused = match queued.limited {
            true if self.enforce != Enforce::Nothing => self.refuse(Rule::TimedOut),
            _ => bulkhead.refuse(),
        };
        ticket.end(&CallEnd::refused(Rule::BulkheadFull));
        Poll::Ready(Admission::Refused(refused))
    }
}

fn turn_away(ticket: &mut Ticket, refused: Refused) -> Admission {
    ticket.end(&CallEnd::refused(refused.rule()));
    Admission::Refused(refused)
}

debug!("Gate", [] Gate, gate: "peer" = gate.peer);
