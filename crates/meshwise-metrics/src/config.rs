//! How metrics are kept and shown.

use crate::{
    Metrics, MetricsError, SharedRecorder,
    backend::{Exporter, Foreign},
    buckets::Buckets,
    hub::Settings,
};
use meshwise_core::{Env, Service};
use metrics::Recorder;
use std::sync::Arc;

/// Says how metrics are kept and shown.
#[derive(Clone, Debug)]
#[must_use]
pub struct MetricsConfig {
    service: Service,
    buckets: Buckets,
    constant_labels: Vec<(String, String)>,
    max_label_sets: usize,
    body_sizes: bool,
    runtime_metrics: bool,
}

impl MetricsConfig {
    /// Starts with the defaults for a service.
    pub fn new(service: Service) -> Self {
        Self {
            service,
            buckets: Buckets::default(),
            constant_labels: Vec::new(),
            max_label_sets: 2000,
            body_sizes: false,
            runtime_metrics: true,
        }
    }

    /// Reads the environment.
    ///
    /// # Errors
    /// If a variable has a value that is not allowed; the message names the variable, the value,
    /// and what is allowed.
    pub fn with_env(self, _env: &Env) -> Result<Self, MetricsError> {
        Ok(self)
    }

    /// Sets the buckets of one histogram, as ascending upper bounds.
    pub fn with_buckets(mut self, metric: impl Into<String>, bounds: &[f64]) -> Self {
        self.buckets.set(metric.into(), bounds);
        self
    }

    /// Sets the buckets of all histograms that have no others, in seconds.
    pub fn with_duration_buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets.set_seconds(bounds);
        self
    }

    /// Sets the buckets of histograms whose names end with `_bytes`.
    pub fn with_size_buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets.set_bytes(bounds);
        self
    }

    /// Adds a label to every series.
    pub fn with_constant_label(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.constant_labels.push((name.into(), value.into()));
        self
    }

    /// Sets how many label sets of one metric are told apart; 2000 by default. The rest share one
    /// series whose labels are all `_other`.
    pub fn with_max_label_sets(mut self, max: usize) -> Self {
        self.max_label_sets = max.max(1);
        self
    }

    /// Records histograms of calls' body sizes too; off by default.
    pub fn with_body_sizes(mut self, on: bool) -> Self {
        self.body_sizes = on;
        self
    }

    /// Sets whether `Metrics::watch_runtime` (feature `tokio`) shows a tokio runtime; it does by default.
    pub fn with_runtime_metrics(mut self, on: bool) -> Self {
        self.runtime_metrics = on;
        self
    }

    /// Sets everything up. Nothing process-wide is touched.
    ///
    /// # Errors
    /// If buckets make no sense, or the system refuses a thread.
    pub fn build(self) -> Result<Metrics, MetricsError> {
        self.buckets.check()?;
        let exporter = Exporter::start(&self.buckets, &self.constant_labels)?;
        Ok(Metrics::new(SharedRecorder(Arc::new(exporter)), &self.settings()))
    }

    /// Records to someone else's recorder instead of one of our own.
    ///
    /// Buckets and constant labels are that recorder's business then, and so is showing them:
    /// [`Metrics::render`] returns nothing.
    #[must_use]
    pub fn build_with_recorder(self, recorder: Arc<dyn Recorder + Send + Sync>) -> Metrics {
        Metrics::new(SharedRecorder(Arc::new(Foreign(recorder))), &self.settings())
    }

    fn settings(&self) -> Settings {
        Settings {
            service: self.service.clone(),
            max_label_sets: self.max_label_sets,
            body_sizes: self.body_sizes,
            #[cfg(feature = "tokio")]
            runtime_metrics: self.runtime_metrics,
        }
    }
}
