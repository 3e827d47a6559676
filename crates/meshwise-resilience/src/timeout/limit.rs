//! A time limit that can be changed while calls are under way, and what happens when it passes.

use crate::{
    ConfigError, clock, count,
    spare::{self, Spare},
};
use meshwise_core::{Deadline, Refused, outcome::Rule};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::LocalKey,
    time::{Duration, Instant},
};

thread_local! {
    pub(super) static DEADLINE: Spare<Shared> = const { Cell::new(None) };
    pub(super) static TIMEOUT: Spare<Shared> = const { Cell::new(None) };
}

/// What all clones of a time limit share.
#[derive(Debug)]
pub(super) struct Shared {
    peer: Arc<str>,
    /// Nanoseconds; 0 is no limit. Nothing else depends on it, so `Relaxed` does.
    limit: AtomicU64,
    kind: Kind,
    spent: count::Rejected,
    passed: count::Rejected,
}

/// Whose limit it is: the two stand around each other, so a thread keeps a spare of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Deadline,
    Timeout,
}

impl Kind {
    const fn setting(self) -> &'static str {
        match self {
            Self::Deadline => "deadline.total",
            Self::Timeout => "timeout.limit",
        }
    }

    const fn spare(self) -> &'static LocalKey<Spare<Shared>> {
        match self {
            Self::Deadline => &DEADLINE,
            Self::Timeout => &TIMEOUT,
        }
    }
}

impl Shared {
    pub(super) fn new(
        peer: Arc<str>,
        kind: Kind,
        limit: Option<Duration>,
    ) -> Result<Arc<Self>, ConfigError> {
        let shared = Self {
            spent: count::Rejected::new(&peer, Rule::DeadlineExceeded),
            passed: count::Rejected::new(&peer, Rule::TimedOut),
            limit: AtomicU64::new(0),
            kind,
            peer,
        };
        shared.set(limit)?;
        Ok(Arc::new(shared))
    }

    fn set(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        if let Some(limit) = limit {
            ConfigError::check_duration(self.kind.setting(), limit, Duration::from_millis(1))?;
        }
        self.limit.store(limit.map_or(0, clock::to_nanos), Relaxed);
        Ok(())
    }

    /// Takes it from a call that is over.
    pub(super) fn give_back(self: Arc<Self>) {
        spare::keep(self.kind.spare(), self);
    }

    pub(super) const fn peer(&self) -> &Arc<str> {
        &self.peer
    }

    #[inline]
    pub(super) fn limit(&self) -> Option<Duration> {
        match self.limit.load(Relaxed) {
            0 => None,
            nanos => Some(clock::nanos(nanos)),
        }
    }

    /// Refuses a call whose deadline had passed before it began.
    #[cold]
    pub(super) fn refuse_spent(&self) -> Refused {
        self.spent.refuse(&self.peer, None)
    }

    /// Breaks off a call that took too long.
    #[cold]
    pub(super) fn refuse_passed(&self) -> Refused {
        self.passed.refuse(&self.peer, None)
    }
}

/// When a limit ends, as well as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) moment: Instant,
    /// The limit in nanoseconds if it was counted from the kernel's last tick, so that its end may
    /// be a little early; 0 if the moment is the one that counts.
    rough: u64,
}

/// How much later a moment may become: more than kernels lag, also on virtual machines that have to
/// wait for their processor.
pub(super) const LATE: Duration = Duration::from_millis(50);

impl Ends {
    /// Shorter limits are counted by the exact clock.
    const COARSE: Duration = Duration::from_millis(100);
    pub(super) const fn at(deadline: Deadline) -> Self {
        Self { moment: deadline.moment(), rough: 0 }
    }

    /// Counts a limit from now, as exactly as is cheap.
    #[inline]
    pub(super) fn from_now(limit: Duration) -> Self {
        if limit < Self::COARSE || clock::coarse_is_exact() {
            return Self::exactly_from_now(limit);
        }
        Self::roughly(clock::coarse_now(), limit)
    }

    pub(super) fn roughly(now: Instant, limit: Duration) -> Self {
        Self { moment: Deadline::after(now, limit).moment(), rough: clock::to_nanos(limit) }
    }

    pub(super) fn exactly_from_now(limit: Duration) -> Self {
        Self::at(Deadline::after(clock::now(), limit))
    }

    /// Makes sure that the moment is not too early. Only who waits for it needs that, and asks as
    /// soon as it begins to wait: the limit has begun at the latest now.
    #[inline]
    pub(super) fn settle(&mut self) -> Instant {
        if self.rough != 0 {
            self.settle_at(clock::now());
        }
        self.moment
    }

    #[cold]
    pub(super) fn settle_at(&mut self, now: Instant) {
        let latest = Deadline::after(self.moment, LATE);
        let ends = Deadline::after(now, clock::nanos(self.rough));
        *self = Self::at(ends.min(latest));
    }

    /// Tells whether it has passed, never too early and a tick late.
    #[inline]
    pub(super) fn passed(&mut self) -> bool {
        clock::coarse_now() >= self.moment && (self.rough == 0 || clock::now() >= self.settle())
    }
}

/// Tells whether a deadline has passed, by the exact clock where the coarse one can't tell.
#[inline]
pub(crate) fn has_passed(deadline: Deadline) -> bool {
    /// More than any kernel's tick.
    const TICK: Duration = Duration::from_millis(20);
    match deadline.remaining(clock::coarse_now()) {
        None => true,
        Some(left) if left > TICK => false,
        Some(_) => deadline.remaining(clock::now()).is_none(),
    }
}

/// Reads and changes a time limit at run time; clones, and the layer that it came from, share it.
///
/// Calls that are under way keep the limit that they began with.
#[derive(Clone, Debug)]
pub struct TimeLimitHandle(pub(super) Arc<Shared>);

impl TimeLimitHandle {
    /// Returns the neighbour's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// Returns the limit, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.0.limit()
    }

    /// Sets the limit; `None` takes it away.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year; nothing is
    /// changed then.
    pub fn set_limit(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        self.0.set(limit)
    }
}

/// Says how long a response's body may take, and who says so.
#[derive(Clone, Debug)]
pub struct Until {
    pub(super) ends: Ends,
    /// Whether the limit is the layer's own, so that its passing tells of the neighbour.
    pub(super) own: bool,
    pub(super) shared: Arc<Shared>,
}

impl Until {
    /// Returns the moment past which the body is broken off.
    #[must_use]
    pub const fn moment(&self) -> Instant {
        self.ends.moment
    }
}
