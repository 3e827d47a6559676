//! Our own recorder: numbers are added up as they come, in memory that does not grow.

mod context;
mod counter;
mod gauge;
mod histogram;
mod messages;
mod native;
mod pages;
#[cfg(feature = "_otlp")]
mod points;

pub(crate) use histogram::RecordedExemplar;
pub(crate) use native::{COARSEST, FINEST};
#[cfg(feature = "_otlp")]
pub(crate) use points::{PointReader, Temporality};

use crate::{
    exemplar::ExemplarSource,
    kind::{Handle, Kind},
    registry::{Family, Pairs, Storage},
};
use context::CellContext;
use counter::CounterCell;
use gauge::GaugeCell;
use histogram::HistogramCell;
use meshwise_core::internal::LossCounters;
use metrics::{Counter, Gauge, Histogram};
use std::sync::Arc;

/// How much is written at a time, in bytes; one series more may be added.
const PAGE: usize = 32 * 1024;

/// Keeps numbers in atomics.
#[derive(Debug)]
pub(crate) struct Own(Arc<CellContext>);

impl Own {
    pub(crate) fn new(losses: Arc<LossCounters>, exemplars: Option<ExemplarSource>) -> Self {
        Self(Arc::new(CellContext { losses, exemplars }))
    }
}

/// Holds the numbers of one series.
#[derive(Debug)]
pub(crate) enum Cell {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    Histogram(Arc<HistogramCell>),
}

impl Storage for Own {
    type Cell = Cell;

    fn make(&self, family: &Family<Cell>, _: &Pairs) -> Cell {
        match family.kind {
            Kind::Counter => Cell::Counter(Arc::default()),
            Kind::Gauge => Cell::Gauge(Arc::new(GaugeCell::new(Arc::clone(&self.0)))),
            Kind::Histogram => Cell::Histogram(Arc::new(HistogramCell::new(
                Arc::clone(&family.bounds),
                family.native,
                Arc::clone(&self.0),
            ))),
        }
    }

    fn handle(&self, cell: &Cell) -> Handle {
        match cell {
            Cell::Counter(cell) => Handle::Counter(Counter::from_arc(Arc::clone(cell))),
            Cell::Gauge(cell) => Handle::Gauge(Gauge::from_arc(Arc::clone(cell))),
            Cell::Histogram(cell) => Handle::Histogram(Histogram::from_arc(Arc::clone(cell))),
        }
    }

    fn touched(&self, cell: &Cell) -> bool {
        match cell {
            Cell::Counter(cell) => cell.touched(),
            Cell::Gauge(cell) => cell.touched(),
            Cell::Histogram(cell) => cell.touched(),
        }
    }

    fn held(&self, cell: &Cell) -> bool {
        let holders = match cell {
            Cell::Counter(cell) => Arc::strong_count(cell),
            Cell::Gauge(cell) => Arc::strong_count(cell),
            Cell::Histogram(cell) => Arc::strong_count(cell),
        };
        holders > 1
    }
}
