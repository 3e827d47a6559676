//! The layer, and the handle to see and change the bulkhead.

use super::{
    config::{BulkheadConfig, BulkheadLimit},
    shared::Bulkhead,
};
use crate::{
    ConfigError, HttpCalls,
    guard::{Cloned, Gate, Guarded},
};
use meshwise_core::{Classifier, outcome::Rule};
use std::{fmt, sync::Arc};
use tower_layer::Layer;

/// Lets only so many calls to a peer be in flight at a time: a slow peer can then tie up so many
/// workers and no more.
///
/// One layer is one bulkhead: all services it makes, and their clones, share its permits and its
/// queue. What its services do at `poll_ready` and `call` stands at [`Guarded`].
#[derive(Clone)]
pub struct BulkheadLayer<K = HttpCalls> {
    bulkhead: Arc<Bulkhead>,
    classifier: Classifier,
    kind: K,
}

impl BulkheadLayer {
    /// Creates a bulkhead for calls to a peer, for HTTP and gRPC calls; they hold their permit to the
    /// end of their bodies, unless these stream.
    ///
    /// Its metrics go to the recorder that is in place now.
    ///
    /// # Errors
    ///
    /// Returns what [`BulkheadConfig::check`] finds.
    pub fn new(peer: impl Into<Arc<str>>, config: BulkheadConfig) -> Result<Self, ConfigError> {
        let bulkhead = Bulkhead::new(&peer.into(), config, Rule::BulkheadFull)?;
        Ok(Self { bulkhead, classifier: Classifier::new(), kind: HttpCalls::new() })
    }
}

impl<K> BulkheadLayer<K> {
    /// Watches another kind of calls; the bulkhead stays the same one.
    #[must_use]
    pub fn with_calls<L>(self, kind: L) -> BulkheadLayer<L> {
        BulkheadLayer { bulkhead: self.bulkhead, classifier: self.classifier, kind }
    }

    /// Sets what tells that the peer is overloaded, and how errors are looked into.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Returns the bulkhead, to be read and changed.
    #[must_use]
    pub fn handle(&self) -> BulkheadHandle {
        self.bulkhead.handle()
    }
}

impl<S, K: Clone> Layer<S> for BulkheadLayer<K> {
    type Service = Guarded<S, K, Cloned>;

    fn layer(&self, inner: S) -> Self::Service {
        let gate = Gate {
            bulkhead: Some(Arc::clone(&self.bulkhead)),
            classifier: self.classifier.clone(),
            ..Gate::new(Arc::clone(&self.bulkhead.peer))
        };
        Guarded::new(inner, Arc::new(gate), self.kind.clone())
    }
}

impl<K> fmt::Debug for BulkheadLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadLayer").field("peer", &self.bulkhead.peer).finish_non_exhaustive()
    }
}

/// Shows a bulkhead and changes it, at run time; clones are the same bulkhead.
#[derive(Clone)]
pub struct BulkheadHandle {
    pub(super) bulkhead: Arc<Bulkhead>,
}

impl BulkheadHandle {
    /// Returns the neighbour's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.bulkhead.peer
    }

    /// Returns how the bulkhead is used.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let usage = self.bulkhead.permits.usage();
        let config = self.bulkhead.config();
        BulkheadSnapshot {
            limit: self.bulkhead.permits.limit(),
            adaptive: matches!(config.limit, BulkheadLimit::Adaptive(_)),
            in_use: usage.in_use,
            waiting: usage.waiting,
            queue: config.queue,
        }
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.bulkhead.config()
    }

    /// Changes the settings: a higher limit lets those who wait go at once; calls past a lower one
    /// are not broken off, and nobody is sent out of the queue. An adaptive limit whose settings
    /// stay the same stays where it is.
    ///
    /// # Errors
    ///
    /// Returns what [`BulkheadConfig::check`] finds; the settings are as before then.
    pub fn set_config(&self, config: BulkheadConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.bulkhead.set_config(config);
        Ok(())
    }
}

impl fmt::Debug for BulkheadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadHandle")
            .field("peer", &self.peer())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// Shows a bulkhead as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// Calls that may be under way.
    pub limit: u32,
    /// Whether the limit is found by the time that calls take.
    pub adaptive: bool,
    /// Calls under way; more than the limit for a while after that was lowered.
    pub in_use: u32,
    /// Calls that wait for a place.
    pub waiting: u32,
    /// Calls that may wait.
    pub queue: u32,
}
