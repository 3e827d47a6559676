//! Waiting for exporters without blocking the caller.
//!
//! The exporters' answers come over blocking channels, and a timer must hold even if the app's
//! runtime has none, is stuck, or is no tokio at all. So a short-lived thread does the waiting:
//! flushes are rare.

use crate::{
    batch::{BatchProcessor, moment_after, worker_deadline},
    names,
};
use std::{io, sync::mpsc, thread, time::Duration};
use tokio::sync::oneshot;

/// Waits until all have exported what they had; `false` if that takes longer than `timeout`.
pub(super) async fn flush(batches: Vec<BatchProcessor>, timeout: Duration) -> bool {
    if batches.is_empty() {
        return true;
    }
    let deadline = moment_after(timeout);
    let answers: Vec<_> = batches.iter().map(BatchProcessor::begin_flush).collect();
    on_thread(move || answers.iter().all(|answer| answer.wait(deadline))).await.unwrap_or(false)
}

/// Stops all; what is not exported within `timeout` is counted as lost.
pub(super) async fn shutdown(batches: Vec<BatchProcessor>, timeout: Duration) {
    if batches.is_empty() {
        return;
    }
    let deadline = moment_after(timeout);
    let for_worker = worker_deadline(timeout);
    let answers: Vec<_> = batches.iter().map(|batch| batch.begin_shutdown(for_worker)).collect();
    // Should the caller stop waiting, the accounts are closed all the same.
    let given_up = batches.clone();
    let waited = on_thread(move || {
        for (batch, answer) in batches.iter().zip(&answers) {
            answer.wait(deadline);
            batch.end_shutdown();
        }
    });
    if waited.await.is_none() {
        given_up.iter().for_each(BatchProcessor::end_shutdown);
    }
}

/// Runs something that blocks for as long as it likes; `false` if that is longer than `timeout`.
pub(super) async fn elsewhere(timeout: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let deadline = moment_after(timeout);
    let waited = on_thread(move || {
        let (done, answer) = mpsc::channel::<()>();
        let worker = spawn(move || {
            work();
            drop(done);
        });
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        worker.is_ok() && answer.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected)
    });
    waited.await.unwrap_or(false)
}

/// Runs `work` on a thread of its own; `None` if there is none to be had.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, answer) = oneshot::channel();
    spawn(move || drop(done.send(work()))).ok()?;
    answer.await.ok()
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(names::WAIT_THREAD.to_owned()).spawn(work)
}
