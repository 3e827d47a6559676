//! How many spans are where, in one atomic word.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

/// Counts the spans that were accepted and whose fate is still open.
///
/// Bit 63: closed. Bits 32 to 62: in the exporter's hands. Bits 0 to 31: queued. As it is one
/// word, each span is settled exactly once: either the exporter's thread settles it, or whoever
/// gives up on that thread takes everything that is open and writes it off.
#[derive(Debug, Default)]
pub(super) struct Accounts(AtomicU64);

const CLOSED: u64 = 1 << 63;
const FLIGHT: u64 = 1 << 32;

/// Says what becomes of a span that asks to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is counted as queued; this many are now.
    Accepted(usize),
    /// There is no room.
    Full,
    /// The processor is shut down.
    Closed,
}

fn queued(word: u64) -> u64 {
    word & (FLIGHT - 1)
}

fn in_flight(word: u64) -> u64 {
    (word & !CLOSED) >> 32
}

impl Accounts {
    /// The largest number of spans that may be queued.
    pub(super) const MAX: usize = 1 << 24;

    /// Counts one more span as queued, if fewer than `max` are.
    pub(super) fn enter(&self, max: usize) -> Entry {
        let max = max.min(Self::MAX) as u64;
        let accept = |word: u64| (word & CLOSED == 0 && queued(word) < max).then_some(word + 1);
        match self.0.fetch_update(AcqRel, Acquire, accept) {
            Ok(before) => Entry::Accepted(queued(before) as usize + 1),
            Err(word) if word & CLOSED != 0 => Entry::Closed,
            Err(_) => Entry::Full,
        }
    }

    /// Moves `n` spans from the queue to the exporter; `false` if they were written off.
    pub(super) fn take(&self, n: usize) -> bool {
        let n = n as u64;
        let take = |word: u64| (queued(word) >= n).then(|| word - n + n * FLIGHT);
        self.0.fetch_update(AcqRel, Acquire, take).is_ok()
    }

    /// Takes `n` spans off the exporter's hands; `false` if they were written off.
    pub(super) fn settle(&self, n: usize) -> bool {
        let n = n as u64;
        let settle = |word: u64| (in_flight(word) >= n).then(|| word - n * FLIGHT);
        self.0.fetch_update(AcqRel, Acquire, settle).is_ok()
    }

    /// Accepts nothing from now on.
    pub(super) fn close(&self) {
        self.0.fetch_or(CLOSED, AcqRel);
    }

    /// Accepts nothing from now on, forgets what is open and returns how much that was.
    pub(super) fn write_off(&self) -> u64 {
        let word = self.0.swap(CLOSED, AcqRel);
        queued(word) + in_flight(word)
    }

    /// Returns how many spans are queued.
    pub(super) fn queued(&self) -> usize {
        queued(self.0.load(Acquire)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_from_queue_to_flight_to_settled() {
        let accounts = Accounts::default();
        assert_eq!(accounts.enter(2), Entry::Accepted(1));
        assert_eq!(accounts.enter(2), Entry::Accepted(2));
        assert_eq!(accounts.enter(2), Entry::Full);
        assert!(accounts.take(2));
        assert_eq!(accounts.queued(), 0);
        assert_eq!(accounts.enter(2), Entry::Accepted(1), "what is in flight takes no room");
        assert!(accounts.settle(2));
        assert_eq!(accounts.write_off(), 1);
    }

    #[test]
    fn closed_keeps_what_is_open_and_refuses_the_rest() {
        let accounts = Accounts::default();
        accounts.enter(8);
        accounts.enter(8);
        accounts.close();
        assert_eq!(accounts.enter(8), Entry::Closed);
        assert!(accounts.take(1));
        assert!(accounts.settle(1));
        assert_eq!(accounts.write_off(), 1);
        assert_eq!(accounts.enter(8), Entry::Closed);
    }

    #[test]
    fn what_is_written_off_is_never_settled() {
        let accounts = Accounts::default();
        for _ in 0..3 {
            accounts.enter(8);
        }
        assert!(accounts.take(2));
        assert_eq!(accounts.write_off(), 3);
        assert!(!accounts.settle(2));
        assert!(!accounts.take(1));
        assert_eq!(accounts.write_off(), 0);
    }

    /// Producers, the exporter and someone who gives up race; every span has one fate.
    #[test]
    fn each_span_has_one_fate_whoever_wins() {
        use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
        for round in 0..200 {
            let accounts = Accounts::default();
            let (done, start) = (AtomicBool::new(false), std::sync::Barrier::new(4));
            let (accepted, settled, lost) = std::thread::scope(|scope| {
                let producer = || {
                    start.wait();
                    let entries = (0..500).map(|_| accounts.enter(64));
                    entries.filter(|entry| matches!(entry, Entry::Accepted(_))).count() as u64
                };
                let producers = [scope.spawn(producer), scope.spawn(producer)];
                let exporter = scope.spawn(|| {
                    start.wait();
                    let mut settled = 0;
                    while !done.load(SeqCst) || accounts.queued() > 0 {
                        let n = accounts.queued().min(7);
                        if n > 0 && accounts.take(n) && accounts.settle(n) {
                            settled += n as u64;
                        }
                    }
                    settled
                });
                start.wait();
                for _ in 0..round {
                    std::hint::spin_loop();
                }
                let lost = accounts.write_off();
                let accepted = producers.map(|producer| producer.join().unwrap());
                done.store(true, SeqCst);
                (accepted[0] + accepted[1], exporter.join().unwrap(), lost)
            });
            assert_eq!(accepted, settled + lost);
        }
    }
}
