//! The recorder as users' macros see it.

use crate::{backend::Backend, upkeep::Upkeep};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::Arc;

/// Records what the `metrics` macros say. Cheap to clone.
///
/// Give it to [`metrics::set_global_recorder`] or [`metrics::with_local_recorder`].
#[derive(Clone, Debug)]
pub struct SharedRecorder {
    pub(crate) backend: Arc<dyn Backend>,
    /// What looks after the backend, if it needs that; ends with the last of these.
    upkeep: Option<Arc<Upkeep>>,
}

impl SharedRecorder {
    pub(crate) fn new(backend: Arc<dyn Backend>, upkeep: Option<Upkeep>) -> Self {
        Self { backend, upkeep: upkeep.map(Arc::new) }
    }

    /// Stops what runs in the background, in bounded time. What is kept can still be written.
    pub(crate) fn stop(&self) {
        if let Some(upkeep) = &self.upkeep {
            upkeep.stop();
        }
    }
}

impl Recorder for SharedRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.backend.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.backend.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.backend.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.backend.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.backend.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.backend.register_histogram(key, metadata)
    }
}
