//! Circuit breaker: stops calling a peer that fails, until it is well again.
//!
//! A successful call on a closed breaker reads one word, and raises one count at its end. All else
//! (failures, slow calls, trial calls, changes of state) is decided by a plain state machine behind
//! a lock: `state`.

mod config;
mod state;
mod window;

pub use config::BreakerConfig;
pub use state::{BreakerMode, BreakerState};
pub(crate) use window::{Tally, Window};

use crate::{
    clock,
    config::ConfigError,
    count::{Refusals, counter},
    debug::debug,
    handle::Handle,
    names,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        lock, try_lock,
    },
};
use meshwise_core::{
    Refused,
    outcome::{Health, Rule},
};
use metrics::gauge;
use state::{Change, Machine};
use std::{
    iter, mem,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Shows a circuit breaker and turns it, at run time.
pub type BreakerHandle = Handle<Breaker>;

impl BreakerHandle {
    /// Returns the state as of the last call: an open breaker whose time is over stays so until
    /// it is called.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.snapshot().state
    }

    /// Returns the state and the counts of the window.
    #[must_use]
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.guard.snapshot(clock::coarse())
    }

    /// Takes the breaker into one's own hands, or gives it back to its rates; then it begins
    /// closed. The breakers that a peer's routes have of their own go with the peer's. Tells whether that
    /// changed a state.
    #[allow(clippy::must_use_candidate, reason = "most callers want the change, not the answer")]
    pub fn set_mode(&self, mode: BreakerMode) -> bool {
        let changed = self
            .guard
            .with_routes(|machine, successes| machine.set_mode(mode, clock::coarse(), successes));
        changed.contains(&true)
    }

    /// Closes the breaker, and those of a peer's routes, with nothing counted, and gives it back to its rates.
    pub fn reset(&self) {
        self.guard.with_routes(|machine, successes| machine.reset(clock::coarse(), successes));
    }

    /// Returns the settings in force.
    pub fn config(&self) -> BreakerConfig {
        lock(&self.guard.machine).config.clone()
    }

    /// Changes the settings: they hold for what happens from now on. A window of another shape
    /// begins empty; a breaker that is open stays so for the time it was given.
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense; the settings are as before then.
    pub fn set_config(&self, config: BreakerConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.guard.slow_after.store(config.slow_after(), Ordering::Relaxed);
        let now = clock::coarse();
        self.guard.with(|machine, successes| machine.set_config(config, now, successes));
        Ok(())
    }
}

/// Shows a circuit breaker as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// The state.
    pub state: BreakerState,
    /// Calls in the window.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that were slow.
    pub slow: u64,
    /// The share of failed calls, 0 to 1; 0 without any.
    pub failure_rate: f64,
    /// The share of slow calls, 0 to 1; 0 without any.
    pub slow_rate: f64,
    /// Trial calls in flight, while half-open.
    pub trials_in_flight: u32,
    /// How long it will refuse from now on, if it is open; zero if the next call half-opens it.
    /// Serialized in seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::clock::seconds"))]
    pub open_for: Option<Duration>,
}

/// Gets told of each change of state, once and in order, while no lock is held.
type Listener = Box<dyn Fn(&Change) + Send + Sync>;

/// What the clones of a breaker share: a word to read on the way in, a count to raise on the way out, and
/// the state machine behind a lock, taken only when something is wrong.
pub struct Breaker {
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
    machine: Mutex<Machine>,
    /// Held by the thread that tells the changes: it tells those of the others too.
    listener: Mutex<Listener>,
    refusals: Refusals,
    /// Those that routes have of their own, if this one is a peer's.
    pub(crate) routes: OnceLock<Vec<BreakerHandle>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    word: u64,
    /// When it began; 0 if no one wants to know. The last bit says that it is a trial whose body [`FLOWS`].
    began: u64,
}

/// Says so: see [`Breaker::flows`]. A word of its own would be carried along by each call.
const FLOWS: u64 = 1;

impl Pass {
    /// Of no call that a breaker has admitted: its end counts nowhere.
    pub(crate) const NONE: Self = Self { word: u64::MAX, began: 0 };

    #[inline]
    pub(crate) const fn is_measured(self) -> bool {
        self.began != 0
    }

    /// Tells whether the call is one of those that are to find out whether the peer is well again.
    pub(crate) fn is_trial(self) -> bool {
        state(self.word) == BreakerState::HalfOpen
    }

    /// The call begins later by what it waited on this side.
    pub(crate) fn delay(&mut self, nanos: u64) {
        if self.is_measured() {
            self.began = self.began.saturating_add(nanos & !FLOWS);
        }
    }
}

impl Breaker {
    pub(crate) fn new(peer: &Arc<str>, config: BreakerConfig) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let seed = meshwise_core::internal::random::u64();
        Ok(Arc::new(Self::telling(peer, config, clock::coarse(), seed, listener(peer))))
    }

    /// Begins at a time of its own; the listener gets told of its changes.
    fn telling(
        peer: &Arc<str>,
        config: BreakerConfig,
        now: u64,
        seed: u64,
        listener: Listener,
    ) -> Self {
        let machine = Machine::new(config, now, seed);
        Self {
            word: AtomicU64::new(word(&machine)),
            opened_at: AtomicU64::new(0),
            open_until: AtomicU64::new(0),
            bucket_end: AtomicU64::new(machine.window.end),
            bucket_width: AtomicU64::new(machine.window.width),
            slow_after: AtomicU64::new(machine.config.slow_after()),
            tally: Tally::new(machine.generation),
            machine: Mutex::new(machine),
            listener: Mutex::new(listener),
            refusals: Refusals::new(peer, Rule::BreakerOpen),
            routes: OnceLock::new(),
        }
    }

    pub(crate) fn refuse(&self, left: Option<u64>) -> Refused {
        self.refusals.refuse(left.map(Duration::from_nanos))
    }

    /// Says for how long a call would be refused now (if that is known), without making it one.
    /// While it is half-open only [`Breaker::admit`] can tell.
    #[inline(always)]
    pub(crate) fn refuses(&self, now: impl FnOnce() -> u64) -> Option<Option<u64>> {
        let word = self.word.load(Ordering::Acquire);
        if passes(word) { None } else { self.refuses_now(state(word), now) }
    }

    #[cold]
    fn refuses_now(&self, state: BreakerState, now: impl FnOnce() -> u64) -> Option<Option<u64>> {
        match state {
            BreakerState::ForcedOpen => Some(None),
            BreakerState::Open => {
                let (at, until, now) = (&self.opened_at, &self.open_until, now());
                let (at, until) = (at.load(Ordering::Relaxed), until.load(Ordering::Relaxed));
                // Before it was opened: the clock went back, and the machine has to be asked.
                (at <= now && now < until).then(|| Some(until - now))
            }
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn pass(&self, now: impl FnOnce() -> u64) -> Option<Pass> {
        let word = self.word.load(Ordering::Acquire);
        if !passes(word) {
            return None;
        }
        let measured = self.slow_after.load(Ordering::Relaxed) != u64::MAX;
        Some(Pass { word, began: if measured { now() } else { 0 } })
    }

    /// Admits a call, or says for how long it would be refused, if that is known.
    pub(crate) fn admit(&self, now: impl Fn() -> u64) -> Result<Pass, Option<u64>> {
        if let Some(pass) = self.pass(&now) {
            return Ok(pass);
        }
        let now = now();
        // Thousands may be refused while it is open: they need no lock.
        if let Some(left) = self.refuses(|| now) {
            return Err(left);
        }
        self.with(|machine, _| {
            machine.admit(now).map(|()| Pass { word: word(machine), began: now & !FLOWS })
        })
    }

    /// Takes note that a call's head was good and its body flows, which a trial has to be given time for.
    pub(crate) fn flows(&self, pass: &mut Pass, now: impl Fn() -> u64) {
        if pass.is_trial() && pass.began & FLOWS == 0 {
            pass.began |= FLOWS;
            self.with(|machine, _| machine.flows(generation(pass.word), now()));
        }
    }

    /// Takes note that a call could not be answered until then, since it waited for this side.
    pub(crate) fn prolong(&self, pass: Pass, until: u64) {
        if pass.is_trial() {
            self.with(|machine, _| machine.prolong(generation(pass.word), until));
        }
    }

    /// Takes a trial back that has to wait on this side: when its turn comes, the breaker is asked again.
    pub(crate) fn withdraw(&self, pass: &mut Pass, now: impl Fn() -> u64) {
        if pass.is_trial() {
            self.end(mem::replace(pass, Pass::NONE), Health::NotAsked, now);
        }
    }

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

    pub(crate) fn end(&self, pass: Pass, end: Health, now: impl Fn() -> u64) {
        match end {
            Health::Well => self.succeeded(pass, now),
            _ => self.end_closely(pass, end, now()),
        }
    }

    #[cold]
    fn end_closely(&self, pass: Pass, end: Health, now: u64) {
        // The breaker has moved on: what belongs to another time counts no more.
        if self.word.load(Ordering::Acquire) != pass.word {
            return;
        }
        let slow_after = self.slow_after.load(Ordering::Relaxed);
        let slow = pass.is_measured() && now.saturating_sub(pass.began) > slow_after;
        match state(pass.word) {
            BreakerState::ForcedClosed => {}
            BreakerState::Closed | BreakerState::Disabled if end != Health::Failed && !slow => {
                if end == Health::Well {
                    self.roll_if_over(self.bucket_end.load(Ordering::Relaxed), now);
                    self.tally.add(generation(pass.word));
                }
            }
            _ => {
                let (generation, how) = (generation(pass.word), (slow, pass.began & FLOWS != 0));
                self.with(|machine, successes| machine.end(generation, end, how, now, successes));
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
        if let Some(mut machine) = try_lock(&self.machine) {
            machine.window.roll(now, self.tally.sum());
            self.publish_bucket(&machine);
        }
    }

    fn publish_bucket(&self, machine: &Machine) {
        self.bucket_width.store(machine.window.width, Ordering::Relaxed);
        self.bucket_end.store(machine.window.end, Ordering::Relaxed);
    }

    fn snapshot(&self, now: u64) -> BreakerSnapshot {
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
                open_for: open
                    .then(|| Duration::from_nanos(machine.open_until.saturating_sub(now))),
            }
        })
    }

    fn with_routes<T>(&self, work: impl Fn(&mut Machine, u64) -> T) -> Vec<T> {
        let routes = self.routes.get().into_iter().flatten().map(|route| &*route.guard);
        iter::once(self).chain(routes).map(|one| one.with(&work)).collect()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Machine, u64) -> T) -> T {
        let mut machine = lock(&self.machine);
        let before = machine.generation;
        let value = work(&mut machine, self.tally.sum());
        self.opened_at.store(machine.opened_at, Ordering::Relaxed);
        self.open_until.store(machine.open_until, Ordering::Relaxed);
        self.publish_bucket(&machine);
        if machine.generation != before {
            // Before the word: who reads it there may count at once.
            self.tally.begin(machine.generation);
            self.word.store(word(&machine), Ordering::Release);
        }
        let tell = !machine.untold.is_empty();
        drop(machine);
        if tell {
            self.tell();
        }
        value
    }

    /// Tells all changes, in order. The lock is not held meanwhile, for a listener may log, and
    /// the log may travel over a client that this very breaker guards.
    fn tell(&self) {
        let is_left = || !lock(&self.machine).untold.is_empty();
        let next = || lock(&self.machine).untold.pop_front();
        // Looked at once more afterwards: another thread may have left a change to this one.
        while is_left()
            && let Some(listener) = try_lock(&self.listener)
        {
            while let Some(change) = next() {
                listener(&change);
            }
        }
    }
}

debug!("Breaker", [] Breaker, breaker: "state" = state(breaker.word.load(Ordering::Relaxed)));

const fn word(machine: &Machine) -> u64 {
    machine.generation << 3 | machine.state as u64
}

/// Tells whether calls pass without being asked for one by one. Each call asks twice.
#[inline]
const fn passes(word: u64) -> bool {
    word & 7 < BreakerState::HalfOpen as u64
}

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
    BreakerState::ALL.get((word & 7) as usize).map_or(BreakerState::Disabled, |known| known.0)
}

fn listener(peer: &Arc<str>) -> Listener {
    let peer = Arc::clone(peer);
    let level = gauge!(names::BREAKER_STATE, names::PEER => Arc::clone(&peer));
    level.set(0.0);
    let transitions = BreakerState::ALL
        .map(|(_, to, ..)| counter(names::BREAKER_TRANSITIONS, &peer, (names::TO, to)));
    Box::new(move |change: &Change| {
        level.set(change.to.level());
        if let Some(counter) = transitions.get(change.to as usize) {
            counter.increment(1);
        }
        log(&peer, change);
    })
}

fn log(peer: &str, change: &Change) {
    let Change { from, to, why: reason, counts, open_for } = *change;
    let (from, told) = (from.as_str(), to.told());
    match to {
        BreakerState::Open => tracing::warn!(
            target: names::TARGET,
            peer,
            from,
            reason,
            calls = counts.calls,
            failed = counts.failed,
            slow = counts.slow,
            open_ms = open_for / 1_000_000,
            { names::ERROR_TYPE } = Rule::BreakerOpen.error_type().as_str(),
            "circuit breaker opened"
        ),
        BreakerState::Closed | BreakerState::HalfOpen => {
            tracing::info!(target: names::TARGET, peer, from, reason, "circuit breaker {told}");
        }
        _ => tracing::warn!(target: names::TARGET, peer, from, reason, "circuit breaker {told}"),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
#[path = "breaker/loom.rs"]
mod loom_models;
