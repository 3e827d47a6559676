//! The pipeline says little, and never traces itself. A test binary of its own: it sets the
//! process's subscriber.

mod support;

use meshwise_core::DropReason;
use meshwise_trace::{OtlpConfig, OtlpProtocol, SpanExport};
use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    thread,
};
use support::{COLLECTOR_THREAD, LONG, end_spans, grpc, names, quick, shutdown, tracing, wait};
use tracing_subscriber::{
    Layer,
    filter::dynamic_filter_fn,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Collects the pipeline's own log lines.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "meshwise::trace" {
            let mut text = format!("{}", event.metadata().level());
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text.push_str(&format!(" {field}={value:?}"));
            });
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}

#[test]
fn the_exporter_is_not_traced_and_losses_are_one_line_a_minute() {
    let collector = grpc::Collector::accepting();
    let config = OtlpConfig::new().with_endpoint(&collector.url);
    let works = tracing(SpanExport::otlp(config.with_protocol(OtlpProtocol::Grpc)), quick());
    let lines = Lines::default();
    // Every `tracing` span of every crate, hyper's and h2's included, becomes a span of ours,
    // except for those of the collector, which happens to live in the same process.
    let ours = dynamic_filter_fn(|_, _| thread::current().name() != Some(COLLECTOR_THREAD));
    let layer = tracing_opentelemetry::layer().with_tracer(works.tracer().clone());
    tracing_subscriber::registry().with(lines.clone()).with(layer.with_filter(ours)).init();

    let _ours = tracing::info_span!("ours").entered();
    drop(_ours);
    for _ in 0..20 {
        let _ = wait(works.flush(LONG)).unwrap();
        end_spans(&works, 1);
    }
    let report = shutdown(&works);
    let mut seen = names(&collector.requests);
    assert_eq!(report.delivered, seen.len() as u64);
    seen.retain(|name| name != "span 0" && name != "ours");
    let own = seen.len();
    seen.dedup();
    assert_eq!(own, 0, "the exporter made spans of its own calls: {seen:?}");

    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = OtlpConfig::new().with_endpoint(format!("http://{absent}"));
    let fails = tracing(SpanExport::otlp(config.with_protocol(OtlpProtocol::Grpc)), quick());
    for _ in 0..20 {
        end_spans(&fails, 100);
    }
    let report = shutdown(&fails);
    assert_eq!(report.dropped_because(DropReason::ExportFailed), 2_000, "{report}");
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("refused"), "{lines:#?}");
}
