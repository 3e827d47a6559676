//! Waiting for what an exporter's thread was asked to do.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

/// Waits for the exporter's answer.
#[derive(Debug)]
pub struct Answer(mpsc::Receiver<()>);

/// Gives the answer, by being dropped.
pub(crate) type Done = mpsc::Sender<()>;

impl Answer {
    pub(crate) fn channel() -> (Done, Self) {
        let (done, answer) = mpsc::channel();
        (done, Self(answer))
    }

    /// Blocks until the exporter has answered or is gone, `deadline` at most; `false` if it is
    /// still at work.
    #[must_use]
    pub fn wait(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.0.recv_timeout(left) != Err(mpsc::RecvTimeoutError::Timeout)
    }
}

/// Returns the moment `timeout` from now; one too far off to be told is thirty years away.
#[must_use]
pub fn moment_after(timeout: Duration) -> Instant {
    meshwise_core::Deadline::after(Instant::now(), timeout).moment()
}

/// Returns when the exporter has to give up, a little before the caller that waits for it does: so it is
/// the exporter that says how it went.
#[must_use]
pub fn worker_deadline(timeout: Duration) -> Instant {
    moment_after(timeout.saturating_sub((timeout / 10).min(Duration::from_millis(50))))
}
