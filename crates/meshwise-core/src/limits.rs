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
    /// How long the peer may take by this side's own settings: what it is judged by.
    own: Option<Duration>,
    /// When the attempt's own limit ends; it holds to the head of the response.
    head_by: Option<Instant>,
    /// When this side's own limit for the whole call ends.
    total: Option<Instant>,
    /// The earliest of the limits that others have set.
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
    /// This side's own, for the attempt or the whole call.
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
    #[inline]
    pub const fn new(began: Instant, clock: fn() -> Instant) -> Self {
        Self { began, own: None, head_by: None, total: None, deadline: None, told: None, clock }
    }

    /// Returns the limits that the guards around the code that runs now have set.
    #[must_use]
    #[inline]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Cell::get).ok().flatten()
    }

    /// Makes these limits the current ones until the guard is dropped.
    #[inline]
    #[must_use]
    pub fn enter(self) -> Entered {
        Entered(CURRENT.try_with(|current| current.replace(Some(self))).ok().flatten())
    }

    /// Sets the attempt's own limit, which began now and holds to the head of the response.
    #[must_use]
    #[inline]
    pub fn with_attempt(mut self, limit: Duration, now: Instant) -> Self {
        let ends = Deadline::after(now, limit).moment();
        self.own = Some(self.own.map_or(limit, |own| own.min(limit)));
        self.head_by = Some(self.head_by.map_or(ends, |earlier| earlier.min(ends)));
        self
    }

    /// Sets this side's own limit for the whole call, the response's body included.
    #[must_use]
    #[inline]
    pub fn with_total(mut self, limit: Duration, now: Instant) -> Self {
        let ends = Deadline::after(now, limit).moment();
        self.own = Some(self.own.map_or(limit, |own| own.min(limit)));
        self.total = Some(self.total.map_or(ends, |earlier| earlier.min(ends)));
        self
    }

    /// Adds a limit that others have set, and that is not a deadline of the call: it does not hold
    /// for streams.
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

    /// Says that a total was set on purpose: it holds for streams, too.
    #[must_use]
    pub fn with_told_total(mut self, total: Deadline) -> Self {
        self.told = Some(total.earlier(self.told));
        self
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

    /// Returns how long the peer may take by this side's own settings.
    #[must_use]
    pub const fn own(&self) -> Option<Duration> {
        self.own
    }

    /// Returns the earliest deadline that was set on purpose.
    #[must_use]
    pub const fn told(&self) -> Option<Deadline> {
        self.told
    }

    /// Tells whether the guards that have set these limits see to a deadline themselves, to the end of
    /// the response, whether it streams or not: then nothing further in needs a timer for it.
    #[must_use]
    #[inline]
    pub fn enforce(&self, deadline: Deadline) -> bool {
        self.told.is_some_and(|told| told <= deadline)
    }

    /// Returns the moment by which the response's head must be there: the first limit's end.
    #[must_use]
    #[inline]
    pub fn end(&self) -> Option<Instant> {
        earlier(self.head_by, self.body_end())
    }

    /// Returns the moment by which the whole response must be there.
    #[must_use]
    #[inline]
    pub fn body_end(&self) -> Option<Instant> {
        earlier(self.total, self.deadline)
    }

    /// Lifts the attempt's limit: the response's head is there.
    #[must_use]
    pub const fn past_head(mut self) -> Self {
        self.head_by = None;
        self
    }

    /// Lifts what does not hold for a response that streams: all but the deadlines that were set on
    /// purpose.
    #[must_use]
    pub fn for_stream(mut self) -> Self {
        (self.head_by, self.total) = (None, None);
        self.deadline = self.told.map(Deadline::moment);
        self
    }

    /// Reads the clock that the limits are held against.
    #[must_use]
    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Says which limit a moment lies at or past (less 2 ms). It counts against the peer only if it
    /// had the call for at least 0.4 of what this side's own settings allow.
    #[must_use]
    pub fn passed(&self, now: Instant) -> Passed {
        let past = |ends: Option<Instant>| ends.is_some_and(|ends| now + TICK >= ends);
        let own = past(self.head_by) || past(self.total);
        if !own && !past(self.deadline) {
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

    /// Tells whether a time is enough to judge the peer by: 0.4 of what it may take.
    fn enough(&self, time: Duration) -> bool {
        self.own.is_some_and(|own| time + TICK >= own * 2 / 5)
    }
}

#[inline]
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
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
        let seen = |limits: Limits, times: [u64; 3]| times.map(|t| limits.passed(at(t)));
        for own in [limits.with_attempt(ms(100), at(0)), limits.with_total(ms(100), at(0))] {
            assert_eq!(seen(own, [97, 98, 100]), [Passed::No, Passed::Own, Passed::Own]);
            let short = own.with_deadline(at(30));
            let expected = [Passed::No, Passed::TooShort, Passed::Own];
            assert_eq!(seen(short, [27, 28, 99]), expected);
            assert!(short.too_short() && !own.too_short());
            let fair = own.with_deadline(at(40));
            assert_eq!((fair.passed(at(40)), fair.too_short()), (Passed::Foreign, false));
            let queued = own.sent_at(at(70));
            assert_eq!(queued.passed(at(100)), Passed::TooShort, "it waited on this side");
        }
        let foreign = limits.with_deadline(at(500));
        assert_eq!(foreign.passed(at(500)), Passed::TooShort, "no own limit to hold it against");
        assert_eq!(limits.passed(at(100_000)), Passed::No);
    }

    #[test]
    fn an_attempt_s_limit_holds_to_the_head_and_a_stream_keeps_what_was_set_on_purpose() {
        let limits = began();
        let at = |after| limits.began() + ms(after);
        let limits = limits.with_attempt(ms(100), at(0)).with_total(ms(400), at(0));
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
