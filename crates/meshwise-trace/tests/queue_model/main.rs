//! Goes through the ways in which threads can meet in the queue of finished spans: its own source,
//! with loom's locks and atomics in place of std's.

mod sync;

#[path = "../../src/batch/queue.rs"]
mod queue;

use loom::{sync::Arc, thread};
use queue::{Entry, Queue, Shape};

/// Runs a model with few enough switches between threads to end.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

fn queue(max: usize, block: usize) -> Arc<Queue<u8>> {
    Arc::new(Queue::new(Shape { max, batch: max, shards: 2, block }))
}

fn accepted(entry: Entry) -> usize {
    usize::from(matches!(entry, Entry::Queued | Entry::Due))
}

/// Takes, and settles, what is there.
fn export(queue: &Queue<u8>) -> usize {
    let n = queue.take(queue.gather()).len();
    if queue.settle(n) { n } else { 0 }
}

#[test]
fn whoever_gives_up_counts_what_the_exporter_does_not() {
    model(|| {
        let queue = queue(2, 1);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || accepted(queue.push(0, 1)) + accepted(queue.push(0, 2))
        });
        let exporter = thread::spawn({
            let queue = Arc::clone(&queue);
            move || export(&queue)
        });
        let lost = queue.write_off() as usize;
        let (entered, exported) = (producer.join().unwrap(), exporter.join().unwrap());
        assert_eq!(entered, lost + exported);
        assert_eq!(queue.queued(), 0);
    });
}

#[test]
fn the_last_look_after_closing_sees_all_that_entered() {
    model(|| {
        let queue = queue(4, 2);
        let producers = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || accepted(queue.push(thread, 1)))
        });
        queue.close();
        let exported = export(&queue);
        let entered: usize = producers.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(entered, exported);
        assert_eq!(queue.write_off(), 0);
    });
}

#[test]
fn room_is_neither_lost_nor_given_twice() {
    // With room for eight, a thread gets room for two at a time.
    for (max, pushes) in [(2, 2), (8, 1)] {
        model(move || {
            let queue = queue(max, 2);
            let producers = [0, 1].map(|thread| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    (0..pushes).map(|n| accepted(queue.push(thread, n))).sum::<usize>()
                })
            });
            let exported = export(&queue);
            let entered: usize = producers.into_iter().map(|one| one.join().unwrap()).sum();
            let waiting = queue.gather();
            assert_eq!(entered, exported + waiting);
            // All that is free can be had.
            let more: usize = (0..10).map(|n| accepted(queue.push(0, n))).sum();
            assert_eq!(waiting + more, max);
        });
    }
}

/// The exporter may sleep over a batch only if somebody wakes it once it is complete.
#[test]
fn nobody_completes_a_batch_unseen() {
    model(|| {
        let queue = queue(2, 1);
        let producers = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(thread, 1))
        });
        let seen = queue.gather() == 2;
        let entries = producers.map(|one| one.join().unwrap());
        assert!(seen || entries.contains(&Entry::Due) || queue.gather() < 2, "{entries:?}");
    });
}
