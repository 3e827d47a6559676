//! Ending well: the signal to stop, and the last flush.

use crate::mesh::Parts;
use meshwise_core::SignalReport;
use std::{
    fmt, thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Tells what became of everything this process recorded. The last log line says the same.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Log lines.
    pub logs: SignalReport,
    /// Metric points that were sent by OTLP; `None` if none are.
    pub metrics: Option<SignalReport>,
    /// Spans.
    pub traces: SignalReport,
    /// Calls that were broken off because draining lasted too long.
    pub broken_off: u64,
    /// Calls that nothing could end, because their handlers block their threads.
    pub unfinished: u64,
}

impl ShutdownReport {
    /// Tells whether every record reached its destination.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let points = self.metrics.is_none_or(|points| points.total_dropped() == 0);
        self.logs.total_dropped() == 0 && self.traces.total_dropped() == 0 && points
    }

    fn log(&self) {
        if self.is_complete() {
            tracing::info!(target: "meshwise", "telemetry is flushed; {self}");
        } else {
            tracing::warn!(target: "meshwise", "telemetry was lost; {self}");
        }
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.logs, self.traces)?;
        if let Some(points) = &self.metrics {
            write!(f, "; {points}")?;
        }
        match (self.broken_off, self.unfinished) {
            (0, 0) => Ok(()),
            (calls, 0) => write!(f, "; calls: {calls} broken off"),
            (calls, unfinished) => {
                write!(f, "; calls: {calls} broken off, {unfinished} unfinished")
            }
        }
    }
}

/// The most of the shutdown timeout that is kept for them.
const LINES: Duration = Duration::from_millis(500);
/// The thread that the last lines are written from.
const THREAD: &str = "meshwise-end";

pub(crate) async fn shutdown(parts: &Parts) -> ShutdownReport {
    let flushed = parts.flushed.get_or_init(|| flush(parts)).await;
    // After the flush, so that the last scrape sees all.
    #[cfg(feature = "axum")]
    if let Some(Some(ops)) = parts.serving.ops.get() {
        ops.stop();
    }
    *flushed
}

async fn flush(parts: &Parts) -> ShutdownReport {
    let started = Instant::now();
    parts.health.drain();
    parts.tell_unused_peers(true);
    let timeout = parts.shutdown_timeout;
    // A collector that hangs does not take the last lines' time, too.
    let for_lines = (timeout / 4).min(LINES);
    // All that goes to a collector at the same time, so that one that hangs takes it once.
    let remote = timeout - for_lines;
    let (traces, (), ()) = tokio::join!(
        parts.tracing.shutdown(remote),
        parts.metrics.end_export(remote),
        parts.logs.flush_exported(remote),
    );
    #[cfg(feature = "axum")]
    let (broken_off, unfinished) = parts.serving.ended();
    #[cfg(not(feature = "axum"))]
    let (broken_off, unfinished) = (0, 0);
    // Writing may block; the runtime's threads, if there is a runtime, still finish calls.
    let (logs, metrics) = (parts.logs.clone(), parts.metrics.clone());
    let dispatch = parts.dispatch.clone();
    let end = move || {
        let left = || timeout.saturating_sub(started.elapsed());
        // So that the last line tells of all others. An output that hangs takes half of the time.
        let _ = logs.flush(left() / 2);
        let (lines, points) = (logs.report(), metrics.exported());
        let report =
            ShutdownReport { logs: lines, metrics: points, traces, broken_off, unfinished };
        tracing::dispatcher::with_default(&dispatch, || report.log());
        let report = ShutdownReport { logs: logs.shutdown(left()), ..report };
        metrics.shutdown();
        report
    };
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name(THREAD.to_owned());
    match thread.spawn({
        let end = end.clone();
        move || {
            // If the caller no longer waits, it is written all the same.
            let _ = tell.send(end());
        }
    }) {
        Ok(_) => told.await.unwrap_or_else(|_| ShutdownReport {
            logs: parts.logs.report(),
            metrics: parts.metrics.exported(),
            traces,
            broken_off,
            unfinished,
        }),
        // Late is better than lost.
        Err(_) => end(),
    }
}

/// Waits until the process is asked to stop, and says by what. From then on a second signal ends it
/// at once.
pub(crate) async fn signal() -> &'static str {
    if tokio::runtime::Handle::try_current().is_err() {
        tracing::warn!(target: "meshwise", "signals are only watched inside of a tokio runtime");
        return std::future::pending().await;
    }
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        second_signal_ends();
        // If signals cannot be watched the process ends by them at once, as without a mesh.
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
    #[cfg(not(unix))]
    {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::spawn(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
        "Ctrl-C"
    }
}

/// Lets the second SIGTERM or SIGINT end the process: in the signal's handler itself, so that it works
/// where the runtime hangs. The exit code is 128 and the signal's number, as shells have it.
#[cfg(unix)]
fn second_signal_ends() {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
    };
    use std::sync::{Arc, Once, atomic::AtomicBool};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // Handlers run in this order: the first signal finds the flag down, and raises it. Where
            // they cannot be set, a second signal goes unheard, as tokio has it.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked));
            let _ = flag::register(signal, Arc::clone(&asked));
        }
    });
}
