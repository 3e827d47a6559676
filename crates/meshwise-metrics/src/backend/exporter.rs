//! `metrics-exporter-prometheus`.

use super::Backend;
use crate::{Format, MetricsError, buckets::Buckets, upkeep::Upkeep};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{io, time::Duration};

/// How often raw samples are put into their buckets.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps every sample of a histogram until upkeep or a scrape puts it into its bucket.
#[derive(Debug)]
pub(crate) struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    upkeep: Upkeep,
}

impl Exporter {
    pub(crate) fn start(
        buckets: &Buckets,
        constant_labels: &[(String, String)],
    ) -> Result<Self, MetricsError> {
        let mut builder = PrometheusBuilder::new();
        for (name, value) in constant_labels {
            builder = builder.add_global_label(name, value);
        }
        let recorder = with_buckets(builder, buckets)
            .map_err(|_| MetricsError::Buckets {
                metric: "a histogram".to_owned(),
                problem: "none at all",
            })?
            .build_recorder();
        let handle = recorder.handle();
        let drained = handle.clone();
        let upkeep =
            Upkeep::every(INTERVAL, move || drained.run_upkeep()).map_err(MetricsError::Thread)?;
        Ok(Self { recorder, handle, upkeep })
    }
}

fn with_buckets(
    builder: PrometheusBuilder,
    buckets: &Buckets,
) -> Result<PrometheusBuilder, BuildError> {
    let mut builder = builder
        .set_buckets(buckets.seconds())?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), buckets.bytes())?;
    for (metric, bounds) in buckets.named() {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.to_owned()), bounds)?;
    }
    Ok(builder)
}

impl Backend for Exporter {
    fn writes(&self, format: Format) -> bool {
        format == Format::Text
    }

    fn write(&self, _: Format, mut out: &mut dyn io::Write) -> io::Result<()> {
        self.handle.render_to_write(&mut out)
    }

    fn stop(&self) {
        self.upkeep.stop();
        self.handle.run_upkeep();
    }
}

impl Recorder for Exporter {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.recorder.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.recorder.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.recorder.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.recorder.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.recorder.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.recorder.register_histogram(key, metadata)
    }
}
