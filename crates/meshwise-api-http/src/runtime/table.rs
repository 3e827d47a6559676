//! A set that only grows, up to a bound: reads take no lock and allocate nothing.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Holds at most `limit` items, which are never removed; each holds its own key.
///
/// Open addressing over slots that are written once and are at most half full: a lookup walks over
/// values that never change, whatever other threads insert meanwhile.
///
/// `meshwise-metrics` has another: of thousands of label sets, most tables of which hold a few dozen. Here
/// places are numbers that a call keeps, tables hold dozens of names, and the hash is a keyed one, for the
/// names are strangers' words.
pub(crate) struct Table<T> {
    slots: Box<[OnceLock<T>]>,
    hasher: RandomState,
    /// How many slots are taken, or about to be.
    len: AtomicUsize,
    limit: usize,
}

impl<T> Table<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(1 << 16);
        let slots = (limit * 2).next_power_of_two().max(2);
        Self {
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            limit,
        }
    }

    /// Returns the most items that it holds.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Finds an item's place by its key, or gives it one; `None` if the table is full.
    ///
    /// `make` is told how many items there were before: each item learns a number of its own below
    /// the limit, except that numbers are lost if two threads make one item at once.
    pub(crate) fn place(
        &self,
        key: &(impl Hash + ?Sized),
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce(usize) -> T,
    ) -> Option<usize> {
        let mask = self.slots.len() - 1;
        // Truncation is meant: any bits of the hash will do.
        let mut at = self.hasher.hash_one(key) as usize & mask;
        let mut made: Option<T> = None;
        let mut make = Some(make);
        // Half of the slots stay empty, so that the walk ends.
        for _ in 0..self.slots.len() {
            let slot = &self.slots[at];
            if slot.get().is_none() {
                if made.is_none() {
                    let room = |len| (len < self.limit).then_some(len + 1);
                    let number = self.len.fetch_update(Relaxed, Relaxed, room).ok()?;
                    made = make.take().map(|make| make(number));
                }
                match made.take().map(|item| slot.set(item)) {
                    Some(Ok(())) => return Some(at),
                    // Another thread was faster; perhaps with the same item.
                    Some(Err(item)) => made = Some(item),
                    None => return None,
                }
            }
            if slot.get().is_some_and(&is_it) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Returns the item at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&T> {
        self.slots.get(place)?.get()
    }

    /// Lists the items, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(OnceLock::get)
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len.load(Relaxed))
            .field("limit", &self.limit)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, thread};

    type Item = (String, usize);

    fn place(table: &Table<Item>, key: &str) -> Option<usize> {
        table.place(key, |(known, _)| known == key, |number| (key.to_owned(), number))
    }

    #[test]
    fn items_keep_their_place_and_the_bound_holds() {
        let table = Table::new(3);
        let places: Vec<_> = ["a", "b", "c"].map(|key| place(&table, key).unwrap()).into();
        assert_eq!(place(&table, "d"), None);
        for (key, at) in ["a", "b", "c"].into_iter().zip(places) {
            assert_eq!(place(&table, key), Some(at));
            assert_eq!(table.at(at).unwrap().0, key);
        }
        let numbers: HashSet<_> = table.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, HashSet::from([0, 1, 2]));
        assert_eq!(place(&Table::new(0), "a"), None);
    }

    #[test]
    fn threads_agree_on_places_and_numbers_stay_apart() {
        for _ in 0..50 {
            let table = Table::new(64);
            let seen: Vec<Vec<usize>> = thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            (0..8).filter_map(|i| place(&table, &i.to_string())).collect()
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(seen.iter().all(|places| places == &seen[0] && places.len() == 8));
            assert_eq!(table.iter().count(), 8);
            let numbers: HashSet<_> = table.iter().map(|(_, number)| *number).collect();
            assert_eq!(numbers.len(), 8);
            assert!(numbers.iter().all(|number| *number < table.limit()));
        }
    }

    #[test]
    fn a_lookup_allocates_nothing() {
        let table = Table::new(4);
        place(&table, "a");
        let counted = allocation_counter::measure(|| {
            let _ = table.place("a", |(known, _)| known == "a", |_| unreachable!());
        });
        assert_eq!(counted.count_total, 0);
    }
}
