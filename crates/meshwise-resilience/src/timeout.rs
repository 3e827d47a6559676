//! Time limits: a deadline for the whole call, a timeout for each attempt.
//!
//! What the two layers limit, from when to when, stands at [`DeadlineLayer`](crate::DeadlineLayer) and
//! [`TimeoutLayer`](crate::TimeoutLayer). A deadline that is spent already refuses the call without making it
//! ([`Rule::DeadlineExceeded`](crate::Rule)); what passes in flight breaks it off
//! ([`Rule::TimedOut`](crate::Rule)).
//!
//! A call is broken off by dropping it. The guards within know the limits
//! ([`Limits`](meshwise_core::internal::Limits)), and judge the end by them: a deadline that others have set
//! counts against the peer only if it had at least 0.4 of the attempt's own limit.
//!
//! A limit never passes early. No timer is set for what is ready at once. Both layers need tokio's
//! timer.

use crate::{clock, config::ConfigError, count::Refusals, handle::Handle};
use meshwise_core::{Deadline, Refused, internal::Limits, outcome::Rule};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

impl Handle<Deadlines> {
    /// Returns the handle by which the total is read and changed.
    #[must_use]
    pub fn total(&self) -> TimeLimitHandle {
        Handle::new(&self.guard.total, &self.peer)
    }
}

/// Says how long a call may take in all, its retries included.
///
/// ```
/// use meshwise_resilience::{DeadlineConfig, DeadlineLayer};
/// use std::time::Duration;
/// let config = DeadlineConfig::new().with_total(Duration::from_secs(2));
/// let layer = DeadlineLayer::new("stock", config)?;
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct DeadlineConfig {
    pub(crate) total: Option<Duration>,
    /// Whether the total was set on purpose, or is a default.
    pub(crate) on_purpose: bool,
    pub(crate) incoming: Option<fn() -> Option<Deadline>>,
    pub(crate) incoming_limit: Option<fn() -> Option<Deadline>>,
    pub(crate) head_only: bool,
}

impl DeadlineConfig {
    /// Sets no limit of its own: only what the request and the incoming call say counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest that a call may take in all: 1 ms to a year. It holds for responses that
    /// stream, too.
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self.on_purpose = true;
        self
    }

    /// Sets how to find the deadline of the incoming call on whose behalf this one is made.
    ///
    /// It is asked in `Service::call`, on the thread that calls.
    pub const fn with_incoming(mut self, incoming: fn() -> Option<Deadline>) -> Self {
        self.incoming = Some(incoming);
        self
    }

    /// Sets how to find the earliest of all limits that the incoming call was told, its caller's
    /// attempt limit among them. It bounds this call to the head of a response that streams.
    pub const fn with_incoming_limit(mut self, limit: fn() -> Option<Deadline>) -> Self {
        self.incoming_limit = Some(limit);
        self
    }

    /// Covers only the time until the response's head; its body may take as long as it likes, but
    /// for the deadlines of the request and the incoming call.
    pub const fn until_head(mut self) -> Self {
        self.head_only = true;
        self
    }
}

/// Finds the limits of a call before it begins.
#[derive(Clone, Debug)]
pub struct Deadlines {
    pub(crate) total: Arc<TimeLimit>,
    pub(crate) config: DeadlineConfig,
    pub(crate) spent: Refusals,
}

/// Says which deadlines a request carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Its extension, or `grpc-timeout`.
    pub(crate) deadline: Option<Deadline>,
    /// `x-request-timeout-ms`, which a request that is handed on may still carry from the caller.
    pub(crate) header: Option<Deadline>,
}

impl Told {
    #[inline]
    pub(crate) fn earliest(self) -> Option<Deadline> {
        self.deadline.map_or(self.header, |deadline| Some(deadline.earlier(self.header)))
    }
}

impl Deadlines {
    pub(crate) fn new(peer: &Arc<str>, config: &DeadlineConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            total: TimeLimit::new("deadline.total", config.total)?,
            // A default does not hold for streams.
            config: DeadlineConfig {
                on_purpose: config.on_purpose && !config.head_only,
                ..*config
            },
            spent: Refusals::new(peer, Rule::DeadlineExceeded),
        })
    }

    /// Returns the limits of a call that begins now, with another total if a route has one, and (as
    /// `bounded`) what bounds the incoming call; an error if one has passed already.
    #[inline(always)]
    pub(crate) fn limits(
        &self,
        around: Option<Limits>,
        told: Option<Told>,
        total: Option<Duration>,
        bounded: &mut u64,
    ) -> Result<Limits, Refused> {
        let now = clock::exact();
        let mut limits = around.map_or_else(|| Limits::at(now), |around| around.within(now));
        let bound = self.config.incoming_limit.and_then(|limit| limit());
        if let Some(told) = told {
            // What the incoming call brought is no deadline of this call, though it may stand in the
            // request: time has passed since.
            let header = told.header.filter(|header| bound.is_none_or(|bound| *header < bound));
            limits = limits.with_asked(Told { header, ..told }.earliest());
        }
        limits = limits.with_told(self.config.incoming.and_then(|incoming| incoming()));
        if let Some(bound) = bound {
            limits = limits.with_deadline(bound.moment());
            *bounded = meshwise_core::internal::clock::nanos(bound.moment());
        }
        if limits.ends() <= now {
            return Err(self.spent.refuse(None));
        }
        // The call's own total has only just begun.
        if let Some(total) = total.map(clock::to_nanos).or_else(|| self.total.get()) {
            limits = limits.with_total_nanos(total);
        }
        let on_purpose = total.is_some() || self.config.on_purpose;
        Ok(if on_purpose { limits.told_total() } else { limits })
    }
}

/// What all clones of a time limit share.
#[derive(Debug)]
pub struct TimeLimit {
    /// What it is called in errors.
    setting: &'static str,
    /// Nanoseconds; 0 is no limit. Nothing else depends on it, so `Relaxed` does.
    nanos: AtomicU64,
}

impl TimeLimit {
    pub(crate) fn new(
        setting: &'static str,
        limit: Option<Duration>,
    ) -> Result<Arc<Self>, ConfigError> {
        let this = Self { setting, nanos: AtomicU64::new(0) };
        this.set(limit)?;
        Ok(Arc::new(this))
    }

    fn set(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        if let Some(limit) = limit {
            ConfigError::check_duration(self.setting, limit, Duration::from_millis(1))?;
        }
        self.nanos.store(limit.map_or(0, clock::to_nanos), Relaxed);
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<u64> {
        Some(self.nanos.load(Relaxed)).filter(|nanos| *nanos != 0)
    }
}

/// Reads and changes a time limit at run time. Calls that are in flight keep the limit that they began
/// with.
pub type TimeLimitHandle = Handle<TimeLimit>;

impl TimeLimitHandle {
    /// Returns the limit, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.guard.get().map(Duration::from_nanos)
    }

    /// Sets the limit; `None` takes it away.
    ///
    /// # Errors
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year; nothing is
    /// changed then.
    pub fn set_limit(&self, limit: Option<Duration>) -> Result<(), ConfigError> {
        self.guard.set(limit)
    }
}
