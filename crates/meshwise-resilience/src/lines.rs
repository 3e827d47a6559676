//! Counting on several cache lines, so that threads do not wait for each other's.

use meshwise_core::internal::threads::thread_index;

/// Each thread counts on one of these.
pub(crate) const LINES: usize = if cfg!(loom) { 1 } else { 4 };

/// A place for each line. Two cache lines wide: processors fetch them in pairs.
#[derive(Debug)]
pub(crate) struct Lines<T>([Line<T>; LINES]);

#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

impl<T> Lines<T> {
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| Line(make())))
    }

    /// Returns the line that this thread counts on.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        let Self([first, ..]) = self;
        let Line(mine) = self.0.get(thread_index() % LINES).unwrap_or(first);
        mine
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Line(line)| line)
    }
}
