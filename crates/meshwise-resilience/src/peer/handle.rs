//! Reading and turning the guards of a peer at run time.

use super::{PeerConfig, PeerLayer, layer::Shared};
use crate::{
    breaker::BreakerHandle, bulkhead::BulkheadHandle, debug::debug, guard::Handle,
    rate::RateLimitHandle, retry::RetryHandle, timeout::TimeLimitHandle,
};
use meshwise_core::Classifier;
use std::sync::Arc;

/// Reads and turns the guards of a peer at run time; clones, and all clients of the peer, share them.
#[derive(Clone)]
pub struct PeerHandle {
    pub(super) shared: Arc<Shared>,
}

impl PeerHandle {
    fn of<G>(&self, guard: &Arc<G>) -> Handle<G> {
        Handle::new(guard, &self.shared.peer)
    }

    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// Returns the settings that the guards were made with.
    #[must_use]
    #[doc(hidden)]
    pub fn config(&self) -> &PeerConfig {
        &self.shared.config
    }

    /// Returns the limit for the whole call.
    #[must_use]
    pub fn deadline(&self) -> TimeLimitHandle {
        self.of(&self.shared.deadlines.total)
    }

    /// Returns the retries and their budget.
    #[must_use]
    pub fn retry(&self) -> RetryHandle {
        self.of(&self.shared.retry)
    }

    /// Returns the limit for an attempt.
    #[must_use]
    pub fn timeout(&self) -> TimeLimitHandle {
        self.of(&self.shared.guards.timeout)
    }

    /// Returns the circuit breaker, if there is one.
    #[must_use]
    pub fn breaker(&self) -> Option<BreakerHandle> {
        self.shared.guards.breaker.as_ref().map(|breaker| self.of(breaker))
    }

    /// Returns the bulkhead, if there is one.
    #[must_use]
    pub fn bulkhead(&self) -> Option<BulkheadHandle> {
        self.shared.guards.bulkhead.as_ref().map(|bulkhead| self.of(bulkhead))
    }

    /// Returns the rate limit; it has none unless one was set.
    #[must_use]
    pub fn rate_limit(&self) -> RateLimitHandle {
        self.of(&self.shared.guards.rate)
    }

    /// Makes the layer of another client of this peer: it shares the guards, and looks into its
    /// transport's errors by its own classifier.
    #[must_use]
    #[doc(hidden)]
    pub fn layer(&self, classifier: Classifier) -> PeerLayer {
        PeerLayer { shared: Arc::clone(&self.shared), classifier }
    }
}

debug!("PeerHandle", [] PeerHandle, handle: "peer" = handle.peer());
