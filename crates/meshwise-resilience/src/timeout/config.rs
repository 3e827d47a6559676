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
    pub(crate) total: Option<Duration>,
    pub(crate) on_purpose: bool,
    pub(crate) incoming: Option<fn() -> Option<Deadline>>,
    pub(crate) incoming_limit: Option<fn() -> Option<Deadline>>,
    pub(crate) head_only: bool,
}

impl DeadlineConfig {
    /// Sets no limit of its own: only what the request and the incoming call say counts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest that a call may take in all: 1 ms to a year. It holds for responses that
    /// stream, too.
    #[must_use]
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self.on_purpose = true;
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

    /// Sets how to find the earliest of all limits that the incoming call was told, its caller's
    /// attempt limit among them. It bounds this call to the head of a response that streams.
    #[must_use]
    pub const fn with_incoming_limit(mut self, limit: fn() -> Option<Deadline>) -> Self {
        self.incoming_limit = Some(limit);
        self
    }

    /// Covers only the time until the response's head; its body may take as long as it likes, but
    /// for the deadlines of the request and the incoming call.
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
    pub(crate) limit: Option<Duration>,
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
