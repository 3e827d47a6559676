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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MetricsConfig,
        internal::{
            HttpClientMetrics, HttpServerMetrics, MessagingMetrics, RouteCosts, RpcMetrics,
            ServiceMap,
        },
    };
    use meshwise_core::Service;
    use std::any::Any;

    #[test]
    fn what_records_calls_keeps_the_upkeep() {
        let config = MetricsConfig::new(Service::new("test", "0"));
        let metrics =
            config.with_idle_timeout(Some(std::time::Duration::from_secs(60))).build().unwrap();
        let upkeep = metrics.recorder().upkeep.as_ref().map(Arc::downgrade).unwrap();
        let mut families: Vec<Box<dyn Any>> = vec![
            Box::new(HttpServerMetrics::new(&metrics)),
            Box::new(HttpClientMetrics::new(&metrics)),
            Box::new(RpcMetrics::server(&metrics)),
            Box::new(MessagingMetrics::new(&metrics)),
            Box::new(ServiceMap::new(&metrics)),
            Box::new(RouteCosts::new(&metrics)),
        ];
        drop(metrics);
        while let Some(last) = families.pop() {
            assert!(upkeep.upgrade().is_some(), "with {} families", families.len() + 1);
            drop(last);
        }
        assert!(upkeep.upgrade().is_none());
    }
}
