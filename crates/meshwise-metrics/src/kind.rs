//! Kinds of metrics, and handles to them.

use metrics::{Counter, Gauge, Histogram};

/// Names what a family counts with (complete by nature: the `metrics` facade has these three).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Counter, Self::Gauge, Self::Histogram];

    /// Returns the word that stands in a `# TYPE` line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Writes to one series.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Handle {
    pub(crate) fn into_counter(self) -> Counter {
        match self {
            Self::Counter(counter) => counter,
            Self::Gauge(_) | Self::Histogram(_) => Counter::noop(),
        }
    }

    pub(crate) fn into_gauge(self) -> Gauge {
        match self {
            Self::Gauge(gauge) => gauge,
            Self::Counter(_) | Self::Histogram(_) => Gauge::noop(),
        }
    }

    pub(crate) fn into_histogram(self) -> Histogram {
        match self {
            Self::Histogram(histogram) => histogram,
            Self::Counter(_) | Self::Gauge(_) => Histogram::noop(),
        }
    }
}
