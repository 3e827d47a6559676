//! Goes through the ways in which threads can meet in the queue of lines: its own source, with
//! loom's locks and atomics in place of std's.

mod sync;

#[path = "../../src/writer/queue.rs"]
#[expect(dead_code, reason = "not all of it changes what threads share")]
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
use queue::{Entry, Lines, Queue};

const LINE: &[u8] = b"line";

/// Runs a model with few enough switches between threads to end.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

fn queue(lines: usize) -> Arc<Queue> {
    Arc::new(Queue::new(lines * LINE.len(), 2))
}

fn accepted(entry: Entry) -> u64 {
    u64::from(matches!(entry, Entry::Queued | Entry::Wake))
}

fn take(queue: &Queue) -> [Lines; 2] {
    let mut taken = [Lines::default(), Lines::default()];
    let count = queue.take(&mut taken);
    assert_eq!(count as usize, taken.iter().map(|lines| lines.marks.len()).sum::<usize>());
    taken
}

/// Takes and settles what is there.
fn write(queue: &Queue) -> u64 {
    let lines = take(queue).iter().map(|lines| lines.marks.len() as u64).sum();
    if queue.settle() { lines } else { 0 }
}

#[test]
fn whoever_gives_up_counts_what_is_not_written() {
    model(|| {
        let queue = queue(2);
        let logging = thread::spawn({
            let queue = Arc::clone(&queue);
            move || accepted(queue.push(0, LINE, 0)) + accepted(queue.push(1, LINE, 0))
        });
        let writing = thread::spawn({
            let queue = Arc::clone(&queue);
            move || write(&queue)
        });
        let lost = queue.abandon();
        assert_eq!(logging.join().unwrap(), lost + writing.join().unwrap());
        assert_eq!(write(&queue), 0);
    });
}

#[test]
fn the_last_look_after_closing_sees_all_lines() {
    model(|| {
        let queue = queue(4);
        let logging = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || accepted(queue.push(thread, LINE, 0)))
        });
        queue.close();
        let written = write(&queue);
        let entered: u64 = logging.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(entered, written);
    });
}

#[test]
fn nobody_lets_the_writing_thread_oversleep() {
    model(|| {
        let queue = queue(32);
        let logging = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(thread, LINE, 0))
        });
        let sleeps = queue.may_sleep();
        let entries = logging.map(|one| one.join().unwrap());
        assert!(!sleeps || entries == [Entry::Wake; 2], "{entries:?}");
    });
}

/// A line that another one led to, on another thread, is never written after it.
#[test]
fn what_led_to_a_line_is_taken_with_it() {
    model(|| {
        let (queue, said) = (queue(4), Arc::new(AtomicBool::new(false)));
        for (first, second) in [(0, 1), (1, 0)] {
            let cause = thread::spawn({
                let (queue, said) = (Arc::clone(&queue), Arc::clone(&said));
                move || {
                    queue.push(first, LINE, 0);
                    said.store(true, Release);
                }
            });
            let effect = thread::spawn({
                let (queue, said) = (Arc::clone(&queue), Arc::clone(&said));
                move || {
                    if said.load(Acquire) {
                        queue.push(second, LINE, 0);
                    }
                }
            });
            let taken = take(&queue);
            assert!(taken[second].marks.is_empty() || !taken[first].marks.is_empty());
            cause.join().unwrap();
            effect.join().unwrap();
            take(&queue);
            said.store(false, Release);
        }
    });
}

#[test]
fn room_is_neither_lost_nor_given_twice() {
    model(|| {
        let queue = queue(32); // A shard gets room for two lines at a time.
        let logging = [0, 1].map(|thread| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || accepted(queue.push(thread, LINE, 0)))
        });
        let written = write(&queue);
        let entered: u64 = logging.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(entered, written + write(&queue));
        let more: u64 = (0..40).map(|_| accepted(queue.push(0, LINE, 0))).sum();
        assert_eq!(more, 32);
    });
}
