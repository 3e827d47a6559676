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
    /// Beside [`ASKED`].
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
        self.head_by = self.head_by.min(self.began_at().saturating_add(limit));
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

    /// Adds a limit that others have set, and that is not a deadline of the call: it does not hold
    /// for streams.
    #[must_use]
    #[inline]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = self.deadline.min(clock::nanos(deadline));
        self
    }

    /// Adds a deadline that was set on purpose, by the request, the incoming call or a setting.
    #[must_use]
    #[inline]
    pub fn with_told(self, deadline: Deadline) -> Self {
        let deadline = clock::nanos(deadline.moment());
        if deadline < self.told { self.told_by(deadline, false) } else { self }
    }

    /// Adds a deadline that the code that makes this call has set, for this call.
    #[must_use]
    #[inline]
    pub fn with_asked(self, deadline: Deadline) -> Self {
        let deadline = clock::nanos(deadline.moment());
        if deadline <= self.told { self.told_by(deadline, true) } else { self }
    }

    #[inline]
    const fn told_by(mut self, deadline: u64, asked: bool) -> Self {
        self.told = deadline;
        self.deadline = earlier(self.deadline, deadline);
        self.mark(asked)
    }

    #[inline]
    const fn mark(mut self, asked: bool) -> Self {
        let began = self.began_at() | if asked { ASKED } else { 0 };
        if let Some(began) = NonZeroU64::new(began) {
            self.began = began;
        }
        self
    }

    const fn is_marked(&self) -> bool {
        self.began.get() & ASKED != 0
    }

    /// Says that the total was set on purpose: it holds for streams, too.
    #[must_use]
    #[inline]
    pub fn told_total(mut self) -> Self {
        if self.total < self.told {
            self.told = self.total;
            return self.mark(true);
        }
        self
    }

    /// Begins a call within these limits: whatever ends it is another's limit to it.
    #[must_use]
    #[inline]
    pub fn within(self, began: u64) -> Self {
        Self { deadline: self.ends(), told: self.told, ..Self::starting(began) }
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
        let asked = self.is_marked();
        if let Some(now) = NonZeroU64::new(now) {
            self.began = now;
        }
        self.mark(asked)
    }

    /// Takes time off the call that passed on this side: the peer's own begins so much later, and
    /// ends so much later unless it was set on purpose.
    #[must_use]
    pub const fn delayed(mut self, nanos: u64) -> Self {
        let asked = self.is_marked();
        if let Some(began) = NonZeroU64::new(self.began_at().saturating_add(nanos)) {
            self.began = began;
        }
        // "Never" stays so.
        self.head_by = self.head_by.saturating_add(nanos);
        if self.told > self.total {
            self.total = self.total.saturating_add(nanos);
        }
        self.mark(asked)
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
        self.began.get() & !ASKED
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

    /// Lifts what does not hold for a response that streams: all but the deadlines that were set on
    /// purpose.
    #[must_use]
    pub const fn for_stream(mut self) -> Self {
        (self.head_by, self.total) = (NEVER, NEVER);
        self.deadline = self.told;
        self
    }

    /// Says which limit a moment lies at or past (less 2 ms). It counts against the peer only if it
    /// had the call for at least 0.4 of what this side's own settings allow.
    #[must_use]
    pub fn passed(&self, now: Instant) -> Passed {
        let now = clock::nanos(now);
        let past = |ends: u64| now.saturating_add(TICK) >= ends;
        let own = past(self.head_by) || past(self.total);
        if !own && !past(self.deadline) {
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
        self.deadline != NEVER && !self.enough(self.deadline.saturating_sub(self.began_at()))
    }

    /// Tells whether the earliest deadline is one that the call's own code has asked for.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.is_marked() && self.told != NEVER && self.deadline == self.told
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
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn began() -> Limits {
        Limits::new(Instant::now())
    }

    #[test]
    fn a_limit_blames_by_the_time_that_the_peer_had() {
        let limits = began();
        let at = |after| limits.began() + ms(after);
        let seen = |limits: Limits, times: [u64; 3]| times.map(|t| limits.passed(at(t)));
        for own in [limits.with_attempt(ms(100)), limits.with_total(ms(100))] {
            assert_eq!(seen(own, [97, 98, 100]), [Passed::No, Passed::Own, Passed::Own]);
            let short = own.with_deadline(at(30));
            let expected = [Passed::No, Passed::TooShort, Passed::Own];
            assert_eq!(seen(short, [27, 28, 99]), expected);
            assert!(short.too_short() && !own.too_short());
            let fair = own.with_deadline(at(40));
            assert_eq!((fair.passed(at(40)), fair.too_short()), (Passed::Foreign, false));
            let queued = own.sent_at(clock::nanos(at(70)));
            assert_eq!(queued.passed(at(100)), Passed::TooShort, "it waited on this side");
        }
        let foreign = limits.with_deadline(at(500));
        assert_eq!(foreign.passed(at(500)), Passed::TooShort, "no own limit to hold it against");
        assert_eq!(limits.passed(at(100_000)), Passed::No);
    }

    #[test]
    fn what_the_call_s_own_code_has_asked_for_is_known_whatever_else_is_set() {
        let limits = began();
        let at = |after| Deadline::at(limits.began() + ms(after));
        let asked = limits.with_asked(at(50));
        for (limits, is_asked) in [
            (limits, false),
            (asked, true),
            (asked.with_told(at(50)), true),
            (limits.with_told(at(50)).with_asked(at(50)), true),
            (asked.with_told(at(40)), false),
            (asked.with_deadline(at(40).moment()), false),
            (asked.with_deadline(at(60).moment()), true),
            (asked.with_deadline(at(40).moment()).for_stream(), true),
            (limits.with_told(at(60)).with_asked(at(70)).for_stream(), false),
            (limits.with_total(ms(80)).told_total().for_stream(), true),
            (asked.within(limits.began_at()), false),
        ] {
            assert_eq!(limits.is_asked(), is_asked, "{limits:?}");
        }
        assert_eq!(asked.told(), Some(at(50)));
        assert!(asked.enforce(at(50)) && !asked.enforce(at(49)));
    }

    #[test]
    fn an_attempt_s_limit_holds_to_the_head_and_a_stream_keeps_what_was_set_on_purpose() {
        let limits = began();
        let at = |after| limits.began() + ms(after);
        let limits = limits.with_attempt(ms(100)).with_total(ms(400));
        let limits = limits.with_deadline(at(300));
        assert_eq!((limits.end(), limits.own()), (Some(at(100)), Some(ms(100))));
        assert_eq!(limits.past_head().end(), Some(at(300)));
        assert_eq!(limits.past_head().passed(at(150)), Passed::No);
        assert_eq!(limits.for_stream().end(), None);
        let told = limits.with_told(Deadline::at(at(200))).with_told(Deadline::at(at(250)));
        assert_eq!(told.for_stream().end(), Some(at(200)));
        assert_eq!(told.told(), Some(Deadline::at(at(200))));
        let enforced = [199, 200, 300].map(|t| told.enforce(Deadline::at(at(t))));
        assert_eq!(enforced, [false, true, true]);
        assert!(!limits.enforce(Deadline::at(at(900))), "a total does not hold for a stream");
    }

    #[test]
    fn time_of_this_side_is_taken_off_but_not_off_what_was_set_on_purpose() {
        let limits = began().with_attempt(ms(100)).with_total(ms(400));
        let at = |after| limits.began() + ms(after);
        let delayed = limits.with_deadline(at(900)).delayed(500_000_000);
        assert_eq!((delayed.end(), delayed.past_head().end()), (Some(at(600)), Some(at(900))));
        assert_eq!(delayed.passed(at(520)), Passed::No);
        assert_eq!(delayed.past_head().passed(at(900)), Passed::Own);
        let told = limits.told_total().delayed(500_000_000);
        assert_eq!(told.past_head().end(), Some(at(400)));
        assert_eq!(told.passed(at(500)), Passed::TooShort, "it had no time");
    }

    #[test]
    fn the_code_within_sees_the_limits_until_they_are_left() {
        assert!(Limits::current().is_none());
        let outer = began().with_told(Deadline::after(Instant::now(), ms(50)));
        let entered = outer.enter();
        assert_eq!(Limits::current().and_then(|limits| limits.told()), outer.told());
        {
            let _inner = outer.with_deadline(outer.began()).enter();
            assert_eq!(Limits::current().and_then(|l| l.end()), Some(outer.began()));
        }
        assert_eq!(Limits::current().and_then(|l| l.end()), outer.end());
        drop(entered);
        assert!(Limits::current().is_none());
    }
}
