//! Ending well: the signal to stop, and the last flush.

use crate::mesh::Parts;
use meshwise_core::SignalReport;
use std::{fmt, thread, time::Instant};
use tokio::sync::oneshot;

/// Tells what became of everything this process recorded.
#[derive(Clone, Copy, Debug)]
#[must_use = "print it, or nobody learns what was lost"]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Log lines.
    pub logs: SignalReport,
    /// Spans.
    pub traces: SignalReport,
}

impl ShutdownReport {
    /// Tells whether every record reached its destination.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.logs.total_dropped() == 0 && self.traces.total_dropped() == 0
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.logs, self.traces)
    }
}

/// The thread that the last lines are written from.
const THREAD: &str = "meshwise-end";

pub(crate) async fn shutdown(parts: &Parts) -> ShutdownReport {
    let started = Instant::now();
    parts.health.drain();
    // Spans first: what happens to them is still worth a line.
    let traces = parts.tracing.shutdown(parts.shutdown_timeout).await;
    if traces.total_dropped() > 0 {
        tracing::dispatcher::with_default(&parts.dispatch, || {
            tracing::warn!(target: "meshwise", "not all spans were exported: {traces}");
        });
    }
    let left = parts.shutdown_timeout.saturating_sub(started.elapsed());
    // Writing may block; the runtime's threads, if there is a runtime, still finish calls.
    let (logs, metrics) = (parts.logs.clone(), parts.metrics.clone());
    let end = move || {
        let report = logs.shutdown(left);
        metrics.shutdown();
        report
    };
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name(THREAD.to_owned());
    let logs = match thread.spawn({
        let end = end.clone();
        move || {
            // If the caller no longer waits, it is written all the same.
            let _ = tell.send(end());
        }
    }) {
        Ok(_) => told.await.unwrap_or_else(|_| parts.logs.report()),
        // Late is better than lost.
        Err(_) => end(),
    };
    ShutdownReport { logs, traces }
}

/// Waits until the process is asked to stop.
pub(crate) async fn signal() {
    if tokio::runtime::Handle::try_current().is_err() {
        tracing::warn!(target: "meshwise", "signals are only watched inside of a tokio runtime");
        return std::future::pending().await;
    }
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // If signals can't be watched the process ends by them at once, as without a mesh.
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
