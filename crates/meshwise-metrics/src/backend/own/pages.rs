//! Writing out what our own recorder keeps, some series at a time.

use super::{Cell, Own, PAGE, histogram::HistogramCell, messages::OwnMessages};
use crate::{
    backend::{Backend, Pages, text},
    expose::Format,
    kind::Kind,
    registry::{Family, RefusedMetric, Registry, Series},
};
use meshwise_core::SignalReport;
use metrics::{Counter, Key};
use std::{collections::VecDeque, sync::Arc, time::Instant, vec};

type SeriesLeft = vec::IntoIter<Arc<Series<Cell>>>;

impl Backend for Registry<Own> {
    fn register_seconds(&self, key: &Key) -> Option<Counter> {
        Some(self.resolve_seconds(key).into_counter())
    }

    fn writes(&self, _: Format) -> bool {
        true
    }

    fn pages(&self, format: Format) -> Box<dyn Pages> {
        self.sweep(Instant::now());
        match format {
            Format::Protobuf => Box::new(OwnMessages::new(self)),
            Format::Text | Format::OpenMetrics => Box::new(OwnPages::new(self, format)),
        }
    }

    fn report(&self) -> Option<SignalReport> {
        Some(self.losses().report())
    }

    fn refused(&self) -> Vec<RefusedMetric> {
        self.refused_metrics()
    }
}

/// Writes the lines of both text formats.
struct OwnPages {
    format: Format,
    turns: VecDeque<Turn>,
    current: Option<(Turn, SeriesLeft)>,
    ended: bool,
    /// The counts of a histogram's buckets while they are written.
    counts: Vec<u64>,
}

/// What is written under one head.
struct Turn {
    family: Arc<Family<Cell>>,
    part: Part,
}

/// What of a family is written under one head.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of it, with its type.
    Typed,
    /// All of it without its type, for it has only one sample a series.
    Untyped,
    // The samples of a histogram that is shown without its type: without one, each name is a
    // family of its own.
    Buckets,
    Sum,
    Count,
}

impl OwnPages {
    fn new(registry: &Registry<Own>, format: Format) -> Self {
        let turn = |family: &Arc<Family<Cell>>, part| Turn { family: Arc::clone(family), part };
        let turns = match format {
            Format::OpenMetrics => {
                let families = registry.typed_families();
                let parts = families.iter().flat_map(|(family, typed)| {
                    let parts: &[Part] = match (typed, family.kind) {
                        (true, _) => &[Part::Typed],
                        (false, Kind::Histogram) => &[Part::Buckets, Part::Sum, Part::Count],
                        (false, Kind::Counter | Kind::Gauge) => &[Part::Untyped],
                    };
                    parts.iter().map(move |part| turn(family, *part))
                });
                parts.collect()
            }
            Format::Text | Format::Protobuf => {
                registry.families().iter().map(|family| turn(family, Part::Typed)).collect()
            }
        };
        Self { format, turns, current: None, ended: false, counts: Vec::new() }
    }

    fn head(&self, page: &mut Vec<u8>, Turn { family, part }: &Turn) {
        match part {
            Part::Typed => text::head(page, self.format, family),
            Part::Untyped => text::untyped_head(page, family, ""),
            Part::Buckets => text::untyped_head(page, family, "_bucket"),
            Part::Sum => text::untyped_head(page, family, "_sum"),
            Part::Count => text::untyped_head(page, family, "_count"),
        }
    }

    fn series(&mut self, page: &mut Vec<u8>, turn: &Turn, series: &Series<Cell>) {
        let (name, labels) = (&*turn.family.name, &*series.labels);
        match &series.cell {
            Cell::Counter(cell) => {
                sample(page, name, "", labels);
                if turn.family.microseconds {
                    text::seconds(page, cell.value());
                } else {
                    text::integer(page, cell.value());
                }
                page.push(b'\n');
            }
            Cell::Gauge(cell) => {
                sample(page, name, "", labels);
                text::float(page, cell.value());
                page.push(b'\n');
            }
            Cell::Histogram(cell) => self.histogram(page, turn, labels, cell),
        }
    }

    fn histogram(
        &mut self,
        page: &mut Vec<u8>,
        Turn { family, part }: &Turn,
        labels: &str,
        cell: &HistogramCell,
    ) {
        let name = &*family.name;
        let sum = cell.read(&mut self.counts);
        let traced = self.format == Format::OpenMetrics && *part == Part::Typed;
        let mut count = 0_u64;
        for (index, le) in family.bounds.labels.iter().enumerate() {
            count = count.wrapping_add(self.counts[index]);
            if matches!(part, Part::Sum | Part::Count) {
                continue;
            }
            bucket(page, name, labels, le);
            text::integer(page, count);
            if traced && let Some(kept) = cell.exemplar(index) {
                text::exemplar(page, &kept);
            }
            page.push(b'\n');
        }
        // OpenMetrics 1.0, "Histogram": a sum that may fall is not shown, and then no count either.
        let shown = self.format == Format::Text || (sum >= 0.0 && cell.sum_is_counter());
        if *part == Part::Sum || (*part == Part::Typed && shown) {
            sample(page, name, "_sum", labels);
            text::float(page, sum);
            page.push(b'\n');
        }
        if *part == Part::Count || (*part == Part::Typed && shown) {
            sample(page, name, "_count", labels);
            text::integer(page, count);
            page.push(b'\n');
        }
    }
}

impl Pages for OwnPages {
    fn next(&mut self, page: &mut Vec<u8>) -> bool {
        let before = page.len();
        while page.len() - before < PAGE {
            if let Some((turn, mut rest)) = self.current.take() {
                if let Some(series) = rest.next() {
                    self.series(page, &turn, &series);
                    self.current = Some((turn, rest));
                }
            } else if let Some(turn) = self.turns.pop_front() {
                // Series are listed when their family's turn comes: a slow reader holds one list.
                let shown = turn.family.shown();
                if !shown.is_empty() {
                    self.head(page, &turn);
                    self.current = Some((turn, shown.into_iter()));
                }
            } else {
                if self.format == Format::OpenMetrics && !self.ended {
                    page.extend_from_slice(b"# EOF\n");
                }
                self.ended = true;
                break;
            }
        }
        page.len() > before
    }
}

/// Writes the name and labels of a sample, and the space before its value.
#[inline]
fn sample(page: &mut Vec<u8>, name: &str, suffix: &str, labels: &str) {
    page.extend_from_slice(name.as_bytes());
    page.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() {
        page.push(b'{');
        page.extend_from_slice(labels.as_bytes());
        page.push(b'}');
    }
    page.push(b' ');
}

/// Writes the name and labels of a bucket; `le` brings its own end.
#[inline]
fn bucket(page: &mut Vec<u8>, name: &str, labels: &str, le: &str) {
    page.extend_from_slice(name.as_bytes());
    page.extend_from_slice(b"_bucket{");
    if !labels.is_empty() {
        page.extend_from_slice(labels.as_bytes());
        page.push(b',');
    }
    page.extend_from_slice(le.as_bytes());
}
