//! Bulkhead: at most so many calls to a peer at a time, and a bounded queue before it.

mod permits;

pub(crate) use permits::Place;

use crate::{
    adaptive::{AdaptiveConfig, Began, Sampler},
    clock::{self, to_nanos},
    config::{self, ConfigError, setters},
    count::Refusals,
    debug::debug,
    handle::Handle,
    names,
    sync::{Mutex, lock},
};
use meshwise_core::{
    CallEnd, Refused,
    outcome::{Health, Rule, Side},
    settings::BulkheadSettings,
};
use metrics::{Gauge, gauge};
use permits::Permits;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Context,
    time::Duration,
};

/// Shows a bulkhead and changes it, at run time.
pub type BulkheadHandle = Handle<Bulkhead>;

impl BulkheadHandle {
    /// Returns how the bulkhead is used.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        self.guard.snapshot()
    }

    /// Returns the settings in force.
    pub fn config(&self) -> BulkheadConfig {
        self.guard.config()
    }

    /// Changes the settings: a higher limit lets those who wait go at once; calls past a lower one
    /// are not broken off, and no one is sent out of the queue. An adaptive limit whose settings
    /// stay the same stays where it is.
    ///
    /// # Errors
    /// Says what is allowed if a setting makes no sense; the settings are as before then.
    pub fn set_config(&self, config: BulkheadConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.guard.set_config(config);
        Ok(())
    }
}

/// Shows a bulkhead as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// Calls that may be in flight.
    pub limit: u32,
    /// Whether the limit is found by the time that calls take.
    pub adaptive: bool,
    /// Calls in flight; more than the limit for a while after that was lowered.
    pub in_use: u32,
    /// Calls that wait for a place.
    pub waiting: u32,
    /// Calls that may wait.
    pub queue: u32,
}

/// Sets how many calls to a peer may be in flight at once, and how many may wait.
///
/// ```
/// use meshwise_resilience::{AdaptiveConfig, BulkheadConfig};
/// use std::time::Duration;
/// let config = BulkheadConfig::new()
///     .with_adaptive_limit(AdaptiveConfig::gradient2())
///     .with_queue(10, Duration::from_millis(100));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct BulkheadConfig(pub(crate) BulkheadSettings);

setters! { BulkheadConfig.0 = Self(config::DEFAULTS.peer.bulkhead.clone()); {
    /// Lets so many calls be in flight. Default: 100.
    with_limit(calls: u32) => limit = calls, adaptive.enabled = false;
    /// Lets `calls` wait for a place, `max_wait` at most. Default: 50, 250 ms.
    with_queue(calls: u32, max_wait: Duration) => queue = calls, max_wait = max_wait;
    /// Refuses at once when there is no place.
    without_queue() => queue = 0_u32;
    /// Finds the limit by the time that calls take.
    with_adaptive_limit(adaptive: AdaptiveConfig) => [adaptive];
} }

impl BulkheadConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(adaptive) = self.adaptive() {
            adaptive.check()?;
        }
        config::check("bulkhead", self.0.wrong())?;
        let least = Duration::from_millis(u64::from(self.0.queue.or_none() > 0));
        ConfigError::check_duration("bulkhead.max_wait", self.0.max_wait.or_none(), least)
    }

    fn adaptive(&self) -> Option<AdaptiveConfig> {
        self.0.adaptive.enabled.or_none().then(|| AdaptiveConfig(self.0.adaptive.clone()))
    }

    fn first_limit(&self) -> u32 {
        let said = &self.0;
        if said.adaptive.enabled.or_none() { &said.adaptive.initial } else { &said.limit }.or_none()
    }
}

pub struct Bulkhead {
    pub(crate) permits: Permits,
    sampler: Sampler,
    max_wait: AtomicU64,
    config: Mutex<BulkheadConfig>,
    in_use: Gauge,
    refusals: Refusals,
}

/// A permit that is out. Its holder releases it by [`Bulkhead::end`].
#[derive(Debug)]
#[must_use]
pub struct Permit(Began);

impl Permit {
    #[inline]
    pub(crate) fn is_measured(&self) -> bool {
        self.0 != Began::default()
    }

    /// The call begins later by what it waited on this side.
    pub(crate) fn delay(&mut self, nanos: u64) {
        self.0 = self.0.delayed(nanos);
    }
}

/// The least that a refused call is told to wait: a place is free as soon as any call ends.
const LEAST_HINT: Duration = Duration::from_millis(100);

impl Bulkhead {
    pub(crate) fn new(peer: &Arc<str>, config: BulkheadConfig) -> Result<Arc<Self>, ConfigError> {
        Self::refusing(peer, config, Rule::BulkheadFull)
    }

    pub(crate) fn refusing(
        peer: &Arc<str>,
        config: BulkheadConfig,
        rule: Rule,
    ) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let in_use = gauge!(names::BULKHEAD_IN_USE, names::PEER => Arc::clone(peer));
        in_use.set(0.0);
        let bulkhead = Self {
            permits: Permits::new(config.first_limit(), config.0.queue.or_none()),
            sampler: Sampler::default(),
            max_wait: AtomicU64::new(0),
            config: Mutex::new(config.clone()),
            in_use,
            refusals: Refusals::new(peer, rule),
        };
        bulkhead.set_config(config);
        Ok(Arc::new(bulkhead))
    }

    pub(crate) fn config(&self) -> BulkheadConfig {
        lock(&self.config).clone()
    }

    pub(crate) fn snapshot(&self) -> BulkheadSnapshot {
        let (usage, config) = (self.permits.usage(), self.config());
        BulkheadSnapshot {
            limit: self.permits.limit(),
            adaptive: config.adaptive().is_some(),
            in_use: usage.in_use,
            waiting: usage.waiting,
            queue: config.0.queue.or_none(),
        }
    }

    pub(crate) fn set_config(&self, config: BulkheadConfig) {
        let mut now = lock(&self.config);
        self.max_wait.store(to_nanos(config.0.max_wait.or_none()), Ordering::Relaxed);
        self.permits.set_most_waiting(config.0.queue.or_none());
        let (adaptive, limit) = (config.adaptive(), config.first_limit());
        let same = self.sampler.active()
            && adaptive.is_some()
            && now.0.adaptive.difference(&config.0.adaptive).is_none();
        // A limit that is being found goes on if nothing of how it is found has changed.
        if !same {
            let apply = || self.permits.set_limit(limit);
            let seed = meshwise_core::internal::random::u64();
            self.sampler.set(adaptive.as_ref(), clock::coarse(), seed, apply);
        }
        *now = config;
    }

    pub(crate) fn max_wait(&self) -> u64 {
        self.max_wait.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Permit> {
        self.permits.try_take().then(|| self.permit())
    }

    /// Returns the permit of a place in the queue, if it has come.
    pub(crate) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Option<Permit> {
        self.permits.poll(number, cx).is_ready().then(|| self.permit())
    }

    /// Leaves the queue; returns the permit if it came in the meantime.
    pub(crate) fn leave(&self, number: u64) -> Option<Permit> {
        self.permits.leave(number).then(|| self.permit())
    }

    #[inline]
    pub(crate) fn permit(&self) -> Permit {
        self.show();
        let measured = self.sampler.active().then(|| self.sampler.wants(clock::exact));
        Permit(measured.unwrap_or_default())
    }

    pub(crate) fn refuse(&self) -> Refused {
        self.refusals.refuse(Some(Duration::from_nanos(self.max_wait()).max(LEAST_HINT)))
    }

    /// Shows how many permits are out. The last to show has looked at every change before.
    #[inline]
    fn show(&self) {
        if !self.is_shown() {
            self.show_again();
        }
    }

    #[inline]
    fn is_shown(&self) -> bool {
        let out = self.permits.usage().in_use;
        self.in_use.set(f64::from(out));
        self.permits.usage().in_use == out
    }

    // Out of line: in a loop it would take room in each call.
    #[inline(never)]
    fn show_again(&self) {
        while !self.is_shown() {}
    }

    /// Takes a permit back, and notes how its call ended.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "a permit is released once")]
    pub(crate) fn end(&self, permit: Permit, end: &CallEnd, side: Side) {
        if self.sampler.active() {
            self.sample(permit.0, end, side);
        }
        self.permits.release();
        self.show();
    }

    #[inline(never)]
    fn sample(&self, began: Began, end: &CallEnd, side: Side) {
        let answered = match side {
            Side::Client => end.health() == Health::Well,
            // What a server answers on account of its own dependencies says nothing of its load.
            Side::Server => !end.outcome.is_failure() && end.error_type().is_none(),
        };
        let in_flight = self.permits.usage().in_use;
        match (end.overload, answered) {
            (true, _) => self.sampler.drops(in_flight),
            (_, true) => self.sampler.well(began, clock::exact, in_flight),
            _ => {}
        }
        self.sampler.tick(clock::coarse(), |limit| self.permits.set_limit(limit));
    }
}

debug!("Bulkhead", [] Bulkhead, bulkhead: "peer" = bulkhead.refusals.peer);

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
#[path = "bulkhead/loom.rs"]
mod loom_models;
