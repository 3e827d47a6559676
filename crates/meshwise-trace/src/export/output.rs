//! A running exporter.

use super::memory::MemorySpans;
use crate::{batch::BatchProcessor, scrub::Scrub, spare::SpanBox};
use meshwise_core::SignalReport;

/// Takes finished spans: from a queue, or at once.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Batch(BatchProcessor),
    Memory(MemorySpans, Scrub),
}

impl Output {
    /// Takes a span that is to be exported.
    pub(crate) fn push(&self, mut span: SpanBox) {
        match self {
            Self::Batch(batch) => batch.push(span, None),
            Self::Memory(spans, scrub) => {
                scrub.apply(&mut span);
                spans.push(span.into_data());
            }
        }
    }

    pub(crate) fn report(&self) -> SignalReport {
        match self {
            Self::Batch(batch) => batch.report(),
            Self::Memory(spans, _) => spans.counters().report(),
        }
    }
}
