//! What the tests of this crate share: telemetry in memory, and a way to look at it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use meshwise_core::Service;
use meshwise_http::{Recording, Telemetry};
use meshwise_metrics::{Metrics, MetricsConfig};
use meshwise_trace::{MemorySpans, SpanExport, TraceConfig, Tracing};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};
use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const PARENT: &str = "00f067aa0ba902b7";

pub fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// Telemetry of one service, kept in memory.
pub struct Observed {
    pub telemetry: Telemetry,
    pub metrics: Metrics,
    pub tracing: Tracing,
    pub spans: MemorySpans,
    pub events: Events,
}

pub fn observed() -> Observed {
    observed_with(|traces| traces, |telemetry| telemetry)
}

pub fn observed_with(
    traces: impl FnOnce(TraceConfig) -> TraceConfig,
    change: impl FnOnce(Recording) -> Recording,
) -> Observed {
    let service = Service::new("orders", "1.2.3");
    let spans = MemorySpans::new();
    let config = TraceConfig::new(service.clone()).with_exporter(SpanExport::memory(&spans));
    let tracing = traces(config).build().expect("a pipeline");
    let metrics = MetricsConfig::new(service.clone()).build().expect("metrics");
    let events = Events::default();
    let recording = Recording::new(service)
        .with_tracing(tracing.clone())
        .with_metrics(metrics.clone())
        .with_dispatch(Dispatch::new(Registry::default().with(events.clone())));
    Observed { telemetry: Telemetry::new(change(recording)), metrics, tracing, spans, events }
}

impl Observed {
    /// Returns the only finished span.
    pub fn span(&self) -> SpanData {
        let spans = self.spans.spans();
        assert_eq!(spans.len(), 1, "finished spans: {spans:#?}");
        spans.into_iter().next().expect("one span")
    }

    /// Returns the value of the only series that starts with the first and contains the others.
    pub fn metric(&self, parts: &[&str]) -> f64 {
        let text = self.metrics.render_text();
        let found: Vec<&str> = text
            .lines()
            .filter(|line| {
                line.starts_with(parts[0]) && parts.iter().all(|part| line.contains(part))
            })
            .collect();
        assert_eq!(found.len(), 1, "{parts:?} in:\n{text}");
        found[0].rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a value")
    }

    /// Asserts that no in-flight gauge is up.
    pub fn assert_idle(&self) {
        let text = self.metrics.render_text();
        for line in text.lines().filter(|line| line.starts_with("http_server_active_requests")) {
            assert!(line.ends_with(" 0"), "still in flight: {line}");
        }
    }
}

pub fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv: &KeyValue| kv.value.clone())
}

#[track_caller]
pub fn assert_attribute(span: &SpanData, key: &str, expected: impl Into<Value>) {
    assert_eq!(attribute(span, key), Some(expected.into()), "{key} in {:#?}", span.attributes);
}

/// Log events, as maps of their fields (`target` among them).
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl Events {
    pub fn all(&self) -> Vec<BTreeMap<String, String>> {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }
        }
        let mut fields = Fields(BTreeMap::new());
        fields.0.insert("target".to_owned(), event.metadata().target().to_owned());
        event.record(&mut fields);
        self.0.lock().expect("not poisoned").push(fields.0);
    }
}

pub fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::builder().uri(path).body(Empty::new()).expect("a request")
}

pub fn ok(body: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(body.as_bytes())))
}
