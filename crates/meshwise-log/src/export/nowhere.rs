//! No exporter is compiled in.

use super::config::{ExportConfig, OTEL_LOGS_EXPORTER};
use crate::error::LogError;
use meshwise_core::{DropReason, EnvError, Resource, SignalReport};
use std::time::Duration;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Export {}

impl Export {
    /// Says what would have to be compiled in.
    pub(crate) fn start(
        config: &mut ExportConfig,
        _: &Resource,
        _: &mut Vec<String>,
    ) -> Result<Option<Self>, LogError> {
        let (by_code, wanted) = config.wanted();
        if by_code {
            let what = "the exporter `otlp` of log records";
            return Err(LogError::FeatureDisabled { what, feature: "otlp-http" });
        }
        if wanted {
            let problem = "asks for `otlp`, which is not compiled in; enable the feature `otlp-grpc` or `otlp-http`";
            config.env.refuse(EnvError::other(OTEL_LOGS_EXPORTER, problem))?;
        }
        Ok(None)
    }

    pub(crate) const fn is_exporting() -> bool {
        false
    }

    pub(crate) fn push(&self, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn dropped(&self, _: DropReason) {
        match *self {}
    }

    pub(crate) fn report(&self) -> SignalReport {
        match *self {}
    }

    pub(crate) fn flush(&self, _: Duration) -> bool {
        match *self {}
    }

    pub(crate) async fn flush_elsewhere(&self, _: Duration) {
        match *self {}
    }

    pub(crate) fn shut_down_while(&self, _: Duration, _: impl FnOnce()) {
        match *self {}
    }
}
