//! Items of size one, in small blocks, as finished spans are.

use crate::internal::queue::{Entry, Queue, Shape};
use std::sync::{
    Barrier,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

const SHAPE: Shape = Shape { capacity: 100, notify_at: 20, shards: 4, block: 8, grant: 2 };

fn queue(shape: Shape) -> Queue<Vec<usize>> {
    Queue::new(shape, || Vec::with_capacity(16))
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

/// Collects all; its capacity stays used.
fn collect(queue: &Queue<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut blocks = Vec::new();
    let count = queue.collect(&mut blocks);
    assert_eq!(blocks.iter().map(Vec::len).sum::<usize>(), count);
    blocks
}

fn release(queue: &Queue<Vec<usize>>, blocks: Vec<Vec<usize>>) {
    let size = blocks.iter().map(Vec::len).sum();
    let emptied = blocks.into_iter().map(|mut block| {
        block.clear();
        block
    });
    queue.release(size, emptied);
}

#[test]
fn a_thread_s_items_keep_their_order() {
    let queue = queue(SHAPE);
    let (mut next, mut seen) = (0, Vec::new());
    for n in 1..60 {
        for _ in 0..n {
            if accepted(push(&queue, 0, next)) {
                next += 1;
            }
        }
        let blocks = collect(&queue);
        let count = blocks.iter().map(Vec::len).sum();
        seen.extend(blocks.concat());
        release(&queue, blocks);
        assert!(queue.complete(count));
    }
    assert_eq!(seen, (0..next).collect::<Vec<_>>());
    assert!(next > 1_000, "{next}");
}

#[test]
fn as_many_wait_as_may_and_not_one_more() {
    for capacity in [1, 2, 7, 8, 9, 100] {
        let queue = queue(Shape { capacity, notify_at: capacity, ..SHAPE });
        for _ in 0..3 {
            assert_eq!(fill(&queue, 0), capacity);
            assert_eq!(queue.open(), capacity);
            assert_eq!(push(&queue, 1, 0), Entry::Full);
            let blocks = collect(&queue);
            assert_eq!(blocks.concat().len(), capacity);
            assert_eq!(push(&queue, 0, 0), Entry::Full, "what is collected uses capacity still");
            release(&queue, blocks);
            assert!(queue.complete(capacity));
        }
    }
}

#[test]
fn capacity_that_other_threads_have_and_do_not_use_is_found() {
    let queue = queue(SHAPE);
    for thread in 0..SHAPE.shards {
        assert!(accepted(push(&queue, thread, 0)));
    }
    assert_eq!(fill(&queue, 0) + SHAPE.shards, SHAPE.capacity);
    // Those whose part was taken back are told the truth, too.
    assert_eq!(push(&queue, 1, 0), Entry::Full);
    let _held = collect(&queue);
    queue.release(1, []);
    assert!(accepted(push(&queue, 1, 0)));
    assert_eq!(push(&queue, 1, 0), Entry::Full);
}

#[test]
fn a_complete_batch_is_told() {
    for batch in [1, 5, 8, 20, 33] {
        let queue = queue(Shape { notify_at: batch, ..SHAPE });
        let told = (0..100).find(|n| push(&queue, 0, *n) == Entry::Notify);
        assert_eq!(told, Some(batch - 1), "the first one");
        release(&queue, collect(&queue));
        let told = (0..100).find(|n| push(&queue, 0, *n) == Entry::Notify);
        assert_eq!(told, Some(batch - 1), "and the second");
    }
}

#[test]
fn a_batch_that_several_threads_complete_is_told_soon_after() {
    for threads in 1..=4 {
        let queue = queue(SHAPE);
        let mut ready = 0;
        let mut complete = |n: usize| {
            push(&queue, n % threads, n) == Entry::Notify && {
                ready += collect(&queue).concat().len();
                ready >= SHAPE.notify_at
            }
        };
        let pushed = 1 + (0..100).find(|n| complete(*n)).unwrap();
        assert!(
            (SHAPE.notify_at..=SHAPE.notify_at + SHAPE.shards).contains(&pushed),
            "{threads}: {pushed}"
        );
    }
}

#[test]
fn closed_keeps_what_is_open_and_refuses_the_rest() {
    let queue = queue(SHAPE);
    (0..3).for_each(|n| assert!(accepted(push(&queue, n, n))));
    queue.close();
    (0..4).for_each(|n| assert_eq!(push(&queue, n, n), Entry::Closed));
    assert_eq!(collect(&queue).concat(), [0, 1, 2]);
    assert!(queue.complete(1));
    assert!(!queue.is_discarded());
    assert_eq!(queue.discard(), 2, "the consumer holds them");
    assert!(queue.is_discarded());
    assert!(!queue.complete(1));
    assert!(collect(&queue).is_empty());
    assert_eq!(queue.discard(), 0);
    assert_eq!(push(&queue, 0, 0), Entry::Closed);
}

#[test]
fn pushing_allocates_nothing() {
    let queue = queue(SHAPE);
    for step in 1..40 {
        for n in 0..SHAPE.capacity / step {
            let pushed = || (0..step).for_each(|i| assert!(accepted(push(&queue, n % 4, i))));
            assert_eq!(allocation_counter::measure(pushed).count_total, 0, "{step}");
        }
        release(&queue, collect(&queue));
    }
}

#[test]
fn blocks_are_used_again() {
    let queue = queue(SHAPE);
    let mut blocks = Vec::new();
    let mut round = || {
        (0..SHAPE.capacity).for_each(|n| assert!(accepted(push(&queue, n % 4, n))));
        let size = queue.collect(&mut blocks);
        queue.release(
            size,
            blocks.drain(..).map(|mut block| {
                block.clear();
                block
            }),
        );
    };
    round();
    let info = allocation_counter::measure(|| (0..100).for_each(|_| round()));
    assert!(info.count_total <= 100, "{info:?}");
    assert_eq!(info.count_current, 0, "{info:?}");
}

/// Producers, the consumer and one that discards the queue race; every item is counted once.
#[test]
fn each_item_is_counted_once_whichever_thread_is_first() {
    for round in 0..200 {
        let queue = queue(Shape { capacity: 64, notify_at: 16, shards: 4, block: 4, grant: 2 });
        let (done, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        let start = Barrier::new(5);
        let (accepted, completed, lost) = std::thread::scope(|scope| {
            let (queue, start, refused) = (&queue, &start, &refused);
            let produce = |thread: usize| {
                start.wait();
                let entries = (0..500).map(|n| push(queue, thread, n));
                let accepted = entries.filter(|entry| accepted(*entry)).count() as u64;
                refused.fetch_add(500 - accepted, SeqCst);
                accepted
            };
            let producers = [0, 1, 1].map(|thread| scope.spawn(move || produce(thread)));
            let consumer = scope.spawn(|| {
                start.wait();
                let mut completed = 0;
                loop {
                    let last = done.load(SeqCst);
                    let blocks = collect(queue);
                    let count = blocks.iter().map(Vec::len).sum();
                    release(queue, blocks);
                    if queue.complete(count) {
                        completed += count as u64;
                    }
                    if last && count == 0 {
                        break completed;
                    }
                }
            });
            start.wait();
            for _ in 0..round {
                std::hint::spin_loop();
            }
            let lost = queue.discard();
            let accepted: u64 = producers.into_iter().map(|one| one.join().unwrap()).sum();
            done.store(true, SeqCst);
            (accepted, consumer.join().unwrap(), lost)
        });
        assert_eq!(accepted, completed + lost);
        assert_eq!(accepted + refused.load(SeqCst), 1_500);
        assert_eq!(queue.open(), 0);
    }
}

/// Threads take each other's grants back all the time here, and nothing of them is lost.
#[test]
fn all_capacity_can_be_had_after_the_rush() {
    for _ in 0..100 {
        let queue = queue(Shape { capacity: 50, notify_at: 50, shards: 4, block: 16, grant: 6 });
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            let (queue, start) = (&queue, &start);
            let produce = |thread: usize| {
                start.wait();
                (0..300).for_each(|n| _ = push(queue, thread, n));
            };
            for thread in 0..3 {
                scope.spawn(move || produce(thread));
            }
            start.wait();
            for _ in 0..20 {
                let blocks = collect(queue);
                let count = blocks.concat().len();
                assert!(count <= 50, "{count}");
                release(queue, blocks);
                assert!(queue.complete(count));
            }
        });
        let waiting = queue.open();
        assert_eq!(waiting + fill(&queue, 3), 50);
    }
}
