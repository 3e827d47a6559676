//! The services that were heard of.

use super::{
    red::Red,
    ring::Ring,
    segment::{LogRow, SpanRow},
    series::Series,
};
use foldhash::fast::FixedState;
use std::{collections::HashMap, sync::Arc};

/// So many services are told apart; the others share the last place, [`OTHERS`].
pub(crate) const SERVICES: usize = 500;
/// What services past the limit are called.
pub(crate) const OTHERS: &str = "_other";
/// How long a service is silent before another may take its place, in milliseconds.
const SILENT: u64 = 60_000;
/// So many operations of one service are told apart.
const OPERATIONS: usize = 100;
/// So many operations of all services are told apart.
const OPERATIONS_IN_ALL: usize = 2000;

/// Holds what one service sent.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) spans: Ring<SpanRow>,
    pub(crate) logs: Ring<LogRow>,
    pub(crate) series: Series,
    /// Calls that were served.
    pub(crate) red: Red,
    pub(crate) operations: HashMap<Box<str>, Red, FixedState>,
    /// When it was first and last heard of, in milliseconds of Unix time.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How far its clock is ahead of the console's, in milliseconds, as the last span showed.
    pub(crate) ahead: i64,
    /// What the resource says of itself: version and instance.
    pub(crate) version: Option<String>,
}

impl Service {
    fn new(name: Arc<str>, now: u64) -> Self {
        Self {
            name,
            spans: Ring::default(),
            logs: Ring::default(),
            series: Series::default(),
            red: Red::default(),
            operations: HashMap::default(),
            first: now,
            last: now,
            ahead: 0,
            version: None,
        }
    }

    /// Returns the memory of spans and log records, in bytes.
    pub(crate) fn rings(&self) -> usize {
        self.spans.memory() + self.logs.memory()
    }

    /// Returns all memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let operations: usize = self.operations.values().map(|red| red.memory() + 48).sum();
        self.rings() + self.series.memory() + operations + size_of::<Self>()
    }
}

/// Finds services by name.
#[derive(Debug, Default)]
pub(crate) struct Services {
    all: Vec<Service>,
    by_name: HashMap<Arc<str>, u16, FixedState>,
    operations: usize,
    /// What came from services past the limit.
    pub(crate) refused: u64,
    /// Services whose place was taken by others.
    pub(crate) replaced: u64,
}

impl Services {
    /// Returns the place of a service if it was heard of.
    pub(crate) fn find(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, place: u16) -> Option<&Service> {
        self.all.get(usize::from(place))
    }

    pub(crate) fn get_mut(&mut self, place: u16) -> Option<&mut Service> {
        self.all.get_mut(usize::from(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Service)> {
        (0..).zip(&self.all)
    }

    /// Returns the place of a service, which is added if it is new and there is room for it.
    pub(crate) fn enter(&mut self, now: u64, name: &str) -> Entered {
        if let Some(&place) = self.by_name.get(name) {
            return Entered::Known(place);
        }
        if self.all.len() + 1 < SERVICES {
            return Entered::Known(self.add(now, name));
        }
        let silent = (0..).zip(&self.all).filter(|(_, service)| &*service.name != OTHERS);
        if let Some((place, service)) = silent.min_by_key(|(_, service)| service.last)
            && now.saturating_sub(service.last) >= SILENT
        {
            return Entered::Replaces(place);
        }
        self.refused += 1;
        match self.by_name.get(OTHERS) {
            Some(&place) => Entered::Known(place),
            None => Entered::Known(self.add(now, OTHERS)),
        }
    }

    fn add(&mut self, now: u64, name: &str) -> u16 {
        let name: Arc<str> = Arc::from(name);
        let place = u16::try_from(self.all.len()).unwrap_or(u16::MAX);
        self.by_name.insert(Arc::clone(&name), place);
        self.all.push(Service::new(name, now));
        place
    }

    /// Gives the place of a service, whose segments were evicted, to another.
    pub(crate) fn replace(&mut self, now: u64, place: u16, name: &str) {
        let Some(service) = self.all.get_mut(usize::from(place)) else { return };
        self.replaced += 1;
        self.operations -= service.operations.len();
        self.by_name.remove(&service.name);
        let name: Arc<str> = Arc::from(name);
        self.by_name.insert(Arc::clone(&name), place);
        // The rings stay: their segments' numbers go on, so that no old place is taken for a new one.
        service.name = name;
        service.series = Series::default();
        service.red = Red::default();
        service.operations = HashMap::default();
        (service.first, service.last, service.ahead, service.version) = (now, now, 0, None);
    }

    /// Returns the figures of an operation; none if there are too many.
    pub(crate) fn operation(&mut self, place: u16, name: &str) -> Option<&mut Red> {
        let in_all = self.operations;
        let service = self.all.get_mut(usize::from(place))?;
        if !service.operations.contains_key(name) {
            if service.operations.len() >= OPERATIONS || in_all >= OPERATIONS_IN_ALL {
                return None;
            }
            self.operations += 1;
            service.operations.insert(Box::from(name), Red::default());
        }
        service.operations.get_mut(name)
    }
}

/// Says where a service's data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    Known(u16),
    /// It takes the place of one that is silent, whose data must go first.
    Replaces(u16),
}
