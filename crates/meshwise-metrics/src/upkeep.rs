//! A thread that does a small job again and again, without a runtime.

use crate::names;
use std::{
    fmt, io,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// How long [`Upkeep::stop`] waits for the job that runs.
const STOP: Duration = Duration::from_secs(1);

/// Runs a job until it is stopped or dropped.
pub(crate) struct Upkeep {
    /// Dropping it ends the thread.
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: Sender<()>,
    stopped: Receiver<()>,
}

impl Upkeep {
    /// Starts a thread that runs `job` each time that `interval` has passed.
    pub(crate) fn every(
        interval: Duration,
        job: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        Self::spawn(
            move |stop| match stop.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => true,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
            },
            job,
        )
    }

    /// Starts a thread that runs `job` as often as `wait` returns `true`.
    fn spawn(
        mut wait: impl FnMut(&Receiver<()>) -> bool + Send + 'static,
        mut job: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stop_asked) = mpsc::channel();
        let (has_stopped, stopped) = mpsc::channel::<()>();
        thread::Builder::new().name(names::UPKEEP_THREAD.to_owned()).spawn(move || {
            // Dropped at the end, however it comes.
            let _has_stopped = has_stopped;
            while wait(&stop_asked) {
                job();
            }
        })?;
        Ok(Self { running: Mutex::new(Some(Running { stop, stopped })) })
    }

    /// Ends the thread; waits up to a second for the job that runs.
    pub(crate) fn stop(&self) {
        self.stop_within(STOP);
    }

    fn stop_within(&self, time: Duration) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, stopped }) = running {
            drop(stop);
            let _ = stopped.recv_timeout(time);
        }
    }
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upkeep(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Starts an upkeep that runs once for each message, and tells each run.
    fn started() -> (Upkeep, Sender<()>, Receiver<()>) {
        let (tick, ticks) = mpsc::channel();
        let (ran, runs) = mpsc::channel();
        let wait = move |stop: &Receiver<()>| {
            ticks.recv().is_ok()
                && !matches!(stop.try_recv(), Err(mpsc::TryRecvError::Disconnected))
        };
        let upkeep = Upkeep::spawn(wait, move || ran.send(()).unwrap()).unwrap();
        (upkeep, tick, runs)
    }

    #[test]
    fn it_runs_the_job_on_a_thread_of_its_own_at_each_tick() {
        let (_upkeep, tick, runs) = started();
        for _ in 0..3 {
            tick.send(()).unwrap();
            runs.recv_timeout(LONG).unwrap();
        }
        assert!(runs.try_recv().is_err());
    }

    #[test]
    fn time_is_a_tick() {
        let (ran, runs) = mpsc::channel();
        let _upkeep = Upkeep::every(Duration::from_millis(1), move || {
            let _ = ran.send(());
        })
        .unwrap();
        runs.recv_timeout(LONG).unwrap();
        runs.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn stopping_and_dropping_end_the_thread_at_once() {
        for stop in [Upkeep::stop, |_: &Upkeep| ()] {
            let (alive, dead) = mpsc::channel::<()>();
            let upkeep = Upkeep::every(LONG * 1000, move || drop(alive.clone())).unwrap();
            stop(&upkeep);
            stop(&upkeep);
            drop(upkeep);
            assert_eq!(dead.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
        }
    }

    #[test]
    fn a_job_that_hangs_does_not_hang_stopping() {
        let (release, hang) = mpsc::channel::<()>();
        let (entered, has_entered) = mpsc::channel();
        let upkeep = Upkeep::every(Duration::from_millis(1), move || {
            let _ = entered.send(());
            let _ = hang.recv();
        })
        .unwrap();
        has_entered.recv_timeout(LONG).unwrap();
        upkeep.stop_within(Duration::from_millis(1));
        drop(release);
    }
}
