//! What threads share: std's, or loom's where its models run (`--cfg loom`).

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
use std::sync::PoisonError;
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

use meshwise_core::internal::{cache_padded::CachePadded, threads::thread_index};

/// Takes a lock whatever happened to the thread that held it: no state here is left half changed by
/// a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each thread counts on one of these.
pub(crate) const LINES: usize = if cfg!(loom) { 1 } else { 4 };

/// A place for each line.
#[derive(Debug)]
pub(crate) struct Lines<T>([CachePadded<T>; LINES]);

impl<T> Lines<T> {
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| CachePadded(make())))
    }

    /// Returns the line that this thread counts on.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        let Self([first, ..]) = self;
        let CachePadded(mine) = self.0.get(thread_index() % LINES).unwrap_or(first);
        mine
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|CachePadded(line)| line)
    }
}
