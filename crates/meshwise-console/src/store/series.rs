//! Metric points of one service, whether they were pushed or read from `/metrics`.

use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// So many series of one service are kept.
pub(crate) const SERIES: usize = 2000;
/// A silence of so many times what lies between two readings is no pause between them.
const LONG: u64 = 3;
/// So many points of a series are kept.
const POINTS: usize = 240;
/// So many instances of a series are told apart; a further one takes the place of one that is gone, or counts
/// for nothing.
const SOURCES: usize = 128;
/// An instance is gone that has said nothing for so long, in milliseconds.
const GONE: u64 = 300_000;
/// What several instances say within so many milliseconds is one moment: they say it at the same beat.
const BEAT: u64 = 1000;
/// So many snapshots of a histogram's buckets are kept.
const SNAPSHOTS: usize = 40;
/// A histogram with more buckets is kept as its count and sum.
pub(crate) const BUCKETS: usize = 64;

/// Says how a metric's values are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Gauge,
    /// Only grows, but for restarts.
    Counter,
    Histogram,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Points to a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exemplar {
    pub(crate) trace: u128,
    pub(crate) value: f64,
    /// Milliseconds of Unix time.
    pub(crate) time: u64,
}

/// Is one reading of a series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The value; of a histogram, the count.
    pub(crate) value: f64,
    pub(crate) sum: f64,
    /// Upper bounds, without the last, which is infinite.
    pub(crate) bounds: Vec<f64>,
    /// How many fell into each bucket, one more than bounds.
    pub(crate) counts: Vec<u64>,
    /// Whether the value counts from the reading before.
    pub(crate) delta: bool,
    /// Which instance of the service it is from.
    pub(crate) source: u64,
}

/// Is one moment of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Milliseconds of Unix time, by the console's clock.
    pub(crate) time: u64,
    /// Of all instances together; of a gauge, the newest.
    pub(crate) value: f64,
    pub(crate) sum: f64,
    /// How much all instances have counted since they were first seen.
    pub(crate) grown: f64,
}

/// Is what one instance said last.
#[derive(Clone, Copy, Debug)]
struct Counted {
    source: u64,
    value: f64,
    sum: f64,
    seen: u64,
}

/// Keeps the points of one label set.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) points: VecDeque<Point>,
    counted: Vec<Counted>,
    /// Whose the last point is.
    last: u64,
    pub(crate) bounds: Vec<f64>,
    pub(crate) snapshots: VecDeque<(u64, Box<[u64]>)>,
    pub(crate) exemplars: VecDeque<Exemplar>,
}

impl Line {
    fn read(&mut self, now: u64, shape: Shape, reading: Reading) {
        let step = self.count(now, &reading);
        let grown = self.points.back().map_or(0.0, |point| point.grown);
        let (value, sum) = match shape {
            Shape::Gauge if !reading.delta => (reading.value, reading.sum),
            _ => self.counted.iter().fold((0.0, 0.0), |(value, sum), counted| {
                (value + counted.value, sum + counted.sum)
            }),
        };
        let point = Point { time: now, value, sum, grown: grown + step };
        let other = std::mem::replace(&mut self.last, reading.source) != reading.source;
        match self.points.back_mut() {
            // A point of its own would be a rate over the milliseconds between the two.
            Some(last) if other && now.saturating_sub(last.time) < BEAT => {
                *last = Point { time: last.time, ..point };
            }
            _ => {
                if self.points.len() >= POINTS {
                    self.points.pop_front();
                }
                self.points.push_back(point);
            }
        }
        if reading.counts.is_empty() || reading.counts.len() > BUCKETS {
            return;
        }
        let mut counts = reading.counts;
        if self.bounds != reading.bounds {
            self.bounds = reading.bounds;
            self.snapshots.clear();
        } else if reading.delta
            && let Some((_, before)) = self.snapshots.back()
        {
            for (count, before) in counts.iter_mut().zip(before) {
                *count = count.saturating_add(*before);
            }
        }
        if self.snapshots.len() >= SNAPSHOTS {
            self.snapshots.pop_front();
        }
        self.snapshots.push_back((now, counts.into_boxed_slice()));
    }

    /// Notes what an instance has counted; returns how much that is more than before. A value that falls is
    /// a restart.
    fn count(&mut self, now: u64, reading: &Reading) -> f64 {
        let known = self.counted.iter().position(|counted| counted.source == reading.source);
        if known.is_none() && self.counted.len() >= SOURCES {
            let is_there = |counted: &Counted| now.saturating_sub(counted.seen) < GONE;
            self.counted.retain(is_there);
            if self.counted.len() >= SOURCES {
                return 0.0;
            }
        }
        let at = known.unwrap_or_else(|| {
            self.counted.push(Counted { source: reading.source, value: 0.0, sum: 0.0, seen: now });
            self.counted.len() - 1
        });
        let counted = &mut self.counted[at];
        let before = *counted;
        counted.seen = now;
        if reading.delta {
            (counted.value, counted.sum) = (before.value + reading.value, before.sum + reading.sum);
            return finite(reading.value);
        }
        (counted.value, counted.sum) = (reading.value, reading.sum);
        match known {
            // What it counted before it was first seen was not counted now.
            None => 0.0,
            Some(_) if reading.value < before.value => finite(reading.value),
            Some(_) => finite(reading.value - before.value),
        }
    }

    /// Returns a label's value.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the newest value.
    pub(crate) fn value(&self) -> Option<f64> {
        self.points.back().map(|point| point.value)
    }

    /// Returns how much a counter grew in the last `window` milliseconds, and over how many of them
    /// that was seen. A silence that is long for this series counts: its rate falls though no reading says so.
    pub(crate) fn growth(&self, now: u64, window: u64) -> Option<(f64, u64)> {
        let from = now.saturating_sub(window);
        let mut recent = self.points.iter().filter(|point| point.time >= from);
        let first = recent.next()?;
        let (last, gaps) = recent.fold((first, 0), |(_, gaps), point| (point, gaps + 1));
        // The machine's clock may be set back meanwhile.
        let over = last.time.saturating_sub(first.time);
        let silence = now.saturating_sub(last.time);
        let silence = if silence.saturating_mul(gaps) > over * LONG { silence } else { 0 };
        (over > 0).then_some((last.grown - first.grown, over + silence))
    }

    fn memory(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(k, v)| k.capacity() + v.capacity() + 48).sum();
        size_of::<Self>()
            + labels
            + self.points.capacity() * size_of::<Point>()
            + self.counted.capacity() * size_of::<Counted>()
            + self.snapshots.iter().map(|(_, counts)| counts.len() * 8 + 24).sum::<usize>()
            + self.exemplars.capacity() * size_of::<Exemplar>()
    }
}

/// Keeps the label sets of one metric.
#[derive(Debug, Default)]
pub(crate) struct Metric {
    pub(crate) shape: Shape,
    pub(crate) unit: String,
    pub(crate) help: String,
    pub(crate) lines: HashMap<String, Line, FixedState>,
}

/// Keeps the metrics of one service.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) metrics: BTreeMap<String, Metric>,
    lines: usize,
    memory: usize,
    /// Readings of series past the limit.
    pub(crate) refused: u64,
}

/// Describes a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: Shape,
    pub(crate) unit: &'a str,
    pub(crate) help: &'a str,
}

impl Series {
    /// Takes one reading; whether it was kept. `closed` takes no new series.
    pub(crate) fn read(
        &mut self,
        now: u64,
        closed: bool,
        metric: Description<'_>,
        labels: Vec<(String, String)>,
        reading: Reading,
        exemplars: impl IntoIterator<Item = Exemplar>,
    ) -> bool {
        let key = key(&labels);
        let known = self
            .metrics
            .get(metric.name)
            .is_some_and(|metric| metric.lines.contains_key(key.as_str()));
        if !known {
            if closed || self.lines >= SERIES {
                self.refused += 1;
                return false;
            }
            self.lines += 1;
        }
        let kept = self.metrics.entry(metric.name.to_owned()).or_insert_with(|| Metric {
            shape: metric.shape,
            unit: metric.unit.to_owned(),
            help: metric.help.to_owned(),
            lines: HashMap::default(),
        });
        let line = kept.lines.entry(key).or_insert_with(|| Line { labels, ..Line::default() });
        let before = if known { line.memory() } else { 0 };
        line.read(now, kept.shape, reading);
        for exemplar in exemplars.into_iter().filter(|exemplar| exemplar.trace != 0) {
            if line.exemplars.len() >= 16 {
                line.exemplars.pop_front();
            }
            line.exemplars.push_back(exemplar);
        }
        self.memory = (self.memory + line.memory()).saturating_sub(before);
        true
    }

    /// Returns how many series there are.
    pub(crate) fn len(&self) -> usize {
        self.lines
    }

    /// Lists the series of the metrics that are called so, in any of the forms that a name has:
    /// `a.b`, `a_b`, `a_b_total`.
    pub(crate) fn lines(&self, prometheus: &str) -> impl Iterator<Item = &Line> {
        self.metrics
            .iter()
            .filter(move |(name, _)| is_called(name, prometheus))
            .flat_map(|(_, metric)| metric.lines.values())
    }

    /// Estimates the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory + self.metrics.len() * 200
    }
}

/// Tells whether a name in OTLP's or Prometheus' form is that of a metric in Prometheus' form.
fn is_called(name: &str, prometheus: &str) -> bool {
    let form = |name: &str| name.trim_end_matches("_total").replace('.', "_");
    name == prometheus || form(name) == form(prometheus)
}

/// Returns a number, or none of it if it is no number.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

fn key(labels: &[(String, String)]) -> String {
    let mut key = String::new();
    for (name, value) in labels {
        key.push_str(name);
        key.push('\u{1}');
        key.push_str(value);
        key.push('\u{2}');
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(series: &mut Series, now: u64, peer: &str, value: f64, delta: bool) -> bool {
        let metric = Description { name: "calls_total", shape: Shape::Counter, unit: "", help: "" };
        let labels = vec![("peer".to_owned(), peer.to_owned())];
        series.read(now, false, metric, labels, Reading { value, delta, ..Reading::default() }, [])
    }

    #[test]
    fn growth_goes_over_restarts_and_adds_deltas() {
        let mut series = Series::default();
        for (now, value) in [(0, 5.0), (1000, 9.0), (2000, 1.0)] {
            read(&mut series, now, "stock", value, false);
            read(&mut series, now, "auth", 2.0, true);
        }
        let growth = |peer| {
            let mut lines = series.lines("calls_total");
            lines
                .find(|line| line.label("peer") == Some(peer))
                .and_then(|line| line.growth(2000, 2000))
        };
        assert_eq!(growth("stock"), Some((5.0, 2000)));
        assert_eq!(growth("auth"), Some((4.0, 2000)));
        let later = |now| {
            let line = series.lines("calls_total").find(|line| line.label("peer") == Some("stock"));
            line.and_then(|line| line.growth(now, 60_000))
        };
        assert_eq!(later(4_900), Some((5.0, 2000)), "the next reading may still come");
        assert_eq!(later(5_100), Some((5.0, 5100)), "it has fallen silent");
        assert!(is_called("http.server.calls", "http_server_calls_total"));
    }

    #[test]
    fn instances_are_counted_apart_and_shown_together() {
        let mut series = Series::default();
        let metric = Description { name: "calls_total", shape: Shape::Counter, unit: "", help: "" };
        let mut read = |now, source, value| {
            let reading = Reading { value, source, ..Reading::default() };
            series.read(now, false, metric, Vec::new(), reading, []);
        };
        // One has long been there, one is new and starts anew once, one is a third.
        for (now, source, value) in
            [(0, 1, 1e6), (0, 2, 5.0), (1000, 1, 1e6 + 3.0), (1000, 2, 1.0), (2000, 3, 9.0)]
        {
            read(now, source, value);
        }
        let line = series.lines("calls_total").next().expect("one line");
        assert_eq!(line.growth(2000, 2000), Some((4.0, 2000)));
        assert_eq!(line.value(), Some(1e6 + 13.0));
    }

    #[test]
    fn hundreds_of_instances_at_one_beat_are_moments_with_their_rates() {
        let mut series = Series::default();
        let metric = Description { name: "calls_total", shape: Shape::Counter, unit: "", help: "" };
        let mut read = |now, source: u64, value| {
            let reading = Reading { value, source, ..Reading::default() };
            series.read(now, false, metric, Vec::new(), reading, []);
        };
        for (beat, value) in [(10_000, 5.0), (15_000, 7.0), (20_000, 9.0)] {
            (1..=300).for_each(|source| read(beat + source, source, value));
        }
        // They are replaced by as many new ones.
        for (beat, value) in [(400_000, 1.0), (405_000, 2.0)] {
            (1001..=1100).for_each(|source| read(beat + source, source, value));
        }
        let line = series.lines("calls_total").next().expect("one line");
        let grown: Vec<(u64, f64)> =
            line.points.iter().map(|point| (point.time, point.grown)).collect();
        let expected =
            [(10_001, 0.0), (15_001, 256.0), (20_001, 512.0), (401_001, 512.0), (406_001, 612.0)];
        assert_eq!(grown, expected);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_no_query() {
        let mut series = Series::default();
        for (now, value) in [(10_000, 1.0), (12_000, 2.0), (9_000, 3.0)] {
            read(&mut series, now, "stock", value, false);
        }
        let line = series.lines("calls_total").next().expect("one line");
        assert_eq!(line.growth(9_000, 5_000), None);
        read(&mut series, 11_000, "stock", 4.0, false);
        let line = series.lines("calls_total").next().expect("one line");
        assert_eq!(line.growth(11_000, 5_000), Some((3.0, 1000)));
    }

    #[test]
    fn series_and_points_are_bounded_and_counted() {
        let mut series = Series::default();
        for at in 0..SERIES + 10 {
            read(&mut series, 0, &at.to_string(), 1.0, false);
        }
        assert_eq!((series.len(), series.refused), (SERIES, 10));
        (0..10_000).for_each(|now| {
            read(&mut series, now, "1", 1.0, false);
        });
        assert_eq!(series.lines("calls_total").map(|line| line.points.len()).max(), Some(POINTS));
    }
}
