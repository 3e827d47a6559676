//! All guards of a service, by peer: to be shown, and to be turned, at run time.

mod snapshot;

#[cfg(feature = "serde")]
pub(crate) use snapshot::seconds;
pub use snapshot::{PeerSnapshot, RateSnapshot, RetrySnapshot};

use crate::{
    BreakerHandle, BulkheadHandle, ConfigError, PeerConfig, PeerHandle, PeerLayer, RateLimitHandle,
    RetryHandle, ShedHandle, TimeLimitHandle,
};
use meshwise_core::Classifier;
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Holds the handles of all guards of a service, by peer; clones are the same register.
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
    peers: BTreeMap<Arc<str>, GuardHandles>,
    server: Option<ShedHandle>,
}

impl All {
    fn add(&mut self, new: GuardHandles) {
        let old = self.peers.entry(Arc::clone(&new.peer)).or_default();
        let or = mem::take(old);
        *old = GuardHandles {
            peer: new.peer,
            deadline: new.deadline.or(or.deadline),
            retry: new.retry.or(or.retry),
            timeout: new.timeout.or(or.timeout),
            breaker: new.breaker.or(or.breaker),
            bulkhead: new.bulkhead.or(or.bulkhead),
            rate_limit: new.rate_limit.or(or.rate_limit),
            whole: new.whole.or(or.whole),
        };
    }
}

/// The handles of one peer's guards; made [`From`] the handle of one guard, or of all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GuardHandles {
    /// The peer's name.
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
    /// All of them, which all clients of the peer share.
    whole: Option<PeerHandle>,
}

impl From<PeerHandle> for GuardHandles {
    fn from(all: PeerHandle) -> Self {
        Self {
            peer: all.peer().into(),
            deadline: Some(all.deadline()),
            retry: Some(all.retry()),
            timeout: Some(all.timeout()),
            breaker: all.breaker(),
            bulkhead: all.bulkhead(),
            rate_limit: Some(all.rate_limit()),
            whole: Some(all),
        }
    }
}

macro_rules! handles {
    ($($handle:ident: $guard:ident;)+) => { $(
        impl From<$handle> for GuardHandles {
            fn from(one: $handle) -> Self {
                Self { peer: one.peer().into(), $guard: Some(one), ..Self::default() }
            }
        }
    )+ };
}

handles! {
    BreakerHandle: breaker;
    BulkheadHandle: bulkhead;
    RetryHandle: retry;
    RateLimitHandle: rate_limit;
}

impl Guards {
    /// Creates an empty register.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the guards of a peer, for one of its clients: the clients of a peer share them.
    /// `classifier` knows the errors of this client's transport.
    ///
    /// # Errors
    ///
    /// Says which setting makes no sense; and refuses settings that differ from those of an earlier
    /// client of the same peer, for one peer has one set of guards.
    #[doc(hidden)]
    pub fn share(
        &self,
        peer: &str,
        config: PeerConfig,
        classifier: Classifier,
    ) -> Result<PeerLayer, ConfigError> {
        let mut all = self.lock();
        if let Some(there) = all.peers.get(peer).and_then(|there| there.whole.as_ref()) {
            let Some([setting, here, other]) = config.difference(there.config()) else {
                return Ok(there.layer(classifier));
            };
            let value = format_args!("{here}, and {other} for another client of `{peer}`");
            let allowed = "the same for all clients of a peer, which share its guards";
            return Err(ConfigError::new(setting, value, allowed));
        }
        let handle = PeerLayer::new(peer, config)?.handle();
        all.add(handle.clone().into());
        Ok(handle.layer(classifier))
    }

    /// Adds the guards of a peer to those that it has; one takes the place of an older one of
    /// its kind.
    pub fn add(&self, guards: impl Into<GuardHandles>) {
        self.lock().add(guards.into());
    }

    /// Forgets a peer; its guards go on working for those who use them. Tells whether it was
    /// there.
    #[allow(clippy::must_use_candidate, reason = "most callers want it gone, whatever was")]
    pub fn remove(&self, peer: &str) -> bool {
        self.lock().peers.remove(peer).is_some()
    }

    /// Sets the limit of this service itself.
    #[doc(hidden)]
    pub fn set_server(&self, shed: ShedHandle) {
        self.lock().server = Some(shed);
    }

    /// Returns the limit of this service itself, if there is one.
    #[must_use]
    #[doc(hidden)]
    pub fn server(&self) -> Option<ShedHandle> {
        self.lock().server.clone()
    }

    /// Returns the guards of a peer.
    #[must_use]
    #[doc(hidden)]
    pub fn peer(&self, peer: &str) -> Option<GuardHandles> {
        self.lock().peers.get(peer).cloned()
    }

    /// Returns the circuit breaker of a peer.
    #[must_use]
    pub fn breaker(&self, peer: &str) -> Option<BreakerHandle> {
        self.peer(peer)?.breaker
    }

    /// Returns the bulkhead of a peer.
    #[must_use]
    pub fn bulkhead(&self, peer: &str) -> Option<BulkheadHandle> {
        self.peer(peer)?.bulkhead
    }

    /// Shows all peers as they stand now, by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PeerSnapshot> {
        let all: Vec<_> = self.lock().peers.values().cloned().collect();
        // Each guard has a lock of its own; this one is free again.
        all.iter().map(PeerSnapshot::of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
