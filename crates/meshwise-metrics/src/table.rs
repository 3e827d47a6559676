//! A set that only grows: reads take no lock, and inserting copies nothing.

use rapidhash::fast::RandomState;
use std::{
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

type Link<T> = OnceLock<Box<Node<T>>>;

/// Holds at most `limit` items, which are never removed; each holds its own key.
///
/// A fixed array of chains; each link of a chain is written once. So a lookup is a walk over
/// pointers that never change, whatever other threads insert meanwhile.
///
/// `meshwise-api-http` has another: its places are numbers that a call keeps, and its keys are strangers'
/// words. This one takes memory for what is in it: an empty one of 2,000 label sets has 16 KiB (a test),
/// where slots in a row would take 500 KiB a metric.
pub struct Table<T> {
    heads: Box<[Link<T>]>,
    hasher: RandomState,
    len: AtomicUsize,
    limit: usize,
}

struct Node<T> {
    hash: u64,
    item: T,
    next: Link<T>,
}

impl<T> Table<T> {
    /// Makes one for at most so many items.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        // Chains of two when full; most tables hold a few dozen entries of a limit of thousands.
        let heads = (limit / 2).next_power_of_two().clamp(16, 1 << 14);
        Self {
            heads: (0..heads).map(|_| OnceLock::new()).collect(),
            hasher: RandomState::default(),
            len: AtomicUsize::new(0),
            limit,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Hashes a key.
    #[inline]
    pub fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Finds the item that has this hash and `is_it`.
    #[inline]
    pub fn get(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        let mut link = self.head(hash);
        while let Some(node) = link.get() {
            if node.hash == hash && is_it(&node.item) {
                return Some(&node.item);
            }
            link = &node.next;
        }
        None
    }

    /// Finds the item, or inserts the one that `make` returns; `None` if the table is full.
    ///
    /// Two threads may both call `make` for one key; one result is thrown away then.
    pub fn get_or_insert(
        &self,
        hash: u64,
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Option<&T> {
        if let Some(item) = self.get(hash, &is_it) {
            return Some(item);
        }
        let room = |len| (len < self.limit).then_some(len + 1);
        if self.len.fetch_update(Relaxed, Relaxed, room).is_err() {
            // Another thread may have taken the last place for just this key.
            return self.get(hash, is_it);
        }
        let mut node = Box::new(Node { hash, item: make(), next: OnceLock::new() });
        let mut link = self.head(hash);
        loop {
            match link.get() {
                Some(found) if found.hash == hash && is_it(&found.item) => {
                    self.len.fetch_sub(1, Relaxed);
                    return Some(&found.item);
                }
                Some(found) => link = &found.next,
                // If another thread was faster, the link is looked at once more.
                None => match link.set(node) {
                    Ok(()) => return link.get().map(|node| &node.item),
                    Err(refused) => node = refused,
                },
            }
        }
    }

    #[inline]
    fn head(&self, hash: u64) -> &Link<T> {
        // The length is a power of two; the upper bits of this hash are the better ones.
        let index = (hash >> 32) as usize & (self.heads.len() - 1);
        &self.heads[index]
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // One node at a time: a long chain would otherwise be dropped recursively.
        for head in &mut self.heads {
            let mut next = head.take();
            while let Some(mut node) = next {
                next = node.next.take();
            }
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).field("limit", &self.limit).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, sync::Barrier, thread};

    fn intern(table: &Table<(String, usize)>, key: &str, value: usize) -> Option<usize> {
        let hash = table.hash(&key);
        table.get_or_insert(hash, |(k, _)| k == key, || (key.to_owned(), value)).map(|(_, v)| *v)
    }

    #[test]
    fn an_empty_table_is_small() {
        let counted = allocation_counter::measure(|| drop(Table::<[u64; 16]>::new(2_000)));
        assert!(counted.bytes_max <= 16 << 10, "{counted:?}");
    }

    #[test]
    fn it_keeps_the_first_value_and_stops_at_its_limit() {
        let table = Table::new(3);
        for (i, key) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(intern(&table, key, i), Some(i));
        }
        assert_eq!(intern(&table, "d", 3), None);
        assert_eq!(intern(&table, "b", 9), Some(1));
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn colliding_hashes_are_told_apart_by_key() {
        let table = Table::new(100);
        for key in 0..100 {
            assert_eq!(table.get_or_insert(7, |k| *k == key, || key), Some(&key));
        }
        for key in 0..100 {
            assert_eq!(table.get(7, |k| *k == key), Some(&key));
        }
        assert_eq!(table.get(7, |k| *k == 100), None);
        assert_eq!(table.len(), 100);
    }

    #[test]
    fn racing_threads_agree_on_every_value_and_on_the_limit() {
        let table = Table::new(64);
        let start = Barrier::new(4);
        let seen: Vec<Vec<Option<usize>>> = thread::scope(|scope| {
            let race = |thread: usize| {
                let (table, start) = (&table, &start);
                scope.spawn(move || {
                    start.wait();
                    (0..200).map(|i| intern(table, &i.to_string(), thread * 1000 + i)).collect()
                })
            };
            let threads: Vec<_> = (0..4).map(race).collect();
            threads.into_iter().map(|t| t.join().expect("a thread")).collect()
        });
        let kept = (0..200).filter(|i| {
            let key = i.to_string();
            table.get(table.hash(&key.as_str()), |(k, _)| *k == key).is_some()
        });
        assert_eq!((kept.count(), table.len()), (64, 64));
        for i in 0..200 {
            let values: HashSet<usize> = seen.iter().filter_map(|seen| seen[i]).collect();
            assert!(values.len() <= 1, "{i} has {values:?}");
        }
    }

    #[test]
    fn the_slower_of_two_gives_its_place_back() {
        let table = Table::new(2);
        // Another thread inserts the same key while this one makes its item.
        let item = table.get_or_insert(
            0,
            |(key, _)| *key == "a",
            || {
                table.get_or_insert(0, |(key, _)| *key == "a", || ("a", "faster"));
                ("a", "slower")
            },
        );
        assert_eq!(item, Some(&("a", "faster")));
        assert_eq!(table.len(), 1);
        assert!(table.get_or_insert(1, |_| false, || ("b", "")).is_some());
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        let mut table = Table::new(200_000);
        // Built from the back: appending to one chain of this length would take quadratic time.
        let mut next = OnceLock::new();
        for item in 0..200_000 {
            next = OnceLock::from(Box::new(Node { hash: 0, item, next }));
        }
        table.heads[0] = next;
        drop(table);
    }
}
