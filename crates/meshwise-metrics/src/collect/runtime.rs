//! The tokio runtime, as far as tokio's stable interface shows it.

use super::{Sink, whole};
use crate::{handles::label, names};
use metrics::SharedString;
use tokio::runtime::Handle;

pub(crate) fn collect(runtime: &Handle, sink: &Sink<'_>) {
    let runtime = runtime.metrics();
    let number = |n: usize| whole(u64::try_from(n).unwrap_or(u64::MAX));
    sink.gauge(names::TOKIO_WORKERS, vec![], number(runtime.num_workers()));
    sink.gauge(names::TOKIO_ALIVE_TASKS, vec![], number(runtime.num_alive_tasks()));
    sink.gauge(names::TOKIO_GLOBAL_QUEUE_DEPTH, vec![], number(runtime.global_queue_depth()));
    #[cfg(target_has_atomic = "64")]
    for worker in 0..runtime.num_workers() {
        let labels = || vec![label(names::LABEL_WORKER, SharedString::from(worker.to_string()))];
        sink.seconds(
            names::TOKIO_WORKER_BUSY,
            labels(),
            runtime.worker_total_busy_duration(worker),
        );
        sink.counter(names::TOKIO_WORKER_PARKS, labels(), runtime.worker_park_count(worker));
    }
}
