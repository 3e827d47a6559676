//! What the clones of a layer share: which guards there are, and how a call passes them.

use super::{Pattern, Streaming, Ticket, Timer};
use crate::{
    breaker::{Breaker, Pass},
    bulkhead::{Bulkhead, Permit, Place},
    clock,
    count::Refusals,
    debug::debug,
    hedge::Hedge,
    rate::{Rate, Turn},
    retry::{Retries, Tries, Withdrawal},
    timeout::{Deadlines, TimeLimit, Told},
};
use http::HeaderName;
use meshwise_core::{
    CallEnd, Classifier, Refused,
    internal::{
        Limits,
        queued::{self, InQueue},
    },
    outcome::{Rule, Side},
};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The guards that a call passes: limits for the whole of it; then, for each attempt, a limit, breaker,
/// bulkhead and rate limit, in this order. Attempts follow each other (retries), or one is made beside
/// another (a hedge).
#[derive(Clone, Default)]
pub struct Gate {
    pub(crate) peer: Arc<str>,
    pub(crate) side: Side,
    pub(crate) classifier: Classifier,
    pub(crate) deadlines: Option<Arc<Deadlines>>,
    /// The header that tells how much time a call has, if it is not `x-request-timeout-ms`.
    pub(crate) timeout_header: Option<HeaderName>,
    /// A total and a number of attempts that take the place of the peer's.
    pub(crate) total: Option<Duration>,
    pub(crate) attempts: Option<u32>,
    pub(crate) retry: Option<Arc<Retries>>,
    pub(crate) hedge: Option<Arc<Hedge>>,
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
    /// The gates of routes that have one of their own; the first that matches counts.
    pub(crate) routes: Vec<(Pattern, Arc<Self>)>,
}

/// Says which limits a gate sets timers for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Enforce {
    /// None: a guard further out does.
    #[default]
    Nothing,
    /// All of them, to the head of the response.
    Head,
    /// All of them, to the end of the response; its own limit holds to the head.
    Attempt,
    /// All of them, to the end of the response; whatever runs within sees them.
    Whole,
}

/// Says which guards the gate of a layer may have, and what a call holds of them: a call looks for no
/// others, and carries nothing of them.
pub trait Plan: 'static {
    /// Some of [`DEADLINES`] and so on.
    const HAS: u8;
    /// The timer that ends them.
    type Timer: Carried<Timer> + Default;
    /// What a call waits with, and what it is made again by.
    type Waits<T>: Carried<Option<T>>;
    /// The attempt beside the first.
    type Beside<T>: Carried<Option<T>> + Default;
    /// Of the breaker.
    type Pass: Carried<Pass> + Copy;
    /// Of the bulkhead and the rate limit.
    type Held: Carried<Held>;
}

/// Has all guards of a peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum AllGuards {}

pub(crate) const DEADLINES: u8 = 1;
pub(crate) const RETRY: u8 = 2;
pub(crate) const LIMIT: u8 = 4;
pub(crate) const BREAKER: u8 = 8;
pub(crate) const BULKHEAD: u8 = 16;
pub(crate) const RATE: u8 = 32;
pub(crate) const ROUTES: u8 = 64;
pub(crate) const HEDGE: u8 = 128;

/// Returns a guard if the plan has it, and the gate.
#[inline]
pub(super) const fn find<P: Plan, G>(guard: u8, place: &Option<G>) -> Option<&G> {
    if has::<P>(guard) { place.as_ref() } else { None }
}

#[inline]
pub(super) const fn has<P: Plan>(guards: u8) -> bool {
    P::HAS & guards != 0
}

/// What a call holds of the bulkhead and the rate limit.
#[derive(Debug, Default)]
pub enum Held {
    #[default]
    Nothing,
    Permit(Permit),
    Queued(u64),
    /// A turn that is still to come, and perhaps a permit.
    Turn(Box<(Option<Permit>, Turn)>),
}

/// What a call carries of a guard, where the plan has it; otherwise nothing.
pub trait Carried<T> {
    /// Makes it, or forgets it.
    fn of(what: T) -> Self;

    /// Returns it, if there may be one.
    fn place(&mut self) -> Option<&mut T>;
}

/// Of a guard that the plan has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Has<T>(T);

/// Of one that it has not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lacks;

impl<T> Carried<T> for Has<T> {
    #[inline]
    fn of(what: T) -> Self {
        Self(what)
    }

    #[inline]
    fn place(&mut self) -> Option<&mut T> {
        Some(&mut self.0)
    }
}

impl<T> Carried<T> for Lacks {
    #[inline]
    fn of(_: T) -> Self {
        Self
    }

    #[inline]
    fn place(&mut self) -> Option<&mut T> {
        None
    }
}

/// What a call has to wait for, if it passes.
pub(super) type Admission = Result<Option<Box<Queued>>, Refused>;

pub(super) struct Queued {
    pub(super) what: Awaited,
    key: Option<u64>,
    /// `u64::MAX`: for as long as it takes.
    pub(super) until: u64,
    /// Whether the time that ends is the call's own, not that of the queue.
    limited: bool,
    since: u64,
    /// Says so to those who show what calls wait for.
    _shown: Option<InQueue>,
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
        Self { what, key: None, until, limited: true, since: 0, _shown: None }
    }
}

impl Gate {
    pub(crate) fn new(peer: Arc<str>) -> Self {
        Self { peer, ..Self::default() }
    }

    #[inline]
    pub(super) fn of_route<'a, P: Plan>(
        self: &Arc<Self>,
        route: impl FnOnce() -> (&'a str, &'a str),
    ) -> &Arc<Self> {
        if !has::<P>(ROUTES) || self.routes.is_empty() {
            return self;
        }
        let route = route();
        let own = self.routes.iter().find(|(pattern, _)| pattern.matches(route));
        own.map_or(self, |(_, gate)| gate)
    }

    /// Says whether any call would be refused now by the breaker, without making it one: where routes have
    /// gates, the call has to be known.
    #[inline(always)]
    pub(super) fn is_open<P: Plan>(&self) -> bool {
        find::<P, _>(BREAKER, &self.breaker)
            .is_some_and(|breaker| breaker.refuses(clock::coarse).is_some())
            && self.routes.is_empty()
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
    pub(super) fn limits<P: Plan>(
        &self,
        told: impl FnOnce() -> Option<Told>,
        bound: &mut u64,
    ) -> Result<Limits, Refused> {
        let around = Limits::current();
        if let Some(deadlines) = find::<P, _>(DEADLINES, &self.deadlines) {
            return deadlines.limits(around, told(), self.total, bound);
        }
        let around = match around {
            // Each on a way of its own: on both, what is known of the second would not be.
            Some(around) if has::<P>(LIMIT) => {
                self.attempt::<P>(around.sent_at(clock::exact()), u64::MAX)
            }
            Some(around) => around,
            None if has::<P>(LIMIT) => self.attempt::<P>(Limits::at(clock::exact()), u64::MAX),
            None => Limits::NONE,
        };
        // Retries that stand alone heed the request's deadline.
        Ok(if has::<P>(RETRY) {
            around.with_asked(told().and_then(Told::earliest))
        } else {
            around
        })
    }

    /// Returns the limits of another attempt, after those of the last.
    pub(super) fn again<P: Plan>(&self, tries: &mut Tries, last: Limits) -> Limits {
        let whole = tries.again(last);
        self.attempt::<P>(if self.limit.is_some() { whole.past_head() } else { whole }, tries.bound)
    }

    /// Returns the limits of an attempt that begins when its limits do.
    #[inline(always)]
    pub(crate) fn attempt<P: Plan>(&self, mut limits: Limits, bound: u64) -> Limits {
        if bound != u64::MAX {
            limits = limits.ahead_of(bound);
        }
        match find::<P, _>(LIMIT, &self.limit).and_then(|limit| limit.get()) {
            Some(limit) if self.enforce == Enforce::Whole => limits.with_total_nanos(limit),
            Some(limit) => limits.with_attempt_nanos(limit),
            None => limits,
        }
    }

    /// Lets an attempt pass at once, as nearly all do; `None` leaves it to [`admit`](Self::admit), with
    /// nothing taken.
    #[inline(always)]
    pub(super) fn pass<P: Plan>(&self) -> Option<(P::Pass, P::Held)> {
        if find::<P, _>(RATE, &self.rate).is_some_and(|rate| rate.is_on()) {
            return None;
        }
        let pass = match find::<P, _>(BREAKER, &self.breaker) {
            Some(breaker) => breaker.pass(clock::coarse)?,
            None => Pass::NONE,
        };
        let held = match find::<P, _>(BULKHEAD, &self.bulkhead) {
            Some(bulkhead) => Held::Permit(bulkhead.take()?),
            None => Held::Nothing,
        };
        Some((P::Pass::of(pass), P::Held::of(held)))
    }

    #[cold]
    pub(super) fn admit<'a, P: Plan>(
        &self,
        ticket: &mut Ticket<P>,
        key: impl FnOnce() -> Option<u64>,
        path: impl Fn() -> &'a str,
    ) -> Admission {
        self.ask_breaker(ticket)?;
        if let Some(bulkhead) = &self.bulkhead {
            match bulkhead.take() {
                Some(permit) => ticket.held = P::Held::of(Held::Permit(permit)),
                // A call without a permit; nothing else stands in its way.
                None if !self.exempt.is_empty()
                    && self.exempt.iter().any(|exempt| exempt == path()) =>
                {
                    return Ok(None);
                }
                None => return self.queue(bulkhead, ticket, key()),
            }
        }
        match &self.rate {
            Some(rate) if rate.is_on() => self.turn(ticket, key(), None),
            _ => Ok(None),
        }
    }

    fn ask_breaker<P: Plan>(&self, ticket: &mut Ticket<P>) -> Result<(), Refused> {
        let Some(breaker) = &self.breaker else { return Ok(()) };
        match breaker.admit(clock::coarse) {
            Ok(pass) => ticket.pass = P::Pass::of(pass),
            Err(left) => return turn_away(ticket, breaker.refuse(left)),
        }
        Ok(())
    }

    /// Asks the breaker once more for a trial that has waited.
    fn ask_again<P: Plan>(&self, ticket: &mut Ticket<P>) -> Result<(), Refused> {
        if ticket.pass.place().is_some_and(|pass| *pass == Pass::NONE) {
            self.ask_breaker(ticket)?;
        }
        Ok(())
    }

    fn queue<P: Plan>(
        &self,
        bulkhead: &Bulkhead,
        ticket: &mut Ticket<P>,
        key: Option<u64>,
    ) -> Admission {
        match bulkhead.permits.take_or_queue() {
            Place::Permit => {
                ticket.held = P::Held::of(Held::Permit(bulkhead.permit()));
                self.turn(ticket, key, None)
            }
            Place::Full => turn_away(ticket, bulkhead.refuse()),
            Place::Queued(number) => {
                ticket.held = P::Held::of(Held::Queued(number));
                ticket.step_aside();
                let since = clock::exact();
                let (most, end) = (since.saturating_add(bulkhead.max_wait()), ticket.limits.ends());
                let queued = self.queued("bulkhead", Awaited::Permit(number), end.min(most), since);
                Ok(Some(Box::new(Queued { key, limited: end < most, ..queued })))
            }
        }
    }

    /// Takes a turn of the rate limit; anew, if one `came` that is of a limit from before it was turned.
    fn turn<P: Plan>(
        &self,
        ticket: &mut Ticket<P>,
        key: Option<u64>,
        came: Option<Turn>,
    ) -> Admission {
        let Some(rate) = &self.rate else { return Ok(None) };
        let ends = ticket.limits.ends();
        let taken = match came {
            Some(turn) => rate.renew(turn, ends),
            None => rate.take(key, ends),
        };
        match taken {
            Err(refused) => turn_away(ticket, refused),
            Ok(Some(turn)) if turn.wait() > 0 => {
                let since = clock::exact();
                let until = since.saturating_add(turn.wait());
                ticket.turn(turn);
                ticket.step_aside();
                Ok(Some(Box::new(self.queued("rate", Awaited::Turn, until, since))))
            }
            Ok(_) => Ok(None),
        }
    }

    /// Has a call wait for one of the guards, and shows that it does.
    fn queued(&self, guard: &'static str, what: Awaited, until: u64, since: u64) -> Queued {
        let _shown = Some(queued::enter(&self.peer, guard, self.side));
        Queued { since, _shown, ..Queued::new(what, until) }
    }

    /// Polls what a call waits for. `over` says that its time is up.
    pub(super) fn poll_queued<P: Plan>(
        &self,
        ticket: &mut Ticket<P>,
        queued: &Queued,
        cx: &mut Context<'_>,
        over: bool,
    ) -> Poll<Admission> {
        let (Awaited::Permit(number), Some(bulkhead)) = (&queued.what, &self.bulkhead) else {
            if !over {
                return Poll::Pending;
            }
            ticket.take_off(queued.waited());
            self.ask_again(ticket)?;
            let came = ticket.turn_came();
            return Poll::Ready(self.turn(ticket, queued.key, came));
        };
        let permit = match bulkhead.poll(*number, cx) {
            None if !over => return Poll::Pending,
            // It may have come just now.
            None => bulkhead.leave(*number),
            permit => permit,
        };
        if let Some(permit) = permit {
            ticket.take_off(queued.waited());
            ticket.held = P::Held::of(Held::Permit(permit));
            self.ask_again(ticket)?;
            return Poll::Ready(self.turn(ticket, queued.key, None));
        }
        ticket.held = P::Held::of(Held::Nothing);
        let refused = match queued.limited {
            true if self.enforce != Enforce::Nothing => self.refuse(Rule::TimedOut),
            _ => bulkhead.refuse(),
        };
        ticket.end(&CallEnd::refused(Rule::BulkheadFull));
        Poll::Ready(Err(refused))
    }
}

fn turn_away<P: Plan, T>(ticket: &mut Ticket<P>, refused: Refused) -> Result<T, Refused> {
    ticket.end(&CallEnd::refused(refused.rule()));
    Err(refused)
}

debug!("Gate", [] Gate, gate: "peer" = gate.peer);
