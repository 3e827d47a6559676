//! Finished spans on their way from the threads that end them to the one that exports them.
//!
//! Threads that end spans at the same time must not wait for each other, nor even write to the
//! same cache line for each span. So each has a shard with a lock of its own, into which it moves
//! its spans; only every so many spans does it go to the depot, which all share, to leave a full
//! block there, and to get an empty one and room for more.
//!
//! Every item is in one place at any time: in a shard, ready in the depot, or in flight. It moves
//! on under the locks of both, always from the shard to the depot, so whoever goes through them in
//! that order meets it once.

use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};
use std::{collections::VecDeque, fmt, mem, sync::PoisonError};

/// Says how large a queue is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many items may wait.
    pub(crate) max: usize,
    /// How many make it worth while to wake the exporter.
    pub(crate) batch: usize,
    /// How many threads get a shard of their own; a power of two.
    pub(crate) shards: usize,
    /// How many items move together.
    pub(crate) block: usize,
}

/// Says what became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It waits.
    Queued,
    /// It waits, and so many do that the exporter should look.
    Due,
    /// There is no room.
    Full,
    /// The queue is closed.
    Closed,
}

/// Holds what waits, and counts what is open.
pub(crate) struct Queue<T> {
    shape: Shape,
    shards: Box<[Shard<T>]>,
    depot: Padded<Mutex<Depot<T>>>,
    /// How much room is taken: by items that wait, or given to a shard for those to come. Changes
    /// under the depot's lock only.
    taken: Padded<AtomicUsize>,
    /// There is no room, not even unused in another shard. Changes under the depot's lock only;
    /// spares it while nothing fits in anyway.
    full: AtomicBool,
}

/// Keeps others' writes out of these cache lines.
#[repr(align(128))]
struct Padded<V>(V);

type Shard<T> = Padded<Mutex<Open<T>>>;

/// What the threads of one shard fill.
struct Open<T> {
    block: Vec<T>,
    /// How long the block may get before there must be new room: the only thing to look at for
    /// each item. Zero once closed.
    limit: usize,
    closed: bool,
}

/// What all threads share.
struct Depot<T> {
    /// Never empty ones, oldest first.
    ready: VecDeque<Vec<T>>,
    /// How many items are ready.
    count: usize,
    free: Vec<Vec<T>>,
    /// How many items the exporter has in its hands.
    in_flight: usize,
}

impl<T> Queue<T> {
    /// Takes the memory for all that may wait, so that nobody who enters an item need do it.
    pub(crate) fn new(shape: Shape) -> Self {
        let block = || Vec::with_capacity(shape.block);
        let open = || Open { block: block(), limit: 0, closed: false };
        let blocks = shape.max.div_ceil(shape.block) + shape.shards;
        Self {
            shape,
            shards: (0..shape.shards).map(|_| Padded(Mutex::new(open()))).collect(),
            depot: Padded(Mutex::new(Depot {
                ready: VecDeque::with_capacity(2 * blocks),
                count: 0,
                free: (0..blocks).map(|_| block()).collect(),
                in_flight: 0,
            })),
            taken: Padded(AtomicUsize::new(0)),
            full: AtomicBool::new(false),
        }
    }

    /// Enters an item; `thread` tells threads apart.
    ///
    /// Items of one thread keep their order.
    #[inline]
    pub(crate) fn push(&self, thread: usize, item: T) -> Entry {
        let mine = thread & (self.shards.len() - 1);
        let mut open = lock(&self.shards[mine].0);
        if open.block.len() >= open.limit
            && let Some(refusal) = self.make_room(mine, &mut open)
        {
            return refusal;
        }
        open.block.push(item);
        let last = open.block.len() == open.limit;
        drop(open);
        if last && self.taken.0.load(Relaxed) >= self.shape.batch {
            Entry::Due
        } else {
            Entry::Queued
        }
    }

    /// Gets room for more items from the depot, and an empty block for a full one.
    #[cold]
    fn make_room(&self, mine: usize, open: &mut Open<T>) -> Option<Entry> {
        if open.closed {
            return Some(Entry::Closed);
        }
        if self.full.load(Relaxed) {
            return Some(Entry::Full);
        }
        let mut depot = lock(&self.depot.0);
        if open.block.len() >= self.shape.block {
            depot.leave(&mut open.block, &self.shape);
            open.limit = 0;
        }
        let mut taken = self.taken.0.load(Relaxed);
        if taken >= self.shape.max {
            taken -= self.reclaim(mine);
        }
        let room = self.share(taken).min(self.shape.block - open.block.len());
        self.taken.0.store(taken + room, Relaxed);
        open.limit = open.block.len() + room;
        self.full.store(room == 0, Relaxed);
        (room == 0).then_some(Entry::Full)
    }

    /// Returns how much room one shard gets at a time.
    ///
    /// A fair share of a batch, as unused room in other shards delays the moment at which a batch
    /// is seen to be complete; and no more than completes the first batch, so that a single thread
    /// sees it in time.
    fn share(&self, taken: usize) -> usize {
        let Shape { max, batch, shards, .. } = self.shape;
        let left = max.saturating_sub(taken);
        let share = (left.min(batch) / (2 * shards)).max(1).min(left);
        if taken < batch { share.min(batch - taken) } else { share }
    }

    /// Takes back the room that other shards have not used, and returns how much that was.
    fn reclaim(&self, mine: usize) -> usize {
        let others = self.shards.iter().enumerate().filter(|(other, _)| *other != mine);
        // A shard that is busy uses its room just now, or waits for the depot's lock.
        let others = others.filter_map(|(_, shard)| shard.0.try_lock().ok());
        others.map(|mut open| open.give_back()).sum()
    }

    /// Makes all that was entered up to now ready, in front of what comes later; returns how much
    /// is ready.
    pub(crate) fn gather(&self) -> usize {
        for shard in &self.shards {
            let mut open = lock(&shard.0);
            if open.limit == 0 {
                continue;
            }
            let mut depot = lock(&self.depot.0);
            self.release(open.give_back());
            depot.leave(&mut open.block, &self.shape);
            open.limit = 0;
        }
        let mut depot = lock(&self.depot.0);
        // Blocks that became ready before they were full are missing elsewhere.
        let left = self.shape.max - self.taken.0.load(Relaxed).min(self.shape.max);
        let wanted = left.div_ceil(self.shape.block) + self.shape.shards;
        while depot.free.len() < wanted {
            depot.free.push(Vec::with_capacity(self.shape.block));
        }
        depot.count
    }

    /// Hands the `n` oldest of the ready items, or as many as there are, to the exporter.
    pub(crate) fn take(&self, n: usize) -> Vec<T> {
        let mut items = Vec::with_capacity(n);
        let mut blocks = Vec::with_capacity(n.min(self.shape.max) / self.shape.block + 2);
        let mut rest = Vec::new();
        let mut left = n;
        let mut depot = lock(&self.depot.0);
        while left > 0
            && let Some(mut oldest) = depot.ready.pop_front()
        {
            if oldest.len() > left {
                rest.extend(oldest.drain(..left));
                depot.ready.push_front(oldest);
                left = 0;
            } else {
                left -= oldest.len();
                blocks.push(oldest);
            }
        }
        let taken = n - left;
        depot.count -= taken;
        depot.in_flight += taken;
        drop(depot);
        // Without the lock: it is what takes time here.
        blocks.iter_mut().for_each(|block| items.append(block));
        items.append(&mut rest);
        let mut depot = lock(&self.depot.0);
        depot.free.append(&mut blocks);
        let wanted = self.shape.max.div_ceil(self.shape.block) + self.shape.shards;
        depot.free.truncate(wanted);
        self.release(taken);
        items
    }

    /// Gives room back. The depot is locked.
    fn release(&self, room: usize) {
        if room > 0 {
            self.taken.0.store(self.taken.0.load(Relaxed) - room, Relaxed);
            self.full.store(false, Relaxed);
        }
    }

    /// Takes `n` items off the exporter's hands; `false` if they were written off.
    pub(crate) fn settle(&self, n: usize) -> bool {
        let mut depot = lock(&self.depot.0);
        let open = depot.in_flight >= n;
        if open {
            depot.in_flight -= n;
        }
        open
    }

    /// Accepts nothing from now on.
    pub(crate) fn close(&self) {
        for shard in &self.shards {
            let mut open = lock(&shard.0);
            open.closed = true;
            let unused = open.give_back();
            let _depot = lock(&self.depot.0);
            self.release(unused);
        }
    }

    /// Accepts nothing from now on, throws away what is open and returns how much that was.
    pub(crate) fn write_off(&self) -> u64 {
        self.close();
        let mut rubbish = Vec::new();
        for shard in &self.shards {
            let mut open = lock(&shard.0);
            open.limit = 0;
            rubbish.push(mem::take(&mut open.block));
        }
        let in_flight = {
            let mut depot = lock(&self.depot.0);
            depot.count = 0;
            rubbish.extend(depot.ready.drain(..));
            mem::take(&mut depot.in_flight)
        };
        // Dropped when nobody has to wait for it.
        (rubbish.iter().map(Vec::len).sum::<usize>() + in_flight) as u64
    }

    /// Returns how many items wait; about as many, if they move meanwhile.
    pub(crate) fn queued(&self) -> usize {
        let open: usize = self.shards.iter().map(|shard| lock(&shard.0).block.len()).sum();
        open + lock(&self.depot.0).count
    }
}

impl<T> Open<T> {
    /// Lets go of the room that no item has taken, and returns how much that was.
    fn give_back(&mut self) -> usize {
        let unused = self.limit.saturating_sub(self.block.len());
        self.limit -= unused;
        unused
    }
}

impl<T> Depot<T> {
    /// Makes the items of a block ready, and leaves it empty.
    fn leave(&mut self, block: &mut Vec<T>, shape: &Shape) {
        self.count += block.len();
        match self.ready.back_mut() {
            _ if block.is_empty() => {}
            // Of two neighbours, one is more than half full: that bounds the number of blocks.
            Some(last) if last.len() + block.len() <= shape.block => last.append(block),
            _ => {
                let empty = self.free.pop();
                let empty = empty.unwrap_or_else(|| Vec::with_capacity(shape.block));
                self.ready.push_back(mem::replace(block, empty));
            }
        }
    }
}

/// Nothing that runs under a lock can panic, so there is nothing to be poisoned.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("shape", &self.shape).finish_non_exhaustive()
    }
}
