//! No exporter is compiled in.

use super::config::PushConfig;
use crate::{backend::Own, error::MetricsError, names, registry::Registry};
use meshwise_core::{EnvError, Resource, SignalReport};
use std::{sync::Arc, time::Duration};

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Push {}

impl Push {
    /// Says what would have to be compiled in.
    pub(crate) fn start(
        config: &mut PushConfig,
        _: Option<Arc<Registry<Own>>>,
        _: &Resource,
        _: impl FnMut() -> bool + Send + 'static,
        _: &mut Vec<String>,
    ) -> Result<Option<Self>, MetricsError> {
        let (by_code, wanted) = config.wanted();
        if by_code {
            let what = "the exporter `otlp` of metrics";
            return Err(MetricsError::FeatureDisabled { what, feature: "otlp-http" });
        }
        if wanted {
            let problem = "asks for `otlp`, which is not compiled in; enable the feature `otlp-grpc` or `otlp-http`";
            config.env.refuse(EnvError::other(names::OTEL_METRICS_EXPORTER, problem))?;
        }
        Ok(None)
    }

    pub(crate) fn report(&self) -> SignalReport {
        match *self {}
    }

    pub(crate) async fn flush(&self, _: Duration) -> bool {
        match *self {}
    }

    pub(crate) async fn shutdown(&self, _: Duration) {
        match *self {}
    }
}
