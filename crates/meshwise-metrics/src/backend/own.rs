//! Our own recorder: numbers are added up as they come, in memory that does not grow.

mod context;
mod counter;
mod gauge;
mod histogram;
mod messages;
mod native;
mod page;
mod pages;
#[cfg(feature = "_otlp")]
mod points;

pub(crate) use histogram::RecordedExemplar;
pub(crate) use native::{COARSEST, FINEST};
#[cfg(feature = "_otlp")]
pub(crate) use points::{PointReader, Temporality};

use super::{Pages, managed::Exposed};
use crate::{
    exemplar::ExemplarSource,
    expose::Format,
    kind::{Handle, Kind},
    registry::{Family, Labels, Registry, Storage},
};
use context::CellContext;
use counter::CounterCell;
use gauge::GaugeCell;
use histogram::HistogramCell;
use meshwise_core::internal::LossCounters;
use metrics::{Counter, Gauge, Histogram};
use std::{sync::Arc, time::Instant};

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

    const COUNTS_MICROSECONDS: bool = true;

    fn make(&self, family: &Family<Cell>, _: &Labels) -> Cell {
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

impl Exposed for Own {
    fn writes(_: Format) -> bool {
        true
    }

    fn pages(registry: &Arc<Registry<Self>>, format: Format) -> Box<dyn Pages> {
        match format {
            Format::Protobuf => Box::new(messages::OwnMessages::new(registry)),
            Format::Text | Format::OpenMetrics => Box::new(pages::OwnPages::new(registry, format)),
        }
    }

    fn keep_up(registry: &Registry<Self>) {
        registry.sweep(Instant::now());
    }
}
