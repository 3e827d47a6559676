//! Settings of deadlines and timeouts.

use meshwise_core::Deadline;
use std::time::Duration;

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
pub struct DeadlineConfig {
    pub(super) total: Option<Duration>,
    pub(super) incoming: Option<fn() -> Option<Deadline>>,
    pub(super) extension: bool,
    pub(super) head_only: bool,
}

impl DeadlineConfig {
    /// Sets no limit of its own: only what the request and the incoming call say counts.
    #[must_use]
    pub const fn new() -> Self {
        Self { total: None, incoming: None, extension: false, head_only: false }
    }

    /// Sets the longest that a call may take in all: 1 ms to a year.
    #[must_use]
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// Takes the limit of its own away.
    #[must_use]
    pub const fn without_total(mut self) -> Self {
        self.total = None;
        self
    }

    /// Sets how to find the deadline of the incoming call on whose behalf this one is made.
    ///
    /// It is asked in `Service::call`, on the thread that calls.
    #[must_use]
    pub const fn with_incoming(mut self, incoming: fn() -> Option<Deadline>) -> Self {
        self.incoming = Some(incoming);
        self
    }

    pub(crate) fn or_incoming(mut self, other: Self) -> Self {
        self.incoming = self.incoming.or(other.incoming);
        self
    }

    /// Writes the deadline to the request's extensions, where layers behind a buffer, and those
    /// that put it on the wire, find it. Costs three allocations a call.
    ///
    /// Without it, layers within see it through [`current_deadline`](crate::current_deadline).
    #[must_use]
    pub const fn with_extension(mut self) -> Self {
        self.extension = true;
        self
    }

    /// Covers only the time until the response's head; its body may take as long as it likes.
    #[must_use]
    pub const fn until_head(mut self) -> Self {
        self.head_only = true;
        self
    }
}

/// Says how long one attempt may take.
///
/// ```
/// use meshwise_resilience::{TimeoutConfig, TimeoutLayer};
/// use std::time::Duration;
/// let layer = TimeoutLayer::new("stock", TimeoutConfig::new(Duration::from_millis(500)))?;
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutConfig {
    pub(super) limit: Option<Duration>,
}

impl TimeoutConfig {
    /// Gives each attempt this long: 1 ms to a year.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limit: Some(limit) }
    }

    /// Sets no limit, until one is set through the layer's handle.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { limit: None }
    }
}
