//! All guards of a service, by neighbour: to be shown, and to be turned, at run time.

mod snapshot;

#[cfg(feature = "serde")]
pub(crate) use snapshot::seconds;
pub use snapshot::{NeighbourSnapshot, RateSnapshot, RetrySnapshot};

use crate::{
    BreakerHandle, BulkheadHandle, NeighbourHandle, RateLimitHandle, RetryHandle, ShedHandle,
    TimeLimitHandle,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Holds the handles of all guards of a service, by neighbour; clones are the same register.
///
/// Nothing of it is touched when a call is made.
///
/// ```
/// use meshwise_resilience::{BreakerConfig, BreakerLayer, BreakerMode, BreakerState, Guards};
/// let guards = Guards::new();
/// let layer = BreakerLayer::new("stock", BreakerConfig::new())?;
/// guards.add(layer.handle());
///
/// let breaker = guards.breaker("stock").expect("it was added");
/// breaker.set_mode(BreakerMode::ForcedOpen);
/// let shown = guards.snapshot();
/// assert_eq!(shown[0].peer, "stock");
/// assert_eq!(shown[0].breaker.map(|breaker| breaker.state), Some(BreakerState::ForcedOpen));
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Guards {
    // Not on the way of any call: a lock is good enough.
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    neighbours: BTreeMap<Arc<str>, GuardHandles>,
    server: Option<ShedHandle>,
}

/// The handles of one neighbour's guards; made [`From`] the handle of one guard, or of all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuardHandles {
    /// The neighbour's name.
    pub peer: Arc<str>,
    /// The limit for whole calls.
    pub deadline: Option<TimeLimitHandle>,
    /// The retries and their budget.
    pub retry: Option<RetryHandle>,
    /// The limit for an attempt.
    pub timeout: Option<TimeLimitHandle>,
    /// The circuit breaker.
    pub breaker: Option<BreakerHandle>,
    /// The bulkhead.
    pub bulkhead: Option<BulkheadHandle>,
    /// The rate limit.
    pub rate_limit: Option<RateLimitHandle>,
}

impl GuardHandles {
    fn none(peer: &str) -> Self {
        Self {
            peer: peer.into(),
            deadline: None,
            retry: None,
            timeout: None,
            breaker: None,
            bulkhead: None,
            rate_limit: None,
        }
    }
}

impl From<NeighbourHandle> for GuardHandles {
    fn from(all: NeighbourHandle) -> Self {
        Self {
            peer: all.peer().into(),
            deadline: Some(all.deadline().clone()),
            retry: Some(all.retry().clone()),
            timeout: Some(all.timeout().clone()),
            breaker: all.breaker().cloned(),
            bulkhead: all.bulkhead().cloned(),
            rate_limit: Some(all.rate_limit().clone()),
        }
    }
}

impl From<BreakerHandle> for GuardHandles {
    fn from(breaker: BreakerHandle) -> Self {
        Self { breaker: Some(breaker.clone()), ..Self::none(breaker.peer()) }
    }
}

impl From<BulkheadHandle> for GuardHandles {
    fn from(bulkhead: BulkheadHandle) -> Self {
        Self { bulkhead: Some(bulkhead.clone()), ..Self::none(bulkhead.peer()) }
    }
}

impl From<RetryHandle> for GuardHandles {
    fn from(retry: RetryHandle) -> Self {
        Self { retry: Some(retry.clone()), ..Self::none(retry.peer()) }
    }
}

impl From<RateLimitHandle> for GuardHandles {
    fn from(rate: RateLimitHandle) -> Self {
        Self { rate_limit: Some(rate.clone()), ..Self::none(rate.peer()) }
    }
}

impl Guards {
    /// Creates an empty register.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the guards of a neighbour to those that it has; one takes the place of an older one of
    /// its kind.
    pub fn add(&self, guards: impl Into<GuardHandles>) {
        let new = guards.into();
        let mut all = self.lock();
        let peer = Arc::clone(&new.peer);
        let old = all.neighbours.entry(peer).or_insert_with(|| GuardHandles::none(&new.peer));
        old.deadline = new.deadline.or_else(|| old.deadline.take());
        old.retry = new.retry.or_else(|| old.retry.take());
        old.timeout = new.timeout.or_else(|| old.timeout.take());
        old.breaker = new.breaker.or_else(|| old.breaker.take());
        old.bulkhead = new.bulkhead.or_else(|| old.bulkhead.take());
        old.rate_limit = new.rate_limit.or_else(|| old.rate_limit.take());
    }

    /// Forgets a neighbour; its guards go on working for those who use them. Tells whether it was
    /// there.
    #[allow(clippy::must_use_candidate, reason = "most callers want it gone, whatever was")]
    pub fn remove(&self, peer: &str) -> bool {
        self.lock().neighbours.remove(peer).is_some()
    }

    /// Sets the limit of this service itself.
    pub fn set_server(&self, shed: ShedHandle) {
        self.lock().server = Some(shed);
    }

    /// Returns the limit of this service itself, if there is one.
    #[must_use]
    pub fn server(&self) -> Option<ShedHandle> {
        self.lock().server.clone()
    }

    /// Returns the guards of a neighbour.
    #[must_use]
    pub fn neighbour(&self, peer: &str) -> Option<GuardHandles> {
        self.lock().neighbours.get(peer).cloned()
    }

    /// Returns the circuit breaker of a neighbour.
    #[must_use]
    pub fn breaker(&self, peer: &str) -> Option<BreakerHandle> {
        self.neighbour(peer)?.breaker
    }

    /// Returns the bulkhead of a neighbour.
    #[must_use]
    pub fn bulkhead(&self, peer: &str) -> Option<BulkheadHandle> {
        self.neighbour(peer)?.bulkhead
    }

    /// Shows all neighbours as they stand now, by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<NeighbourSnapshot> {
        let all: Vec<_> = self.lock().neighbours.values().cloned().collect();
        // Each guard has a lock of its own; this one is free again.
        all.iter().map(NeighbourSnapshot::of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
