//! What the clones of a layer share: which guards there are, and how a call passes them.

use super::{Routes, Streaming, Ticket};
use crate::{
    breaker::Breaker,
    bulkhead::{Bulkhead, Place},
    clock,
    count::Refusals,
    rate::{Rate, Turn},
    timeout::{Deadlines, TimeLimit, Told},
};
use meshwise_core::{
    CallEnd, Classifier, Limits, Refused,
    outcome::{Rule, Side},
};
use std::{
    fmt,
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

/// The guards that a call passes, in this order: limits, breaker, bulkhead, rate limit.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) peer: Arc<str>,
    pub(crate) side: Side,
    pub(crate) classifier: Classifier,
    /// The deadlines that the request and the incoming call bring.
    pub(crate) deadlines: Option<Deadlines>,
    /// A limit of this gate's own.
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
    /// All of them, to the end of the response.
    Whole,
}

/// What becomes of a call that asks to pass.
pub(crate) enum Admission {
    /// It passes now.
    Go(Ticket),
    /// It waits for what [`Queued`] says.
    Wait(Ticket, Queued),
    Refused(Refused),
}

/// What became of a call that waits.
pub(super) enum Polled {
    Ready(Admission),
    /// It goes on waiting.
    Pending(Ticket),
}

/// What an admitted call waits for, and no longer than until when.
pub(crate) struct Queued {
    what: Awaited,
    /// The key that a rate limit counts by.
    key: Option<u64>,
    pub(super) until: Instant,
    /// Whether the time that ends is the call's own, not that of the queue.
    limited: bool,
}

#[derive(Clone, Copy)]
enum Awaited {
    /// A number in the bulkhead's queue.
    Permit(u64),
    /// Its turn, at `until`.
    Turn,
}

impl Gate {
    /// Makes a gate without any guard.
    pub(crate) fn new(peer: Arc<str>) -> Self {
        Self {
            peer,
            side: Side::Client,
            classifier: Classifier::new(),
            deadlines: None,
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

    /// Says whether a call would be refused now by the breaker, without making it one.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.is_open())
    }

    /// Counts a call that is broken off, and tells of it.
    #[cold]
    pub(super) fn refuse(&self, rule: Rule) -> Refused {
        match &self.timed_out {
            Some(timed_out) if rule == Rule::TimedOut => timed_out.refuse(&self.peer, None),
            _ => Refused::new(rule, Arc::clone(&self.peer)),
        }
    }

    /// Refuses a call that was told to come without asking the inner service.
    #[cold]
    pub(super) fn refuse_unready(&self) -> Option<Refused> {
        self.breaker.as_ref().map(|breaker| breaker.refuse_unready())
    }

    /// Works out the limits of a call that begins now; an error if they have passed.
    #[inline]
    fn limits(&self, told: impl FnOnce() -> Told) -> Result<Option<Limits>, Refused> {
        let around = Limits::current();
        let limit = self.limit.as_ref().and_then(|limit| limit.get());
        if around.is_none() && limit.is_none() && self.deadlines.is_none() {
            return Ok(None);
        }
        let now = clock::now();
        let mut limits = match &self.deadlines {
            Some(deadlines) => deadlines.limits(&self.peer, around, told(), None, now)?,
            None => {
                around.map_or_else(|| Limits::new(now, clock::now), |around| around.sent_at(now))
            }
        };
        if let Some(limit) = limit {
            limits = match self.enforce {
                Enforce::Whole => limits.with_total(limit, now),
                _ => limits.with_attempt(limit, now),
            };
        }
        Ok(Some(limits))
    }

    /// Lets a call pass, has it wait, or refuses it.
    #[inline]
    pub(super) fn admit<'a>(
        self: &Arc<Self>,
        told: impl FnOnce() -> Told,
        key: impl FnOnce() -> Option<u64>,
        path: impl FnOnce() -> &'a str,
    ) -> Admission {
        let limits = match self.limits(told) {
            Ok(limits) => limits,
            Err(refused) => return Admission::Refused(refused),
        };
        let pass = match &self.breaker {
            None => None,
            Some(breaker) => match breaker.admit() {
                Ok(pass) => Some(pass),
                Err(refused) => return Admission::Refused(refused),
            },
        };
        let mut ticket = Ticket::new(Arc::clone(self), limits, pass);
        if let Some(bulkhead) = &self.bulkhead {
            match bulkhead.take() {
                Some(permit) => ticket.permit(permit),
                // A call without a permit; nothing else stands in its way.
                None if self.is_exempt(path) => return Admission::Go(ticket),
                None => return self.queue(ticket, key()),
            }
        }
        match &self.rate {
            Some(rate) if rate.is_on() => self.turn(ticket, key()),
            _ => Admission::Go(ticket),
        }
    }

    #[cold]
    fn is_exempt<'a>(&self, path: impl FnOnce() -> &'a str) -> bool {
        !self.exempt.is_empty() && {
            let path = path();
            self.exempt.iter().any(|exempt| exempt == path)
        }
    }

    /// Takes a place in the bulkhead's queue, or a permit that came free just now.
    #[cold]
    fn queue(&self, mut ticket: Ticket, key: Option<u64>) -> Admission {
        let Some(bulkhead) = &self.bulkhead else { return Admission::Go(ticket) };
        match bulkhead.take_or_queue() {
            Place::Permit(permit) => {
                ticket.permit(permit);
                self.turn(ticket, key)
            }
            Place::Full => {
                let refused = bulkhead.refuse();
                ticket.end(&CallEnd::refused(refused.rule()));
                Admission::Refused(refused)
            }
            Place::Queued(number) => {
                ticket.queued(number);
                let most = clock::now() + bulkhead.max_wait();
                let end = ticket.limits().and_then(Limits::end);
                let limited = end.is_some_and(|end| end < most);
                let until = end.map_or(most, |end| end.min(most));
                Admission::Wait(
                    ticket,
                    Queued { what: Awaited::Permit(number), key, until, limited },
                )
            }
        }
    }

    /// Takes a turn of the rate limit: now, or later.
    #[cold]
    fn turn(&self, mut ticket: Ticket, key: Option<u64>) -> Admission {
        let Some(rate) = &self.rate else { return Admission::Go(ticket) };
        let left = ticket.limits().and_then(Limits::end);
        let left = left.map(|end| end.saturating_duration_since(clock::now()));
        match rate.take(key, left) {
            Err(refused) => {
                ticket.end(&CallEnd::refused(refused.rule()));
                Admission::Refused(refused)
            }
            Ok(None) => Admission::Go(ticket),
            Ok(Some(turn)) if turn.wait() == Duration::ZERO => Admission::Go(ticket),
            Ok(Some(turn)) => {
                let now = clock::now();
                let until = now.checked_add(turn.wait()).unwrap_or(now);
                ticket.turn(turn);
                Admission::Wait(ticket, Queued { what: Awaited::Turn, key, until, limited: false })
            }
        }
    }

    /// Polls what a call waits for. `over` says that its time is up.
    pub(super) fn poll_queued(
        &self,
        mut ticket: Ticket,
        queued: &Queued,
        cx: &mut Context<'_>,
        over: bool,
    ) -> Polled {
        match (queued.what, &self.bulkhead) {
            (Awaited::Permit(number), Some(bulkhead)) => {
                if let Some(permit) = bulkhead.poll(number, cx) {
                    ticket.permit(permit);
                    return Polled::Ready(self.turn(ticket, queued.key));
                }
                if !over {
                    return Polled::Pending(ticket);
                }
                match bulkhead.leave(number) {
                    // It came just now.
                    Some(permit) => {
                        ticket.permit(permit);
                        Polled::Ready(self.turn(ticket, queued.key))
                    }
                    None => {
                        ticket.left_queue();
                        let refused = match queued.limited {
                            true if self.enforce != Enforce::Nothing => self.refuse(Rule::TimedOut),
                            _ => bulkhead.refuse(),
                        };
                        ticket.end(&CallEnd::refused(Rule::BulkheadFull));
                        Polled::Ready(Admission::Refused(refused))
                    }
                }
            }
            _ if !over => Polled::Pending(ticket),
            _ => {
                ticket.turn_came();
                Polled::Ready(Admission::Go(ticket))
            }
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Gives a turn of the rate limit back, if no one has queued up behind it.
pub(super) fn give_back(gate: &Gate, turn: Turn) {
    if let Some(rate) = &gate.rate {
        rate.give_back(turn);
    }
}
