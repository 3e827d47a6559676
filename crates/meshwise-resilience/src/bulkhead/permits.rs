//! Permits, and a first-come-first-served queue of those who wait for one.
//!
//! While no one waits, taking and releasing a permit are one addition each. While calls wait,
//! permits are taken under the queue's lock only: no one can take one past the queue, and the
//! thread that gives one back hands it to the queue's head at once.

use crate::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering},
    lock,
};
use std::{
    collections::BTreeMap,
    task::{Context, Poll, Waker},
};

#[derive(Debug)]
pub(crate) struct Permits {
    /// `waiting << 32 | in_use`.
    word: AtomicU64,
    limit: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    most: u32,
    next: u64,
    /// By the order in which they came. Who is no more in here was given a permit.
    waiters: BTreeMap<u64, Option<Waker>>,
}

/// What one gets who asks for a permit and is willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Permit,
    Queued(u64),
    Full,
}

/// How many permits are out, and how many wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) in_use: u32,
    pub(crate) waiting: u32,
}

impl Use {
    const fn of(word: u64) -> Self {
        Self { in_use: word as u32, waiting: (word >> 32) as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.waiting) << 32 | u64::from(self.in_use)
    }
}

impl Permits {
    pub(super) fn new(limit: u32, most_waiting: u32) -> Self {
        let queue = Queue { most: most_waiting, next: 0, waiters: BTreeMap::new() };
        Self { word: AtomicU64::new(0), limit: AtomicU32::new(limit), queue: Mutex::new(queue) }
    }

    #[inline]
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn usage(&self) -> Use {
        Use::of(self.word.load(Ordering::Relaxed))
    }

    /// Takes a permit if one is free and no one waits.
    #[inline]
    pub(super) fn try_take(&self) -> bool {
        let limit = self.limit();
        // An empty queue: the word is the number of permits.
        if self.word.load(Ordering::Relaxed) < u64::from(limit / 2) {
            // With so much room an addition does, which never has to be repeated as a
            // compare-and-swap may.
            let before = Use::of(self.word.fetch_add(1, Ordering::AcqRel));
            if before.waiting == 0 && before.in_use < limit {
                return true;
            }
            // Half of all permits were taken between these two steps. It is as if this call had
            // one and gave it back: who waits for want of it gets it.
            self.release();
        }
        self.try_take_exactly()
    }

    #[inline(never)]
    fn try_take_exactly(&self) -> bool {
        self.update(|seen| self.taken(seen))
    }

    fn taken(&self, seen: Use) -> Option<Use> {
        let free = seen.waiting == 0 && seen.in_use < self.limit();
        free.then(|| Use { in_use: seen.in_use + 1, ..seen })
    }

    pub(crate) fn take_or_queue(&self) -> Place {
        let mut queue = lock(&self.queue);
        let (most, number) = (queue.most, queue.next);
        let mut place = Place::Permit;
        // Under the lock: the thread that raises the limit pumps the queue under it afterwards, so
        // that no place is taken by the old limit and forgotten.
        let found = self.update(|seen| {
            // One that was released since goes to who comes first, and that is this caller.
            let taken = self.taken(seen);
            place = if taken.is_some() { Place::Permit } else { Place::Queued(number) };
            let queued = || Use { waiting: seen.waiting + 1, ..seen };
            taken.or_else(|| (seen.waiting < most).then(queued))
        });
        if !found {
            return Place::Full;
        }
        if let Place::Queued(_) = place {
            queue.next += 1;
            queue.waiters.insert(number, None);
        }
        place
    }

    pub(super) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = lock(&self.queue);
        let Some(waker) = queue.waiters.get_mut(&number) else { return Poll::Ready(()) };
        match waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Leaves the queue. Tells whether it was too late: the permit is there, and must be
    /// released.
    pub(super) fn leave(&self, number: u64) -> bool {
        let mut queue = lock(&self.queue);
        let Some(waker) = queue.waiters.remove(&number) else { return true };
        self.update(|seen| Some(Use { waiting: seen.waiting.saturating_sub(1), ..seen }));
        drop(queue);
        // Not under the lock: a waker is other people's code.
        drop(waker);
        false
    }

    /// Releases a permit: to the head of the queue, if there is one.
    #[inline]
    pub(super) fn release(&self) {
        // Each permit is released once, by the ticket that has it: there is one to be subtracted.
        let before = Use::of(self.word.fetch_sub(1, Ordering::AcqRel));
        if before.waiting > 0 {
            // No one takes it past the queue in the meantime: while calls wait, only the queue does.
            self.pump();
        }
    }

    /// Changes the number of permits. What is out is not called back; the next that are
    /// released are not handed on.
    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
        self.pump();
    }

    /// Changes the number of places in the queue. No one is sent away.
    pub(super) fn set_most_waiting(&self, most: u32) {
        lock(&self.queue).most = most;
    }

    /// Gives free permits to those at the head of the queue, one by one: a waker is not woken under the
    /// lock, for it may poll, and the poll come here.
    #[cold]
    fn pump(&self) {
        while let Some(waker) = self.grant() {
            // One that was never polled will see at its first poll that it has its permit.
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn grant(&self) -> Option<Option<Waker>> {
        let mut queue = lock(&self.queue);
        let granted = self.update(|seen| {
            let free = seen.waiting > 0 && seen.in_use < self.limit();
            free.then(|| Use { in_use: seen.in_use + 1, waiting: seen.waiting - 1 })
        });
        if granted { queue.waiters.pop_first().map(|(_, waker)| waker) } else { None }
    }

    /// Changes how many are out and wait, unless there is nothing to be changed; tells whether it did.
    #[inline]
    fn update(&self, mut change: impl FnMut(Use) -> Option<Use>) -> bool {
        let change = |seen| change(Use::of(seen)).map(Use::word);
        // What a call did while it held the permit happened before the next one holds it.
        self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change).is_ok()
    }
}
