//! A time limit that can be changed while calls are under way, and what happens when it passes.

use crate::{ConfigError, clock, count};
use meshwise_core::{Deadline, Refused, outcome::Rule};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What all clones of a time limit share.
#[derive(Debug)]
pub(super) struct Shared {
    peer: Arc<str>,
    /// Nanoseconds; 0 is no limit. Nothing else depends on it, so `Relaxed` does.
    limit: AtomicU64,
    setting: &'static str,
    spent: count::Rejected,
    passed: count::Rejected,
}

impl Shared {
    pub(super) fn new(
        peer: Arc<str>,
        setting: &'static str,
        limit: Option<Duration>,
    ) -> Result<Arc<Self>, ConfigError> {
        let shared = Self {
            spent: count::Rejected::new(&peer, Rule::DeadlineExceeded),
            passed: count::Rejected::new(&peer, Rule::TimedOut),
            limit: AtomicU64::new(0),
            setting,
            peer,
        };
        shared.set(limit)?;
        Ok(Arc::new(shared))
    }

    fn set(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        if let Some(limit) = limit {
            ConfigError::check_duration(self.setting, limit, Duration::from_millis(1))?;
        }
        self.limit.store(limit.map_or(0, clock::to_nanos), Relaxed);
        Ok(())
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

/// Returns the moment a limit after now.
///
/// The coarse clock does where the tick that it lies behind is less than a tenth of the limit.
#[inline]
pub(super) fn from_now(limit: Duration) -> Deadline {
    const COARSE: Duration = Duration::from_millis(100);
    Deadline::after(if limit < COARSE { clock::now() } else { clock::coarse_now() }, limit)
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
    pub(super) moment: Instant,
    /// Whether the limit is the layer's own, so that its passing tells of the neighbour.
    pub(super) own: bool,
    pub(super) shared: Arc<Shared>,
}

impl Until {
    /// Returns the moment past which the body is broken off.
    #[must_use]
    pub const fn moment(&self) -> Instant {
        self.moment
    }
}
