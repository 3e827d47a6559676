//! The layer, and what it tells the world.

use super::{
    config::BreakerConfig,
    handle::BreakerHandle,
    service::{BreakerService, Guard},
    shared::{Listener, Shared},
    state::{BreakerState, Change},
};
use crate::{ConfigError, HttpCalls, clock, count::Rejected, names};
use meshwise_core::{ErrorType, outcome::Rule};
use metrics::{counter, gauge};
use std::{fmt, sync::Arc};
use tower_layer::Layer;

/// Stops calling a neighbour that fails, until it is well again.
///
/// One layer is one breaker: all services it makes, and their clones, share it. What its services
/// do at `poll_ready` and `call` stands at [`BreakerService`].
#[derive(Clone)]
pub struct BreakerLayer<K = HttpCalls> {
    guard: Arc<Guard>,
    calls: K,
}

impl BreakerLayer {
    /// Creates a breaker for a neighbour, that judges HTTP and gRPC calls to the end of their
    /// bodies.
    ///
    /// Its metrics go to the recorder that is in place now.
    ///
    /// # Errors
    ///
    /// Returns what [`BreakerConfig::check`] finds.
    pub fn new(peer: impl Into<Arc<str>>, config: BreakerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let peer = peer.into();
        let shared = Shared::new(config, clock::coarse(), fastrand::u64(..), listener(&peer));
        let rejected = Rejected::new(&peer, Rule::BreakerOpen);
        let guard = Arc::new(Guard { peer, shared, rejected });
        Ok(Self { guard, calls: HttpCalls::default() })
    }
}

impl<K> BreakerLayer<K> {
    /// Judges another kind of calls; the breaker stays the same one.
    #[must_use]
    pub fn with_calls<L>(self, calls: L) -> BreakerLayer<L> {
        BreakerLayer { guard: self.guard, calls }
    }

    /// Returns the breaker, to be read and turned.
    #[must_use]
    pub fn handle(&self) -> BreakerHandle {
        BreakerHandle { guard: Arc::clone(&self.guard) }
    }
}

impl<S, K: Clone> Layer<S> for BreakerLayer<K> {
    type Service = BreakerService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService::new(inner, Arc::clone(&self.guard), self.calls.clone())
    }
}

impl<K> fmt::Debug for BreakerLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("peer", &self.guard.peer).finish_non_exhaustive()
    }
}

/// Tells of changes of state through the facades.
fn listener(peer: &Arc<str>) -> Listener {
    let peer = Arc::clone(peer);
    let level = gauge!(names::BREAKER_STATE, names::PEER => Arc::clone(&peer));
    level.set(0.0);
    let transitions = BreakerState::ALL.map(|to| {
        let counter = counter!(
            names::BREAKER_TRANSITIONS, names::PEER => Arc::clone(&peer), names::TO => to.as_str()
        );
        (to, counter)
    });
    Box::new(move |change: &Change| {
        level.set(change.to.level());
        if let Some((_, counter)) = transitions.iter().find(|(to, _)| *to == change.to) {
            counter.increment(1);
        }
        log(&peer, change);
    })
}

fn log(peer: &str, change: &Change) {
    let Change { from, to, why, counts, open_for } = *change;
    let (from, reason) = (from.as_str(), why.as_str());
    let (calls, failed, slow) = (counts.calls, counts.failed, counts.slow);
    match to {
        BreakerState::Open => tracing::warn!(
            target: names::TARGET,
            peer,
            from,
            reason,
            calls,
            failed,
            slow,
            open_ms = open_for / 1_000_000,
            { names::ERROR_TYPE } = ErrorType::BREAKER_OPEN.as_str(),
            "circuit breaker opened"
        ),
        BreakerState::ForcedOpen => {
            tracing::warn!(target: names::TARGET, peer, from, reason, "circuit breaker forced open");
        }
        BreakerState::HalfOpen => {
            tracing::info!(target: names::TARGET, peer, from, reason, "circuit breaker half-opened");
        }
        BreakerState::Closed => {
            tracing::info!(target: names::TARGET, peer, from, reason, "circuit breaker closed");
        }
        BreakerState::ForcedClosed => {
            tracing::warn!(target: names::TARGET, peer, from, reason, "circuit breaker forced closed");
        }
        BreakerState::Disabled => {
            tracing::warn!(target: names::TARGET, peer, from, reason, "circuit breaker disabled");
        }
    }
}
