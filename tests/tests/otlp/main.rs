//! Log records and metric points by OTLP, through the front door, to collectors that behave and to
//! such that do not: what came in is what was delivered and what was counted as lost.

mod answers;
mod collector;
mod logs;
mod metrics;

use collector::{Collector, Manner};
use meshwise::{
    Mesh,
    core::{DropReason, Env, SignalReport},
    log::{LogLines, LogOutput},
};
use std::time::{Duration, Instant};

/// Builds a mesh that logs to memory, with these variables.
fn mesh(variables: &[(&str, &str)]) -> (Mesh, LogLines) {
    let lines = LogLines::new();
    let output = lines.clone();
    let mesh = meshwise::builder("orders", "1.4.2")
        .with_env(Env::from_pairs(variables.iter().copied()))
        .logs(move |logs| logs.with_rate_limit(None).with_output(LogOutput::memory(&output)))
        .with_shutdown_timeout(Duration::from_secs(3))
        .build()
        .expect("a mesh");
    (mesh, lines)
}

/// Logs to a mesh that is not the process's.
fn log(mesh: &Mesh, log: impl FnOnce()) {
    tracing::dispatcher::with_default(mesh.dispatch(), log);
}

/// Ends a mesh, in bounded time, whatever the collector does.
fn shutdown(mesh: &Mesh) -> meshwise::ShutdownReport {
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let report = runtime.block_on(mesh.shutdown());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    report
}

/// An address on which nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// What a collector's manner comes to for so many records that came: delivered, and why the others
/// were not.
struct Outcome {
    manner: Option<Manner>,
    delivered: fn(u64, usize) -> u64,
    reason: Option<DropReason>,
}

const OUTCOMES: [Outcome; 14] = [
    Outcome { manner: Some(Manner::Accepts), delivered: |n, _| n, reason: None },
    // It asks to try again, and is given what it asks for.
    Outcome { manner: Some(Manner::Answers(429, 2)), delivered: |n, _| n, reason: None },
    Outcome { manner: Some(Manner::Answers(503, 2)), delivered: |n, _| n, reason: None },
    Outcome {
        manner: Some(Manner::Answers(400, usize::MAX)),
        delivered: |_, _| 0,
        reason: Some(DropReason::ExportFailed),
    },
    // Of each request that it takes, three.
    Outcome {
        manner: Some(Manner::AcceptsAllBut(3)),
        delivered: |n, requests| n - 3 * requests as u64,
        reason: Some(DropReason::ExportFailed),
    },
    Outcome {
        manner: Some(Manner::Hangs),
        delivered: |_, _| 0,
        reason: Some(DropReason::ExportTimeout),
    },
    // What collectors say to the other encoding, or to none, is an answer.
    Outcome { manner: Some(Manner::Says(None, "")), delivered: |n, _| n, reason: None },
    Outcome {
        manner: Some(Manner::Says(Some("application/json"), "{}")),
        delivered: |n, _| n,
        reason: None,
    },
    // What something else says is none, whatever its status.
    says(None, "OK"),
    says(Some("text/plain; charset=utf-8"), "OK"),
    says(Some("text/html"), "<html>Sign in"),
    says(Some("application/json"), r#"{"status":"ok"}"#),
    says(Some("application/x-protobuf"), "\n\u{5}\u{8}"),
    Outcome { manner: None, delivered: |_, _| 0, reason: Some(DropReason::ExportFailed) },
];

const fn says(content_type: Option<&'static str>, body: &'static str) -> Outcome {
    Outcome {
        manner: Some(Manner::Says(content_type, body)),
        delivered: |_, _| 0,
        reason: Some(DropReason::ExportFailed),
    }
}

impl Outcome {
    /// Asserts that so many records are accounted for as they should be.
    fn check(&self, report: &SignalReport, came: u64, requests: usize) {
        let manner = self.manner;
        assert_eq!(report.delivered + report.total_dropped(), came, "{manner:?}: {report}");
        assert_eq!(report.delivered, (self.delivered)(came, requests), "{manner:?}: {report}");
        if let Some(reason) = self.reason {
            let because =
                report.dropped_because(reason) + report.dropped_because(DropReason::Shutdown);
            assert_eq!(because, report.total_dropped(), "{manner:?}: {report}");
            assert!(report.dropped_because(reason) > 0, "{manner:?}: {report}");
        }
    }
}
