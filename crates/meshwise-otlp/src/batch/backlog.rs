//! Records that the exporter's side has collected and not yet taken into a batch.

use super::items::Items;
use meshwise_core::internal::queue::{Queue, Shape};
use std::collections::VecDeque;

/// Records that move through the queue together: some 5 KiB.
pub(super) const BLOCK: usize = 16;

/// Returns the shape of a queue of so many records, whose exporter is worth waking for `batch` of them.
///
/// A shard is granted a fair share of a batch, as what other shards do not use delays the moment at
/// which a batch is seen to be complete.
pub(super) fn shape(capacity: usize, batch: usize, shards: usize) -> Shape {
    let grant = (batch / (2 * shards)).max(1);
    Shape { capacity, notify_at: batch, shards, block: BLOCK.min(capacity), grant }
}

/// Makes a block with the memory for all that it will hold.
pub(super) fn empty_block<B: Items>() -> B {
    B::with_capacity(BLOCK)
}

/// Blocks of items in the order in which they are taken. They use the queue's capacity until then.
#[derive(Debug)]
pub(super) struct Backlog<B> {
    ready: VecDeque<B>,
    count: usize,
    collected: Vec<B>,
}

impl<B: Items> Backlog<B> {
    pub(super) fn new() -> Self {
        Self { ready: VecDeque::new(), count: 0, collected: Vec::new() }
    }

    /// Collects all that was entered up to now, behind what is ready; returns how much is ready.
    pub(super) fn gather(&mut self, queue: &Queue<B>) -> usize {
        self.count += queue.collect(&mut self.collected);
        let mut emptied = Vec::new();
        for mut block in self.collected.drain(..) {
            match self.ready.back_mut() {
                // Of two blocks side by side, one is more than half full: that bounds their number.
                Some(last) if last.items() + block.items() <= BLOCK => {
                    last.append(&mut block);
                    emptied.push(block);
                }
                _ => self.ready.push_back(block),
            }
        }
        if !emptied.is_empty() {
            queue.release(0, emptied);
        }
        self.count
    }

    /// Takes the `n` oldest of the ready items, or as many as there are; they no longer use the
    /// queue's capacity.
    pub(super) fn take(&mut self, n: usize, queue: &Queue<B>) -> B {
        let n = n.min(self.count);
        let mut items = B::with_capacity(n);
        let mut emptied = Vec::with_capacity(n / BLOCK + 2);
        while items.items() < n
            && let Some(mut oldest) = self.ready.pop_front()
        {
            let left = n - items.items();
            if oldest.items() > left {
                oldest.move_first(left, &mut items);
                self.ready.push_front(oldest);
            } else {
                items.append(&mut oldest);
                emptied.push(oldest);
            }
        }
        self.count -= items.items();
        queue.release(items.items(), emptied);
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::internal::queue::Entry;

    const SHAPE: Shape = Shape { capacity: 100, notify_at: 20, shards: 4, block: 16, grant: 2 };

    fn queue() -> Queue<Vec<usize>> {
        Queue::new(SHAPE, empty_block)
    }

    fn push(queue: &Queue<Vec<usize>>, thread: usize, item: usize) -> Entry {
        queue.push(thread, 1, |block| block.push(item))
    }

    fn accepted(entry: Entry) -> bool {
        matches!(entry, Entry::Queued | Entry::Notify)
    }

    /// Pushes as much as is accepted.
    fn fill(queue: &Queue<Vec<usize>>, thread: usize) -> usize {
        (0..10_000).take_while(|n| accepted(push(queue, thread, *n))).count()
    }

    #[test]
    fn a_thread_s_items_keep_their_order_whatever_is_taken_at_once() {
        let (queue, mut backlog) = (queue(), Backlog::new());
        let (mut next, mut seen) = (0, Vec::new());
        for n in 1..60 {
            for _ in 0..n {
                if accepted(push(&queue, 0, next)) {
                    next += 1;
                }
            }
            let ready = backlog.gather(&queue);
            let taken = backlog.take(n, &queue);
            assert_eq!(taken.len(), n.min(ready));
            assert!(queue.complete(taken.len()));
            seen.extend(taken);
        }
        let ready = backlog.gather(&queue);
        seen.extend(backlog.take(ready, &queue));
        assert_eq!(seen, (0..next).collect::<Vec<_>>());
        assert!(next > 1_000, "{next}");
    }

    /// A flush counts what is ready, and waits for as many.
    #[test]
    fn what_came_before_goes_before_what_comes_after() {
        let (queue, mut backlog) = (queue(), Backlog::new());
        assert!(accepted(push(&queue, 3, 1_000)));
        assert!(accepted(push(&queue, 2, 1_001)));
        let ready = backlog.gather(&queue);
        assert_eq!(ready, 2);
        assert_eq!(fill(&queue, 0), SHAPE.capacity - 2);
        assert_eq!(backlog.gather(&queue), SHAPE.capacity);
        assert_eq!(push(&queue, 0, 0), Entry::Full, "what is ready waits still");
        let mut first = backlog.take(ready, &queue);
        first.sort_unstable();
        assert_eq!(first, [1_000, 1_001]);
        assert!(accepted(push(&queue, 0, 0)));
    }

    #[test]
    fn pushing_allocates_nothing_in_whatever_pieces_it_is_taken() {
        let (queue, mut backlog) = (queue(), Backlog::new());
        for step in 1..40 {
            // Pieces, some of them one item long.
            for n in 0..SHAPE.capacity / step {
                let pushed = || (0..step).for_each(|i| assert!(accepted(push(&queue, n % 4, i))));
                assert_eq!(allocation_counter::measure(pushed).count_total, 0, "{step}");
                backlog.gather(&queue);
            }
            while !backlog.take(7, &queue).is_empty() {}
        }
    }

    #[test]
    fn blocks_are_used_again() {
        let (queue, mut backlog) = (queue(), Backlog::new());
        let mut round = || {
            (0..SHAPE.capacity).for_each(|n| assert!(accepted(push(&queue, n % 4, n))));
            backlog.gather(&queue);
            drop(backlog.take(SHAPE.capacity, &queue));
        };
        round();
        let info = allocation_counter::measure(|| (0..100).for_each(|_| round()));
        assert!(info.count_total <= 400, "{info:?}");
        assert_eq!(info.count_current, 0, "{info:?}");
    }
}
