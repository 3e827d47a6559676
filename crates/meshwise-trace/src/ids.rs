//! The ids that spans, and calls without spans, go by.

use meshwise_core::internal::random;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

/// Says in a `traceparent` that the trace's id is random (W3C level 2).
pub(crate) const FLAG_RANDOM: u8 = meshwise_core::TraceFlags::RANDOM.bits();

pub(crate) fn random_trace_id() -> TraceId {
    TraceId::from(random::u128().max(1))
}

pub(crate) fn random_span_id() -> SpanId {
    SpanId::from(random::u64().max(1))
}

/// Returns the trace that goes on below `parent`, or begins if that is not valid.
#[inline]
pub(crate) fn trace_of(parent: &SpanContext) -> TraceId {
    if parent.is_valid() { parent.trace_id() } else { random_trace_id() }
}

/// Makes the context of a span below `parent`, or of one that begins a trace if that is not valid. That
/// the trace's id is random stays true: ours are, in all their bits.
#[inline]
pub(crate) fn below(
    parent: &SpanContext,
    (trace_id, span_id): (TraceId, SpanId),
    sampled: bool,
) -> SpanContext {
    let flags = match parent.is_valid() {
        true => parent.trace_flags(),
        false => TraceFlags::new(FLAG_RANDOM),
    };
    let state = parent.trace_state().clone();
    SpanContext::new(trace_id, span_id, flags.with_sampled(sampled), false, state)
}
