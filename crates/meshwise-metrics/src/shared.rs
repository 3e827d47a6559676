//! The recorder as users' macros see it.

use crate::{backend::Backend, kind::Kind};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::Arc;

/// Records what the `metrics` macros say. Cheap to clone.
///
/// Give it to [`metrics::set_global_recorder`] or [`metrics::with_local_recorder`].
#[derive(Clone, Debug)]
pub struct SharedRecorder(pub(crate) Arc<dyn Backend>);

impl Recorder for SharedRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe(Kind::Counter, name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe(Kind::Gauge, name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe(Kind::Histogram, name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.resolve(Kind::Counter, key, metadata).into_counter()
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0.resolve(Kind::Gauge, key, metadata).into_gauge()
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.resolve(Kind::Histogram, key, metadata).into_histogram()
    }
}
