//! Two threads beside one.

use crate::{Effort, contest::median};
use std::{fmt, sync::Barrier, thread, time::Instant};
use tracing::Dispatch;

/// Does one thing that several threads may do at once.
pub struct Shared {
    name: String,
    call: Box<dyn Fn() + Sync>,
    settle: Box<dyn Fn() + Sync>,
    dispatch: Option<Dispatch>,
}

impl Shared {
    /// Names it, and takes what it does once.
    pub fn new(name: &str, call: impl Fn() + Sync + 'static) -> Self {
        Self {
            name: name.to_owned(),
            call: Box::new(call),
            settle: Box::new(|| ()),
            dispatch: None,
        }
    }

    /// Sets what is done after each batch of calls, outside of what is measured.
    #[must_use]
    pub fn with_settle(mut self, settle: impl Fn() + Sync + 'static) -> Self {
        self.settle = Box::new(settle);
        self
    }

    /// Sets the `tracing` subscriber that is there while it runs.
    #[must_use]
    pub fn with_dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Measures all in turn; returns for each the nanoseconds of one call, alone and while a second
    /// thread does the same.
    #[must_use]
    pub fn compare(effort: Effort, calls: usize, all: &[Self]) -> Vec<(f64, f64)> {
        let rounds = effort.pick(1, 40);
        let calls = effort.pick(10, calls);
        let mut times = vec![(Vec::new(), Vec::new()); all.len()];
        for _ in 0..rounds {
            for (one, (alone, both)) in all.iter().zip(&mut times) {
                alone.push(one.run(1, calls));
                both.push(one.run(2, calls));
            }
        }
        times.into_iter().map(|(alone, both)| (median(alone), median(both))).collect()
    }

    fn run(&self, threads: usize, calls: usize) -> f64 {
        let start = Barrier::new(threads);
        let work = || {
            let _no_one_waits_for_the_dead = AbortOnPanic;
            let run = || {
                // What a thread keeps for itself is there before the clock starts.
                (0..50.min(calls)).for_each(|_| (self.call)());
                start.wait();
                let started = Instant::now();
                (0..calls).for_each(|_| (self.call)());
                started.elapsed().as_secs_f64() * 1e9 / calls as f64
            };
            match &self.dispatch {
                Some(dispatch) => tracing::dispatcher::with_default(dispatch, run),
                None => run(),
            }
        };
        let times: Vec<f64> = thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            all.into_iter().filter_map(|one| one.join().ok()).collect()
        });
        (self.settle)();
        times.iter().sum::<f64>() / threads as f64
    }
}

/// Ends the program with a thread that panics: the others would wait for it at the barrier for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
