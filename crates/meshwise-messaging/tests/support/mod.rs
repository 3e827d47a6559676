//! A service whose spans and metrics are looked at.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod outbox;

use meshwise_core::Service;
use meshwise_messaging::{Messaging, Recording};
use meshwise_metrics::{Metrics, MetricsConfig};
use meshwise_trace::{MemorySpans, SamplerConfig, SpanExport, TraceConfig};
use opentelemetry::Value;
use opentelemetry_sdk::trace::SpanData;

pub(crate) struct Mesh {
    pub(crate) messaging: Messaging,
    pub(crate) spans: MemorySpans,
    pub(crate) metrics: Metrics,
}

impl Mesh {
    pub(crate) fn new(name: &'static str) -> Self {
        Self::sampled(name, SamplerConfig::always_on())
    }

    pub(crate) fn sampled(name: &'static str, sampler: SamplerConfig) -> Self {
        let spans = MemorySpans::new();
        let service = Service::new(name, "1");
        let tracing = TraceConfig::new(service.clone())
            .with_sampler(sampler)
            .with_exporter(SpanExport::memory(&spans))
            .build()
            .unwrap();
        let metrics = MetricsConfig::new(service.clone()).build().unwrap();
        let recording = Recording::new(service).with_tracing(tracing).with_metrics(metrics.clone());
        let messaging = Messaging::builder(recording).build();
        Self { messaging, spans, metrics }
    }

    pub(crate) fn only_span(&self) -> SpanData {
        let mut spans = self.spans.spans();
        assert_eq!(spans.len(), 1, "{spans:#?}");
        spans.remove(0)
    }
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    attribute.map(|attribute| attribute.value.clone())
}

/// Sums the samples of a metric whose labels contain all these texts.
pub(crate) fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let of = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| label.split(',').all(|label| line.contains(label)))
    };
    let samples: Vec<&str> = text.lines().filter(of).collect();
    assert!(!samples.is_empty(), "no {name} with {labels:?} in\n{text}");
    samples.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}
