//! Where counts go.

use meshwise_api::names;
use meshwise_core::internal::catalogue::{Kind, Metric, Unit as MetricUnit};
use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, SharedString, Unit};
use std::{fmt, sync::Arc};

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Holds a recorder of one's own, or stands for the one in force when a metric is first used.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Option<Arc<dyn metrics::Recorder + Send + Sync>>);

impl Recorder {
    pub(crate) fn new(recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(recorder)))
    }

    pub(crate) fn counter<const N: usize>(
        &self,
        name: &'static str,
        labels: [(&'static str, SharedString); N],
    ) -> Counter {
        self.with(|recorder| recorder.register_counter(&key(name, labels), &METADATA))
    }

    pub(crate) fn gauge<const N: usize>(
        &self,
        name: &'static str,
        labels: [(&'static str, SharedString); N],
    ) -> Gauge {
        self.with(|recorder| recorder.register_gauge(&key(name, labels), &METADATA))
    }

    /// Says what a metric is, as the family's catalogue has it.
    pub(crate) fn describe(&self, metric: &Metric) {
        let name = KeyName::from_const_str(metric.name);
        let unit = if metric.unit == MetricUnit::Seconds { Unit::Seconds } else { Unit::Count };
        self.with(|recorder| match metric.kind {
            Kind::Counter => recorder.describe_counter(name, Some(unit), metric.help.into()),
            Kind::Gauge => recorder.describe_gauge(name, Some(unit), metric.help.into()),
            Kind::Histogram => recorder.describe_histogram(name, Some(unit), metric.help.into()),
        });
    }

    /// Resolves the counter of a label's overflow.
    pub(crate) fn overflow(&self, metric: &'static str, label: &'static str) -> Counter {
        self.counter(
            names::LABEL_OVERFLOW,
            [(names::LABEL_METRIC, metric.into()), (names::LABEL_LABEL, label.into())],
        )
    }

    fn with<T>(&self, use_it: impl FnOnce(&dyn metrics::Recorder) -> T) -> T {
        match &self.0 {
            Some(recorder) => use_it(&**recorder),
            None => metrics::with_recorder(use_it),
        }
    }
}

fn key<const N: usize>(name: &'static str, labels: [(&'static str, SharedString); N]) -> Key {
    let labels: Vec<Label> =
        labels.into_iter().map(|(name, value)| Label::new(name, value)).collect();
    Key::from_parts(name, labels)
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recorder(own)" } else { "Recorder(global)" })
    }
}
