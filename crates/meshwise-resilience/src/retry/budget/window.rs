//! The budget that is a share of what went well lately.

use crate::{
    lines::Lines,
    sync::{
        Mutex,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
        lock,
    },
};

/// A retry costs so many units; a deposit puts in `share` of it.
const UNIT: u64 = 1000;
const SLOTS: usize = 10;
const SLOT_NANOS: u64 = 1_000_000_000;
/// Slots are full a thousand times before they overflow their 32 bits.
const FULL: u64 = 1 << 31;

/// How many seconds a deposit can be late: most of a day.
const LATE: u32 = 1 << 16;

/// Counts deposits in atomics, each thread on a line of its own, since every successful call makes
/// one, and withdrawals under a lock,
/// since two of them must not spend the same unit.
///
/// A withdrawal sees at most the deposits made by then, so whatever the interleaving, those in a
/// window never add up to more than its deposits and the reserve.
pub(super) struct Window {
    deposit: u64,
    reserve: u64,
    /// The slot's second (its lower 32 bits) in the upper half, units in the lower.
    deposits: Lines<[AtomicU64; SLOTS]>,
    spent: Mutex<Spent>,
}

struct Spent {
    /// The latest second seen: a clock that falls back does not bring old deposits to life.
    latest: u64,
    slots: [(u64, u64); SLOTS],
}

impl Window {
    pub(super) fn new(share: f64, per_second: u32) -> Self {
        // The share is between 0 and 10.
        let deposit = (share * UNIT as f64).round() as u64;
        Self {
            deposit,
            reserve: u64::from(per_second) * SLOTS as u64 * UNIT,
            deposits: Lines::new(|| std::array::from_fn(|_| AtomicU64::new(0))),
            spent: Mutex::new(Spent { latest: 0, slots: [(0, 0); SLOTS] }),
        }
    }

    #[inline]
    pub(super) fn deposit(&self, now: u64) {
        let second = now / SLOT_NANOS;
        let stamp = second & 0xffff_ffff;
        let slot = &self.deposits.mine()[(second % SLOTS as u64) as usize];
        let mut seen = slot.load(Relaxed);
        loop {
            if seen >> 32 == stamp {
                if seen & 0xffff_ffff < FULL {
                    // Should the slot pass to another second just now, that one gains a deposit
                    // which is only just over.
                    slot.fetch_add(self.deposit, SeqCst);
                }
                return;
            }
            // A thread that was held up for ten seconds (or a clock that fell back) comes too late.
            // What lies further ahead is no time that was: a jump by decades must not end deposits.
            let behind = ((seen >> 32) as u32).wrapping_sub(stamp as u32);
            if behind < LATE {
                return;
            }
            match slot.compare_exchange(seen, stamp << 32 | self.deposit, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// Returns the second that was charged.
    pub(super) fn withdraw(&self, now: u64) -> Option<u64> {
        let mut spent = lock(&self.spent);
        let second = spent.advance(now);
        if self.balance(&spent, second) < UNIT {
            return None;
        }
        let slot = &mut spent.slots[(second % SLOTS as u64) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += UNIT;
        Some(second)
    }

    /// Puts a withdrawal back that was not made use of.
    pub(super) fn refund(&self, second: u64) {
        let mut spent = lock(&self.spent);
        let slot = &mut spent.slots[(second % SLOTS as u64) as usize];
        if slot.0 == second {
            slot.1 = slot.1.saturating_sub(UNIT);
        }
    }

    pub(super) fn available(&self, now: u64) -> u64 {
        let mut spent = lock(&self.spent);
        let second = spent.advance(now);
        self.balance(&spent, second) / UNIT
    }

    fn balance(&self, spent: &Spent, second: u64) -> u64 {
        let within = |slot_second: u64| second.wrapping_sub(slot_second) < SLOTS as u64;
        let deposits: u64 = self
            .deposits
            .iter()
            .flatten()
            .map(|slot| slot.load(SeqCst))
            .filter(|slot| (second as u32).wrapping_sub((slot >> 32) as u32) < SLOTS as u32)
            .map(|slot| slot & 0xffff_ffff)
            .sum();
        let withdrawals: u64 =
            spent.slots.iter().filter(|slot| within(slot.0)).map(|slot| slot.1).sum();
        (self.reserve + deposits).saturating_sub(withdrawals)
    }
}

impl Spent {
    fn advance(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now / SLOT_NANOS);
        self.latest
    }
}
