//! The layers that limit a call, and each attempt.

use super::{DeadlineConfig, TimeLimit, TimeLimitHandle, TimeoutConfig};
use crate::{
    AnyCalls, ConfigError, HttpCalls,
    count::Refusals,
    guard::{Enforce, Gate, Guarded, Once, Streaming},
};
use meshwise_core::{Classifier, outcome::Rule};
use std::{fmt, sync::Arc};
use tower_layer::Layer;

/// Gives a call a deadline, and does not begin what is past it.
///
/// The earliest of these counts: the layer's own total, the [`Deadline`](meshwise_core::Deadline) in
/// the request's extensions, its `grpc-timeout` or `x-request-timeout-ms` header, that of the incoming
/// call ([`DeadlineConfig::with_incoming`]), and that of an enclosing layer. Layers within (retries,
/// timeouts) heed it.
#[derive(Clone)]
pub struct DeadlineLayer<K = HttpCalls> {
    gate: Arc<Gate>,
    total: Arc<TimeLimit>,
    kind: K,
}

impl DeadlineLayer {
    /// Creates the layer for calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the total is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: DeadlineConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let deadlines = config.deadlines(&peer)?;
        let total = Arc::clone(&deadlines.total);
        let gate = Gate {
            deadlines: Some(deadlines),
            enforce: Enforce::Whole,
            timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
            streaming: Streaming { all: config.head_only, ..Streaming::default() },
            ..Gate::new(peer)
        };
        Ok(Self { gate: Arc::new(gate), total, kind: HttpCalls::new() })
    }
}

impl<K> DeadlineLayer<K> {
    /// Sets how answers and errors are judged.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.gate = Arc::new(Gate { classifier, ..(*self.gate).clone() });
        self
    }

    /// Covers another kind of calls, such as any service's ([`AnyCalls`]).
    #[must_use]
    pub fn with_calls<L>(self, kind: L) -> DeadlineLayer<L> {
        DeadlineLayer { gate: self.gate, total: self.total, kind }
    }

    /// Returns the handle by which the total is read and changed.
    #[must_use]
    pub fn handle(&self) -> TimeLimitHandle {
        TimeLimitHandle(Arc::clone(&self.total))
    }
}

impl<S, K: Clone> Layer<S> for DeadlineLayer<K> {
    type Service = Guarded<S, K, Once>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, Arc::clone(&self.gate), self.kind.clone())
    }
}

impl<K> fmt::Debug for DeadlineLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineLayer").field("total", &self.total).finish_non_exhaustive()
    }
}

/// Limits the time that an attempt may take.
///
/// It covers the future that the service returns. For HTTP the body can be covered too:
/// [`TimeoutLayer::covering_body`].
#[derive(Clone)]
pub struct TimeoutLayer<K = AnyCalls> {
    gate: Arc<Gate>,
    limit: Arc<TimeLimit>,
    kind: K,
}

impl TimeoutLayer {
    /// Creates the layer for calls to a peer.
    ///
    /// # Errors
    ///
    /// Says what is allowed if the limit is shorter than 1 ms or longer than a year.
    pub fn new(peer: impl Into<Arc<str>>, config: TimeoutConfig) -> Result<Self, ConfigError> {
        let peer = peer.into();
        let limit = TimeLimit::new(&peer, "timeout.limit", config.limit)?;
        let gate = gate(peer, &limit, Enforce::Head, Classifier::new());
        Ok(Self { gate, limit, kind: AnyCalls::new() })
    }

    /// Covers the bodies of HTTP responses, too.
    #[must_use]
    pub fn covering_body(self) -> TimeoutLayer<HttpCalls> {
        let gate = gate(
            Arc::clone(&self.gate.peer),
            &self.limit,
            Enforce::Whole,
            self.gate.classifier.clone(),
        );
        TimeoutLayer { gate, limit: self.limit, kind: HttpCalls::new() }
    }
}

fn gate(
    peer: Arc<str>,
    limit: &Arc<TimeLimit>,
    enforce: Enforce,
    classifier: Classifier,
) -> Arc<Gate> {
    Arc::new(Gate {
        limit: Some(Arc::clone(limit)),
        timed_out: Some(Refusals::new(&peer, Rule::TimedOut)),
        enforce,
        classifier,
        ..Gate::new(peer)
    })
}

impl<K> TimeoutLayer<K> {
    /// Sets how answers and errors are judged.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.gate = Arc::new(Gate { classifier, ..(*self.gate).clone() });
        self
    }

    /// Returns the handle by which the limit is read and changed.
    #[must_use]
    pub fn handle(&self) -> TimeLimitHandle {
        TimeLimitHandle(Arc::clone(&self.limit))
    }
}

impl<S, K: Clone> Layer<S> for TimeoutLayer<K> {
    type Service = Guarded<S, K, Once>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, Arc::clone(&self.gate), self.kind.clone())
    }
}

impl<K> fmt::Debug for TimeoutLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutLayer").field("limit", &self.limit).finish_non_exhaustive()
    }
}
