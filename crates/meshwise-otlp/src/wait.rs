//! Waiting for exporters without blocking the caller.
//!
//! The exporters' answers come over blocking channels, and a timer must hold even if the app's
//! runtime has none, is stuck, or is no tokio at all. So a short-lived thread does the waiting:
//! flushes are rare.

use crate::{
    answer::{Answer, moment_after, worker_deadline},
    batch::{Batcher, Items},
};
use std::{
    io,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The short-lived thread that waits for a flush or shutdown.
const WAIT_THREAD: &str = "meshwise-wait";

/// What a flush or shutdown is asked of.
pub trait Exporting: Clone + Send + 'static {
    /// Asks for all that has come to be exported; the answer comes once it is.
    fn begin_flush(&self) -> Answer;

    /// Accepts no more and asks for the rest to be exported until `deadline`.
    fn begin_shutdown(&self, deadline: Instant) -> Answer;

    /// Counts as lost what a shutdown has not delivered.
    fn end_shutdown(&self);
}

impl<B: Items> Exporting for Batcher<B> {
    fn begin_flush(&self) -> Answer {
        self.begin_flush()
    }

    fn begin_shutdown(&self, deadline: Instant) -> Answer {
        self.begin_shutdown(deadline)
    }

    fn end_shutdown(&self) {
        self.end_shutdown();
    }
}

/// Waits until all have exported what they had; `false` if that takes longer than `timeout`.
pub async fn flush<E: Exporting>(exporters: Vec<E>, timeout: Duration) -> bool {
    if exporters.is_empty() {
        return true;
    }
    let deadline = moment_after(timeout);
    let answers: Vec<_> = exporters.iter().map(E::begin_flush).collect();
    on_thread(move || answers.iter().all(|answer| answer.wait(deadline))).await.unwrap_or(false)
}

/// Stops all; what is not exported within `timeout` is counted as lost.
pub async fn shutdown<E: Exporting>(exporters: Vec<E>, timeout: Duration) {
    if exporters.is_empty() {
        return;
    }
    let deadline = moment_after(timeout);
    let for_worker = worker_deadline(timeout);
    let answers: Vec<_> = exporters.iter().map(|one| one.begin_shutdown(for_worker)).collect();
    // Should the caller stop waiting, the accounts are closed all the same.
    let given_up = exporters.clone();
    let waited = on_thread(move || {
        for (exporter, answer) in exporters.iter().zip(&answers) {
            let _ = answer.wait(deadline);
            exporter.end_shutdown();
        }
    });
    if waited.await.is_none() {
        given_up.iter().for_each(E::end_shutdown);
    }
}

/// Runs something that blocks for as long as it likes; `false` if that is longer than `timeout`.
pub async fn elsewhere(timeout: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let deadline = moment_after(timeout);
    let waited = on_thread(move || {
        let (done, answer) = mpsc::channel::<()>();
        let worker = spawn(move || {
            work();
            drop(done);
        });
        let left = deadline.saturating_duration_since(Instant::now());
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
    thread::Builder::new().name(WAIT_THREAD.to_owned()).spawn(work)
}
