//! The time limits of the call that is being made, told to the layers within.
//!
//! A guard that limits a call stands around the layers that observe it and the transport. These have
//! to know the limit: to tell the peer of it, to leave the timer to the guard that has set it, and to
//! judge an end that comes at it. A request's extensions could carry it; each insertion there costs
//! three allocations.

use crate::Deadline;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Timers tick in milliseconds, and each party reads the clock for itself: an end this long before a
/// limit comes from that limit.
const TICK: Duration = Duration::from_millis(2);

thread_local! {
    static CURRENT: Cell<Option<Limits>> = const { Cell::new(None) };
}

/// Holds what limits a call (or one attempt of it), and since when the peer has had it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    began: Instant,
    /// The attempt's own limit and when it ends.
    own: Option<(Duration, Instant)>,
    /// The earliest of the limits that were set for more than this attempt, or by others.
    deadline: Option<Instant>,
    /// The earliest deadline that was set on purpose, by a request, a caller or a setting: it holds
    /// for streams too, and is what `grpc-timeout` carries.
    told: Option<Deadline>,
    clock: fn() -> Instant,
}

/// Says which limit a moment lies at or past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// None.
    No,
    /// The attempt's own.
    Own,
    /// One that others have set, and the peer had enough of the attempt's own time to answer in.
    Foreign,
    /// Any, but the peer had the call for too short a time to be judged by it: the deadline was
    /// short, or the call waited on this side.
    TooShort,
}

impl Limits {
    /// Begins a call that has no limits; `clock` tells the time that limits are held against.
    #[must_use]
    pub const fn new(began: Instant, clock: fn() -> Instant) -> Self {
        Self { began, own: None, deadline: None, told: None, clock }
    }

    /// Begins a call within what limits the code around it, if anything does.
    #[must_use]
    pub fn inherited(began: Instant, clock: fn() -> Instant) -> Self {
        let around = CURRENT.get();
        let mut limits = Self::new(began, clock);
        if let Some(around) = around {
            limits.deadline = around.end();
            limits.told = around.told;
            limits.own = around.own;
        }
        limits
    }

    /// Returns the limits that the guards around the code that runs now have set.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Cell::get).ok().flatten()
    }

    /// Makes these limits the current ones until the guard is dropped.
    #[inline]
    #[must_use]
    pub fn enter(self) -> Entered {
        Entered(CURRENT.try_with(|current| current.replace(Some(self))).ok().flatten())
    }

    /// Sets the attempt's own limit, and when it ends.
    #[must_use]
    pub const fn with_own(mut self, limit: Duration, ends: Instant) -> Self {
        self.own = Some((limit, ends));
        self
    }

    /// Adds a deadline that others have set, or that holds for more than this attempt.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// Adds a deadline that was set on purpose, by the request, the incoming call or a setting.
    #[must_use]
    pub fn with_told(mut self, deadline: Deadline) -> Self {
        self.told = Some(deadline.earlier(self.told));
        self.with_deadline(deadline.moment())
    }

    /// Says that the peer has the call from now on: what it waited for on this side is over.
    #[must_use]
    pub const fn sent_at(mut self, now: Instant) -> Self {
        self.began = now;
        self
    }

    /// Returns since when the peer has had the call.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Returns the attempt's own limit.
    #[must_use]
    pub fn own(&self) -> Option<Duration> {
        self.own.map(|(limit, _)| limit)
    }

    /// Returns the earliest deadline that was set on purpose.
    #[must_use]
    pub const fn told(&self) -> Option<Deadline> {
        self.told
    }

    /// Returns the moment at which the first of the limits ends.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        match (self.own, self.deadline) {
            (Some((_, own)), Some(deadline)) => Some(own.min(deadline)),
            (own, deadline) => own.map(|(_, ends)| ends).or(deadline),
        }
    }

    /// Lifts what does not hold for a response that streams: all but the deadlines that were set on
    /// purpose.
    #[must_use]
    pub fn for_stream(mut self) -> Self {
        self.own = None;
        self.deadline = self.told.map(Deadline::moment);
        self
    }

    /// Reads the clock that the limits are held against.
    #[must_use]
    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Says which limit a moment lies at or past (less 2 ms). It counts against the peer only if it
    /// had the call for at least 0.4 of the attempt's own limit.
    #[must_use]
    pub fn passed(&self, now: Instant) -> Passed {
        let past = |ends: Instant| now + TICK >= ends;
        let own = self.own.is_some_and(|(_, ends)| past(ends));
        if !own && !self.deadline.is_some_and(past) {
            Passed::No
        } else if !self.enough(now.saturating_duration_since(self.began)) {
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
        let given = self.deadline.map(|ends| ends.saturating_duration_since(self.began));
        given.is_some_and(|given| !self.enough(given))
    }

    /// Returns the share of a time that counts as the peer's own: 0.4 of the attempt's limit.
    fn enough(&self, time: Duration) -> bool {
        self.own.is_some_and(|(own, _)| time + TICK >= own * 2 / 5)
    }
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
        Limits::new(Instant::now(), Instant::now)
    }

    #[test]
    fn a_limit_blames_by_the_time_that_the_peer_had() {
        let limits = began();
        let at = |after| limits.began() + ms(after);
        let own = limits.with_own(ms(100), at(100));
        assert_eq!(
            [97, 98, 100].map(|t| own.passed(at(t))),
            [Passed::No, Passed::Own, Passed::Own]
        );
        let short = own.with_deadline(at(30));
        assert_eq!(
            [27, 28, 99].map(|t| short.passed(at(t))),
            [Passed::No, Passed::TooShort, Passed::Own]
        );
        assert!(short.too_short() && !own.too_short());
        let fair = own.with_deadline(at(40));
        assert_eq!((fair.passed(at(40)), fair.too_short()), (Passed::Foreign, false));
        let queued = own.sent_at(at(70));
        assert_eq!(queued.passed(at(100)), Passed::TooShort, "it waited on this side");
        let foreign = limits.with_deadline(at(500));
        assert_eq!(foreign.passed(at(500)), Passed::TooShort, "no own limit to hold it against");
        assert_eq!(limits.passed(at(100_000)), Passed::No);
    }

    #[test]
    fn a_stream_keeps_only_what_was_set_on_purpose() {
        let limits = began();
        let at = |after| limits.began() + ms(after);
        let limits = limits.with_own(ms(100), at(100)).with_deadline(at(300));
        assert_eq!(limits.end(), Some(at(100)));
        assert_eq!(limits.for_stream().end(), None);
        let told = limits.with_told(Deadline::at(at(200))).with_told(Deadline::at(at(250)));
        assert_eq!(told.for_stream().end(), Some(at(200)));
        assert_eq!(told.told(), Some(Deadline::at(at(200))));
    }

    #[test]
    fn the_code_within_sees_the_limits_until_they_are_left() {
        assert!(Limits::current().is_none());
        let outer = began().with_told(Deadline::after(Instant::now(), ms(50)));
        let entered = outer.enter();
        let inner = Limits::inherited(Instant::now(), Instant::now);
        assert_eq!((inner.end(), inner.told()), (outer.end(), outer.told()));
        {
            let _inner = inner.with_deadline(inner.began()).enter();
            assert_eq!(Limits::current().and_then(|l| l.end()), Some(inner.began()));
        }
        assert_eq!(Limits::current().and_then(|l| l.end()), outer.end());
        drop(entered);
        assert!(Limits::current().is_none());
    }
}
