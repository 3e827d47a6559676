//! A registry and its storage as a backend.

use super::{Backend, Pages};
use crate::{
    expose::Format,
    kind::{Handle, Kind},
    registry::{RefusedMetric, Registry, Storage},
    upkeep::Upkeep,
};
use meshwise_core::SignalReport;
use metrics::{Counter, Key, KeyName, Metadata, SharedString, Unit};
use std::{io, sync::Arc, time::Duration};

/// Writes what a registry knows.
pub(crate) trait Exposed: Storage + Sized {
    /// Tells whether it can write this format.
    fn writes(format: Format) -> bool;

    /// Begins to write all families.
    fn pages(registry: &Arc<Registry<Self>>, format: Format) -> Box<dyn Pages>;

    /// Does what has to be done from time to time, and before writing.
    fn keep_up(registry: &Registry<Self>);
}

/// Joins a registry with the thread that looks after it, if it needs one.
#[derive(Debug)]
pub(crate) struct Managed<S: Storage> {
    registry: Arc<Registry<S>>,
    upkeep: Option<Upkeep>,
}

impl<S: Exposed> Managed<S> {
    /// Looks after `registry` at each `interval`, if there is one.
    pub(crate) fn start(
        registry: Arc<Registry<S>>,
        interval: Option<Duration>,
    ) -> io::Result<Self> {
        let upkeep = interval.map(|interval| {
            let registry = Arc::clone(&registry);
            Upkeep::every(interval, move || S::keep_up(&registry))
        });
        Ok(Self { registry, upkeep: upkeep.transpose()? })
    }
}

impl<S: Exposed> Backend for Managed<S> {
    fn describe(&self, kind: Kind, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.registry.describe(kind, &name, unit, help);
    }

    #[inline]
    fn resolve(&self, kind: Kind, key: &Key, _: &Metadata<'_>) -> Handle {
        self.registry.resolve(kind, key)
    }

    fn resolve_seconds(&self, key: &Key) -> Option<Counter> {
        S::COUNTS_MICROSECONDS.then(|| self.registry.resolve_seconds(key).into_counter())
    }

    fn writes(&self, format: Format) -> bool {
        S::writes(format)
    }

    fn pages(&self, format: Format) -> Box<dyn Pages> {
        S::keep_up(&self.registry);
        S::pages(&self.registry, format)
    }

    fn report(&self) -> Option<SignalReport> {
        Some(self.registry.losses().report())
    }

    fn refused(&self) -> Vec<RefusedMetric> {
        self.registry.refused()
    }

    fn stop(&self) {
        if let Some(upkeep) = &self.upkeep {
            upkeep.stop();
        }
    }
}
