//! Keys that were seen before, and the handles they led to.

use super::Series;
use crate::kind::{Handle, Kind};
use metrics::Key;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, PoisonError, RwLock, atomic::Ordering::Relaxed},
};

const SHARDS: usize = 32;
/// How many keys may lead to one series. Different keys do only if their labels become one when
/// they are made valid; most series have one.
const MAX_ALIASES: u32 = 8;

/// Longest key that is kept, in bytes of its labels. Values are cut when a series begins; the key that
/// led there is whole, and comes from outside.
const MAX_KEY: usize = 4096;

type Map<C> = HashMap<Key, (Handle, Arc<Series<C>>), BuildHasherDefault<KeyHasher>>;

/// Finds the handle of a key without making it valid again. Bounded by the number of series.
pub(super) struct Known<C> {
    shards: Box<[RwLock<[Map<C>; Kind::ALL.len()]>]>,
}

impl<C> Known<C> {
    pub(super) fn new() -> Self {
        let shard = || RwLock::new(Kind::ALL.map(|_| Map::default()));
        Self { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    #[inline]
    pub(super) fn get(&self, kind: Kind, key: &Key) -> Option<Handle> {
        let maps = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        maps[kind as usize].get(key).map(|(handle, _)| handle.clone())
    }

    pub(super) fn insert(&self, kind: Kind, key: &Key, handle: &Handle, series: &Arc<Series<C>>) {
        let length: usize = key.labels().map(|l| l.key().len() + l.value().len()).sum();
        if length > MAX_KEY {
            return;
        }
        if series.aliases.fetch_add(1, Relaxed) >= MAX_ALIASES {
            series.aliases.fetch_sub(1, Relaxed);
            return;
        }
        let mut maps = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
        let entry = (handle.clone(), Arc::clone(series));
        if maps[kind as usize].insert(key.to_retained(), entry).is_some() {
            // Two threads met the key at the same time.
            series.aliases.fetch_sub(1, Relaxed);
        }
    }

    /// Forgets all keys that lead to idle series.
    pub(super) fn forget_idle(&self) {
        for shard in &self.shards {
            let mut maps = shard.write().unwrap_or_else(PoisonError::into_inner);
            for map in maps.iter_mut() {
                map.retain(|_, (_, series)| {
                    let keep = !series.is_idle();
                    if !keep {
                        series.aliases.fetch_sub(1, Relaxed);
                    }
                    keep
                });
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter().map(|s| s.read().unwrap_or_else(PoisonError::into_inner));
        shards.map(|maps| maps.iter().map(HashMap::len).sum::<usize>()).sum()
    }

    fn shard(&self, key: &Key) -> &RwLock<[Map<C>; Kind::ALL.len()]> {
        // The map in the shard looks at other bits.
        let index = (spread(key.get_hash()) >> 40) as usize % SHARDS;
        &self.shards[index]
    }
}

/// Spreads a key's own hash, which is made without the last step, over all bits.
fn spread(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

/// Takes the hash that a key carries.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = spread(hash);
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys write one `u64`; should that change, this is slow but right.
        for byte in bytes {
            self.0 = spread(self.0 ^ u64::from(*byte));
        }
    }
}
