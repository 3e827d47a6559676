//! All guards of a service, by peer: to be shown, and to be turned, at run time.

use crate::{
    breaker::{BreakerHandle, BreakerSnapshot},
    bulkhead::{BulkheadHandle, BulkheadSnapshot},
    config::ConfigError,
    peer::{PeerConfig, PeerHandle, PeerLayer},
    shed::ShedHandle,
    sync::{Mutex, lock},
};
use meshwise_core::Classifier;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    peers: BTreeMap<Arc<str>, PeerHandle>,
    server: Option<ShedHandle>,
}

impl All {
    fn add(&mut self, new: PeerHandle) {
        for own in new.whole.iter().flat_map(|whole| &whole.own) {
            self.add(own.clone());
        }
        self.peers.entry(new.peer().into()).or_default().add(new);
    }
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
    /// Says which setting makes no sense; and refuses settings that differ from those of an earlier
    /// client of the same peer, for one peer has one set of guards.
    #[doc(hidden)]
    pub fn share(
        &self,
        peer: &str,
        config: PeerConfig,
        classifier: Classifier,
    ) -> Result<PeerLayer, ConfigError> {
        let mut all = lock(&self.all);
        if let Some(shared) = all.peers.get(peer).and_then(|there| there.whole.clone()) {
            let Some([setting, here, other]) = config.difference(&shared.config) else {
                let timeout_header = config.timeout_header;
                return Ok(PeerLayer { shared, classifier, timeout_header });
            };
            let value = format_args!("{here}, and {other} for another client of `{peer}`");
            let allowed = "the same for all clients of a peer, which share its guards";
            return Err(ConfigError::new(setting, value, allowed));
        }
        let layer = PeerLayer::new(peer, config)?;
        all.add(layer.handle());
        Ok(PeerLayer { classifier, ..layer })
    }

    /// Adds the guards of a peer to those that it has; one takes the place of an older one of
    /// its kind. Guards that a route has of its own go by the name of the peer and the route's
    /// (`stock GET /reports`); its breaker is turned with the peer's, too.
    pub fn add(&self, guards: impl Into<PeerHandle>) {
        lock(&self.all).add(guards.into());
    }

    /// Sets the limit of this service itself.
    #[doc(hidden)]
    pub fn set_server(&self, shed: ShedHandle) {
        lock(&self.all).server = Some(shed);
    }

    /// Returns the limit of this service itself, if there is one.
    #[must_use]
    #[doc(hidden)]
    pub fn server(&self) -> Option<ShedHandle> {
        lock(&self.all).server.clone()
    }

    /// Returns the guards of a peer.
    #[must_use]
    #[doc(hidden)]
    pub fn peer(&self, peer: &str) -> Option<PeerHandle> {
        lock(&self.all).peers.get(peer).cloned()
    }

    /// Returns the circuit breaker of a peer.
    #[must_use]
    pub fn breaker(&self, peer: &str) -> Option<BreakerHandle> {
        self.peer(peer)?.breaker()
    }

    /// Returns the bulkhead of a peer.
    #[must_use]
    pub fn bulkhead(&self, peer: &str) -> Option<BulkheadHandle> {
        self.peer(peer)?.bulkhead()
    }

    /// Shows all peers as they stand now, by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PeerSnapshot> {
        let all: Vec<_> = lock(&self.all).peers.values().cloned().collect();
        all.iter().map(PeerSnapshot::of).collect()
    }
}

/// Shows the guards of a peer as they stood at one moment. Those that it does not have are
/// none.
///
/// With the feature `serde` it is what `GET /resilience` answers with; durations are seconds.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeerSnapshot {
    /// The peer's name.
    pub peer: String,
    /// The longest that a call may take, retries and all.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::clock::seconds"))]
    pub deadline: Option<Duration>,
    /// The longest that an attempt may take.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::clock::seconds"))]
    pub timeout: Option<Duration>,
    /// The circuit breaker.
    pub breaker: Option<BreakerSnapshot>,
    /// The bulkhead.
    pub bulkhead: Option<BulkheadSnapshot>,
    /// The retries.
    pub retry: Option<RetrySnapshot>,
    /// The rate limit.
    pub rate_limit: Option<RateSnapshot>,
}

/// Shows retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RetrySnapshot {
    /// Attempts in all.
    pub attempts: u32,
    /// Retries that the budget would allow right now.
    pub budget: u64,
}

/// Shows a rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RateSnapshot {
    /// Calls that may pass in a second.
    pub per_second: f64,
}

impl PeerSnapshot {
    fn of(guards: &PeerHandle) -> Self {
        Self {
            peer: guards.peer().to_owned(),
            deadline: guards.deadline().and_then(|total| total.limit()),
            timeout: guards.timeout().and_then(|limit| limit.limit()),
            breaker: guards.breaker().map(|breaker| breaker.snapshot()),
            bulkhead: guards.bulkhead().map(|bulkhead| bulkhead.snapshot()),
            retry: guards.retry().map(|retry| RetrySnapshot {
                attempts: retry.attempts(),
                budget: retry.budget().available(),
            }),
            rate_limit: (guards.rate_limit())
                .and_then(|rate| rate.config())
                .map(|rate| RateSnapshot { per_second: rate.per_second() }),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
