//! `metrics-exporter-prometheus`.

mod mended;

use super::{Backend, Pages};
use crate::{
    buckets::Buckets,
    error::MetricsError,
    expose::Format,
    key::METADATA,
    kind::{Handle, Kind},
    registry::{Family, Pairs, RefusedMetric, Registry, Storage},
};
use mended::Mended;
use meshwise_core::{DropReason, SignalReport, internal::LossCounters};
use metrics::{Gauge, GaugeFn, Histogram, HistogramFn, Key, Label, Recorder as _};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Keeps every sample of a histogram until upkeep or a scrape puts it into its bucket.
#[derive(Debug)]
pub(crate) struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    losses: Arc<LossCounters>,
}

impl Exporter {
    /// How often raw samples are put into their buckets.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

    pub(crate) fn new(buckets: &Buckets, losses: Arc<LossCounters>) -> Result<Self, MetricsError> {
        let builder = with_buckets(buckets).map_err(|_| MetricsError::Buckets {
            metric: "a histogram".to_owned(),
            problem: "none at all",
        })?;
        let recorder = builder.build_recorder();
        Ok(Self { handle: recorder.handle(), recorder, losses })
    }
}

fn with_buckets(buckets: &Buckets) -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets(buckets.seconds())?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), buckets.bytes())?;
    for (metric, bounds) in buckets.named() {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.to_owned()), bounds)?;
    }
    Ok(builder)
}

impl Storage for Exporter {
    type Cell = Handle;

    fn make(&self, family: &Family<Handle>, labels: &Pairs) -> Handle {
        // It takes two backslashes for one that was escaped before.
        let label = |(name, value): (&String, &String)| {
            Label::new(name.clone(), value.replace('\\', "\\\\"))
        };
        let labels: Vec<Label> = labels.iter().map(label).collect();
        let key = Key::from_parts(Arc::clone(&family.name), labels);
        match family.kind {
            Kind::Counter => Handle::Counter(self.recorder.register_counter(&key, &METADATA)),
            Kind::Gauge => {
                let value = self.recorder.register_gauge(&key, &METADATA);
                let losses = Arc::clone(&self.losses);
                let steps = FiniteSteps { value, is_nan: AtomicBool::new(false), losses };
                Handle::Gauge(Gauge::from_arc(Arc::new(steps)))
            }
            Kind::Histogram => {
                let samples = self.recorder.register_histogram(&key, &METADATA);
                let losses = Arc::clone(&self.losses);
                Handle::Histogram(Histogram::from_arc(Arc::new(Finite { samples, losses })))
            }
        }
    }

    fn handle(&self, cell: &Handle) -> Handle {
        cell.clone()
    }

    // Nothing expires here: the exporter would forget series whose handles are still in use.
    fn touched(&self, _: &Handle) -> bool {
        true
    }

    fn held(&self, _: &Handle) -> bool {
        true
    }
}

impl Registry<Exporter> {
    /// Puts raw samples into their buckets.
    pub(crate) fn upkeep(&self) {
        self.storage.handle.run_upkeep();
    }
}

impl Backend for Registry<Exporter> {
    fn writes(&self, format: Format) -> bool {
        format == Format::Text
    }

    fn pages(&self, _: Format) -> Box<dyn Pages> {
        self.upkeep();
        let described = self.families().into_iter().filter_map(|family| {
            Some((family.name.to_string(), family.description.get()?.help.clone()))
        });
        let mut out = Mended::new(described.collect());
        // Writing to memory does not fail.
        let _ = self.storage.handle.render_to_write(&mut out);
        Box::new(Whole(out.text))
    }

    fn report(&self) -> Option<SignalReport> {
        Some(self.losses().report())
    }

    fn refused(&self) -> Vec<RefusedMetric> {
        self.refused_metrics()
    }
}

/// Adds up finite values only: one other would spoil the sum for good.
struct Finite {
    samples: Histogram,
    losses: Arc<LossCounters>,
}

impl HistogramFn for Finite {
    fn record(&self, value: f64) {
        if value.is_finite() {
            self.samples.record(value);
        } else {
            self.losses.dropped(DropReason::Refused, 1);
        }
    }
}

/// Takes finite steps only, as our own gauges do.
struct FiniteSteps {
    value: Gauge,
    /// Whether it was set to NaN, which a step could not lead away from.
    is_nan: AtomicBool,
    losses: Arc<LossCounters>,
}

impl FiniteSteps {
    fn step(&self, by: f64, step: impl FnOnce(&Gauge)) {
        if !by.is_finite() {
            self.losses.dropped(DropReason::Refused, 1);
            return;
        }
        if self.is_nan.swap(false, Relaxed) {
            self.value.set(0.0);
        }
        step(&self.value);
    }
}

impl GaugeFn for FiniteSteps {
    fn increment(&self, by: f64) {
        self.step(by, |value| value.increment(by));
    }

    fn decrement(&self, by: f64) {
        self.step(by, |value| value.decrement(by));
    }

    fn set(&self, value: f64) {
        self.is_nan.store(value.is_nan(), Relaxed);
        self.value.set(value);
    }
}

/// All of it at once.
struct Whole(Vec<u8>);

impl Pages for Whole {
    fn next(&mut self, page: &mut Vec<u8>) -> bool {
        let more = !self.0.is_empty();
        page.append(&mut self.0);
        more
    }
}

#[cfg(test)]
mod tests;
