//! Every metric of the family: what it is called, counts, is labelled with, and means.
//!
//! The crates that record describe their metrics from here, and `cargo meshwise dashboards` and
//! `rules` write their expressions with the same rows: so no panel asks for what no one counts.
//! Names follow OpenTelemetry's semantic conventions in their Prometheus form: dots become
//! underscores, the unit is a suffix, counters end with `_total`.
//!
//! ```
//! use meshwise_core::internal::catalogue::{self, Kind, Unit};
//!
//! let row = catalogue::find("http_server_request_duration_seconds_bucket").expect("a row");
//! assert_eq!((row.kind, row.unit), (Kind::Histogram, Unit::Seconds));
//! assert!(row.labels.contains(&"http_route"));
//! ```

mod rows;

pub use rows::*;

use std::fmt;

/// Describes one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name of the family, as a scrape shows it.
    pub name: &'static str,
    /// What it counts with.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// The labels that its series may have; those that say nothing are left out of a series.
    pub labels: &'static [&'static str],
    /// The crate that records it.
    pub source: &'static str,
    /// What it means, as `# HELP` says.
    pub help: &'static str,
}

/// Names what a metric counts with (complete by nature: those that the `metrics` facade has).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Values in buckets; its series are `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// Names what a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds, where another system's name has them.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// A state, a ratio, or the constant 1 beside labels that say something.
    None,
}

impl Kind {
    /// Returns the word that stands in a `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Writes the name, to be used within expressions.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Finds a metric by its name, or by that of one of its series (`_bucket`, `_sum`, `_count`).
#[must_use]
pub fn find(series: &str) -> Option<&'static Metric> {
    let named = |name: &str| ALL.iter().copied().find(|metric| metric.name == name);
    let histogram = || {
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end))?;
        named(name).filter(|metric| metric.kind == Kind::Histogram)
    };
    named(series).or_else(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_say_their_kind_and_unit() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is there twice");
            let counter = metric.kind == Kind::Counter;
            assert_eq!(name.ends_with("_total"), counter, "{name}");
            let stem = name.trim_end_matches("_total");
            match metric.unit {
                Unit::Seconds => assert!(stem.ends_with("_seconds"), "{name}"),
                Unit::Milliseconds => assert!(stem.ends_with("_milliseconds"), "{name}"),
                Unit::Bytes => assert!(stem.ends_with("_bytes"), "{name}"),
                Unit::Count | Unit::None => {
                    let unit = ["_seconds", "_milliseconds", "_bytes"];
                    assert!(!unit.iter().any(|unit| stem.ends_with(unit)), "{name}");
                }
            }
            // OpenMetrics has a help of its own for `target_info`.
            let help = metric.help.ends_with('.') || name == "target_info";
            assert!(help, "{name}: {}", metric.help);
            assert!(!metric.labels.contains(&"le"), "{name}");
        }
        assert!(seen.len() >= 50, "the table has {} rows", seen.len());
    }

    #[test]
    fn a_series_of_a_histogram_is_found_and_no_other() {
        assert_eq!(
            find("http_server_request_duration_seconds_sum").map(|m| m.kind),
            Some(Kind::Histogram)
        );
        assert_eq!(find("meshwise_breaker_state").map(|m| m.kind), Some(Kind::Gauge));
        for unknown in ["", "_sum", "http_server", "meshwise_breaker_state_count"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }
}
