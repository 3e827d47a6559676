//! What an admitted call holds, until it is told how the call ended.

use super::gate::{BREAKER, BULKHEAD, Carried, Enforce, Gate, Held, Plan, RETRY, find};
use crate::{breaker::Pass, clock, debug::debug, rate::Turn};
use http::HeaderMap;
use meshwise_core::{
    CallEnd, Outcome, Refused,
    internal::{Entered, Limits, Passed},
    outcome::{Fault, FaultKind, Head, Health, Phase, Retryable, Rule},
};
use std::{mem, num::NonZeroU64, sync::Arc};

/// A gRPC answer that ends later than this after its call has begun, in nanoseconds, is a stream's, though it
/// be of one message. It is the default total of a peer's calls.
const LONGEST_ANSWER: u64 = 30_000_000_000;

/// Carries an admitted call to its end; in a response's body it goes on until that ends.
///
/// Dropped before its end, it belongs to a call that is given up: the head's verdict stands if there
/// is one; otherwise the limits tell whether time ran out.
pub struct Ticket<P: Plan> {
    pub(super) gate: Arc<Gate>,
    open: bool,
    pub(super) limits: Limits,
    pub(super) pass: P::Pass,
    pub(super) held: P::Held,
    pub(crate) head: Option<Head>,
    /// What an attempt that the peer never saw says of it: it counts if no other is sent.
    unsent: Option<Health>,
}

impl<P: Plan> Ticket<P> {
    /// Makes that of a call which holds nothing yet.
    pub(crate) fn new(gate: Arc<Gate>, limits: Limits) -> Self {
        Self::with(gate, limits, (P::Pass::of(Pass::NONE), P::Held::of(Held::Nothing)))
    }

    #[inline(always)]
    pub(super) fn with(gate: Arc<Gate>, limits: Limits, (pass, held): (P::Pass, P::Held)) -> Self {
        Self { gate, open: true, limits, pass, held, head: None, unsent: None }
    }

    pub(super) fn panicked(&mut self) {
        self.failed(Fault::new(FaultKind::Panic), false);
    }

    /// Gives up what it holds, for another ticket.
    pub(super) fn leave(mut self) -> (P::Pass, P::Held) {
        self.open = false;
        (self.pass, mem::replace(&mut self.held, P::Held::of(Held::Nothing)))
    }

    #[inline]
    fn pass(&mut self) -> Pass {
        self.pass.place().map_or(Pass::NONE, |pass| *pass)
    }

    #[inline]
    fn take_held(&mut self) -> Held {
        self.held.place().map(mem::take).unwrap_or_default()
    }

    pub(super) fn turn(&mut self, turn: Turn) {
        let permit = match self.take_held() {
            Held::Permit(permit) => Some(permit),
            _ => None,
        };
        self.held = P::Held::of(Held::Turn(Box::new((permit, turn))));
    }

    /// Takes note that the turn has come that the call has waited for, and returns it.
    pub(super) fn turn_came(&mut self) -> Option<Turn> {
        let held = self.held.place()?;
        let Held::Turn(waited) = held else { return None };
        let (permit, turn) = (waited.0.take(), waited.1);
        *held = permit.map_or(Held::Nothing, Held::Permit);
        Some(turn)
    }

    /// Waits on this side: a trial of the breaker is none until its turn comes. What was never sent keeps its
    /// pass, to be counted by.
    pub(super) fn step_aside(&mut self) {
        if let (Some(breaker), Some(pass), None) =
            (&self.gate.breaker, self.pass.place(), self.unsent)
        {
            breaker.withdraw(pass, clock::coarse);
        }
    }

    /// The response's body flows, which a trial of the breaker has to be given time for.
    pub(super) fn flows(&mut self) {
        if let (Some(breaker), Some(pass)) = (&self.gate.breaker, self.pass.place())
            && self.head.is_some_and(|head| head.is_success())
        {
            breaker.flows(pass, clock::coarse);
        }
    }

    /// The peer has the call from now on: what it waited for on this side is over.
    pub(super) fn sent(&mut self) {
        self.unsent = None;
        self.limits = self.limits.sent_at(clock::exact());
    }

    /// Takes off the time that the peer waited for the request's body. Tells whether the call has time
    /// left.
    pub(super) fn sent_body(&mut self, sent: u64) -> bool {
        let now = clock::exact();
        let turn = sent.min(now);
        let waited = turn.saturating_sub(self.limits.began_at());
        if waited > 0 {
            self.take_off(waited);
            self.limits = self.limits.delayed(waited);
            let pass = self.pass();
            if let Some(breaker) = find::<P, _>(BREAKER, &self.gate.breaker) {
                breaker.prolong(pass, turn);
            }
        }
        self.limits.ends() > now
    }

    /// The call is dropped, and has sent so much: what is within is to judge its end by the same limits.
    pub(super) fn give_up_after(&mut self, sent: u64) -> Entered {
        self.sent_body(sent);
        self.limits.enter_given_up()
    }

    /// The response's reader has what it waited for: if time runs out now, that is not the peer's. Returns since when.
    #[inline]
    pub(super) fn read_on(&mut self) -> Option<NonZeroU64> {
        self.head.iter_mut().for_each(|head| head.set_awaited(false));
        self.handed_out(true).or_else(|| NonZeroU64::new(clock::coarse()))
    }

    /// The response's reader waits for more of its body, unless a limit has passed: that is no reason to.
    pub(super) fn awaits(&mut self) {
        if let Some(head) = &mut self.head
            && !head.is_awaited()
        {
            let ends = self.limits.body_ends();
            head.set_awaited(ends == u64::MAX || clock::exact() < ends);
        }
    }

    /// The reader has the head or a piece of the body, and takes its time with it; returns since when, if a guard
    /// measures the call. `flows` says that this tells that all is well so far.
    #[inline(always)]
    pub(super) fn handed_out(&mut self, flows: bool) -> Option<NonZeroU64> {
        if self.is_measured() { self.reads(flows) } else { None }
    }

    fn is_measured(&mut self) -> bool {
        self.open
            && (self.pass().is_measured()
                || matches!(self.held.place(), Some(Held::Permit(permit)) if permit.is_measured()))
    }

    /// Returns the time, exactly if a guard measures the call.
    pub(super) fn time(&mut self) -> u64 {
        if self.is_measured() { clock::exact() } else { clock::coarse() }
    }

    #[inline(never)]
    fn reads(&mut self, flows: bool) -> Option<NonZeroU64> {
        if flows {
            self.flows();
        }
        NonZeroU64::new(clock::exact())
    }

    /// Takes time off the call that passed on this side: it waited for its turn, for more of the
    /// request's body, or for the response's reader.
    pub(super) fn take_off(&mut self, nanos: u64) {
        self.pass.place().into_iter().for_each(|pass| pass.delay(nanos));
        let permit = match self.held.place() {
            Some(Held::Permit(permit)) => Some(permit),
            Some(Held::Turn(turn)) => turn.0.as_mut(),
            _ => None,
        };
        if let Some(permit) = permit {
            permit.delay(nanos);
        }
    }

    /// Returns by when the response's head must be there, if this call's gate sees to it.
    #[inline]
    pub(super) fn head_until(&self) -> Option<u64> {
        let enforced = self.gate.enforce != Enforce::Nothing;
        Some(self.limits.ends()).filter(|ends| enforced && *ends != u64::MAX)
    }

    /// Returns until when the response's body may flow; `u64::MAX` if this call's gate does not break
    /// it off.
    #[inline]
    pub(super) fn body_until(&self) -> u64 {
        match self.gate.enforce {
            Enforce::Attempt | Enforce::Whole => self.limits.body_ends(),
            Enforce::Nothing | Enforce::Head => u64::MAX,
        }
    }

    /// Ends the call: its response is complete.
    #[inline]
    pub(super) fn complete(&mut self, trailers: Option<&HeaderMap>) {
        if let Some(head) = self.head.filter(|_| self.open) {
            self.completed(head, trailers);
        }
    }

    #[inline(never)]
    fn completed(&mut self, head: Head, trailers: Option<&HeaderMap>) {
        if head.is_verdict() && head.is_success() {
            return self.well();
        }
        if self.is_stream_by_now() {
            return;
        }
        let gate = &self.gate;
        let end = gate.classifier.complete(gate.side, head, trailers, &self.limits);
        self.end(&end);
    }

    /// The response streams: its head is the verdict, its permit is free, and only deadlines that
    /// were set on purpose still hold.
    pub(super) fn streams(&mut self) {
        self.head = self.head.map(Head::streaming);
        self.complete(None);
        self.limits = self.limits.for_stream();
    }

    /// The first message of a gRPC answer is there, all of it: what the call holds of this side is free, also if its
    /// reader asks for no more.
    pub(super) fn has_answer(&mut self) {
        let held = self.take_held();
        release(&self.gate, held, &CallEnd::SUCCESS);
    }

    /// A gRPC answer goes on after its first message. Of a stream that may last for hours, and says nothing more;
    /// of a call with one answer the end is still to come, which says how it went. So a trial is over, but the
    /// call is open.
    pub(super) fn may_stream(&mut self) {
        if !self.open || self.pass().is_trial() {
            return self.streams();
        }
        self.limits = self.limits.for_stream().with_stream(true);
    }

    /// Ends the call if it is a stream by now: what comes late, or at a deadline, says nothing of one answer.
    fn is_stream_by_now(&mut self) -> bool {
        let lasted = || clock::exact().saturating_sub(self.limits.began_at());
        let is_cut = || self.limits.passed(clock::now()) != Passed::No;
        let is_open = self.limits.is_stream() && self.head.is_some_and(|head| !head.is_verdict());
        let is_stream = is_open && (lasted() > LONGEST_ANSWER || is_cut());
        if is_stream {
            self.streams();
        }
        is_stream
    }

    /// Ends the call: its time is up.
    pub(super) fn expire(&mut self) -> (Refused, CallEnd) {
        self.is_stream_by_now();
        let (gate, head) = (&self.gate, self.head);
        let end = gate.classifier.expired(head, &self.limits, clock::now());
        self.end(&end);
        (self.gate.refuse(Rule::TimedOut), end)
    }

    #[cold]
    pub(super) fn failed(&mut self, fault: Fault, resent: bool) -> CallEnd {
        self.is_stream_by_now();
        let (gate, limits) = (&self.gate, &self.limits);
        let end = gate.classifier.failed(gate.side, self.head, fault, limits, clock::now());
        match end.retryable {
            // A retry further out has made it again, and what was never sent has counted there.
            Retryable::Always if resent => self.end(&CallEnd::given_up(Phase::Waiting)),
            Retryable::Always if self.gate.retry.is_some() => self.hold_back(&end),
            _ => self.end(&end),
        }
        end
    }

    /// Releases what the attempt holds, but for the breaker's pass: the peer never saw it. If it is
    /// sent again, the next attempt counts in its place.
    fn hold_back(&mut self, end: &CallEnd) {
        let held = self.take_held();
        release(&self.gate, held, end);
        self.unsent = Some(end.health());
    }

    /// Becomes the ticket of the next attempt, which has yet to be admitted. What was never sent stays to
    /// be counted until that one is.
    pub(super) fn next(&mut self, limits: Limits) {
        let unsent = self.unsent.take();
        self.end(&CallEnd::given_up(Phase::Waiting));
        *self = Self::new(Arc::clone(&self.gate), limits);
        self.unsent = unsent;
    }

    /// Ends the attempt's response, which is not handed on.
    pub(super) fn give_up(&mut self) {
        if self.open && self.unsent.is_none() {
            self.dropped();
        }
    }

    /// Tells the guards how the call ended. The second time nothing happens.
    #[inline]
    pub(crate) fn end(&mut self, end: &CallEnd) {
        if !mem::replace(&mut self.open, false) {
            return;
        }
        if end.health() == Health::Well && end.retryable == Retryable::Never && !end.overload {
            self.pay(end.outcome == Outcome::Success);
        }
        let (pass, held) = (self.pass(), self.take_held());
        if let Some(breaker) = find::<P, _>(BREAKER, &self.gate.breaker) {
            breaker.end(pass, self.unsent.unwrap_or_else(|| end.health()), clock::coarse);
        }
        release(&self.gate, held, end);
    }

    /// Tells the guards that the call went well.
    #[inline(always)]
    pub(crate) fn well(&mut self) {
        if !mem::replace(&mut self.open, false) {
            return;
        }
        self.pay(true);
        let (pass, held) = (self.pass(), self.take_held());
        let gate = &self.gate;
        if let Some(breaker) = find::<P, _>(BREAKER, &gate.breaker) {
            breaker.succeeded(pass, clock::coarse);
        }
        if let (Held::Permit(permit), Some(bulkhead)) =
            (held, find::<P, _>(BULKHEAD, &gate.bulkhead))
        {
            bulkhead.end(permit, &CallEnd::SUCCESS, gate.side);
        }
    }

    /// Pays for retries: the call went well, or failed by its caller's own fault.
    #[inline(always)]
    fn pay(&self, success: bool) {
        if let Some(retry) = find::<P, _>(RETRY, &self.gate.retry) {
            // For when the attempt began, if that is known: a clock costs as much as the deposit.
            let began = self.limits.began_at();
            let known = began > Limits::NONE.began_at();
            retry.budget.answered(if known { began } else { clock::coarse() }, success);
        }
    }

    #[cold]
    fn dropped(&mut self) {
        let waits = matches!(self.held.place(), Some(Held::Queued(_) | Held::Turn(..)));
        let end = if waits || self.unsent.is_some() {
            CallEnd::given_up(Phase::Waiting)
        } else {
            let (gate, limits) = (&self.gate, &self.limits);
            gate.classifier.dropped(gate.side, self.head, false, limits, clock::now())
        };
        self.end(&end);
    }
}

#[inline]
fn release(gate: &Gate, held: Held, end: &CallEnd) {
    let waited = CallEnd::given_up(Phase::Waiting);
    let (permit, end) = match held {
        Held::Nothing => return,
        Held::Permit(permit) => (Some(permit), end),
        Held::Queued(number) => {
            (gate.bulkhead.as_ref().and_then(|bulkhead| bulkhead.leave(number)), &waited)
        }
        Held::Turn(turn) => {
            let (permit, turn) = *turn;
            gate.rate.iter().for_each(|rate| rate.release(turn));
            (permit, &waited)
        }
    };
    if let (Some(permit), Some(bulkhead)) = (permit, &gate.bulkhead) {
        bulkhead.end(permit, end, gate.side);
    }
}

impl<P: Plan> Drop for Ticket<P> {
    #[inline]
    fn drop(&mut self) {
        if self.open {
            self.dropped();
        }
    }
}

/// Runs code below the guards; a panic in it ends the call before it unwinds further.
#[inline(always)]
pub(super) fn end_on_panic<P: Plan, T>(
    ticket: Option<&mut Ticket<P>>,
    run: impl FnOnce() -> T,
) -> T {
    struct OnPanic<'a, P: Plan>(Option<&'a mut Ticket<P>>);
    impl<P: Plan> Drop for OnPanic<'_, P> {
        #[cold]
        fn drop(&mut self) {
            self.0.iter_mut().for_each(|ticket| ticket.panicked());
        }
    }
    let guard = OnPanic(ticket);
    let result = run();
    // Only unwinding runs the guard's drop.
    mem::forget(guard);
    result
}

debug!("Ticket", [P: Plan] Ticket<P>, ticket: "open" = ticket.open);
