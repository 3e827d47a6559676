//! Collectors that run in the test's process, and do as they are told.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod grpc;
pub(crate) mod http;

use meshwise_core::{Service, SignalReport};
use meshwise_trace::{BatchConfig, SpanExport, TraceConfig, Tracing};
use opentelemetry::{
    KeyValue,
    trace::{SpanKind, Tracer as _},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use std::{sync::mpsc, time::Duration};

/// Longer than anything takes, shorter than anyone's patience.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// What a collector saw of one request.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: ::http::HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) request: ExportTraceServiceRequest,
}

impl Seen {
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        let scopes = self.request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        scopes.flat_map(|scope| &scope.spans)
    }
}

/// The name of the threads on which collectors run.
pub(crate) const COLLECTOR_THREAD: &str = "collector";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name(COLLECTOR_THREAD)
        .build()
        .unwrap()
}

/// Listens on a free port, within a runtime that need not be entered.
fn listener(runtime: &tokio::runtime::Runtime) -> tokio::net::TcpListener {
    let _entered = runtime.enter();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    tokio::net::TcpListener::from_std(listener).unwrap()
}

/// Returns the sorted names of all spans in the requests that are there.
pub(crate) fn names(requests: &mpsc::Receiver<Seen>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    while let Ok(seen) = requests.try_recv() {
        names.extend(seen.spans().map(|span| span.name.clone()));
    }
    names.sort();
    names
}

/// Returns the names that [`end_spans`] gives.
pub(crate) fn numbered(n: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..n).map(|i| format!("span {i}")).collect();
    names.sort();
    names
}

/// Ends `n` spans with an attribute each.
pub(crate) fn end_spans(tracing: &Tracing, n: usize) {
    let tracer = tracing.tracer();
    for i in 0..n {
        let builder =
            tracer.span_builder(format!("span {i}")).with_kind(SpanKind::Server).with_attributes([
                KeyValue::new("http.route", "/orders/{id}"),
                KeyValue::new("i", i as i64),
            ]);
        drop(tracer.build(builder));
    }
}

/// Small batches, and no waiting for more.
pub(crate) fn quick() -> BatchConfig {
    BatchConfig::new()
        .with_queue_size(10_000)
        .with_batch_size(64)
        .with_delay(Duration::from_millis(10))
}

pub(crate) fn tracing(export: SpanExport, batch: BatchConfig) -> Tracing {
    TraceConfig::new(Service::new("orders", "1.4.2"))
        .with_exporter(export)
        .with_batch(batch)
        .build()
        .unwrap()
}

/// Waits without any runtime.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    futures_executor::block_on(future)
}

pub(crate) fn shutdown(tracing: &Tracing) -> SignalReport {
    wait(tracing.shutdown(LONG))
}

/// Every span has been delivered or dropped.
#[track_caller]
pub(crate) fn assert_accounted(report: &SignalReport, ended: u64) {
    assert_eq!(report.delivered + report.total_dropped(), ended, "{report}");
}
