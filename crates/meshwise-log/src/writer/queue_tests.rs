//! Tests of the queue on its own. `tests/queue_model` goes through what threads can do to it.

use super::queue::{Entry, Lines, Queue};

const MAX: usize = 64 << 10;
const SHARDS: usize = 4;

fn accepted(entry: Entry) -> bool {
    matches!(entry, Entry::Queued | Entry::Wake)
}

/// Pushes lines of this length while they are accepted; returns how many that were.
fn fill(queue: &Queue, thread: usize, length: usize) -> usize {
    let line = vec![b'x'; length];
    (0..1 << 20).take_while(|_| accepted(queue.push(thread, &line, 0))).count()
}

fn take(queue: &Queue) -> (u64, Vec<Lines>) {
    let mut taken: Vec<_> = (0..SHARDS).map(|_| Lines::default()).collect();
    let count = queue.take(&mut taken);
    (count, taken)
}

#[test]
fn as_much_waits_as_may_and_not_one_line_more() {
    for length in [1, 100, 1000, 20_000, MAX] {
        let queue = Queue::new(MAX, SHARDS);
        for _ in 0..3 {
            assert_eq!(fill(&queue, 0, length), MAX / length, "{length}");
            assert_eq!(queue.push(1, &vec![b'x'; length], 0), Entry::Full);
            let (count, taken) = take(&queue);
            assert_eq!(count as usize, MAX / length);
            assert_eq!(taken[0].bytes.len(), MAX / length * length);
            assert!(queue.settle());
        }
    }
}

#[test]
fn room_that_other_threads_have_and_do_not_use_is_found() {
    let queue = Queue::new(MAX, SHARDS);
    (0..SHARDS).for_each(|thread| assert!(accepted(queue.push(thread, b"1", 0))));
    assert_eq!(fill(&queue, 0, 1) + SHARDS, MAX);
    assert_eq!(queue.push(1, b"1", 0), Entry::Full);
    take(&queue);
    assert!(accepted(queue.push(1, b"1", 0)));
}

#[test]
fn a_long_line_that_does_not_fit_keeps_no_short_one_out() {
    let queue = Queue::new(MAX, SHARDS);
    assert_eq!(fill(&queue, 0, 1000), MAX / 1000);
    assert_eq!(queue.push(0, &[b'x'; 1000], 0), Entry::Full);
    assert!(accepted(queue.push(0, &[b'x'; 100], 0)));
}

#[test]
fn the_writing_thread_is_woken_if_it_sleeps_or_half_of_the_room_is_taken() {
    let queue = Queue::new(MAX, SHARDS);
    assert_eq!(queue.push(0, b"line", 0), Entry::Queued);
    assert!(!queue.may_sleep(), "there is a line");
    queue.awake();
    take(&queue);
    assert!(queue.may_sleep());
    assert_eq!(queue.push(1, b"line", 0), Entry::Wake);
    queue.awake();
    let line = [b'x'; 100];
    let woken = (0..MAX / 100).position(|_| queue.push(0, &line, 0) == Entry::Wake);
    let at = (woken.expect("it is") + 1) * 100;
    assert!((MAX / 2 - MAX / 8..=MAX / 2).contains(&at), "{at}");
}

#[test]
fn closed_keeps_what_is_open_and_refuses_the_rest() {
    let queue = Queue::new(MAX, SHARDS);
    (0..3).for_each(|thread| assert!(accepted(queue.push(thread, b"line", 0))));
    queue.close();
    (0..4).for_each(|thread| assert_eq!(queue.push(thread, b"line", 0), Entry::Closed));
    assert_eq!(take(&queue).0, 3);
    assert_eq!(queue.abandon(), 3, "they are being written");
    assert!(!queue.settle());
    assert_eq!(take(&queue).0, 0);
    assert_eq!(queue.abandon(), 0);
}

#[test]
fn buffers_are_used_again() {
    let queue = Queue::new(MAX, SHARDS);
    let mut taken: Vec<_> = (0..SHARDS).map(|_| Lines::default()).collect();
    for _ in 0..3 {
        (0..100).for_each(|n| assert!(accepted(queue.push(n, &[b'x'; 100], 0))));
        queue.take(&mut taken);
    }
    let pushed = || (0..100).for_each(|n| assert!(accepted(queue.push(n, &[b'x'; 100], 0))));
    assert_eq!(allocation_counter::measure(pushed).count_total, 0);
}
