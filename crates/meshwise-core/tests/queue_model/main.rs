//! Goes through the ways in which threads can meet in the sharded queue: its own source, with loom's
//! locks and atomics in place of std's.

mod sync;

#[path = "../../src/internal/cache_padded.rs"]
#[expect(unreachable_pub, reason = "the library's source")]
mod cache_padded;

#[path = "../../src/internal/queue.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "the library's source, and not all of it is modelled"
)]
mod queue;

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    thread,
};
use queue::{Entry, Queue, Shape};

/// Each item is the number of the thread that entered it.
type Items = Vec<usize>;

/// Runs a model with few enough switches between threads to end.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

/// Makes a queue of two shards; one of spans has small blocks, one of log lines has none that end.
fn queue(capacity: usize, block: usize) -> Arc<Queue<Items>> {
    let shape = Shape { capacity, notify_at: capacity, shards: 2, block, grant: 2 };
    Arc::new(Queue::new(shape, Vec::new))
}

fn accepted(entry: Entry) -> usize {
    usize::from(matches!(entry, Entry::Queued | Entry::Notify))
}

fn push(queue: &Queue<Items>, thread: usize) -> Entry {
    queue.push(thread, 1, |block| block.push(thread))
}

/// Collects what is there, and releases its capacity.
fn collect(queue: &Queue<Items>) -> Items {
    let mut blocks = Vec::new();
    let count = queue.collect(&mut blocks);
    let items = blocks.concat();
    assert_eq!(items.len(), count);
    queue.release(count, []);
    items
}

/// Collects and completes what is there.
fn deliver(queue: &Queue<Items>) -> usize {
    let items = collect(queue).len();
    if queue.complete(items) { items } else { 0 }
}

#[test]
fn what_is_discarded_is_counted_as_lost_or_delivered_and_never_both() {
    for block in [1, usize::MAX] {
        model(move || {
            let queue = queue(2, block);
            let producer = thread::spawn({
                let queue = Arc::clone(&queue);
                move || accepted(push(&queue, 0)) + accepted(push(&queue, 0))
            });
            let consumer = thread::spawn({
                let queue = Arc::clone(&queue);
                move || deliver(&queue)
            });
            let lost = queue.discard() as usize;
            let (entered, delivered) = (producer.join().unwrap(), consumer.join().unwrap());
            assert_eq!(entered, lost + delivered);
            assert_eq!((deliver(&queue), queue.open()), (0, 0));
        });
    }
}

#[test]
fn what_two_shards_hold_is_counted_as_lost_or_delivered_and_never_both() {
    model(|| {
        let queue = queue(2, usize::MAX);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || accepted(push(&queue, 0)) + accepted(push(&queue, 1))
        });
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || deliver(&queue)
        });
        let lost = queue.discard() as usize;
        assert_eq!(producer.join().unwrap(), lost + consumer.join().unwrap());
        assert_eq!(deliver(&queue), 0);
    });
}

#[test]
fn the_last_look_after_closing_sees_all_items() {
    for block in [2, usize::MAX] {
        model(move || {
            let queue = queue(4, block);
            let producers = [0, 1].map(|thread| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || accepted(push(&queue, thread)))
            });
            queue.close();
            let delivered = deliver(&queue);
            let entered: usize = producers.into_iter().map(|one| one.join().unwrap()).sum();
            assert_eq!(entered, delivered);
            assert_eq!(queue.discard(), 0);
        });
    }
}

#[test]
fn the_consumer_never_sleeps_over_an_item() {
    model(|| {
        let queue = queue(32, usize::MAX);
        let producers = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || push(&queue, thread))
        });
        let sleeps = queue.sleep();
        let entries = producers.map(|one| one.join().unwrap());
        assert!(!sleeps || entries == [Entry::Notify; 2], "{entries:?}");
    });
}

/// The consumer may sleep over a batch only if a producer wakes it once the batch is complete.
#[test]
fn no_batch_is_completed_unseen() {
    model(|| {
        let queue = queue(2, 1);
        let producers = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || push(&queue, thread))
        });
        let mut ready = Vec::new();
        let seen = queue.collect(&mut ready) == 2;
        let entries = producers.map(|one| one.join().unwrap());
        let complete = queue.open() == 2;
        assert!(seen || entries.contains(&Entry::Notify) || !complete, "{entries:?}");
    });
}

/// An item that another one led to, on another thread, is never collected before it.
#[test]
fn what_led_to_an_item_is_collected_with_it() {
    model(|| {
        let (queue, said) = (queue(4, usize::MAX), Arc::new(AtomicBool::new(false)));
        for (first, second) in [(0, 1), (1, 0)] {
            let cause = thread::spawn({
                let (queue, said) = (Arc::clone(&queue), Arc::clone(&said));
                move || {
                    _ = push(&queue, first);
                    said.store(true, Release);
                }
            });
            let effect = thread::spawn({
                let (queue, said) = (Arc::clone(&queue), Arc::clone(&said));
                move || {
                    if said.load(Acquire) {
                        _ = push(&queue, second);
                    }
                }
            });
            let collected = collect(&queue);
            assert!(!collected.contains(&second) || collected.contains(&first));
            cause.join().unwrap();
            effect.join().unwrap();
            collect(&queue);
            said.store(false, Release);
        }
    });
}

/// Producers enter, and the consumer collects meanwhile: then all that is free can be had.
fn capacity_is_kept(capacity: usize, block: usize, pushes: usize) {
    model(move || {
        let queue = queue(capacity, block);
        let producers = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                (0..pushes).map(|_| accepted(push(&queue, thread))).sum::<usize>()
            })
        });
        let delivered = deliver(&queue);
        let entered: usize = producers.into_iter().map(|one| one.join().unwrap()).sum();
        let mut waiting = Vec::new();
        let waiting = queue.collect(&mut waiting);
        assert_eq!(entered, delivered + waiting);
        let more: usize = (0..2 * capacity).map(|_| accepted(push(&queue, 0))).sum();
        assert_eq!(waiting + more, capacity);
    });
}

#[test]
fn capacity_is_neither_lost_nor_granted_twice() {
    capacity_is_kept(8, 2, 1);
}

#[test]
fn capacity_that_runs_out_is_neither_lost_nor_granted_twice() {
    capacity_is_kept(2, 2, 2);
}

#[test]
fn capacity_is_neither_lost_nor_granted_twice_in_blocks_without_end() {
    capacity_is_kept(32, usize::MAX, 1);
}
