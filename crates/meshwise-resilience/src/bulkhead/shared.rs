//! The bulkhead that layers, gates and handles share.

use super::{
    config::BulkheadConfig,
    permits::{self, Permits},
};
use crate::{
    adaptive::{Began, Elapsed, Sampler},
    clock::{self, nanos, to_nanos},
    config_error::ConfigError,
    count::Refusals,
    debug::debug,
    names,
};
use meshwise_core::{
    CallEnd, Refused,
    outcome::{Health, Rule, Side},
};
use metrics::{Gauge, gauge};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

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
pub(crate) struct Permit {
    /// When its call began, if it is measured.
    began: Began,
}

impl Permit {
    /// Tells whether the call's time is looked at.
    #[inline]
    pub(crate) fn is_measured(&self) -> bool {
        self.began != Began::default()
    }

    /// The call begins later by what it waited on this side.
    pub(crate) fn delay(&mut self, nanos: u64) {
        self.began = self.began.delayed(nanos);
    }
}

/// What one gets who asks for a permit and is willing to wait.
#[derive(Debug)]
pub(crate) enum Place {
    Permit(Permit),
    /// A number in the queue.
    Queued(u64),
    Full,
}

/// The least that a refused call is told to wait: a place is free as soon as any call ends.
const LEAST_HINT: Duration = Duration::from_millis(100);

impl Bulkhead {
    pub(crate) fn new(
        peer: &Arc<str>,
        config: BulkheadConfig,
        rule: Rule,
    ) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let in_use = gauge!(names::BULKHEAD_IN_USE, names::PEER => Arc::clone(peer));
        in_use.set(0.0);
        let bulkhead = Self {
            permits: Permits::new(config.first_limit(), config.0.queue.or_none()),
            sampler: Sampler::new(),
            max_wait: AtomicU64::new(0),
            config: Mutex::new(config.clone()),
            in_use,
            refusals: Refusals::new(peer, rule),
        };
        bulkhead.set_config(config);
        Ok(Arc::new(bulkhead))
    }

    pub(crate) fn config(&self) -> BulkheadConfig {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes settings that have been checked.
    pub(crate) fn set_config(&self, config: BulkheadConfig) {
        let mut now = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        self.max_wait.store(to_nanos(config.0.max_wait.or_none()), Ordering::Relaxed);
        self.permits.set_most_waiting(config.0.queue.or_none());
        let (adaptive, limit) = (config.adaptive(), config.first_limit());
        let same = self.sampler.active() == adaptive.is_some()
            && match &adaptive {
                Some(_) => now.0.adaptive.difference(&config.0.adaptive).is_none(),
                None => now.0.limit.get() == config.0.limit.get(),
            };
        // A limit that is being found goes on if nothing of how it is found has changed.
        if !same {
            let apply = || self.permits.set_limit(limit);
            self.sampler.set(adaptive.as_ref(), clock::coarse(), apply);
        }
        *now = config;
    }

    /// Nanoseconds.
    pub(crate) fn max_wait(&self) -> u64 {
        self.max_wait.load(Ordering::Relaxed)
    }

    /// Takes a permit, if one is free and no call waits.
    #[inline]
    pub(crate) fn take(&self) -> Option<Permit> {
        let out = self.permits.try_take()?;
        self.show(out);
        Some(self.permit())
    }

    /// Takes a permit, or a place in the queue.
    #[cold]
    pub(crate) fn take_or_queue(&self) -> Place {
        match self.permits.take_or_queue() {
            permits::Place::Permit => Place::Permit(self.late_permit()),
            permits::Place::Queued(number) => Place::Queued(number),
            permits::Place::Full => Place::Full,
        }
    }

    /// Returns the permit of a place in the queue, if it has come.
    pub(crate) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Option<Permit> {
        match self.permits.poll(number, cx) {
            Poll::Ready(()) => Some(self.late_permit()),
            Poll::Pending => None,
        }
    }

    /// Leaves the queue; returns the permit if it came in the meantime.
    pub(crate) fn leave(&self, number: u64) -> Option<Permit> {
        self.permits.leave(number).then(|| self.late_permit())
    }

    #[inline]
    fn permit(&self) -> Permit {
        Permit {
            began: if self.sampler.active() { self.sample_begins() } else { Began::default() },
        }
    }

    /// Makes the permit of one that was not free at once.
    fn late_permit(&self) -> Permit {
        self.show(self.permits.usage().in_use);
        self.permit()
    }

    #[inline(never)]
    fn sample_begins(&self) -> Began {
        self.sampler.wants(clock::exact)
    }

    #[cold]
    pub(crate) fn refuse(&self) -> Refused {
        self.refusals.refuse(Some(nanos(self.max_wait()).max(LEAST_HINT)))
    }

    /// Shows how many permits are out. The last to show has looked at every change before.
    #[inline]
    fn show(&self, out: u32) {
        self.in_use.set(f64::from(out));
        if self.permits.usage().in_use != out {
            self.show_again();
        }
    }

    #[cold]
    fn show_again(&self) {
        loop {
            let shown = self.permits.usage().in_use;
            self.in_use.set(f64::from(shown));
            if self.permits.usage().in_use == shown {
                return;
            }
        }
    }

    /// Takes a permit back, and notes how its call ended.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "a permit is released once")]
    pub(crate) fn end(&self, permit: Permit, end: &CallEnd, side: Side) {
        let Permit { began } = permit;
        if self.sampler.active() {
            self.sample(began, end, side);
        }
        let out = self.permits.release();
        self.show(out.unwrap_or_else(|| self.permits.usage().in_use));
    }

    #[inline(never)]
    fn sample(&self, began: Began, end: &CallEnd, side: Side) {
        let answered = match side {
            Side::Client => end.health() == Health::Well,
            // What a server answers on account of its own dependencies says nothing of its load.
            Side::Server => !end.outcome.is_failure() && end.error_type().is_none(),
        };
        let elapsed = match (end.overload, answered) {
            (true, _) => Some(Elapsed::Dropped),
            (_, true) => began.elapsed(clock::exact),
            _ => None,
        };
        if let Some(elapsed) = elapsed {
            self.sampler.add(elapsed, self.permits.usage().in_use);
        }
        self.sampler.tick(clock::coarse(), |limit| self.permits.set_limit(limit));
    }
}

debug!("Bulkhead", [] Bulkhead, bulkhead: "peer" = bulkhead.refusals.peer);
