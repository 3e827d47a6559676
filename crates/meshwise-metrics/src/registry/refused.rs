//! Metrics that are not taken.

use crate::kind::{Handle, Kind};
use meshwise_core::{DropReason, internal::LossCounters};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// How many names are remembered, to be shown.
const MAX_REMEMBERED: usize = 100;
/// How much of a name is remembered, in characters.
const MAX_NAME: usize = 200;

/// Names a metric that was not taken, and says why.
///
/// Displays as a line for people, with what to do.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedMetric {
    name: String,
    kind: Kind,
    why: Why,
}

impl RefusedMetric {
    /// Returns the name as the program has it (cut to 200 characters).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RefusedMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} `{}` is not recorded: ", self.kind.as_str(), self.name)?;
        match &self.why {
            Why::Clash { with } => {
                write!(f, "its samples would mix with those of `{with}`; rename one of them")
            }
            Why::TooMany => f.write_str(
                "there are too many metric names; put what varies into a label, not the name",
            ),
            Why::TooLong => f.write_str("the name is too long"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Clash { with: Arc<str> },
    TooMany,
    TooLong,
}

/// Remembers what was refused.
#[derive(Debug, Default)]
pub(super) struct Refused(BTreeMap<(Kind, String), Why>);

impl Refused {
    pub(super) fn add(&mut self, raw: &str, kind: Kind, why: Why) {
        if self.0.len() < MAX_REMEMBERED {
            self.0.insert((kind, raw.chars().take(MAX_NAME).collect()), why);
        }
    }

    pub(super) fn list(&self) -> Vec<RefusedMetric> {
        let refused = self.0.iter();
        refused
            .map(|((kind, name), why)| RefusedMetric {
                name: name.clone(),
                kind: *kind,
                why: why.clone(),
            })
            .collect()
    }

    /// Makes a handle that counts what is written to it as lost.
    pub(super) fn handle(kind: Kind, losses: &Arc<LossCounters>) -> Handle {
        let lost = Arc::new(Lost(Arc::clone(losses)));
        match kind {
            Kind::Counter => Handle::Counter(Counter::from_arc(lost)),
            Kind::Gauge => Handle::Gauge(Gauge::from_arc(lost)),
            Kind::Histogram => Handle::Histogram(Histogram::from_arc(lost)),
        }
    }
}

/// Counts what is written to it as lost.
struct Lost(Arc<LossCounters>);

impl Lost {
    fn count(&self) {
        self.0.dropped(DropReason::Refused, 1);
    }
}

impl CounterFn for Lost {
    fn increment(&self, _: u64) {
        self.count();
    }

    fn absolute(&self, _: u64) {
        self.count();
    }
}

impl GaugeFn for Lost {
    fn increment(&self, _: f64) {
        self.count();
    }

    fn decrement(&self, _: f64) {
        self.count();
    }

    fn set(&self, _: f64) {
        self.count();
    }
}

impl HistogramFn for Lost {
    fn record(&self, _: f64) {
        self.count();
    }

    fn record_many(&self, _: f64, count: usize) {
        self.0.dropped(DropReason::Refused, u64::try_from(count).unwrap_or(u64::MAX));
    }
}
