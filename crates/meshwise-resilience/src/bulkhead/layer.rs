//! The layer, and the handle to see and change the bulkhead.

use super::{
    config::{BulkheadConfig, BulkheadLimit},
    shared::Bulkhead,
};
use crate::{
    config_error::ConfigError,
    guard::{Gate, GuardLayer, Guarded, Handle, HttpCalls},
};
use meshwise_core::outcome::Rule;
use std::sync::Arc;
use tower_layer::Layer;

/// Lets only so many calls to a peer be in flight at a time: a slow peer can then tie up so many
/// workers and no more. Clones share its permits and its queue.
pub type BulkheadLayer<K = HttpCalls> = GuardLayer<Bulkhead, K>;

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
        let peer = peer.into();
        let bulkhead = Bulkhead::new(&peer, config, Rule::BulkheadFull)?;
        let gate = Gate { bulkhead: Some(Arc::clone(&bulkhead)), ..Gate::new(peer) };
        Ok(Self::front(gate, bulkhead, HttpCalls::new()))
    }
}

impl<S: Clone, K: Clone> Layer<S> for BulkheadLayer<K> {
    type Service = Guarded<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        self.around_clones(inner)
    }
}

/// Shows a bulkhead and changes it, at run time.
pub type BulkheadHandle = Handle<Bulkhead>;

impl BulkheadHandle {
    /// Returns how the bulkhead is used.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let usage = self.0.permits.usage();
        let config = self.0.config();
        BulkheadSnapshot {
            limit: self.0.permits.limit(),
            adaptive: matches!(config.limit, BulkheadLimit::Adaptive(_)),
            in_use: usage.in_use,
            waiting: usage.waiting,
            queue: config.queue,
        }
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.0.config()
    }

    /// Changes the settings: a higher limit lets those who wait go at once; calls past a lower one
    /// are not broken off, and no one is sent out of the queue. An adaptive limit whose settings
    /// stay the same stays where it is.
    ///
    /// # Errors
    ///
    /// Returns what [`BulkheadConfig::check`] finds; the settings are as before then.
    pub fn set_config(&self, config: BulkheadConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.0.set_config(config);
        Ok(())
    }
}

/// Shows a bulkhead as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// Calls that may be in flight.
    pub limit: u32,
    /// Whether the limit is found by the time that calls take.
    pub adaptive: bool,
    /// Calls in flight; more than the limit for a while after that was lowered.
    pub in_use: u32,
    /// Calls that wait for a place.
    pub waiting: u32,
    /// Calls that may wait.
    pub queue: u32,
}
