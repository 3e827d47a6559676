//! Which limit a call counts against: the layer's one, or that of its key.

use crate::debug::debug;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

/// Finds the limit that a request counts against.
pub trait RateKey<Req> {
    /// Returns a hash of the request's key, or `None` if all requests share one limit.
    fn hash(&self, request: &Req) -> Option<u64>;
}

/// Counts all calls against one limit.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OneLimit {}

impl<Req> RateKey<Req> for OneLimit {
    #[inline]
    fn hash(&self, _request: &Req) -> Option<u64> {
        None
    }
}

/// Counts calls against a limit for each key.
///
/// Keys come from callers, so their hash is a keyed one: no one can choose keys that collide.
#[derive(Clone)]
pub struct PerKey<F> {
    key: F,
    hasher: RandomState,
}

impl<F> PerKey<F> {
    pub(super) fn new(key: F) -> Self {
        Self { key, hasher: RandomState::new() }
    }
}

impl<Req, F: Fn(&Req, &mut dyn Hasher)> RateKey<Req> for PerKey<F> {
    fn hash(&self, request: &Req) -> Option<u64> {
        let mut hasher = self.hasher.build_hasher();
        (self.key)(request, &mut hasher);
        Some(hasher.finish())
    }
}

debug!("PerKey", [F] PerKey<F>);

/// How many places a key can take.
const WAYS: usize = 8;

/// Holds when the next call of each key is due.
///
/// No lock: should two calls of a new key meet here at the very moment that a place gets free, it
/// may begin in two places; it then has its burst twice, once.
pub(super) struct Table {
    /// Whole groups of `WAYS`; their number is a power of two. None: all share one limit.
    slots: Box<[Slot]>,
    shared: AtomicU64,
}

#[derive(Default)]
struct Slot {
    /// The key's hash; 0 is no one's.
    hash: AtomicU64,
    due: AtomicU64,
}

impl Table {
    /// Makes room for at least so many keys: 16 bytes each.
    pub(super) fn new(keys: usize) -> Self {
        let groups = if keys == 0 { 0 } else { keys.div_ceil(WAYS).next_power_of_two() };
        Self {
            slots: (0..groups * WAYS).map(|_| Slot::default()).collect(),
            shared: AtomicU64::new(0),
        }
    }

    /// Finds the limit of a key. What is due past `horizon` (see [`Gcra::horizon`]) is an error of a
    /// clock, and keeps no place.
    ///
    /// [`Gcra::horizon`]: super::gcra::Gcra::horizon
    pub(super) fn find(&self, hash: Option<u64>, now: u64, horizon: u64) -> &AtomicU64 {
        let Some(hash) = hash else { return &self.shared };
        let hash = hash | 1;
        let groups = self.slots.len() / WAYS;
        if groups == 0 {
            return &self.shared;
        }
        // The lowest bit is the same for all.
        let group = (hash >> 1) as usize & (groups - 1);
        let group = &self.slots[group * WAYS..][..WAYS];
        if let Some(slot) = group.iter().find(|slot| slot.hash.load(Relaxed) == hash) {
            return &slot.due;
        }
        for slot in group {
            let owner = slot.hash.load(SeqCst);
            if owner == hash {
                return &slot.due;
            }
            // Nothing is due: whose place this was has its whole burst here as elsewhere.
            let due = slot.due.load(SeqCst);
            if due <= now || due > horizon {
                match slot.hash.compare_exchange(owner, hash, SeqCst, SeqCst) {
                    Ok(_) => return &slot.due,
                    Err(other) if other == hash => return &slot.due,
                    Err(_) => {}
                }
            }
        }
        &self.shared
    }
}

debug!("Table", [] Table, table: "slots" = table.slots.len());

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(table: &Table, key: u64, now: u64, due: u64) -> bool {
        let slot = table.find(Some(key), now, now + 1000);
        slot.store(due, SeqCst);
        !std::ptr::eq(slot, &table.shared)
    }

    #[test]
    fn a_key_keeps_its_place_as_long_as_something_is_due() {
        let table = Table::new(64);
        assert!(touch(&table, 10, 100, 200));
        assert_eq!(table.find(Some(10), 150, 150 + 1000).load(SeqCst), 200);
        assert_eq!(
            table.find(Some(10), 500, 500 + 1000).load(SeqCst),
            200,
            "also when it is long over"
        );
    }

    #[test]
    fn a_full_table_shares_one_limit_and_recovers() {
        let table = Table::new(1);
        // Even hashes differ from each other; all are in the only group.
        for key in 1..=8 {
            assert!(touch(&table, key * 2, 100, 200));
        }
        assert!(!touch(&table, 18, 100, 300), "no place is free");
        assert!(touch(&table, 2, 100, 200), "who has a place keeps it");
        assert!(touch(&table, 18, 200, 300), "now there is one");
        assert!(!std::ptr::eq(
            table.find(None, 200, 200 + 1000),
            table.find(Some(18), 200, 200 + 1000)
        ));
    }

    #[test]
    fn any_number_of_keys_fits_in_the_same_memory() {
        let table = Table::new(1000);
        assert_eq!(table.slots.len(), 1024);
        for key in 0..100_000 {
            table.find(Some(key * 2), 100, 100 + 1000).store(200, SeqCst);
        }
        assert_eq!(table.slots.len(), 1024);
    }

    #[test]
    fn a_clock_that_falls_back_does_not_fill_the_table() {
        let table = Table::new(1);
        for key in 1..=8 {
            assert!(touch(&table, key * 2, 1_000_000, 1_000_100));
        }
        assert!(touch(&table, 18, 100, 200), "nothing can be due so far ahead");
    }
}
