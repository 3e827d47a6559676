//! The trace that a histogram's bucket shows.

use meshwise_metrics::Exemplar;
use meshwise_trace::convert;
use opentelemetry::trace::SpanContext;
use std::time::SystemTime;

/// Names the trace of a sampled span.
pub(crate) fn exemplar(ids: &SpanContext, at: Option<SystemTime>) -> Option<Exemplar> {
    ids.is_sampled().then(|| Exemplar {
        at,
        ..Exemplar::new(convert::trace_id(ids.trace_id()), convert::span_id(ids.span_id()))
    })
}
