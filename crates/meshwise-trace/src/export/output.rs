//! A running exporter.

use super::MemorySpans;
use crate::{BatchProcessor, limits::truncate_values};
use meshwise_core::SignalReport;
use opentelemetry_sdk::trace::SpanData;

/// Takes finished spans: from a queue, or at once.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Batch(BatchProcessor),
    /// With the longest value that is kept, in characters.
    Memory(MemorySpans, Option<usize>),
}

impl Output {
    /// Takes a span that is to be exported.
    pub(crate) fn push(&self, mut span: SpanData) {
        match self {
            Self::Batch(batch) => batch.push(span),
            Self::Memory(spans, limit) => {
                if let Some(limit) = *limit {
                    truncate_values(&mut span, limit);
                }
                spans.push(span);
            }
        }
    }

    pub(crate) fn report(&self) -> SignalReport {
        match self {
            Self::Batch(batch) => batch.report(),
            Self::Memory(spans, _) => spans.ledger().report(),
        }
    }
}
