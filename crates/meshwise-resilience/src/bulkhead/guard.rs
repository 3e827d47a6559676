//! The bulkhead that layers, services and handles share; its tickets and those who wait for them.

use super::{
    config::{BulkheadConfig, BulkheadLimit},
    permits::{Permits, Place},
};
use crate::{
    Ticket,
    adaptive::{Began, Sampler, Took},
    clock::{self, nanos, to_nanos},
    count::Rejected,
    names,
    spare::{self, Spare},
    timeout::{not_the_neighbour, timed_out},
};
use meshwise_core::{
    ErrorType, Outcome,
    outcome::{Refused, Rule},
};
use metrics::{Gauge, gauge};
use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

pub(crate) struct Guard {
    pub(crate) peer: Arc<str>,
    pub(crate) permits: Permits,
    sampler: Sampler,
    max_wait: AtomicU64,
    config: Mutex<BulkheadConfig>,
    in_use: Gauge,
    rejected: Rejected,
}

thread_local! {
    static SPARE: Spare<Guard> = const { Cell::new(None) };
}

/// The least that a refused call is told to wait: a place is free as soon as any call ends.
const LEAST_HINT: Duration = Duration::from_millis(100);

impl Guard {
    /// Builds it from settings that have been checked.
    pub(crate) fn new(peer: Arc<str>, config: BulkheadConfig, rule: Rule) -> Self {
        let in_use = gauge!(names::BULKHEAD_IN_USE, names::PEER => Arc::clone(&peer));
        in_use.set(0.0);
        let guard = Self {
            permits: Permits::new(config.first_limit(), config.queue),
            sampler: Sampler::new(),
            max_wait: AtomicU64::new(0),
            config: Mutex::new(config.clone()),
            in_use,
            rejected: Rejected::new(&peer, rule),
            peer,
        };
        guard.set_config(config);
        guard
    }

    pub(crate) fn config(&self) -> BulkheadConfig {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes settings that have been checked.
    pub(crate) fn set_config(&self, config: BulkheadConfig) {
        let mut now = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        self.max_wait.store(to_nanos(config.max_wait), Ordering::Relaxed);
        self.permits.set_most_waiting(config.queue);
        let adaptive = match &config.limit {
            BulkheadLimit::Fixed(_) => None,
            BulkheadLimit::Adaptive(adaptive) => Some(adaptive),
        };
        // A limit that is being found goes on if nothing of how it is found has changed.
        if now.limit != config.limit || self.sampler.active() != adaptive.is_some() {
            self.sampler.set(adaptive, clock::coarse(), || {
                self.permits.set_limit(config.first_limit());
            });
        }
        *now = config;
    }

    /// Takes a permit, if one is free and nobody waits.
    #[inline]
    pub(crate) fn take(self: &Arc<Self>) -> Option<BulkheadTicket> {
        let out = self.permits.try_take()?;
        self.show(out);
        Some(self.ticket())
    }

    /// Takes a permit, or a place in the queue and the longest time to wait there.
    #[cold]
    pub(super) fn take_or_wait(
        self: &Arc<Self>,
    ) -> Result<Result<BulkheadTicket, (Waiter, Duration)>, Refused> {
        match self.permits.take_or_queue() {
            Place::Permit => Ok(Ok(self.late_ticket())),
            Place::Full => Err(self.refuse()),
            Place::Queued(number) => {
                let most = nanos(self.max_wait.load(Ordering::Relaxed));
                Ok(Err((Waiter { guard: Arc::clone(self), number: Some(number) }, most)))
            }
        }
    }

    /// Makes the ticket of a permit that has been taken.
    #[inline]
    fn ticket(self: &Arc<Self>) -> BulkheadTicket {
        let began = if self.sampler.active() { self.sample_begins() } else { Began::default() };
        BulkheadTicket { guard: Some(spare::take(&SPARE, self)), began }
    }

    /// Makes the ticket of a permit that was not taken at once.
    fn late_ticket(self: &Arc<Self>) -> BulkheadTicket {
        self.show(self.permits.usage().in_use);
        self.ticket()
    }

    #[inline(never)]
    fn sample_begins(&self) -> Began {
        self.sampler.wants(clock::exact)
    }

    pub(crate) fn refuse(&self) -> Refused {
        let max_wait = nanos(self.max_wait.load(Ordering::Relaxed));
        self.rejected.refuse(&self.peer, Some(max_wait.max(LEAST_HINT)))
    }

    /// Shows how many permits are out. Whoever shows last has looked after everybody's change.
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

    /// Gives a permit back.
    #[inline]
    fn give_back(&self, began: Began, outcome: Option<Outcome>) {
        if self.sampler.active() {
            self.sample(began, outcome);
        }
        let out = self.permits.give_back();
        self.show(out.unwrap_or_else(|| self.permits.usage().in_use));
    }

    #[inline(never)]
    fn sample(&self, began: Began, outcome: Option<Outcome>) {
        let took = match outcome {
            Some(Outcome::Success) => began.took(clock::exact),
            Some(Outcome::Failure(error)) if tells_overload(error) => Some(Took::Dropped),
            _ => None,
        };
        if let Some(took) = took {
            self.sampler.add(took, self.permits.usage().in_use);
        }
        self.sampler.tick(clock::coarse(), |limit| self.permits.set_limit(limit));
    }
}

/// Tells whether a failure means that there is too much to do, rather than something broken.
fn tells_overload(error: ErrorType) -> bool {
    matches!(
        error.as_str(),
        "timeout"
            | "429"
            | "503"
            | "504"
            | "RESOURCE_EXHAUSTED"
            | "UNAVAILABLE"
            | "DEADLINE_EXCEEDED"
    )
}

/// Holds a permit for a call until its end; in a response's body it goes on until that ends.
pub struct BulkheadTicket {
    guard: Option<Arc<Guard>>,
    began: Began,
}

impl BulkheadTicket {
    /// Leaves one behind that has ended.
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        Self { guard: self.guard.take(), began: self.began }
    }

    #[inline]
    fn end(&mut self, outcome: Option<Outcome>) {
        if let Some(guard) = self.guard.take() {
            guard.give_back(self.began, outcome);
            spare::keep(&SPARE, guard);
        }
    }

    #[cold]
    fn abandon(&mut self) {
        // A timeout further out ends the call of a neighbour that hangs by dropping it.
        let timed_out = self.guard.as_ref().is_some_and(|guard| timed_out(&guard.peer));
        self.end(timed_out.then_some(Outcome::Failure(ErrorType::TIMEOUT)));
    }
}

impl Ticket for BulkheadTicket {
    #[inline]
    fn finish(mut self, outcome: Outcome) {
        self.end(Some(outcome));
    }
}

impl Drop for BulkheadTicket {
    #[inline]
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.abandon();
        }
    }
}

impl fmt::Debug for BulkheadTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadTicket")
            .field("ended", &self.guard.is_none())
            .finish_non_exhaustive()
    }
}

/// A place in the queue, left when it is dropped.
pub(super) struct Waiter {
    guard: Arc<Guard>,
    /// Until the permit is there.
    number: Option<u64>,
}

impl Waiter {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BulkheadTicket> {
        if let Some(number) = self.number {
            ready!(self.guard.permits.poll(number, cx));
            self.number = None;
        }
        Poll::Ready(self.guard.late_ticket())
    }

    /// Leaves the queue, or takes the permit that came just now.
    pub(super) fn give_up(&mut self) -> Result<BulkheadTicket, Refused> {
        match self.number.take() {
            Some(number) if !self.guard.permits.leave(number) => Err(self.guard.refuse()),
            _ => Ok(self.guard.late_ticket()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            // Should a timeout further out have run down, it did so here.
            not_the_neighbour();
            if self.guard.permits.leave(number) {
                self.guard.give_back(Began::default(), None);
            }
        }
    }
}
