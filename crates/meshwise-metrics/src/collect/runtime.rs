//! The tokio runtime, as far as tokio's stable interface shows it.

use super::{Sink, whole};
use crate::{key::label, names};
use metrics::SharedString;
use std::time::Duration;
use tokio::runtime::Handle;

/// Shows it, and returns how long its workers were busy, and how many there are.
pub(crate) fn collect(runtime: &Handle, sink: &Sink<'_>) -> Option<(Duration, usize)> {
    let runtime = runtime.metrics();
    let number = |n: usize| whole(u64::try_from(n).unwrap_or(u64::MAX));
    sink.gauge(names::TOKIO_WORKERS, vec![], number(runtime.num_workers()));
    sink.gauge(names::TOKIO_ALIVE_TASKS, vec![], number(runtime.num_alive_tasks()));
    sink.gauge(names::TOKIO_GLOBAL_QUEUE_DEPTH, vec![], number(runtime.global_queue_depth()));
    #[cfg(not(target_has_atomic = "64"))]
    return None;
    #[cfg(target_has_atomic = "64")]
    {
        let mut all = Duration::ZERO;
        for worker in 0..runtime.num_workers() {
            let labels =
                || vec![label(names::LABEL_WORKER, SharedString::from(worker.to_string()))];
            let busy = runtime.worker_total_busy_duration(worker);
            all += busy;
            sink.seconds(names::TOKIO_WORKER_BUSY, labels(), busy);
            sink.counter(names::TOKIO_WORKER_PARKS, labels(), runtime.worker_park_count(worker));
        }
        Some((all, runtime.num_workers()))
    }
}
