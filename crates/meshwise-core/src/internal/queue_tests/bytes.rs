//! Items of any size, in blocks without end, as log lines are.

use crate::internal::queue::{Block, Entry, Queue, Shape};

const CAPACITY: usize = 64 << 10;
const SHARDS: usize = 4;

#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Block for Texts {
    fn items(&self) -> usize {
        self.ends.len()
    }
    fn size(&self) -> usize {
        self.bytes.len()
    }
}

fn queue() -> Queue<Texts> {
    let shape = Shape {
        capacity: CAPACITY,
        notify_at: CAPACITY / 2,
        shards: SHARDS,
        block: usize::MAX,
        grant: CAPACITY / (8 * SHARDS),
    };
    Queue::new(shape, Texts::default)
}

fn push(queue: &Queue<Texts>, thread: usize, text: &[u8]) -> Entry {
    queue.push(thread, text.len(), |block| {
        block.bytes.extend_from_slice(text);
        block.ends.push(block.bytes.len());
    })
}

fn accepted(entry: Entry) -> bool {
    matches!(entry, Entry::Queued | Entry::Notify)
}

/// Pushes texts of this length while they are accepted; returns how many that were.
fn fill(queue: &Queue<Texts>, thread: usize, length: usize) -> usize {
    let text = vec![b'x'; length];
    (0..1 << 20).take_while(|_| accepted(push(queue, thread, &text))).count()
}

/// Collects all, and releases its capacity.
fn collect(queue: &Queue<Texts>) -> (usize, Vec<Texts>) {
    let mut blocks = Vec::new();
    let count = queue.collect(&mut blocks);
    queue.release(blocks.iter().map(Texts::size).sum(), []);
    (count, blocks)
}

#[test]
fn as_much_waits_as_may_and_not_one_item_more() {
    for length in [1, 100, 1000, 20_000, CAPACITY] {
        let queue = queue();
        for _ in 0..3 {
            assert_eq!(fill(&queue, 0, length), CAPACITY / length, "{length}");
            assert_eq!(push(&queue, 1, &vec![b'x'; length]), Entry::Full);
            let (count, blocks) = collect(&queue);
            assert_eq!(count, CAPACITY / length);
            assert_eq!(blocks[0].bytes.len(), CAPACITY / length * length);
            assert!(queue.complete(count));
        }
    }
}

#[test]
fn an_item_larger_than_the_queue_is_refused_and_keeps_no_other_out() {
    let queue = queue();
    assert_eq!(push(&queue, 0, &vec![b'x'; CAPACITY + 1]), Entry::Full);
    assert_eq!(fill(&queue, 0, 1), CAPACITY);
}

#[test]
fn capacity_that_other_threads_have_and_do_not_use_is_found() {
    let queue = queue();
    (0..SHARDS).for_each(|thread| assert!(accepted(push(&queue, thread, b"1"))));
    assert_eq!(fill(&queue, 0, 1) + SHARDS, CAPACITY);
    assert_eq!(push(&queue, 1, b"1"), Entry::Full);
    collect(&queue);
    assert!(accepted(push(&queue, 1, b"1")));
}

#[test]
fn a_long_item_that_does_not_fit_keeps_no_short_one_out() {
    let queue = queue();
    assert_eq!(fill(&queue, 0, 1000), CAPACITY / 1000);
    assert_eq!(push(&queue, 0, &[b'x'; 1000]), Entry::Full);
    assert!(accepted(push(&queue, 0, &[b'x'; 100])));
}

#[test]
fn the_consumer_is_woken_if_it_sleeps_or_half_of_the_capacity_is_used() {
    let queue = queue();
    assert_eq!(push(&queue, 0, b"text"), Entry::Queued);
    assert!(!queue.sleep(), "there is an item");
    queue.awake();
    collect(&queue);
    assert!(queue.sleep());
    assert_eq!(push(&queue, 1, b"text"), Entry::Notify);
    queue.awake();
    let text = [b'x'; 100];
    let woken = (0..CAPACITY / 100).position(|_| push(&queue, 0, &text) == Entry::Notify);
    let at = (woken.expect("it is") + 1) * 100;
    assert!((CAPACITY / 2 - CAPACITY / 8..=CAPACITY / 2).contains(&at), "{at}");
}

#[test]
fn closed_keeps_what_is_open_and_refuses_the_rest() {
    let queue = queue();
    (0..3).for_each(|thread| assert!(accepted(push(&queue, thread, b"text"))));
    queue.close();
    (0..4).for_each(|thread| assert_eq!(push(&queue, thread, b"text"), Entry::Closed));
    assert_eq!(collect(&queue).0, 3);
    assert_eq!(queue.discard(), 3, "the consumer holds them");
    assert!(!queue.complete(3));
    assert_eq!(collect(&queue).0, 0);
    assert_eq!(queue.discard(), 0);
}

#[test]
fn blocks_are_used_again() {
    let queue = queue();
    let mut blocks = Vec::new();
    for _ in 0..3 {
        (0..100).for_each(|n| assert!(accepted(push(&queue, n, &[b'x'; 100]))));
        queue.collect(&mut blocks);
        let size = blocks.iter().map(Texts::size).sum();
        let emptied = blocks.drain(..).map(|mut block| {
            block.bytes.clear();
            block.ends.clear();
            block
        });
        queue.release(size, emptied);
    }
    let pushed = || (0..100).for_each(|n| assert!(accepted(push(&queue, n, &[b'x'; 100]))));
    assert_eq!(allocation_counter::measure(pushed).count_total, 0);
}
