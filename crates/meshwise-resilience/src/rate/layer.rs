//! The layer that limits the rate of calls.

use super::{
    OneLimit, PerKey, RateConfig,
    gcra::{Gaps, Gcra, Taken},
    keys::Table,
};
use crate::{
    clock,
    config_error::ConfigError,
    count::Refusals,
    debug::debug,
    guard::{AnyCalls, Gate, GuardLayer, Handle, Untimed, layer},
};
use meshwise_core::{Refused, outcome::Rule};
use std::{
    hash::Hasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Lets so many calls pass in a time, and refuses the rest or has them wait.
pub type RateLimitLayer<K = OneLimit> = GuardLayer<Rate, AnyCalls<K>>;

/// The limits behind a layer, its services and handles.
pub struct Rate {
    table: Table,
    gaps: Gaps,
    /// Nanoseconds. Read one by one: a call that comes while they are changed may be judged by the
    /// old and the new one, which is no worse than either.
    interval: AtomicU64,
    tolerance: AtomicU64,
    max_wait: AtomicU64,
    config: crate::sync::Mutex<Option<RateConfig>>,
    refusals: Refusals,
}

impl Rate {
    pub(crate) fn new(peer: &Arc<str>, keys: usize) -> Self {
        Self {
            table: Table::new(keys),
            gaps: Gaps::new(),
            interval: AtomicU64::new(0),
            tolerance: AtomicU64::new(0),
            max_wait: AtomicU64::new(0),
            config: crate::sync::Mutex::new(None),
            refusals: Refusals::new(peer, Rule::RateLimited),
        }
    }

    pub(crate) fn set(&self, config: Option<RateConfig>) -> Result<(), ConfigError> {
        let mut gcra = Gcra { interval: 0, tolerance: 0, max_wait: 0 };
        if let Some(config) = &config {
            config.check()?;
            gcra = config.gcra();
        }
        // Held throughout, so that two who set at once do not mix.
        let mut current = crate::sync::lock(&self.config);
        *current = config;
        self.gaps.clear();
        self.tolerance.store(gcra.tolerance, Relaxed);
        self.max_wait.store(gcra.max_wait, Relaxed);
        self.interval.store(gcra.interval, Relaxed);
        Ok(())
    }

    /// Tells whether there is a limit.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.interval.load(Relaxed) != 0
    }

    /// Takes a turn for a call whose time `ends`; `None` if there is no limit.
    #[inline]
    pub(crate) fn take(&self, hash: Option<u64>, ends: u64) -> Result<Option<Turn>, Refused> {
        /// The coarse clock does for a tolerance of at least twice its tick.
        const COARSE: u64 = 20_000_000;
        let interval = self.interval.load(Relaxed);
        if interval == 0 {
            return Ok(None);
        }
        let max_wait = self.max_wait.load(Relaxed);
        let gcra = Gcra { interval, tolerance: self.tolerance.load(Relaxed), max_wait };
        let coarse = gcra.tolerance >= COARSE && max_wait == 0;
        let now = if coarse { clock::coarse() } else { clock::exact() };
        let patience = max_wait.min(ends.saturating_sub(now));
        if let Some(taken) = self.gaps.take(gcra, hash, now, patience) {
            return Ok(Some(Turn { taken, hash, now }));
        }
        match gcra.take(self.table.find(hash, now, gcra.horizon(now)), now, patience) {
            Ok(taken) => Ok(Some(Turn { taken, hash, now })),
            Err(wait) => Err(self.refusals.refuse(Some(clock::nanos(wait)))),
        }
    }

    pub(crate) fn release(&self, turn: Turn) {
        // By its own time: then its slot cannot have been given away.
        let due = self.table.find(turn.hash, turn.now, u64::MAX);
        Gcra::release(due, turn.hash, turn.taken, &self.gaps);
    }
}

/// What a call holds of its limit: a moment at which it may begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    taken: Taken,
    hash: Option<u64>,
    now: u64,
}

impl Turn {
    /// Returns how long the call has to wait for it, in nanoseconds.
    pub(crate) const fn wait(&self) -> u64 {
        self.taken.wait
    }
}

debug!("Rate", [] Rate, rate: "peer" = rate.refusals.peer, "table" = rate.table);

impl RateLimitLayer {
    /// Creates the layer with one limit for all calls to a peer (or, on a server, from all
    /// callers).
    ///
    /// # Errors
    ///
    /// Returns what [`RateConfig::check`] finds.
    pub fn new(peer: impl Into<Arc<str>>, config: RateConfig) -> Result<Self, ConfigError> {
        let rate = Rate::new(&peer.into(), 0);
        rate.set(Some(config))?;
        Ok(Self::keyed(rate, OneLimit::default()))
    }
}

impl<K> RateLimitLayer<K> {
    fn keyed(rate: Rate, key: K) -> Self {
        let rate = Arc::new(rate);
        let gate =
            Gate { rate: Some(Arc::clone(&rate)), ..Gate::new(Arc::clone(&rate.refusals.peer)) };
        Self::front(gate, rate, AnyCalls::by(key))
    }
}

impl<F> RateLimitLayer<PerKey<F>> {
    /// Creates the layer with a limit for each key, as the function feeds it to the hasher. About
    /// `keys` of them are told apart at a time, at 16 bytes each; quiet ones are forgotten.
    ///
    /// ```
    /// use meshwise_resilience::{RateConfig, RateLimitLayer};
    /// use std::{hash::{Hash, Hasher}, time::Duration};
    /// let config = RateConfig::new(10, Duration::from_secs(1));
    /// let layer = RateLimitLayer::per_key("orders", config, 10_000,
    ///     |request: &http::Request<()>, mut hasher: &mut dyn Hasher| {
    ///         request.headers().get("x-tenant").hash(&mut hasher);
    ///     })?;
    /// # Ok::<(), meshwise_resilience::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns what [`RateConfig::check`] finds, and refuses no keys or more than 10 million.
    pub fn per_key<Req>(
        peer: impl Into<Arc<str>>,
        config: RateConfig,
        keys: usize,
        key: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(&Req, &mut dyn Hasher),
    {
        if !(1..=10_000_000).contains(&keys) {
            return Err(ConfigError::new("rate.keys", keys, "at least 1 and at most 10000000"));
        }
        let rate = Rate::new(&peer.into(), keys);
        rate.set(Some(config))?;
        Ok(Self::keyed(rate, PerKey::new(key)))
    }
}

layer!(Rate, Untimed, Clone);

/// Reads and changes a rate limit at run time.
pub type RateLimitHandle = Handle<Rate>;

impl RateLimitHandle {
    /// Returns the limit, if there is one.
    #[must_use]
    pub fn config(&self) -> Option<RateConfig> {
        crate::sync::lock(&self.guard.config).clone()
    }

    /// Sets the limit; `None` takes it away.
    ///
    /// # Errors
    ///
    /// Returns what [`RateConfig::check`] finds; nothing is changed then.
    pub fn set_config(&self, config: Option<RateConfig>) -> Result<(), ConfigError> {
        self.guard.set(config)
    }
}
