//! Counting on several cache lines, so that threads do not wait for each other's.

use meshwise_core::internal::{cache_padded::CachePadded, threads::thread_index};

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
