//! What the clones of a breaker share: a word to read on the way in, a count to raise on the way
//! out, and the state machine behind a lock, taken only when something is wrong.

use super::{
    config::BreakerConfig,
    handle::BreakerSnapshot,
    state::{BreakerMode, BreakerState, Change, Machine},
    tally::Tally,
};
use crate::{
    clock::nanos,
    debug::debug,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        lock,
    },
};
use meshwise_core::outcome::Health;

/// Gets told of each change of state, once and in order, while no lock is held.
pub(super) type Listener = Box<dyn Fn(&Change) + Send + Sync>;

pub(crate) struct Shared {
    /// `generation << 3 | state`. Written under the lock, after all that belongs to the generation.
    word: AtomicU64,
    opened_at: AtomicU64,
    open_until: AtomicU64,
    /// When the window's current bucket ends; `u64::MAX` for never.
    bucket_end: AtomicU64,
    bucket_width: AtomicU64,
    /// Past which time a call is slow; `u64::MAX` for never.
    slow_after: AtomicU64,
    tally: Tally,
    inner: Mutex<Inner>,
    listener: Listener,
}

struct Inner {
    machine: Machine,
    /// Whether some thread is at telling the changes; it will tell those of the others too.
    telling: bool,
}

/// An admitted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The word as it was then.
    pub(super) word: u64,
    /// When it began; 0 if no one wants to know.
    pub(super) began: u64,
}

impl Pass {
    /// Of no call that a breaker has admitted: its end counts nowhere.
    pub(crate) const NONE: Self = Self { word: u64::MAX, began: 0 };

    /// Tells whether the call's time is looked at.
    #[inline]
    pub(crate) const fn is_measured(self) -> bool {
        self.began != 0
    }

    /// The call begins later by what it waited on this side.
    pub(crate) fn delay(&mut self, nanos: u64) {
        if self.is_measured() {
            self.began = self.began.saturating_add(nanos);
        }
    }
}

impl Shared {
    pub(super) fn new(config: BreakerConfig, now: u64, seed: u64, listener: Listener) -> Self {
        let machine = Machine::new(config, now, seed);
        Self {
            word: AtomicU64::new(word(&machine)),
            opened_at: AtomicU64::new(0),
            open_until: AtomicU64::new(0),
            bucket_end: AtomicU64::new(machine.window.bucket().1),
            bucket_width: AtomicU64::new(machine.window.bucket().0),
            slow_after: AtomicU64::new(machine.config.slow_after()),
            tally: Tally::new(machine.generation),
            inner: Mutex::new(Inner { machine, telling: false }),
            listener,
        }
    }

    /// Says for how long a call would be refused now (if that is known), without making it one.
    /// While it is half-open only [`Shared::admit`] can tell.
    #[inline(always)]
    pub(super) fn refuses(&self, now: impl FnOnce() -> u64) -> Option<Option<u64>> {
        let word = self.word.load(Ordering::Acquire);
        if passes(word) { None } else { self.refuses_now(state(word), now) }
    }

    #[cold]
    #[inline(never)]
    fn refuses_now(&self, state: BreakerState, now: impl FnOnce() -> u64) -> Option<Option<u64>> {
        match state {
            BreakerState::ForcedOpen => Some(None),
            BreakerState::Open => self.still_open(now()).map(Some),
            _ => None,
        }
    }

    /// Admits a call while calls pass without being asked for one by one.
    #[inline(always)]
    pub(super) fn pass(&self, now: impl FnOnce() -> u64) -> Option<Pass> {
        let word = self.word.load(Ordering::Acquire);
        if !passes(word) {
            return None;
        }
        let measured = self.slow_after.load(Ordering::Relaxed) != u64::MAX;
        Some(Pass { word, began: if measured { now() } else { 0 } })
    }

    /// Admits a call, or says for how long it would be refused, if that is known.
    pub(super) fn admit(&self, now: impl Fn() -> u64) -> Result<Pass, Option<u64>> {
        match self.pass(&now) {
            Some(pass) => Ok(pass),
            None => self.admit_slowly(self.word.load(Ordering::Acquire), now()),
        }
    }

    #[cold]
    fn admit_slowly(&self, seen: u64, now: u64) -> Result<Pass, Option<u64>> {
        // Thousands may be refused while it is open: they need no lock.
        match state(seen) {
            BreakerState::ForcedOpen => return Err(None),
            BreakerState::Open => {
                if let Some(left) = self.still_open(now) {
                    return Err(Some(left));
                }
            }
            _ => {}
        }
        self.with(|machine, _| machine.admit(now).map(|_| Pass { word: word(machine), began: now }))
    }

    fn still_open(&self, now: u64) -> Option<u64> {
        let (at, until) =
            (self.opened_at.load(Ordering::Relaxed), self.open_until.load(Ordering::Relaxed));
        // Before it was opened: the clock went back, and the machine has to be asked.
        (at <= now && now < until).then(|| until - now)
    }

    /// Takes the end of an admitted call that went well.
    #[inline(never)]
    pub(crate) fn succeeded(&self, pass: Pass, now: impl Fn() -> u64) {
        if pass.began != 0 || !counts(pass.word) {
            return self.end_closely(pass, Health::Well, now());
        }
        // The breaker has moved on: what belongs to another time counts no more.
        if self.word.load(Ordering::Acquire) != pass.word {
            return;
        }
        let bucket_end = self.bucket_end.load(Ordering::Relaxed);
        if bucket_end != u64::MAX {
            self.roll_if_over(bucket_end, now());
        }
        self.tally.add(generation(pass.word));
    }

    /// Takes the end of an admitted call.
    #[cold]
    pub(crate) fn end(&self, pass: Pass, end: Health, now: impl Fn() -> u64) {
        match end {
            Health::Well => self.succeeded(pass, now),
            _ => self.end_closely(pass, end, now()),
        }
    }

    #[cold]
    #[inline(never)]
    fn end_closely(&self, pass: Pass, end: Health, now: u64) {
        // The breaker has moved on: what belongs to another time counts no more.
        if self.word.load(Ordering::Acquire) != pass.word {
            return;
        }
        let slow_after = self.slow_after.load(Ordering::Relaxed);
        let measured = pass.began != 0 && slow_after != u64::MAX;
        let slow = measured && now.saturating_sub(pass.began) > slow_after;
        match state(pass.word) {
            BreakerState::ForcedClosed => {}
            BreakerState::Closed | BreakerState::Disabled if end != Health::Failed && !slow => {
                if end == Health::Well {
                    self.roll_if_over(self.bucket_end.load(Ordering::Relaxed), now);
                    self.tally.add(generation(pass.word));
                }
            }
            _ => {
                let generation = generation(pass.word);
                self.with(|machine, successes| machine.end(generation, end, slow, now, successes));
            }
        }
    }

    #[inline]
    fn roll_if_over(&self, bucket_end: u64, now: u64) {
        // Outside the current bucket, on either side: clocks may go back.
        let ahead = bucket_end.wrapping_sub(now).wrapping_sub(1);
        if ahead >= self.bucket_width.load(Ordering::Relaxed) {
            self.roll(now);
        }
    }

    /// Begins a new bucket. One call in a bucket's time comes here, and does not wait: the thread
    /// that has the lock rolls the window too.
    #[cold]
    fn roll(&self, now: u64) {
        if let Ok(mut inner) = self.inner.try_lock() {
            let machine = &mut inner.machine;
            machine.window.roll(now, self.tally.sum());
            self.publish_bucket(machine);
        }
    }

    fn publish_bucket(&self, machine: &Machine) {
        let (width, end) = machine.window.bucket();
        self.bucket_width.store(width, Ordering::Relaxed);
        self.bucket_end.store(end, Ordering::Relaxed);
    }

    pub(super) fn set_mode(&self, mode: BreakerMode, now: u64) -> bool {
        self.with(|machine, successes| machine.set_mode(mode, now, successes))
    }

    pub(super) fn reset(&self, now: u64) {
        self.with(|machine, successes| machine.reset(now, successes));
    }

    pub(super) fn set_config(&self, config: BreakerConfig, now: u64) {
        self.slow_after.store(config.slow_after(), Ordering::Relaxed);
        self.with(|machine, successes| machine.set_config(config, now, successes));
    }

    pub(super) fn config(&self) -> BreakerConfig {
        lock(&self.inner).machine.config.clone()
    }

    pub(super) fn snapshot(&self, now: u64) -> BreakerSnapshot {
        self.with(|machine, successes| {
            machine.window.roll(now, successes);
            let counts = machine.window.counts(successes);
            let open = machine.state == BreakerState::Open;
            BreakerSnapshot {
                state: machine.state,
                calls: counts.calls,
                failed: counts.failed,
                slow: counts.slow,
                failure_rate: counts.failure_rate(),
                slow_rate: counts.slow_rate(),
                trials_in_flight: machine.trials.in_flight,
                open_for: open.then(|| nanos(machine.open_until.saturating_sub(now))),
            }
        })
    }

    /// Works on the machine, publishes what came of it, and tells of it.
    fn with<T>(&self, work: impl FnOnce(&mut Machine, u64) -> T) -> T {
        let mut inner = lock(&self.inner);
        let before = inner.machine.generation;
        let value = work(&mut inner.machine, self.tally.sum());
        let machine = &inner.machine;
        self.opened_at.store(machine.opened_at, Ordering::Relaxed);
        self.open_until.store(machine.open_until, Ordering::Relaxed);
        self.publish_bucket(machine);
        if machine.generation != before {
            // Before the word: who reads it there may count at once.
            self.tally.begin(machine.generation);
            self.word.store(word(machine), Ordering::Release);
        }
        let tell = !machine.untold.is_empty() && !inner.telling;
        inner.telling |= tell;
        drop(inner);
        if tell {
            self.tell();
        }
        value
    }

    /// Tells all changes, in order. The lock is not held meanwhile, for a listener may log, and
    /// the log may travel over a client that this very breaker guards.
    fn tell(&self) {
        /// Hands the telling on, should a listener panic.
        struct Teller<'a>(&'a Shared);
        impl Drop for Teller<'_> {
            fn drop(&mut self) {
                lock(&self.0.inner).telling = false;
            }
        }
        let teller = Teller(self);
        loop {
            let mut inner = lock(&self.inner);
            let Some(change) = inner.machine.untold.pop_front() else {
                // Under the same lock as the look, so that no change falls between.
                inner.telling = false;
                drop(inner);
                std::mem::forget(teller);
                return;
            };
            drop(inner);
            (self.listener)(&change);
        }
    }
}

debug!("Shared", [] Shared, shared: "state" = state(shared.word.load(Ordering::Relaxed)));

const fn word(machine: &Machine) -> u64 {
    machine.generation << 3 | machine.state as u64
}

/// Tells whether calls pass without being asked for one by one. Each call asks twice.
#[inline]
const fn passes(word: u64) -> bool {
    word & 7 < BreakerState::HalfOpen as u64
}

/// Tells whether successes are counted in the tally.
#[inline]
const fn counts(word: u64) -> bool {
    passes(word) && word & 7 != BreakerState::ForcedClosed as u64
}

#[inline]
const fn generation(word: u64) -> u64 {
    word >> 3
}

#[inline]
fn state(word: u64) -> BreakerState {
    // The number is one of a state: it was made of it.
    BreakerState::ALL.get((word & 7) as usize).copied().unwrap_or(BreakerState::Disabled)
}
