//! Rate limit: so many calls in a time, in all or for each key.
//!
//! The limit is a GCRA ("virtual scheduling", ITU-T I.371): one number says when the next call is
//! due, calls may come earlier by as much as the burst allows, and what is missing is the wait that
//! a refusal tells of. A call takes one compare-and-swap.
//!
//! Keys live in a table of fixed size. A key that has been quiet until its burst is whole again is
//! as good as new, so its place is given away without loss; when all places that a key could take
//! are busy, it shares a limit with the others that found none.

mod gcra;

use crate::{
    clock,
    config::{self, ConfigError, setters},
    count::Refusals,
    debug::debug,
    handle::Handle,
    sync::{Mutex, lock},
};
use gcra::{Gaps, Gcra, Taken};
use meshwise_core::{Refused, outcome::Rule, settings::RateSettings};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

/// The limits behind a layer, its services and handles.
pub struct Rate {
    table: Table,
    gaps: Gaps,
    /// Nanoseconds. Read one by one: a call that comes while they are changed may be judged by the
    /// old and the new one, which is no worse than either.
    interval: AtomicU64,
    tolerance: AtomicU64,
    max_wait: AtomicU64,
    /// The longest wait that was ever allowed: so far ahead there may be calls in a queue.
    longest_wait: AtomicU64,
    /// How often the limit was set: turns from before are asked for again.
    turned: AtomicU64,
    config: Mutex<Option<RateConfig>>,
    refusals: Refusals,
}

impl Rate {
    pub(crate) fn new(peer: &Arc<str>, keys: usize) -> Self {
        Self {
            table: Table::new(keys),
            gaps: Gaps::default(),
            interval: AtomicU64::new(0),
            tolerance: AtomicU64::new(0),
            max_wait: AtomicU64::new(0),
            longest_wait: AtomicU64::new(0),
            turned: AtomicU64::new(0),
            config: Mutex::new(None),
            refusals: Refusals::new(peer, Rule::RateLimited),
        }
    }

    pub(crate) fn set(&self, config: Option<RateConfig>) -> Result<(), ConfigError> {
        config.as_ref().map_or(Ok(()), RateConfig::check)?;
        let gcra = config.as_ref().map(RateConfig::gcra).unwrap_or_default();
        // Held throughout, so that two who set at once do not mix.
        let mut current = lock(&self.config);
        *current = config;
        self.turned.fetch_add(1, SeqCst);
        self.gaps.clear();
        let (old, now) = (self.gcra(), clock::exact());
        self.table.change(|due| gcra.carry(old, due, now));
        self.tolerance.store(gcra.tolerance, Relaxed);
        self.max_wait.store(gcra.max_wait, Relaxed);
        self.longest_wait.fetch_max(gcra.max_wait, Relaxed);
        self.interval.store(gcra.interval, Relaxed);
        Ok(())
    }

    /// Returns the limit as it is, with the longest wait of any call that may be in its queue.
    #[inline]
    fn gcra(&self) -> Gcra {
        Gcra {
            interval: self.interval.load(Relaxed),
            tolerance: self.tolerance.load(Relaxed),
            max_wait: self.longest_wait.load(Relaxed),
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.interval.load(Relaxed) != 0
    }

    /// Takes a turn for a call whose time `ends`; `None` if there is no limit.
    #[inline]
    pub(crate) fn take(&self, hash: Option<u64>, ends: u64) -> Result<Option<Turn>, Refused> {
        self.take_within(hash, ends, self.max_wait.load(Relaxed))
    }

    /// Takes a turn in the place of one that has come, if the limit was turned meanwhile: what holds now holds for
    /// those who wait, too.
    pub(crate) fn renew(&self, turn: Turn, ends: u64) -> Result<Option<Turn>, Refused> {
        if turn.turned == self.turned.load(SeqCst) {
            return Ok(None);
        }
        self.take_within(turn.hash, ends, self.longest_wait.load(Relaxed))
    }

    #[inline]
    fn take_within(
        &self,
        hash: Option<u64>,
        ends: u64,
        max_wait: u64,
    ) -> Result<Option<Turn>, Refused> {
        /// The coarse clock does for a tolerance of at least twice its tick.
        const COARSE: u64 = 20_000_000;
        let turned = self.turned.load(SeqCst);
        let gcra = self.gcra();
        if gcra.interval == 0 {
            return Ok(None);
        }
        let coarse = gcra.tolerance >= COARSE && max_wait == 0;
        let now = if coarse { clock::coarse() } else { clock::exact() };
        let patience = max_wait.min(ends.saturating_sub(now));
        let next = || gcra.take(self.table.find(hash, now, gcra.horizon(now)), now, patience);
        let taken = self.gaps.take(gcra, hash, now, patience).map_or_else(next, Ok);
        let refuse = |wait| self.refusals.refuse(Some(Duration::from_nanos(wait)));
        Ok(Some(Turn { taken: taken.map_err(refuse)?, hash, now, turned }))
    }

    pub(crate) fn release(&self, turn: Turn) {
        if turn.turned != self.turned.load(SeqCst) {
            return;
        }
        // By its own time: then its slot cannot have been given away.
        let due = self.table.find(turn.hash, turn.now, u64::MAX);
        Gcra::release(due, turn.hash, turn.taken, &self.gaps);
    }
}

/// What a call holds of its limit: a moment at which it may begin.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    taken: Taken,
    hash: Option<u64>,
    now: u64,
    turned: u64,
}

impl Turn {
    /// Returns how long the call has to wait for it, in nanoseconds.
    pub(crate) const fn wait(&self) -> u64 {
        self.taken.wait
    }
}

debug!("Rate", [] Rate, rate: "peer" = rate.refusals.peer, "slots" = rate.table.slots.len());

/// Reads and changes a rate limit at run time.
pub type RateLimitHandle = Handle<Rate>;

impl RateLimitHandle {
    /// Returns the limit, if there is one.
    #[must_use]
    pub fn config(&self) -> Option<RateConfig> {
        lock(&self.guard.config).clone()
    }

    /// Sets the limit; `None` takes it away. What was used of the old one's burst is used of the new one's, and
    /// calls that wait for their turn then pass as the new one lets them.
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense; nothing is changed then.
    pub fn set_config(&self, config: Option<RateConfig>) -> Result<(), ConfigError> {
        self.guard.set(config)
    }
}

/// Says how many calls may pass in a time.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RateConfig(pub(crate) RateSettings);

setters! { RateConfig.0 {
    /// Sets how many calls may come at once; by default as many as may come in the whole time.
    with_burst(calls: u32) => burst = calls;
    /// Lets calls wait for their turn up to this long before they are refused; by default they do
    /// not wait.
    with_max_wait(wait: Duration) => max_wait = wait;
} }

impl RateConfig {
    /// Lets so many calls pass in this time, all of them at once if they come so; refuses the rest.
    pub fn new(calls: u32, per: Duration) -> Self {
        let mut said = config::DEFAULTS.peer.rate.clone();
        said.enabled.set(true);
        said.calls.set(calls);
        said.per.set(per);
        Self(said)
    }

    fn parts(&self) -> (u32, u32, Duration) {
        let said = &self.0;
        let calls = said.calls.or_none();
        (calls, said.burst.or(calls), said.per.or_none())
    }

    /// Returns how many calls may pass in a second, by settings that were checked.
    pub(crate) fn per_second(&self) -> f64 {
        let (calls, _, per) = self.parts();
        f64::from(calls) / per.as_secs_f64()
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        config::check("rate", self.0.wrong())?;
        let (calls, burst, per) = self.parts();
        let fills = (per / calls.max(1)).checked_mul(burst);
        if fills.is_none_or(|fills| fills > config::YEAR) {
            let allowed = "no more than the rate brings in a year";
            return Err(ConfigError::new("rate.burst", burst, allowed));
        }
        Ok(())
    }

    fn gcra(&self) -> Gcra {
        let (calls, burst, per) = self.parts();
        let interval = clock::to_nanos(per / calls.max(1)).max(1);
        Gcra {
            interval,
            tolerance: interval.saturating_mul(u64::from(burst.max(1)) - 1),
            max_wait: clock::to_nanos(self.0.max_wait.or_none()),
        }
    }
}

/// Finds the limit that a request counts against.
pub trait RateKey<Req> {
    /// Returns a hash of the request's key, or `None` if all requests share one limit.
    fn hash(&self, request: &Req) -> Option<u64>;
}

/// Counts all calls against one limit.
impl<Req> RateKey<Req> for () {
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
    pub(crate) fn new(key: F) -> Self {
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

const WAYS: usize = 8;

/// Holds when the next call of each key is due.
///
/// No lock: should two calls of a new key meet here at the very moment that a place gets free, it
/// may begin in two places; it then has its burst twice, once.
struct Table {
    /// Whole groups of `WAYS`; their number is a power of two. None: all share one limit.
    slots: Box<[Slot]>,
    shared: AtomicU64,
}

#[derive(Default)]
struct Slot {
    hash: AtomicU64,
    due: AtomicU64,
}

impl Table {
    /// Makes room for at least so many keys: 16 bytes each.
    fn new(keys: usize) -> Self {
        let groups = if keys == 0 { 0 } else { keys.div_ceil(WAYS).next_power_of_two() };
        Self {
            slots: (0..groups * WAYS).map(|_| Slot::default()).collect(),
            shared: AtomicU64::new(0),
        }
    }

    /// Changes what is due, of all keys.
    fn change(&self, change: impl Fn(u64) -> u64) {
        let slots = self.slots.iter().map(|slot| &slot.due);
        for due in slots.chain([&self.shared]) {
            due.update(SeqCst, Relaxed, &change);
        }
    }

    /// Finds the limit of a key. What is due past `horizon` (see [`Gcra::horizon`]) is an error of a
    /// clock, and keeps no place.
    ///
    /// [`Gcra::horizon`]: gcra::Gcra::horizon
    fn find(&self, hash: Option<u64>, now: u64, horizon: u64) -> &AtomicU64 {
        let (Some(hash), groups @ 1..) = (hash, self.slots.len() / WAYS) else {
            return &self.shared;
        };
        let hash = hash | 1;
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
                let taken = slot.hash.compare_exchange(owner, hash, SeqCst, SeqCst);
                if taken.is_ok() || taken == Err(hash) {
                    return &slot.due;
                }
            }
        }
        &self.shared
    }
}

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
