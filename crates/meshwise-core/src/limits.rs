//! The time limits of the call that is being made, told to the layers within.
//!
//! A guard that limits a call stands around the layers that observe it and the transport. These have
//! to know the limit: to tell the peer of it, to leave the timer to the guard that has set it, and to
//! judge an end that comes at it. A request's extensions could carry it; each insertion there costs
//! three allocations.

use crate::{deadline::Deadline, internal::clock};
use std::{
    cell::Cell,
    num::NonZeroU64,
    time::{Duration, Instant},
};

/// Timers tick in milliseconds, and each party reads the clock for itself: an end this long before a
/// limit comes from that limit.
const TICK: u64 = 2_000_000;

/// No limit.
const NEVER: u64 = u64::MAX;

/// Says, in the first bit of when the call began, that the earliest deadline that was set on purpose was set by
/// the call's own code. A word of its own would be carried along by each guard.
const ASKED: u64 = 1 << 63;

/// Says so of a call whose response streams by its settings, and of one that is being given up.
const STREAM: u64 = 1 << 62;
const GIVEN_UP: u64 = 1 << 61;

/// Says so of a limit that holds to the head of the response and is another's: that of an attempt around.
const AROUND_HEAD: u64 = 1 << 60;

/// Says so of a call that a guard breaks off at a limit, whether its reader waits or not.
const CUT: u64 = 1 << 59;
const FLAGS: u64 = ASKED | STREAM | GIVEN_UP | AROUND_HEAD | CUT;

thread_local! {
    static CURRENT: Cell<Option<Limits>> = const { Cell::new(None) };
    /// The service whose counting layer is around the code that runs (0 for none), and whether the call
    /// counts by version.
    pub(crate) static AROUND: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// Holds what limits a call (or one attempt of it), and since when the peer has had it.
///
/// Six words, in nanoseconds as [`clock::nanos`] counts them: each guard carries them along.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Beside [`FLAGS`].
    began: NonZeroU64,
    /// How long the peer may take by this side's own settings: what it is judged by.
    own: u64,
    /// When the attempt's own limit ends; it holds to the head of the response.
    head_by: u64,
    /// When this side's own limit for the whole call ends.
    total: u64,
    /// The earliest of the limits that others have set.
    deadline: u64,
    /// The earliest deadline that was set on purpose, by a request, a caller or a setting: it holds
    /// for streams too, and is what `grpc-timeout` carries.
    told: u64,
}

/// Says which limit a moment lies at or past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Passed {
    /// None.
    No,
    /// This side's own, for the attempt or the whole call.
    Own,
    /// One that others have set, and the peer had enough of the attempt's own time to answer in.
    Foreign,
    /// Any, but the peer had the call for too short a time to be judged by it: the deadline was
    /// short, or the call waited on this side.
    TooShort,
}

impl Limits {
    /// Holds no limit, and is no call's.
    pub const NONE: Self = Self::starting(1);

    const fn starting(began: u64) -> Self {
        let began = match NonZeroU64::new(began) {
            Some(began) => began,
            None => NonZeroU64::MIN,
        };
        Self { began, own: NEVER, head_by: NEVER, total: NEVER, deadline: NEVER, told: NEVER }
    }

    /// Begins a call that has no limits.
    #[must_use]
    #[inline]
    pub fn new(began: Instant) -> Self {
        Self::starting(clock::nanos(began))
    }

    /// Begins a call at a moment as [`clock::nanos`] counts it.
    #[must_use]
    #[inline]
    pub const fn at(began: u64) -> Self {
        Self::starting(began)
    }

    /// Returns the limits that the guards around the code that runs now have set.
    #[must_use]
    #[inline]
    pub fn current() -> Option<Self> {
        // Mostly there are none: then none of their words is read.
        let around = |current: &Cell<Option<Self>>| match current.get().is_some() {
            true => current.get(),
            false => None,
        };
        CURRENT.try_with(around).ok().flatten()
    }

    /// Makes these limits the current ones until the guard is dropped.
    #[inline]
    #[must_use]
    pub fn enter(self) -> Entered {
        Entered(CURRENT.try_with(|current| current.replace(Some(self))).ok().flatten())
    }

    /// Sets the attempt's own limit, which began with the call and holds to the head of the response.
    #[must_use]
    #[inline]
    pub fn with_attempt(self, limit: Duration) -> Self {
        self.with_attempt_nanos(clock::span(limit))
    }

    /// As [`with_attempt`](Self::with_attempt), in nanoseconds.
    #[must_use]
    #[inline]
    pub fn with_attempt_nanos(mut self, limit: u64) -> Self {
        self.own = self.own.min(limit);
        let ends = self.began_at().saturating_add(limit);
        if ends <= self.head_by {
            self.head_by = ends;
            return self.mark(AROUND_HEAD, false);
        }
        self
    }

    /// Sets this side's own limit for the whole call, which began with it, the response's body
    /// included.
    #[must_use]
    #[inline]
    pub fn with_total(self, limit: Duration) -> Self {
        self.with_total_nanos(clock::span(limit))
    }

    /// As [`with_total`](Self::with_total), in nanoseconds.
    #[must_use]
    #[inline]
    pub fn with_total_nanos(mut self, limit: u64) -> Self {
        self.own = self.own.min(limit);
        self.total = self.total.min(self.began_at().saturating_add(limit));
        self
    }

    /// Adds a limit that others have set, if there is one, and that is not a deadline of the call: it does not hold
    /// for streams.
    #[must_use]
    #[inline]
    pub fn with_deadline(mut self, deadline: impl Into<Option<Instant>>) -> Self {
        self.deadline = self.deadline.min(deadline.into().map_or(NEVER, clock::nanos));
        self
    }

    /// Adds a deadline, if there is one, that was set on purpose, by the request, the incoming call or a
    /// setting.
    #[must_use]
    #[inline]
    pub fn with_told(self, deadline: impl Into<Option<Deadline>>) -> Self {
        let Some(deadline) = deadline.into() else { return self };
        let deadline = clock::nanos(deadline.moment());
        if deadline < self.told { self.told_by(deadline, false) } else { self }
    }

    /// Adds a deadline, if there is one, that the code that makes this call has set, for this call.
    #[must_use]
    #[inline]
    pub fn with_asked(self, deadline: impl Into<Option<Deadline>>) -> Self {
        let Some(deadline) = deadline.into() else { return self };
        let deadline = clock::nanos(deadline.moment());
        if deadline <= self.told { self.told_by(deadline, true) } else { self }
    }

    #[inline]
    const fn told_by(mut self, deadline: u64, asked: bool) -> Self {
        self.told = deadline;
        self.deadline = earlier(self.deadline, deadline);
        self.mark(ASKED, asked)
    }

    #[inline]
    const fn mark(mut self, flag: u64, set: bool) -> Self {
        let began = self.began.get() & !flag | if set { flag } else { 0 };
        if let Some(began) = NonZeroU64::new(began) {
            self.began = began;
        }
        self
    }

    #[inline]
    const fn is(&self, flag: u64) -> bool {
        self.began.get() & flag != 0
    }

    /// Says whether the response streams, whatever its head will say.
    #[must_use]
    #[inline]
    pub const fn with_stream(self, streams: bool) -> Self {
        self.mark(STREAM, streams)
    }

    /// Tells whether the response streams, whatever its head says.
    #[must_use]
    #[inline]
    pub const fn is_stream(&self) -> bool {
        self.is(STREAM)
    }

    /// Shows them to what is within a call while it is dropped: it was begun with what is known of them then.
    #[must_use]
    pub fn enter_given_up(self) -> Entered {
        self.mark(GIVEN_UP, true).enter()
    }

    /// As [`enter_given_up`](Self::enter_given_up), for a call that is broken off at one of them.
    #[must_use]
    pub fn enter_cut(self) -> Entered {
        self.mark(CUT, true).enter_given_up()
    }

    /// Tells whether the call is broken off at one of them.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is(CUT)
    }

    /// Returns the limits of the call that is being given up by the guards around the code that runs now.
    #[must_use]
    pub fn of_given_up() -> Option<Self> {
        Self::current().filter(|limits| limits.is(GIVEN_UP))
    }

    /// Says that the total was set on purpose: it holds for streams, too.
    #[must_use]
    #[inline]
    pub fn told_total(mut self) -> Self {
        if self.total < self.told {
            self.told = self.total;
            return self.mark(ASKED, true);
        }
        self
    }

    /// Begins a call within these limits: whatever ends it is another's limit to it.
    #[must_use]
    #[inline]
    pub fn within(self, began: u64) -> Self {
        let (head_by, deadline) = (self.head_by, self.body_ends());
        Self { head_by, deadline, told: self.told, ..Self::starting(began) }
            .mark(AROUND_HEAD, head_by != NEVER)
    }

    /// Gives the call no more than four fifths of the time to `bound`, so that this side ends before
    /// its own caller gives up.
    #[must_use]
    #[inline]
    pub const fn ahead_of(mut self, bound: u64) -> Self {
        let began = self.began_at();
        let left = bound.saturating_sub(began);
        self.deadline = earlier(self.deadline, began.saturating_add(left / 5 * 4));
        self
    }

    /// Says that the peer has the call from now on: what it waited for on this side is over.
    #[must_use]
    #[inline]
    pub const fn sent_at(mut self, now: u64) -> Self {
        if let Some(began) = NonZeroU64::new(now | self.began.get() & FLAGS) {
            self.began = began;
        }
        self
    }

    /// Takes time off the call that passed on this side: the peer's own begins so much later, and
    /// ends so much later unless it was set on purpose.
    #[must_use]
    pub const fn delayed(mut self, nanos: u64) -> Self {
        self = self.sent_at(self.began_at().saturating_add(nanos));
        // "Never" stays so.
        if !self.is(AROUND_HEAD) {
            self.head_by = self.head_by.saturating_add(nanos);
        }
        if self.told > self.total {
            self.total = self.total.saturating_add(nanos);
        }
        self
    }

    /// Returns since when the peer has had the call.
    #[must_use]
    pub fn began(&self) -> Instant {
        clock::instant(self.began_at())
    }

    /// Returns since when the peer has had the call, as [`clock::nanos`] counts.
    #[must_use]
    #[inline]
    pub const fn began_at(&self) -> u64 {
        self.began.get() & !FLAGS
    }

    /// Returns the earliest of the limits that others have set, as [`clock::nanos`] counts;
    /// `u64::MAX` for none.
    #[must_use]
    #[inline]
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Sets the limits of others to what they were before [`ahead_of`](Self::ahead_of).
    #[must_use]
    pub const fn restored(mut self, deadline: u64) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns how long the peer may take by this side's own settings.
    #[must_use]
    pub const fn own(&self) -> Option<Duration> {
        if self.own == NEVER { None } else { Some(Duration::from_nanos(self.own)) }
    }

    /// Returns the earliest deadline that was set on purpose.
    #[must_use]
    pub fn told(&self) -> Option<Deadline> {
        moment(self.told).map(Deadline::at)
    }

    /// Tells whether the guards that have set these limits see to a deadline themselves, to the end of
    /// the response, whether it streams or not: then nothing further in needs a timer for it.
    #[must_use]
    #[inline]
    pub fn enforce(&self, deadline: Deadline) -> bool {
        self.told <= clock::nanos(deadline.moment())
    }

    /// Returns the moment by which the response's head must be there: the first limit's end.
    #[must_use]
    #[inline]
    pub fn end(&self) -> Option<Instant> {
        moment(self.ends())
    }

    /// Returns the moment by which the response's head must be there, as [`clock::nanos`] counts;
    /// `u64::MAX` for never.
    #[must_use]
    #[inline]
    pub const fn ends(&self) -> u64 {
        earlier(self.head_by, self.body_ends())
    }

    /// Returns the moment by which the whole response must be there, as [`clock::nanos`] counts;
    /// `u64::MAX` for never.
    #[must_use]
    #[inline]
    pub const fn body_ends(&self) -> u64 {
        earlier(self.total, self.deadline)
    }

    /// Lifts the attempt's limit: the response's head is there.
    #[must_use]
    #[inline]
    pub const fn past_head(mut self) -> Self {
        self.head_by = NEVER;
        self
    }

    /// Lifts what does not hold for a response that begins while its request flows: what others have set, but
    /// for the deadlines that were set on purpose. Its total is to be [`delayed`](Self::delayed) meanwhile.
    #[must_use]
    pub const fn for_exchange(mut self) -> Self {
        self.head_by = NEVER;
        self.deadline = self.told;
        self
    }

    /// Lifts what does not hold for a response that streams: all but the deadlines that were set on
    /// purpose.
    #[must_use]
    pub const fn for_stream(self) -> Self {
        Self { total: NEVER, ..self.for_exchange() }
    }

    /// Lifts them all: the response is complete.
    #[must_use]
    #[inline]
    pub const fn past_end(mut self) -> Self {
        (self.head_by, self.total, self.deadline) = (NEVER, NEVER, NEVER);
        self
    }

    /// Says which limit a moment lies at or past (less 2 ms). It counts against the peer only if it
    /// had the call for at least 0.4 of what this side's own settings allow.
    #[must_use]
    pub fn passed(&self, now: Instant) -> Passed {
        let now = clock::nanos(now);
        let past = |ends: u64| now.saturating_add(TICK) >= ends;
        let (head, around) = (past(self.head_by), self.is(AROUND_HEAD));
        let own = head && !around || past(self.total);
        if !own && !head && !past(self.deadline) {
            Passed::No
        } else if !self.enough(now.saturating_sub(self.began_at())) {
            Passed::TooShort
        } else if own {
            Passed::Own
        } else {
            Passed::Foreign
        }
    }

    /// Tells whether the peer was given so little time that its own timeouts say nothing of it.
    #[must_use]
    pub fn too_short(&self) -> bool {
        let head_by = if self.is(AROUND_HEAD) { self.head_by } else { NEVER };
        let ends = earlier(self.deadline, head_by);
        ends != NEVER && !self.enough(ends.saturating_sub(self.began_at()))
    }

    /// Tells whether the earliest deadline is one that the call's own code has asked for.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.is(ASKED) && self.told != NEVER && self.deadline == self.told
    }

    /// Tells whether a time is enough to judge the peer by: 0.4 of what it may take.
    fn enough(&self, time: u64) -> bool {
        self.own != NEVER && time.saturating_add(TICK) >= self.own / 5 * 2
    }
}

#[inline]
const fn earlier(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}

fn moment(nanos: u64) -> Option<Instant> {
    (nanos != NEVER).then(|| clock::instant(nanos))
}

/// Puts the limits of the code around back when it is dropped.
#[derive(Debug)]
pub struct Entered(Option<Limits>);

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        // A thread that ends has no limits to put back.
        let _ending = CURRENT.try_with(|current| current.set(self.0));
    }
}

#[cfg(test)]
mod tests;
