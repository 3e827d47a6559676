//! A bounded queue from many producers to one consumer, in shards.
//!
//! Threads that enter items at the same time must neither wait for each other nor write to the same
//! cache line for each item. So each thread has a shard with a lock of its own: the shard has an open
//! block, and is granted some of the queue's capacity at a time. Only once that is used up, or the
//! block full, does the producer take the lock that all share.
//!
//! ```text
//! producers              shards                shared                 consumer
//! thread 0, 4, ..  push  open block, granted
//! thread 1, 5, ..  push  open block, granted   ready blocks  collect
//! thread 2, 6, ..  push  open block, granted   used, held    ------>  blocks; release, complete
//! thread 3, 7, ..  push  open block, granted   free blocks   <------  recycle
//! ```
//!
//! The consumer collects what is in all shards at one moment, with all of their locks: if one item was
//! there before another one was made, on whatever thread, it is not collected later. Locks are taken
//! in one order: the shards' in theirs, then the shared one; a producer that has the shared one only
//! tries the others' shards.
//!
//! Every item is accounted for: what [`discard`](Queue::discard) counts as lost (in the shards, ready,
//! or held by the consumer) [`complete`](Queue::complete) does not count as done.

use super::{
    cache_padded::CachePadded,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use std::{fmt, mem, sync::PoisonError};

/// More shards are of no use: a thread that shares one with a sixteenth of the others hardly ever
/// waits.
const MAX_SHARDS: usize = 16;

/// Says how many shards suit this many processors: a power of two. Threads are spread over the shards
/// as they come, so that some share one by chance.
#[must_use]
pub fn shards(processors: usize) -> usize {
    (2 * processors).next_power_of_two().min(MAX_SHARDS)
}

/// Holds items in the order in which they were entered.
pub trait Block: Default {
    /// Returns how many items it holds.
    fn items(&self) -> usize;

    /// Returns how much of the queue's capacity they use.
    fn size(&self) -> usize;
}

impl<T> Block for Vec<T> {
    fn items(&self) -> usize {
        self.len()
    }

    fn size(&self) -> usize {
        self.len()
    }
}

/// Says how large a queue is, in the unit of [`Block::size`].
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct Shape {
    /// How much may wait.
    pub capacity: usize,
    /// How much makes it worth while to wake the consumer.
    pub notify_at: usize,
    /// How many threads get a shard of their own; a power of two.
    pub shards: usize,
    /// How large a block gets before it is handed on; `usize::MAX` keeps a shard's items in one.
    pub block: usize,
    /// The most that a shard is granted at a time, unless one item needs more.
    pub grant: usize,
}

/// Says what became of an item (complete by nature: producers must handle all of it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Entry {
    /// It waits.
    Queued,
    /// It waits, and the consumer is to be woken: it sleeps, or enough waits.
    Notify,
    /// The capacity is used up.
    Full,
    /// The queue is closed.
    Closed,
}

/// Holds items that wait, and counts those that are neither delivered nor lost.
pub struct Queue<B> {
    shape: Shape,
    /// Makes an empty block, with memory for as much as a full one holds.
    empty: fn() -> B,
    shards: Box<[CachePadded<Mutex<Shard<B>>>]>,
    shared: CachePadded<Mutex<Shared<B>>>,
    /// How much capacity is used: by items, or granted to a shard for those to come. Changes under the
    /// shared lock only.
    used: CachePadded<AtomicUsize>,
    /// The least that was missing in vain since capacity was last released: spares the shared lock
    /// while nothing fits in anyway. Changes under that lock only.
    refused: AtomicUsize,
    /// The consumer sleeps until it is woken. Set before it looks for items one last time: a producer
    /// that enters one after that look sees it.
    asleep: AtomicBool,
}

/// What the threads of one shard fill.
struct Shard<B> {
    block: B,
    /// How much more fits in, of what it was granted: all that is looked at for each item. Zero once
    /// closed.
    granted: usize,
    closed: bool,
}

/// What all threads share.
struct Shared<B> {
    /// Full blocks, oldest first, and never empty ones.
    ready: Vec<B>,
    /// Empty ones.
    free: Vec<B>,
    /// How many items the consumer has collected and not completed.
    held: usize,
    discarded: bool,
}

impl<B: Block> Queue<B> {
    /// Makes an empty queue, with the memory for all that may wait, so that no producer allocates
    /// (unless `shape.block` is unlimited or `empty` makes blocks without memory).
    #[must_use]
    pub fn new(shape: Shape, empty: fn() -> B) -> Self {
        let shard = || Shard { block: empty(), granted: 0, closed: false };
        let blocks = shape.capacity.div_ceil(shape.block) + shape.shards;
        Self {
            shape,
            empty,
            shards: (0..shape.shards).map(|_| CachePadded(Mutex::new(shard()))).collect(),
            shared: CachePadded(Mutex::new(Shared {
                ready: Vec::with_capacity(2 * blocks),
                free: (0..blocks).map(|_| empty()).collect(),
                held: 0,
                discarded: false,
            })),
            used: CachePadded(AtomicUsize::new(0)),
            refused: AtomicUsize::new(usize::MAX),
            asleep: AtomicBool::new(false),
        }
    }

    /// Enters an item of this size (one or more): `put` appends it to a block. `thread` tells threads
    /// apart; items of one thread keep their order.
    #[inline]
    pub fn push(&self, thread: usize, size: usize, put: impl FnOnce(&mut B)) -> Entry {
        let own = thread & (self.shards.len() - 1);
        let mut shard = lock(&self.shards[own].0);
        if size > shard.granted
            && let Err(refusal) = self.grant(own, &mut shard, size)
        {
            return refusal;
        }
        shard.granted -= size;
        put(&mut shard.block);
        let used_up = shard.granted < size;
        drop(shard);
        if (used_up && self.used.0.load(Relaxed) >= self.shape.notify_at)
            || self.asleep.load(Relaxed)
        {
            Entry::Notify
        } else {
            Entry::Queued
        }
    }

    /// Grants a shard capacity for an item of this size and more to come, and an empty block for a
    /// full one.
    fn grant(&self, own: usize, shard: &mut Shard<B>, size: usize) -> Result<(), Entry> {
        let missing = size - shard.granted;
        if shard.closed {
            return Err(Entry::Closed);
        }
        if missing >= self.refused.load(Relaxed) {
            return Err(Entry::Full);
        }
        let mut shared = lock(&self.shared.0);
        if shard.block.items() > 0 && shard.block.size().saturating_add(size) > self.shape.block {
            let empty = shared.free.pop().unwrap_or_else(self.empty);
            shared.ready.push(mem::replace(&mut shard.block, empty));
        }
        let mut used = self.used.0.load(Relaxed);
        let mut all_seen = false;
        if self.shape.capacity - used < missing {
            let reclaimed = self.reclaim(own);
            used -= reclaimed.0;
            all_seen = reclaimed.1;
        }
        let left = self.shape.capacity - used;
        let fits = left >= missing;
        let granted = if fits { self.share(used, missing, shard.block.size()) } else { 0 };
        shard.granted += granted;
        self.used.0.store(used + granted, Relaxed);
        if fits {
            return Ok(());
        }
        // What another shard was granted and may not use is looked for again.
        if all_seen {
            self.refused.store(missing, Relaxed);
        }
        Err(Entry::Full)
    }

    /// Returns how much a shard is granted that lacks `missing` and holds so much.
    ///
    /// A small part of what is left, as what other shards were granted and do not use delays the moment
    /// at which enough is seen to wait; and no more than makes it enough, so that a single thread sees
    /// it in time.
    fn share(&self, used: usize, missing: usize, held: usize) -> usize {
        let Shape { capacity, notify_at, shards, block, grant } = self.shape;
        let left = capacity - used;
        let mut share = grant.min(left / (2 * shards));
        if used < notify_at {
            share = share.min(notify_at - used);
        }
        share.min(block.saturating_sub(held)).max(missing)
    }

    /// Takes back what other shards were granted and have not used: returns how much that was, and
    /// whether it could look at all of them.
    fn reclaim(&self, own: usize) -> (usize, bool) {
        let (mut unused, mut all_seen) = (0, true);
        for (other, shard) in self.shards.iter().enumerate() {
            if other == own {
                continue;
            }
            // A shard that is busy uses what it has just now, or waits for the shared lock.
            match shard.0.try_lock() {
                Ok(mut shard) => unused += mem::take(&mut shard.granted),
                Err(_) => all_seen = false,
            }
        }
        (unused, all_seen)
    }

    /// Returns whether something of this size may fit in now.
    pub fn may_fit(&self, size: usize) -> bool {
        self.shape.capacity - self.used.0.load(Relaxed) >= size
    }

    /// Hands all items to the consumer, which holds them from now on: blocks in the order in which they
    /// became full, then those that are open, none of them empty. Returns how many items these are.
    /// They use capacity until it is released.
    pub fn collect(&self, into: &mut impl Extend<B>) -> usize {
        let mut shards = self.lock_all();
        let mut shared = lock(&self.shared.0);
        let mut items = 0;
        let mut count = |block: &B| items += block.items();
        shared.ready.iter().for_each(&mut count);
        into.extend(shared.ready.drain(..));
        let mut unused = 0;
        for shard in &mut shards {
            unused += mem::take(&mut shard.granted);
            if shard.block.items() > 0 {
                count(&shard.block);
                let empty = shared.free.pop().unwrap_or_else(self.empty);
                into.extend([mem::replace(&mut shard.block, empty)]);
            }
        }
        drop(shards);
        shared.held += items;
        self.release_locked(unused);
        // Blocks that were handed on before they were full are missing elsewhere.
        let wanted = self.free_wanted();
        while shared.free.len() < wanted {
            shared.free.push((self.empty)());
        }
        items
    }

    /// Returns how many free blocks are enough for what still fits in.
    fn free_wanted(&self) -> usize {
        let left = self.shape.capacity - self.used.0.load(Relaxed);
        left.div_ceil(self.shape.block) + self.shape.shards
    }

    /// Releases capacity that collected items used, and takes back their blocks, emptied.
    pub fn release(&self, size: usize, emptied: impl IntoIterator<Item = B>) {
        let mut shared = lock(&self.shared.0);
        shared.free.extend(emptied);
        self.release_locked(size);
        let most = self.shape.capacity.div_ceil(self.shape.block) + 2 * self.shape.shards;
        // The oldest ones go: those that were filled last may still be in a cache.
        let excess = shared.free.len().saturating_sub(most);
        shared.free.drain(..excess);
    }

    /// Releases capacity; the shared lock is held.
    fn release_locked(&self, size: usize) {
        if size > 0 {
            self.used.0.store(self.used.0.load(Relaxed) - size, Relaxed);
            self.refused.store(usize::MAX, Relaxed);
        }
    }

    /// Says that so many collected items are dealt with; `false` if they were counted as lost before.
    #[must_use]
    pub fn complete(&self, items: usize) -> bool {
        let mut shared = lock(&self.shared.0);
        if !shared.discarded {
            shared.held = shared.held.saturating_sub(items);
        }
        !shared.discarded
    }

    /// Refuses all items from now on.
    pub fn close(&self) {
        let mut unused = 0;
        let mut shards = self.lock_all();
        for shard in &mut shards {
            shard.closed = true;
            unused += mem::take(&mut shard.granted);
        }
        let _shared = lock(&self.shared.0);
        self.release_locked(unused);
    }

    /// Refuses all items from now on, drops those that are not collected, and counts as lost these and
    /// those that the consumer holds.
    #[must_use]
    pub fn discard(&self) -> u64 {
        let mut dropped = Vec::new();
        let mut shards = self.lock_all();
        for shard in &mut shards {
            shard.closed = true;
            shard.granted = 0;
            dropped.push(mem::take(&mut shard.block));
        }
        let mut shared = lock(&self.shared.0);
        shared.discarded = true;
        dropped.append(&mut shared.ready);
        let held = mem::take(&mut shared.held);
        drop(shared);
        drop(shards);
        // The items' destructors run after this, without the locks.
        let lost: usize = dropped.iter().map(Block::items).sum();
        (lost + held) as u64
    }

    /// Returns whether what was open has been counted as lost.
    pub fn is_discarded(&self) -> bool {
        lock(&self.shared.0).discarded
    }

    /// Returns how many items wait or are held by the consumer.
    pub fn open(&self) -> usize {
        let shards = self.lock_all();
        let shared = lock(&self.shared.0);
        let open = shards.iter().map(|shard| shard.block.items());
        open.sum::<usize>() + shared.ready.iter().map(Block::items).sum::<usize>() + shared.held
    }

    /// Says that the consumer sleeps from now on; `false` if there are items, and it must not.
    #[must_use]
    pub fn sleep(&self) -> bool {
        self.asleep.store(true, Relaxed);
        self.shards.iter().all(|shard| lock(&shard.0).block.items() == 0)
            && lock(&self.shared.0).ready.is_empty()
    }

    /// Says that the consumer is awake, or was told to be.
    pub fn awake(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// Locks all shards, in their order.
    fn lock_all(&self) -> Vec<MutexGuard<'_, Shard<B>>> {
        self.shards.iter().map(|shard| lock(&shard.0)).collect()
    }
}

/// Locks, poisoned or not: nothing is left half done where a caller's `put` or an allocation panics.
///
/// The standard library's mutex, because it never hands the lock to a thread that waits for it: on a
/// busy machine that thread may not run for long, and the producers behind it would wait too.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> fmt::Debug for Queue<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("shape", &self.shape).finish_non_exhaustive()
    }
}
