//! loom's locks and atomics, as the queue uses std's.

use loom::sync;
use std::sync::{LockResult, TryLockError, TryLockResult};

pub(crate) use sync::{MutexGuard, atomic};

pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.0.lock()
    }

    /// Finds the lock taken, always. A thread that is about to call loom's (0.7.2) is blocked as
    /// soon as another one has the lock, which makes deadlocks of what is none. What is done with a
    /// lock that is free, the tests with real threads show.
    #[expect(clippy::unused_self, reason = "std's takes it")]
    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        Err(TryLockError::WouldBlock)
    }
}
