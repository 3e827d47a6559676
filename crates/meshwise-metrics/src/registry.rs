//! Which families and series there are, whatever keeps their numbers.
//!
//! Here names become valid, clashes are refused, and label sets are bounded, so that every backend
//! shows the same and a scrape is never broken by what a program calls its metrics.

mod family;
mod known;
pub(crate) mod name;
mod refused;
mod series;
mod storage;

pub(crate) use family::{Family, Series};
pub use refused::RefusedMetric;
#[cfg(test)]
pub(crate) use series::Labels;
pub(crate) use storage::{Limits, MAX_LABEL_SETS, Pairs, Storage};

use crate::kind::Kind;
use family::Description;
use known::Known;
use meshwise_core::internal::LossCounters;
use metrics::{KeyName, SharedString, Unit};
use refused::{Refused, Why};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Instant,
};

/// How many metric names are told apart, apart from those that are described (no more than that
/// many). Names are written in code; only a program that makes them up as it goes comes near.
const MAX_FAMILIES: usize = 2000;

/// Knows all families and their series.
pub(crate) struct Registry<S: Storage> {
    pub(crate) storage: S,
    losses: Arc<LossCounters>,
    limits: Limits,
    known: Known<S::Cell>,
    families: RwLock<Families<S::Cell>>,
}

struct Families<C> {
    by_name: BTreeMap<Arc<str>, Arc<Family<C>>>,
    /// Which family writes samples of a name.
    claims: HashMap<String, Arc<str>>,
    /// What was said about families, by kind and name; some are described before they exist.
    descriptions: HashMap<(Kind, String), Description>,
    refused: Refused,
}

impl<S: Storage> Registry<S> {
    pub(crate) fn new(storage: S, losses: Arc<LossCounters>, limits: Limits) -> Self {
        let families = Families {
            by_name: BTreeMap::new(),
            claims: HashMap::new(),
            descriptions: HashMap::new(),
            refused: Refused::default(),
        };
        Self { storage, losses, limits, known: Known::new(), families: RwLock::new(families) }
    }

    pub(crate) fn losses(&self) -> &Arc<LossCounters> {
        &self.losses
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, help: SharedString) {
        let Some(name) = name::metric(kind, name.as_str()) else { return };
        let mut families = self.write();
        let room = families.descriptions.len() < MAX_FAMILIES;
        let key = (kind, name);
        // The first description stays.
        if room && !families.descriptions.contains_key(&key) {
            let description = Description { help: help.into_owned(), unit };
            if let Some(family) = families.by_name.get(&*key.1)
                && family.kind == kind
            {
                let _ = family.description.set(description.clone());
            }
            families.descriptions.insert(key, description);
        }
    }

    /// Finds or begins a family; `None` if it is refused.
    fn family(&self, kind: Kind, raw: &str, microseconds: bool) -> Option<Arc<Family<S::Cell>>> {
        let name = name::metric(kind, raw);
        let same =
            |family: &Family<S::Cell>| family.kind == kind && family.microseconds == microseconds;
        if let Some(name) = &name
            && let Some(family) = self.read().by_name.get(&**name)
            && same(family)
        {
            return Some(Arc::clone(family));
        }
        let mut families = self.write();
        let Some(name) = name else {
            families.refused.add(raw, kind, Why::TooLong);
            return None;
        };
        if let Some(family) = families.by_name.get(&*name)
            && same(family)
        {
            return Some(Arc::clone(family));
        }
        if let Some(taken) = families.taken(kind, &name) {
            families.refused.add(raw, kind, Why::Clash { with: taken });
            return None;
        }
        // What was described has its place: it is known to be written in code.
        let described = families.descriptions.contains_key(&(kind, name.clone()));
        if families.by_name.len() >= MAX_FAMILIES && !described {
            families.refused.add(raw, kind, Why::TooMany);
            return None;
        }
        Some(families.add(Family::new(name, kind, microseconds, &self.limits.buckets)))
    }

    /// Lists all families by name.
    pub(crate) fn families(&self) -> Vec<Arc<Family<S::Cell>>> {
        self.read().by_name.values().cloned().collect()
    }

    /// Lists all families by name; with each, whether `OpenMetrics` may be told its type.
    ///
    /// A type keeps names for itself that other families may have in the Prometheus text format:
    /// the counter `orders_total` keeps `orders` and `orders_created`. Two families that want one
    /// name make a page that strict readers refuse as a whole, so one of them gets no type.
    /// Histograms choose first: they lose most without theirs.
    pub(crate) fn typed_families(&self) -> Vec<(Arc<Family<S::Cell>>, bool)> {
        let families = self.read();
        let mut kept = HashSet::new();
        let mut types = |kind: Kind| -> HashSet<&str> {
            let of_kind = families.by_name.values().filter(|family| family.kind == kind);
            let typed = of_kind.filter(|family| {
                let reserved = name::reserved(kind, &family.name);
                let free = reserved.filter(|names| {
                    names.iter().all(|n| !families.claims.contains_key(n) && !kept.contains(n))
                });
                free.is_some_and(|names| {
                    kept.extend(names);
                    true
                })
            });
            typed.map(|family| &*family.name).collect()
        };
        let typed = [types(Kind::Histogram), types(Kind::Counter), types(Kind::Gauge)];
        let is_typed = |family: &Family<S::Cell>| typed.iter().any(|t| t.contains(&*family.name));
        families.by_name.values().map(|family| (Arc::clone(family), is_typed(family))).collect()
    }

    /// Lists metrics that were refused: at most 100 names.
    pub(crate) fn refused_metrics(&self) -> Vec<RefusedMetric> {
        self.read().refused.list()
    }

    /// Hides series without a write for the idle timeout, and forgets those without a handle.
    pub(crate) fn sweep(&self, now: Instant) {
        let Some(timeout) = self.limits.idle_timeout else { return };
        let families: Vec<_> = self.read().by_name.values().cloned().collect();
        let mut any_idle = false;
        for family in &families {
            any_idle |= family.sweep(&self.storage, now, timeout);
        }
        if any_idle {
            self.known.forget_idle();
            for family in &families {
                family.reap(&self.storage);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Families<S::Cell>> {
        self.families.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Families<S::Cell>> {
        self.families.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Families<C> {
    /// Names the family, if any, that already writes samples this one would write.
    fn taken(&self, kind: Kind, name: &str) -> Option<Arc<str>> {
        name::samples(kind, name).find_map(|sample| self.claims.get(&sample).cloned())
    }

    fn add(&mut self, family: Family<C>) -> Arc<Family<C>> {
        let key = (family.kind, family.name.as_ref().to_owned());
        if let Some(description) = self.descriptions.get(&key) {
            let _ = family.description.set(description.clone());
        }
        for sample in name::samples(family.kind, &family.name) {
            self.claims.insert(sample, Arc::clone(&family.name));
        }
        let family = Arc::new(family);
        self.by_name.insert(Arc::clone(&family.name), Arc::clone(&family));
        family
    }
}

impl<S: Storage> fmt::Debug for Registry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("storage", &self.storage)
            .field("families", &self.read().by_name.len())
            .field("refused", &self.refused_metrics())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
