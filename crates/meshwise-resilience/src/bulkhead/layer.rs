//! The layer, and the handle to see and change the bulkhead.

use super::{config::BulkheadConfig, shared::Bulkhead};
use crate::{
    config_error::ConfigError,
    guard::{Gate, GuardLayer, Handle, HttpCalls, Untimed, layer},
};
use meshwise_core::outcome::Rule;
use std::sync::Arc;

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

layer!(Bulkhead, Untimed, Clone);

/// Shows a bulkhead and changes it, at run time.
pub type BulkheadHandle = Handle<Bulkhead>;

impl BulkheadHandle {
    /// Returns how the bulkhead is used.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let usage = self.guard.permits.usage();
        let config = self.guard.config();
        BulkheadSnapshot {
            limit: self.guard.permits.limit(),
            adaptive: config.adaptive().is_some(),
            in_use: usage.in_use,
            waiting: usage.waiting,
            queue: config.0.queue.or_none(),
        }
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.guard.config()
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
        self.guard.set_config(config);
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
