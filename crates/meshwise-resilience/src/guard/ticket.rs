//! What an admitted call holds, until it is told how the call ended.

use super::gate::{Enforce, Gate, give_back};
use crate::{breaker::Pass, bulkhead::Permit, clock, rate::Turn};
use meshwise_core::{
    CallEnd, Limits, Refused,
    outcome::{Fault, FaultKind, Head, Phase, Rule},
};
use std::{fmt, sync::Arc, time::Instant};

/// Carries an admitted call to its end; in a response's body it goes on until that ends.
///
/// Dropped before its end, it belongs to a call that is given up: the head's verdict stands if there
/// is one; otherwise the limits tell whether time ran out.
pub struct Ticket {
    /// `None` if it was taken, or never was any.
    gate: Option<Arc<Gate>>,
    /// Whether the guards wait to be told how the call ended.
    open: bool,
    limits: Option<Limits>,
    pass: Option<Pass>,
    held: Held,
    pub(super) head: Option<Head>,
}

/// What a call holds of the bulkhead and the rate limit.
enum Held {
    Nothing,
    Permit(Permit),
    /// A place in the bulkhead's queue.
    Queued(u64),
    /// A turn that is still to come, and perhaps a permit.
    Turn(Option<Permit>, Turn),
}

impl Ticket {
    #[inline]
    pub(super) fn new(gate: Arc<Gate>, limits: Option<Limits>, pass: Option<Pass>) -> Self {
        Self { gate: Some(gate), open: true, limits, pass, held: Held::Nothing, head: None }
    }

    /// Makes one of no call.
    pub(super) const fn none() -> Self {
        let held = Held::Nothing;
        Self { gate: None, open: false, limits: None, pass: None, held, head: None }
    }

    /// Leaves one behind that has ended.
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        Self {
            gate: self.gate.take(),
            open: std::mem::replace(&mut self.open, false),
            limits: self.limits,
            pass: self.pass,
            held: std::mem::replace(&mut self.held, Held::Nothing),
            head: self.head,
        }
    }

    #[inline]
    pub(super) fn permit(&mut self, permit: Permit) {
        self.held = Held::Permit(permit);
    }

    pub(super) fn queued(&mut self, number: u64) {
        self.held = Held::Queued(number);
    }

    pub(super) fn left_queue(&mut self) {
        self.held = Held::Nothing;
    }

    pub(super) fn turn(&mut self, turn: Turn) {
        let permit = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Permit(permit) => Some(permit),
            _ => None,
        };
        self.held = Held::Turn(permit, turn);
    }

    pub(super) fn turn_came(&mut self) {
        if let Held::Turn(permit, _) = &mut self.held {
            self.held = permit.take().map_or(Held::Nothing, Held::Permit);
        }
    }

    /// The peer has the call from now on.
    pub(super) fn sent(&mut self) {
        self.limits = self.limits.map(|limits| limits.sent_at(clock::now()));
    }

    pub(super) fn shared_gate(&self) -> Option<Arc<Gate>> {
        self.gate.clone()
    }

    #[inline]
    pub(super) fn gate(&self) -> Option<&Gate> {
        self.gate.as_deref()
    }

    #[inline]
    pub(super) fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    /// Returns the limits, or those of a call without any.
    pub(super) fn limits_or_none(&self) -> Limits {
        self.limits.unwrap_or_else(|| Limits::new(clock::now(), clock::now))
    }

    /// Tells whether the guards wait to be told how the call ended.
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// Returns by when the response's head must be there, if this call's gate sees to it.
    #[inline]
    pub(super) fn head_until(&self) -> Option<Instant> {
        match self.gate()?.enforce {
            Enforce::Nothing => None,
            _ => self.limits.as_ref()?.end(),
        }
    }

    /// Ends the call: its time was up before its head was there.
    #[cold]
    pub(super) fn expire(&mut self) -> Option<Refused> {
        let gate = self.gate.as_ref()?;
        let end = gate.classifier.expired(None, true, &self.limits_or_none());
        let refused = gate.refuse(Rule::TimedOut);
        self.end(&end);
        Some(refused)
    }

    /// Returns until when the response's body may flow, if this call's gate breaks it off.
    #[inline]
    pub(super) fn body_until(&self) -> Option<Instant> {
        match self.gate()?.enforce {
            Enforce::Attempt | Enforce::Whole => self.limits.as_ref()?.body_end(),
            Enforce::Nothing | Enforce::Head => None,
        }
    }

    /// Changes the limits: the head is there, or the response streams.
    #[inline]
    pub(super) fn change_limits(&mut self, change: impl FnOnce(Limits) -> Limits) {
        self.limits = self.limits.map(change);
    }

    /// Tells the guards how the call ended. The second time nothing happens.
    #[inline]
    pub(super) fn end(&mut self, end: &CallEnd) {
        let (true, Some(gate)) = (self.open, &self.gate) else { return };
        self.open = false;
        if let (Some(breaker), Some(pass)) = (&gate.breaker, self.pass) {
            breaker.end(pass, end);
        }
        match (std::mem::replace(&mut self.held, Held::Nothing), &gate.bulkhead) {
            (Held::Permit(permit), Some(bulkhead)) => bulkhead.end(permit, end, gate.side),
            (Held::Nothing, _) => {}
            (held, _) => leave(gate, held),
        }
    }

    /// The code below panicked.
    #[cold]
    pub(super) fn panicked(&mut self) {
        if let Some(gate) = &self.gate {
            let fault = Fault::new(FaultKind::Panic);
            let end = gate.classifier.failed(gate.side, self.head, fault, &self.limits_or_none());
            self.end(&end);
        }
    }

    #[cold]
    fn dropped(&mut self) {
        let Some(gate) = &self.gate else { return };
        let end = match self.held {
            Held::Queued(_) | Held::Turn(..) => CallEnd::given_up(Phase::Waiting),
            _ => {
                let limits = self.limits_or_none();
                gate.classifier.dropped(gate.side, self.head, false, &limits)
            }
        };
        self.end(&end);
    }
}

/// Leaves what a call waited for.
#[cold]
fn leave(gate: &Gate, held: Held) {
    match (held, &gate.bulkhead) {
        (Held::Queued(number), Some(bulkhead)) => {
            if let Some(permit) = bulkhead.leave(number) {
                bulkhead.end(permit, &CallEnd::given_up(Phase::Waiting), gate.side);
            }
        }
        (Held::Turn(permit, turn), bulkhead) => {
            give_back(gate, turn);
            if let (Some(permit), Some(bulkhead)) = (permit, bulkhead) {
                bulkhead.end(permit, &CallEnd::given_up(Phase::Waiting), gate.side);
            }
        }
        _ => {}
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if self.open {
            self.dropped();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("open", &self.open).finish_non_exhaustive()
    }
}
