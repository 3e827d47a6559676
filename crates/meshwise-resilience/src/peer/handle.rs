//! Reading and turning the guards of a peer at run time.

use super::{PeerConfig, PeerLayer, layer::Shared};
use crate::{
    breaker::BreakerHandle, bulkhead::BulkheadHandle, guard::Handle, rate::RateLimitHandle,
    retry::RetryHandle, timeout::TimeLimitHandle,
};
use meshwise_core::Classifier;
use std::{fmt, sync::Arc};

/// Reads and turns the guards of a peer at run time; clones, and all clients of the peer, share them.
#[derive(Clone)]
pub struct PeerHandle {
    pub(super) shared: Arc<Shared>,
}

impl PeerHandle {
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
        Handle(Arc::clone(&self.shared.deadlines.total))
    }

    /// Returns the retries and their budget.
    #[must_use]
    pub fn retry(&self) -> RetryHandle {
        Handle(Arc::clone(&self.shared.retry))
    }

    /// Returns the limit for an attempt.
    #[must_use]
    pub fn timeout(&self) -> TimeLimitHandle {
        Handle(Arc::clone(&self.shared.timeout))
    }

    /// Returns the circuit breaker, if there is one.
    #[must_use]
    pub fn breaker(&self) -> Option<BreakerHandle> {
        self.shared.breaker.clone().map(Handle)
    }

    /// Returns the bulkhead, if there is one.
    #[must_use]
    pub fn bulkhead(&self) -> Option<BulkheadHandle> {
        self.shared.bulkhead.clone().map(Handle)
    }

    /// Returns the rate limit; it has none unless one was set.
    #[must_use]
    pub fn rate_limit(&self) -> RateLimitHandle {
        Handle(Arc::clone(&self.shared.rate))
    }

    /// Makes the layer of another client of this peer: it shares the guards, and looks into its
    /// transport's errors by its own classifier.
    #[must_use]
    #[doc(hidden)]
    pub fn layer(&self, classifier: Classifier) -> PeerLayer {
        PeerLayer::for_client(&self.shared, classifier)
    }
}

impl fmt::Debug for PeerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerHandle").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
