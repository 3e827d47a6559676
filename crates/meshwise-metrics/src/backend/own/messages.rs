//! Writing out what our own recorder keeps, as protobuf messages, some series at a time.
//!
//! A family is one message, and its length goes before it. So each family is gone through twice:
//! first to add its length up, then to write it. Calls are counted meanwhile, and nothing may get
//! longer by that: counts have one length whatever they are; exemplars, which come but never go,
//! are written as many as there were; native buckets, whose number changes, are kept as they were
//! found, which takes some 100 bytes a series.

mod histogram;

use super::{Cell, Own, PAGE, native::Reading};
use crate::{
    backend::{
        Pages,
        proto::{self, Length, Out, VALUE, family as field, metric},
        text,
    },
    kind::Kind,
    registry::{Family, Registry, Series},
};
use histogram::HistogramSnapshot;
use std::{iter, sync::Arc, vec};

/// Series to be written, and what must not change about them.
type SeriesLeft = iter::Zip<vec::IntoIter<Arc<Series<Cell>>>, vec::IntoIter<HistogramSnapshot>>;

pub(super) struct OwnMessages {
    families: vec::IntoIter<Arc<Family<Cell>>>,
    current: Option<(Arc<Family<Cell>>, SeriesLeft)>,
    work: Work,
}

/// What is used again for each series.
#[derive(Default)]
struct Work {
    counts: Vec<u64>,
    reading: Reading,
    fields: Vec<u8>,
}

impl OwnMessages {
    pub(super) fn new(registry: &Registry<Own>) -> Self {
        let families = registry.families().into_iter();
        Self { families, current: None, work: Work::default() }
    }

    /// Writes the length and the head of a family; its series are to follow.
    fn begin(&mut self, page: &mut Vec<u8>, family: Arc<Family<Cell>>) {
        let shown = family.shown();
        if shown.is_empty() {
            return;
        }
        let mut start = Vec::new();
        head(&mut start, &family);
        let mut length = Length(start.len());
        let mut kept = Vec::with_capacity(shown.len());
        for series in &shown {
            let now = match &series.cell {
                Cell::Histogram(cell) => self.work.keep(cell),
                Cell::Counter(_) | Cell::Gauge(_) => HistogramSnapshot::default(),
            };
            self.work.series(&mut length, &family, series, &now);
            kept.push(now);
        }
        proto::varint(page, length.0 as u64);
        page.append(&mut start);
        self.current = Some((family, shown.into_iter().zip(kept)));
    }
}

impl Work {
    fn series(
        &mut self,
        out: &mut impl Out,
        family: &Family<Cell>,
        series: &Series<Cell>,
        kept: &HistogramSnapshot,
    ) {
        proto::message(out, field::METRIC, |out| {
            for (name, value) in proto::labels(&series.labels) {
                proto::label_pair(out, metric::LABEL, name, &value);
            }
            match &series.cell {
                Cell::Counter(cell) => {
                    let value = crate::collect::whole(cell.value());
                    let value = if family.microseconds { value / 1e6 } else { value };
                    proto::message(out, metric::COUNTER, |out| proto::double(out, VALUE, value));
                }
                Cell::Gauge(cell) => proto::message(out, metric::GAUGE, |out| {
                    proto::double(out, VALUE, cell.value());
                }),
                Cell::Histogram(cell) => proto::message(out, metric::HISTOGRAM, |out| {
                    histogram::write(out, &mut self.counts, &family.bounds.values, cell, kept);
                }),
            }
        });
    }
}

fn head(out: &mut impl Out, family: &Family<Cell>) {
    let description = family.description.get();
    proto::text(out, field::NAME, &family.name);
    proto::text(out, field::HELP, text::help_or_none(description.map(|about| &*about.help)));
    // The enum `MetricType`.
    let kind = match family.kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 4,
    };
    proto::whole(out, field::TYPE, kind);
    let base = match family.kind {
        Kind::Counter => family.name.strip_suffix("_total").unwrap_or(&family.name),
        Kind::Gauge | Kind::Histogram => &family.name,
    };
    if let Some(unit) = description.and_then(|about| about.unit)
        && text::is_unit_of(unit, base)
    {
        proto::text(out, field::UNIT, unit.as_str());
    }
}

impl Pages for OwnMessages {
    fn next(&mut self, page: &mut Vec<u8>) -> bool {
        let before = page.len();
        while page.len() - before < PAGE {
            if let Some((family, mut rest)) = self.current.take() {
                if let Some((series, kept)) = rest.next() {
                    self.work.series(page, &family, &series, &kept);
                    self.current = Some((family, rest));
                }
            } else if let Some(family) = self.families.next() {
                self.begin(page, family);
            } else {
                break;
            }
        }
        page.len() > before
    }
}
