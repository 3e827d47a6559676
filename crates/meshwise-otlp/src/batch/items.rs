//! What is queued and exported together.

use meshwise_core::internal::queue::Block;
use std::fmt;

/// Holds records in the order in which they ended. The size of each is one.
pub trait Items: Block + fmt::Debug + Send + 'static {
    /// Makes an empty one with memory for so many records.
    fn with_capacity(records: usize) -> Self;

    /// Moves all records of another behind its own.
    fn append(&mut self, later: &mut Self);

    /// Moves its first `n` records behind those of another.
    fn move_first(&mut self, n: usize, into: &mut Self);
}

impl<T: fmt::Debug + Send + 'static> Items for Vec<T> {
    fn with_capacity(records: usize) -> Self {
        Self::with_capacity(records)
    }

    fn append(&mut self, later: &mut Self) {
        self.append(later);
    }

    fn move_first(&mut self, n: usize, into: &mut Self) {
        into.extend(self.drain(..n.min(self.len())));
    }
}
