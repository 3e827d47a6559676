//! Exporters of one's own, which may fail in every way.

mod support;

use meshwise_core::DropReason;
use meshwise_trace::SpanExport;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use std::{
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};
use support::{LONG, assert_accounted, end_spans, quick, shutdown, tracing, wait};

/// Never answers, and says when it is closed.
#[derive(Debug)]
struct Endless(mpsc::Sender<()>);

impl SpanExporter for Endless {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        std::future::pending().await
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        let _ = self.0.send(());
        Ok(())
    }
}

#[test]
fn an_exporter_that_is_cut_off_is_closed() {
    let (closed, is_closed) = mpsc::channel();
    let tracing = tracing(SpanExport::custom(Endless(closed)), quick());
    end_spans(&tracing, 10);
    assert_accounted(&wait(tracing.shutdown(Duration::from_millis(50))), 10);
    is_closed.recv_timeout(LONG).unwrap();
}

#[derive(Debug)]
enum Mood {
    Panic,
    Timeout,
    Fail,
    /// Blocks the thread until the test lets go.
    Block(Mutex<mpsc::Receiver<()>>),
}

#[derive(Debug)]
struct Moody(Mood);

impl SpanExporter for Moody {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        match &self.0 {
            Mood::Panic => panic!("on purpose"),
            Mood::Timeout => Err(OTelSdkError::Timeout(Duration::from_secs(1))),
            Mood::Fail => Err(OTelSdkError::InternalFailure("on purpose".into())),
            Mood::Block(until) => {
                let _ = until.lock().unwrap().recv();
                Ok(())
            }
        }
    }
}

#[test]
fn custom_exporters_may_fail_in_every_way() {
    for (mood, reason) in [
        (Mood::Panic, DropReason::ExportFailed),
        (Mood::Fail, DropReason::ExportFailed),
        (Mood::Timeout, DropReason::ExportTimeout),
    ] {
        let tracing = tracing(SpanExport::custom(Moody(mood)), quick());
        for _ in 0..2 {
            end_spans(&tracing, 10);
            let _ = wait(tracing.flush(LONG)).unwrap();
        }
        let report = shutdown(&tracing);
        assert_eq!(report.dropped_because(reason), 20, "{report}");
    }
}

#[test]
fn an_exporter_that_blocks_its_thread_blocks_no_one_else() {
    let (let_go, until) = mpsc::channel();
    let tracing = tracing(SpanExport::custom(Moody(Mood::Block(Mutex::new(until)))), quick());
    end_spans(&tracing, 100);
    assert!(wait(tracing.flush(Duration::from_millis(50))).is_err());
    let start = Instant::now();
    let report = wait(tracing.shutdown(Duration::from_millis(200)));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(report.dropped_because(DropReason::Shutdown), 100, "{report}");
    // It comes back to life: nothing is counted twice.
    drop(let_go);
    assert_eq!(wait(tracing.shutdown(LONG)), report);
}
