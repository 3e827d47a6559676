//! Writing out what our own recorder keeps, some series at a time.

use super::{Cell, Own};
use crate::{
    Format,
    backend::{Pages, text},
    registry::{Family, Registry, Series},
};
use std::{sync::Arc, vec};

/// How much is written at a time, in bytes; one series more may be added.
pub(super) const PAGE: usize = 32 * 1024;

type SeriesLeft = vec::IntoIter<Arc<Series<Cell>>>;

pub(super) struct OwnPages {
    format: Format,
    families: vec::IntoIter<(Arc<Family<Cell>>, bool)>,
    current: Option<(Arc<Family<Cell>>, SeriesLeft)>,
    ended: bool,
    /// The counts of a histogram's buckets while they are written.
    counts: Vec<u64>,
}

impl OwnPages {
    pub(super) fn new(registry: &Registry<Own>, format: Format) -> Self {
        let families = registry.families().into_iter();
        Self { format, families, current: None, ended: false, counts: Vec::new() }
    }

    fn series(&mut self, page: &mut Vec<u8>, family: &Family<Cell>, series: &Series<Cell>) {
        let (name, labels) = (&*family.name, &*series.labels);
        match &series.cell {
            Cell::Counter(cell) => {
                text::sample(page, name, "", labels);
                if family.nanoseconds {
                    text::seconds(page, cell.value());
                } else {
                    text::integer(page, cell.value());
                }
                page.push(b'\n');
            }
            Cell::Gauge(cell) => {
                text::sample(page, name, "", labels);
                text::float(page, cell.value());
                page.push(b'\n');
            }
            Cell::Histogram(cell) => {
                let sum = cell.read(&mut self.counts);
                let mut count = 0_u64;
                for (index, le) in family.bounds.labels.iter().enumerate() {
                    count = count.wrapping_add(self.counts[index]);
                    text::bucket(page, name, labels, le);
                    text::integer(page, count);
                    if self.format == Format::OpenMetrics
                        && let Some(kept) = cell.exemplar(index)
                    {
                        text::exemplar(page, &kept);
                    }
                    page.push(b'\n');
                }
                text::sample(page, name, "_sum", labels);
                text::float(page, sum);
                page.push(b'\n');
                text::sample(page, name, "_count", labels);
                text::integer(page, count);
                page.push(b'\n');
            }
        }
    }
}

impl Pages for OwnPages {
    fn next(&mut self, page: &mut Vec<u8>) -> bool {
        let before = page.len();
        while page.len() - before < PAGE {
            if let Some((family, mut rest)) = self.current.take() {
                if let Some(series) = rest.next() {
                    self.series(page, &family, &series);
                    self.current = Some((family, rest));
                }
            } else if let Some((family, base_is_free)) = self.families.next() {
                // Series are listed when their family's turn comes: a slow reader holds one list.
                let shown = family.shown();
                if !shown.is_empty() {
                    text::head(page, self.format, &family, base_is_free);
                    self.current = Some((family, shown.into_iter()));
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
