//! One metric: its name, what it is, and its series.

use super::Storage;
use crate::{
    buckets::{Bounds, Buckets},
    kind::Kind,
};
use metrics::{Counter, Unit};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

/// Holds one metric and its series, whose cells are `C`.
pub(crate) struct Family<C> {
    /// The name of its samples: for a counter with `_total`, for a histogram without suffix.
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// Whether it is a counter of microseconds that is shown in seconds.
    pub(crate) microseconds: bool,
    pub(crate) description: OnceLock<Description>,
    /// Where a histogram's buckets end.
    pub(crate) bounds: Arc<Bounds>,
    /// The schema that a histogram's native buckets begin with, if it has any.
    pub(crate) native: Option<i8>,
    pub(super) overflow_counter: OnceLock<Counter>,
    series: Mutex<BTreeMap<Box<str>, SeriesEntry<C>>>,
    /// The series of all label sets beyond the bound.
    pub(super) overflow: OnceLock<Arc<Series<C>>>,
}

/// Says what a family means.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) help: String,
    pub(crate) unit: Option<Unit>,
}

/// Holds one label set of a family.
pub(crate) struct Series<C> {
    /// The labels as they are written, without braces.
    pub(crate) labels: Box<str>,
    /// Since when it counts.
    #[cfg_attr(not(feature = "_otlp"), expect(dead_code, reason = "only OTLP tells"))]
    pub(crate) since: SystemTime,
    pub(crate) cell: C,
    /// It was not written to for a while; it is not shown.
    pub(super) idle: AtomicBool,
    /// How many keys are known to lead here.
    pub(super) aliases: AtomicU32,
}

impl<C> Series<C> {
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Relaxed)
    }
}

/// A series, as its family lists it.
pub(super) struct SeriesEntry<C> {
    pub(super) series: Arc<Series<C>>,
    /// Since when it was not written to, as far as sweeps have seen.
    pub(super) quiet_since: Option<Instant>,
}

impl<C: Send + Sync + 'static> Family<C> {
    pub(super) fn new(name: String, kind: Kind, microseconds: bool, buckets: &Buckets) -> Self {
        let is_histogram = kind == Kind::Histogram;
        Self {
            bounds: if is_histogram { buckets.of(&name) } else { Arc::default() },
            native: if is_histogram { buckets.native(&name) } else { None },
            name: name.into(),
            kind,
            microseconds,
            description: OnceLock::new(),
            overflow_counter: OnceLock::new(),
            series: Mutex::default(),
            overflow: OnceLock::new(),
        }
    }

    /// Lists what is to be shown, sorted by labels, the series of all others last.
    pub(crate) fn shown(&self) -> Vec<Arc<Series<C>>> {
        let all = self.lock();
        let own = all.values().map(|entry| &entry.series).filter(|series| !series.is_idle());
        own.chain(self.overflow.get()).cloned().collect()
    }

    /// Marks what was not written to for `timeout`; tells whether anything is marked.
    pub(super) fn sweep<S: Storage<Cell = C>>(
        &self,
        storage: &S,
        now: Instant,
        timeout: Duration,
    ) -> bool {
        let mut any_idle = false;
        for entry in self.lock().values_mut() {
            let idle = if storage.touched(&entry.series.cell) {
                entry.quiet_since = None;
                false
            } else {
                let since = *entry.quiet_since.get_or_insert(now);
                now.saturating_duration_since(since) >= timeout
            };
            entry.series.idle.store(idle, Relaxed);
            any_idle |= idle;
        }
        any_idle
    }

    /// Forgets what is marked and has no handle.
    pub(super) fn reap<S: Storage<Cell = C>>(&self, storage: &S) {
        self.lock().retain(|_, entry| {
            let series = &entry.series;
            if !series.is_idle() || storage.held(&series.cell) {
                return true;
            }
            // The last holder may have written since the sweep.
            let touched = storage.touched(&series.cell);
            if touched {
                series.idle.store(false, Relaxed);
                entry.quiet_since = None;
            }
            touched
        });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, SeriesEntry<C>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
