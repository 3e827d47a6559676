//! What threads that log and the one that writes share.

use super::lines::{self, Lines};
use meshwise_core::internal::queue::Queue;
use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

/// What threads that log and the one that writes share.
pub(super) struct LineQueue {
    pub(super) queue: Queue<Lines>,
    state: Mutex<QueueState>,
    /// The writing thread has something to do.
    pub(super) work: Condvar,
    /// It has collected lines, or finished writing them.
    pub(super) progress: Condvar,
    /// A wait for lines to be written was in vain; nothing was written since.
    pub(super) stuck: AtomicBool,
}

#[derive(Default)]
pub(super) struct QueueState {
    /// There are lines, and the thread might not know.
    pub(super) woken: bool,
    /// A thread waits for lines to be written.
    pub(super) urgent: bool,
    pub(super) closed: bool,
    /// How often the thread has begun to collect lines, and how many of these times they are written.
    pub(super) begun: u64,
    pub(super) done: u64,
    /// No thread waits any more, and what was left is counted as lost.
    pub(super) given_up: bool,
}

/// No lines will be written any more.
pub(super) const NEVER: u64 = u64::MAX;

impl LineQueue {
    pub(super) fn new(bytes: usize, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::new(lines::shape(bytes, shards), Lines::default),
            state: Mutex::new(QueueState::default()),
            work: Condvar::new(),
            progress: Condvar::new(),
            stuck: AtomicBool::new(false),
        })
    }

    /// Locks the state; nothing that is done under the lock leaves it half done.
    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread that there are lines.
    pub(super) fn wake(&self) {
        self.queue.awake();
        if !mem::replace(&mut self.lock().woken, true) {
            self.work.notify_one();
        }
    }

    /// Waits until so many bytes may fit in, or the queue is closed.
    pub(super) fn wait_for_capacity(&self, bytes: usize) {
        let mut state = self.lock();
        while !state.closed && !self.queue.may_fit(bytes) {
            state.urgent = true;
            self.work.notify_one();
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits, `timeout` at most, until what was collected up to then is written; returns whether it is.
    pub(super) fn wait_until_done(
        &self,
        state: MutexGuard<'_, QueueState>,
        wanted: u64,
        timeout: Duration,
    ) -> bool {
        let busy = |state: &mut QueueState| state.done < wanted && !state.given_up;
        let waited = self.progress.wait_timeout_while(state, timeout, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.done >= wanted && !state.given_up
    }
}

impl QueueState {
    pub(super) fn is_calm(&self) -> bool {
        !self.woken && !self.urgent && !self.closed
    }
}
