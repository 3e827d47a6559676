//! Tests of the queue on its own. `tests/queue_model.rs` goes through what threads can do to it.

use super::queue::{Entry, Queue, Shape};
use std::sync::{
    Barrier,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

const SHAPE: Shape = Shape { max: 100, batch: 20, shards: 4, block: 8 };

fn accepted(entry: Entry) -> bool {
    matches!(entry, Entry::Queued | Entry::Due)
}

/// Pushes as much as is accepted.
fn fill(queue: &Queue<usize>, thread: usize) -> usize {
    (0..10_000).take_while(|n| accepted(queue.push(thread, *n))).count()
}

#[test]
fn a_thread_s_items_keep_their_order_whatever_is_taken_at_once() {
    let queue = Queue::new(SHAPE);
    let (mut next, mut seen) = (0, Vec::new());
    for n in 1..60 {
        for _ in 0..n {
            if accepted(queue.push(0, next)) {
                next += 1;
            }
        }
        let ready = queue.gather();
        let taken = queue.take(n);
        assert_eq!(taken.len(), n.min(ready));
        assert!(queue.settle(taken.len()));
        seen.extend(taken);
    }
    seen.extend(queue.take(queue.gather()));
    assert_eq!(seen, (0..next).collect::<Vec<_>>());
    assert!(next > 1_000, "{next}");
}

#[test]
fn as_many_wait_as_may_and_not_one_more() {
    for max in [1, 2, 7, 8, 9, 100] {
        let queue = Queue::new(Shape { max, batch: max, ..SHAPE });
        for _ in 0..3 {
            assert_eq!(fill(&queue, 0), max);
            assert_eq!(queue.queued(), max);
            assert_eq!(queue.push(1, 0), Entry::Full);
            assert_eq!(queue.gather(), max);
            assert_eq!(queue.push(0, 0), Entry::Full, "what is ready waits still");
            assert_eq!(queue.take(max).len(), max);
        }
    }
}

#[test]
fn room_that_other_threads_have_and_do_not_use_is_found() {
    let queue = Queue::new(SHAPE);
    for thread in 0..SHAPE.shards {
        assert!(accepted(queue.push(thread, 0)));
    }
    assert_eq!(fill(&queue, 0) + SHAPE.shards, SHAPE.max);
    // Those who were robbed are told the truth, too.
    assert_eq!(queue.push(1, 0), Entry::Full);
    queue.gather();
    queue.take(1);
    assert!(accepted(queue.push(1, 0)));
    assert_eq!(queue.push(1, 0), Entry::Full);
}

#[test]
fn a_complete_batch_is_due() {
    for batch in [1, 5, 8, 20, 33] {
        let queue = Queue::new(Shape { batch, ..SHAPE });
        let due = (0..100).find(|n| queue.push(0, *n) == Entry::Due);
        assert_eq!(due, Some(batch - 1), "the first one");
        queue.take(queue.gather());
        let due = (0..100).find(|n| queue.push(0, *n) == Entry::Due);
        assert_eq!(due, Some(batch - 1), "and the second");
    }
}

#[test]
fn a_batch_that_several_threads_complete_is_due_soon_after() {
    for threads in 1..=4 {
        let queue = Queue::new(SHAPE);
        let complete =
            |n: usize| queue.push(n % threads, n) == Entry::Due && queue.gather() >= SHAPE.batch;
        let pushed = 1 + (0..100).find(|n| complete(*n)).unwrap();
        assert!(
            (SHAPE.batch..=SHAPE.batch + SHAPE.shards).contains(&pushed),
            "{threads}: {pushed}"
        );
    }
}

/// A flush counts what is ready, and waits for as many.
#[test]
fn what_came_before_goes_before_what_comes_after() {
    let queue = Queue::new(SHAPE);
    queue.push(3, 1_000);
    queue.push(2, 1_001);
    let ready = queue.gather();
    assert_eq!(ready, 2);
    assert_eq!(fill(&queue, 0), SHAPE.max - 2);
    queue.gather();
    let mut first = queue.take(ready);
    first.sort_unstable();
    assert_eq!(first, [1_000, 1_001]);
}

#[test]
fn closed_keeps_what_is_open_and_refuses_the_rest() {
    let queue = Queue::new(SHAPE);
    (0..3).for_each(|n| assert!(accepted(queue.push(n, n))));
    queue.close();
    (0..4).for_each(|n| assert_eq!(queue.push(n, n), Entry::Closed));
    assert_eq!(queue.gather(), 3);
    assert_eq!(queue.take(1), [0]);
    assert!(queue.settle(1));
    assert_eq!(queue.take(1), [1]);
    assert_eq!(queue.write_off(), 2, "one in flight, one ready");
    assert!(!queue.settle(1));
    assert_eq!(queue.gather(), 0);
    assert!(queue.take(1).is_empty());
    assert_eq!(queue.write_off(), 0);
    assert_eq!(queue.push(0, 0), Entry::Closed);
}

#[test]
fn pushing_allocates_nothing_in_whatever_pieces_it_is_taken() {
    let queue = Queue::new(SHAPE);
    for step in 1..40 {
        // Pieces, some of them one item long.
        for n in 0..SHAPE.max / step {
            let pushed = || (0..step).for_each(|i| assert!(accepted(queue.push(n % 4, i))));
            assert_eq!(allocation_counter::measure(pushed).count_total, 0, "{step}");
            queue.gather();
        }
        while !queue.take(7).is_empty() {}
    }
}

#[test]
fn blocks_are_used_again() {
    let queue = Queue::new(SHAPE);
    let round = || {
        (0..SHAPE.max).for_each(|n| assert!(accepted(queue.push(n % 4, n))));
        queue.gather();
        drop(queue.take(SHAPE.max));
    };
    round();
    let info = allocation_counter::measure(|| (0..100).for_each(|_| round()));
    assert!(info.count_total <= 300, "{info:?}");
    assert_eq!(info.count_current, 0, "{info:?}");
}

/// Producers, the exporter and someone who gives up race; every item has one fate.
#[test]
fn each_item_has_one_fate_whoever_wins() {
    for round in 0..200 {
        let queue = Queue::new(Shape { max: 64, batch: 16, shards: 4, block: 4 });
        let (done, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        let start = Barrier::new(5);
        let (accepted, settled, lost) = std::thread::scope(|scope| {
            let produce = |thread: usize| {
                start.wait();
                let entries = (0..500).map(|n| queue.push(thread, n));
                let accepted = entries.filter(|entry| accepted(*entry)).count() as u64;
                refused.fetch_add(500 - accepted, SeqCst);
                accepted
            };
            let producers = [0, 1, 1].map(|thread| scope.spawn(move || produce(thread)));
            let exporter = scope.spawn(|| {
                start.wait();
                let mut settled = 0;
                while !done.load(SeqCst) || queue.gather() > 0 {
                    let batch = queue.take(queue.gather().min(7));
                    if queue.settle(batch.len()) {
                        settled += batch.len() as u64;
                    }
                }
                settled
            });
            start.wait();
            for _ in 0..round {
                std::hint::spin_loop();
            }
            let lost = queue.write_off();
            let accepted: u64 = producers.into_iter().map(|one| one.join().unwrap()).sum();
            done.store(true, SeqCst);
            (accepted, exporter.join().unwrap(), lost)
        });
        assert_eq!(accepted, settled + lost);
        assert_eq!(accepted + refused.load(SeqCst), 1_500);
        assert_eq!(queue.queued(), 0);
    }
}

/// Threads rob each other of room all the time here, and none of it goes astray.
#[test]
fn all_room_can_be_had_after_the_rush() {
    for _ in 0..100 {
        let queue = Queue::new(Shape { max: 50, batch: 50, shards: 4, block: 16 });
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            let produce = |thread: usize| {
                start.wait();
                (0..300).for_each(|n| _ = queue.push(thread, n));
            };
            for thread in 0..3 {
                scope.spawn(move || produce(thread));
            }
            start.wait();
            for _ in 0..20 {
                let ready = queue.gather();
                assert!(ready <= 50, "{ready}");
                assert!(queue.settle(queue.take(ready.min(3)).len()));
            }
        });
        let waiting = queue.queued();
        assert_eq!(waiting + fill(&queue, 3), 50);
    }
}
