//! The layers that limit a call, and each attempt.

use super::{DeadlineConfig, Deadlines, TimeLimit, TimeLimitHandle, TimeoutConfig};
use crate::{
    config_error::ConfigError,
    count::Refusals,
    guard::{AnyCalls, Enforce, Gate, GuardLayer, Handle, HttpCalls, Streaming, Timed, layer},
};
use meshwise_core::outcome::Rule;
use std::sync::Arc;

/// Gives a call a deadline, and does not begin what is past it.
///
/// The earliest of these counts: the layer's own total, the [`Deadline`](meshwise_core::Deadline) in
/// the request's extensions, its `grpc-timeout` or `x-request-timeout-ms` header, that of the incoming
/// call ([`DeadlineConfig::with_incoming`]), and that of an enclosing layer. Layers within (retries,
/// timeouts) heed it.
pub type DeadlineLayer<K = HttpCalls> = GuardLayer<Deadlines, K>;

impl DeadlineLayer {
    /// Creates the layer for calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the total is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: DeadlineConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let deadlines = Arc::new(Deadlines::new(&peer, &config)?);
        let gate = Gate {
            deadlines: Some(Arc::clone(&deadlines)),
            enforce: Enforce::Whole,
            timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
            streaming: Streaming { all: config.head_only, ..Streaming::default() },
            ..Gate::new(peer)
        };
        Ok(Self::front(gate, deadlines, HttpCalls::new()))
    }
}

layer!(Deadlines, Timed);

impl Handle<Deadlines> {
    /// Returns the handle by which the total is read and changed.
    #[must_use]
    pub fn total(&self) -> TimeLimitHandle {
        Handle::new(&self.guard.total, &self.peer)
    }
}

/// Limits the time that an attempt may take.
///
/// It covers the future that the service returns. For HTTP the body can be covered too:
/// [`TimeoutLayer::covering_body`].
pub type TimeoutLayer<K = AnyCalls> = GuardLayer<TimeLimit, K>;

impl TimeoutLayer {
    /// Creates the layer for calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: TimeoutConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let limit = TimeLimit::new("timeout.limit", config.limit)?;
        let gate = Gate {
            limit: Some(Arc::clone(&limit)),
            timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
            enforce: Enforce::Head,
            ..Gate::new(peer)
        };
        Ok(Self::front(gate, limit, AnyCalls::new()))
    }

    /// Covers the bodies of HTTP responses, too.
    #[must_use]
    pub fn covering_body(self) -> TimeoutLayer<HttpCalls> {
        self.change(|gate| gate.enforce = Enforce::Whole).with_calls(HttpCalls::new())
    }
}

layer!(TimeLimit, Timed);
