//! What a mesh does where there is no tokio runtime: it works, or says that it does not.

use meshwise::{
    Mesh, MeshBuilder,
    log::{LogLines, LogOutput},
    opentelemetry::trace::{Span, Tracer},
    trace::{MemorySpans, SpanExport},
};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
};

struct Built {
    mesh: Mesh,
    lines: LogLines,
    spans: MemorySpans,
}

fn built() -> Built {
    let (lines, spans) = (LogLines::new(), MemorySpans::new());
    let mesh = meshwise::builder("orders", "1.0.0")
        .logs({
            let lines = lines.clone();
            move |logs| logs.with_output(LogOutput::memory(&lines))
        })
        .traces({
            let spans = spans.clone();
            move |traces| traces.with_exporter(SpanExport::memory(&spans))
        })
        .build()
        .expect("a mesh");
    Built { mesh, lines, spans }
}

fn record(mesh: &Mesh) {
    mesh.tracing().tracer().start("work").end();
    tracing::dispatcher::with_default(mesh.dispatch(), || tracing::info!("the last line"));
}

#[test]
fn shutdown_delivers_everything_on_any_executor() {
    let Built { mesh, lines, spans } = built();
    record(&mesh);
    let report = futures_executor::block_on(mesh.shutdown());
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.traces.delivered, report.logs.delivered), (1, 2));
    assert_eq!(spans.spans().len(), 1);
    let lines = lines.lines();
    assert!(lines[0].contains("the last line"), "{lines:?}");
    // Which tells of all before it.
    let last = "telemetry is flushed; logs: 1 delivered; traces: 1 delivered";
    assert!(lines[1].contains(last), "{lines:?}");
    // The second time there is nothing left to do.
    assert!(futures_executor::block_on(mesh.shutdown()).is_complete());
}

#[test]
fn shutdown_that_is_polled_only_once_does_not_panic() {
    let Built { mesh, .. } = built();
    record(&mesh);
    let mut shutdown = pin!(mesh.shutdown());
    let _ = shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(mesh.health().is_draining());
}

#[test]
fn shutdown_in_a_runtime_that_ends_meanwhile_is_complete() {
    let Built { mesh, .. } = built();
    record(&mesh);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let shutdown = mesh.clone();
        tokio::spawn(async move { shutdown.shutdown().await });
        tokio::task::yield_now().await;
    });
    drop(runtime);
    let report = futures_executor::block_on(mesh.shutdown());
    assert!(report.is_complete(), "{report}");
}

#[test]
fn signals_without_a_runtime_are_told_of_not_a_panic() {
    let Built { mesh, lines, .. } = built();
    tracing::dispatcher::with_default(mesh.dispatch(), || {
        let mut signal = pin!(mesh.shutdown_signal());
        let polled = signal.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
    });
    assert!(mesh.logs().flush(std::time::Duration::from_secs(20)));
    assert!(lines.lines().concat().contains("tokio runtime"), "{:?}", lines.lines());
}

#[test]
fn readiness_is_known_without_a_runtime() {
    let Built { mesh, .. } = built();
    mesh.health().add_check("stock", || async { Err("no route to host".to_owned()) });
    let report = futures_executor::block_on(mesh.health().check());
    assert_eq!(report.to_string(), "not ready: stock: no route to host");
}

/// A builder may be put together on one thread and built on another.
#[test]
fn a_builder_can_be_sent() {
    let lines = LogLines::new();
    let builder: MeshBuilder = meshwise::builder("orders", "1")
        .logs(move |logs| logs.with_output(LogOutput::memory(&lines)))
        .metrics(|metrics| metrics.with_process_metrics(false));
    let built = thread::spawn(move || builder.build().is_ok());
    assert!(built.join().expect("no panic"));
}
