//! Lines on their way from the threads that log to the one that writes.
//!
//! Threads that log at the same time must not wait for each other, nor even write to the same cache
//! line for each line. So each has a shard with a lock of its own, and room for some lines; for
//! more room it goes to what all share. The writing thread takes what is in all shards at one
//! moment, with all of their locks: if one line was there before another one was made, on whatever
//! thread, it is not taken later. The lines' times put them in order.

use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use std::{fmt, mem, sync::PoisonError};

/// With less room than this the queue is as good as full: it is not searched for more until it was
/// emptied.
const SMALL: usize = 512;
/// The most room a shard gets at once, unless one line needs more.
const CHUNK: usize = 16 << 10;
/// With so many bytes in a shard the writing thread is woken: buffers that outgrow the caches cost
/// more than that, not to speak of memory that is fresh from the system.
const PLENTY: usize = 64 << 10;

/// Says what became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It waits.
    Queued,
    /// It waits, and the writing thread is to be woken: it sleeps, or much waits already.
    Wake,
    /// There is no room.
    Full,
    /// The queue is closed.
    Closed,
}

/// Holds lines that wait, and counts those that are open.
pub(crate) struct Queue {
    /// How many bytes may wait.
    max: usize,
    shards: Box<[Padded<Mutex<Shard>>]>,
    shared: Padded<Mutex<Shared>>,
    /// The writing thread sleeps until somebody wakes it. Set before it looks for lines one last
    /// time: whoever enters one after that look sees it.
    asleep: AtomicBool,
    /// There is next to no room, not even unused in another shard. Changes under the shared lock
    /// only; spares it while nothing fits in anyway.
    full: AtomicBool,
}

/// Keeps others' writes out of these cache lines.
#[repr(align(128))]
struct Padded<V>(V);

/// Lines of the threads of one shard, in their order.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) bytes: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
}

/// Says where a line ends, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: u64,
    pub(crate) end: usize,
}

struct Shard {
    lines: Lines,
    /// How many more bytes fit in; zero once closed.
    room: usize,
    closed: bool,
}

struct Shared {
    /// How much room is taken: by lines, or given to a shard for those to come.
    taken: usize,
    /// How many lines are being written.
    writing: u64,
    /// Nobody waits any more: what was left was counted as lost.
    abandoned: bool,
}

impl Queue {
    /// Makes an empty queue; `shards` is a power of two.
    pub(crate) fn new(max: usize, shards: usize) -> Self {
        let shard = || Shard { lines: Lines::default(), room: 0, closed: false };
        Self {
            max,
            shards: (0..shards).map(|_| Padded(Mutex::new(shard()))).collect(),
            shared: Padded(Mutex::new(Shared { taken: 0, writing: 0, abandoned: false })),
            asleep: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    /// Enters a line, never an empty one, that was made at this moment; `thread` tells threads apart.
    pub(crate) fn push(&self, thread: usize, line: &[u8], at: u64) -> Entry {
        let mine = thread & (self.shards.len() - 1);
        let mut shard = lock(&self.shards[mine].0);
        let mut plenty = false;
        if line.len() > shard.room {
            match self.make_room(mine, &mut shard, line.len()) {
                Ok(much) => plenty = much,
                Err(refusal) => return refusal,
            }
        }
        shard.room -= line.len();
        let lines = &mut shard.lines;
        lines.bytes.extend_from_slice(line);
        lines.marks.push(Mark { at, end: lines.bytes.len() });
        drop(shard);
        if plenty || self.asleep.load(Relaxed) { Entry::Wake } else { Entry::Queued }
    }

    /// Gets room for a line, and more; tells whether so much waits that it should be written.
    #[cold]
    fn make_room(&self, mine: usize, shard: &mut Shard, line: usize) -> Result<bool, Entry> {
        if shard.closed {
            return Err(Entry::Closed);
        }
        if self.full.load(Relaxed) {
            return Err(Entry::Full);
        }
        let missing = line - shard.room;
        let mut shared = lock(&self.shared.0);
        if self.max - shared.taken < missing {
            shared.taken -= self.reclaim(mine);
        }
        let left = self.max - shared.taken;
        if left < missing {
            self.full.store(left < SMALL, Relaxed);
            return Err(Entry::Full);
        }
        let chunk = CHUNK.min(self.max / (8 * self.shards.len()));
        let room = missing.max(chunk).min(left);
        shared.taken += room;
        shard.room += room;
        Ok(shared.taken > self.max / 2 || shard.lines.bytes.len() >= PLENTY)
    }

    /// Takes back the room that other shards have not used, and returns how much that was.
    fn reclaim(&self, mine: usize) -> usize {
        let others = self.shards.iter().enumerate().filter(|(other, _)| *other != mine);
        // A shard that is busy uses its room just now, or waits for the shared lock.
        let others = others.filter_map(|(_, shard)| shard.0.try_lock().ok());
        others.map(|mut shard| mem::take(&mut shard.room)).sum()
    }

    /// Tells whether there may be room for so many bytes.
    pub(crate) fn may_take(&self, bytes: usize) -> bool {
        self.max - lock(&self.shared.0).taken >= bytes
    }

    /// Takes all lines, into one place for each shard; returns how many there are. They are being
    /// written from now on.
    pub(crate) fn take(&self, into: &mut [Lines]) -> u64 {
        let mut shards = self.lock_all();
        let mut count = 0;
        for (shard, into) in shards.iter_mut().zip(into) {
            into.bytes.clear();
            into.marks.clear();
            mem::swap(&mut shard.lines, into);
            shard.room = 0;
            count += into.marks.len() as u64;
        }
        let mut shared = lock(&self.shared.0);
        shared.taken = 0;
        shared.writing = count;
        self.full.store(false, Relaxed);
        count
    }

    /// Lines that were taken are written, or not; `false` if they were counted as lost meanwhile.
    pub(crate) fn settle(&self) -> bool {
        let mut shared = lock(&self.shared.0);
        shared.writing = 0;
        !shared.abandoned
    }

    /// Accepts nothing from now on.
    pub(crate) fn close(&self) {
        for mut shard in self.lock_all() {
            shard.closed = true;
            shard.room = 0;
        }
    }

    /// Accepts nothing from now on, throws away what is open and returns how many lines that were.
    pub(crate) fn abandon(&self) -> u64 {
        let mut lost = 0;
        let mut shards = self.lock_all();
        for shard in &mut shards {
            shard.closed = true;
            shard.room = 0;
            lost += mem::take(&mut shard.lines).marks.len() as u64;
        }
        let mut shared = lock(&self.shared.0);
        shared.abandoned = true;
        lost + mem::take(&mut shared.writing)
    }

    /// The writing thread says that it sleeps from now on, unless there are lines.
    pub(crate) fn may_sleep(&self) -> bool {
        self.asleep.store(true, Relaxed);
        self.shards.iter().all(|shard| lock(&shard.0).lines.marks.is_empty())
    }

    /// The writing thread is awake, or was told to be.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// Locks all shards, in their order: nobody who has one of the locks waits for another.
    fn lock_all(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(|shard| lock(&shard.0)).collect()
    }
}

/// Nothing that runs under a lock can panic, so there is nothing to be poisoned.
///
/// The standard library's mutex, because it never hands the lock to a thread that waits for it:
/// on a busy machine that thread may not run for long, and whoever logs would wait with it.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("max", &self.max).finish_non_exhaustive()
    }
}
