//! The ids that are made before a span, that of its trace laid ready for the SDK on this thread.

use crate::ids::{FLAG_RANDOM, random_span_id, random_trace_id};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use std::cell::Cell;

thread_local! {
    static TRACE_ID: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Lays ready what the SDK will ask for.
pub(crate) fn prepare(trace_id: TraceId) {
    TRACE_ID.set(Some(trace_id));
}

/// Forgets what was not asked for.
pub(crate) fn clear() {
    TRACE_ID.take();
}

/// Takes the id of the trace that the span being started on this thread begins or continues.
pub(crate) fn take_trace_id() -> Option<TraceId> {
    TRACE_ID.take()
}

/// Makes random ids; all bits of a trace's are random.
#[derive(Debug)]
pub(crate) struct MeshIds;

impl IdGenerator for MeshIds {
    fn new_trace_id(&self) -> TraceId {
        take_trace_id().unwrap_or_else(random_trace_id)
    }

    fn new_span_id(&self) -> SpanId {
        random_span_id()
    }
}

/// Adds to what is known of a span that its trace id is random.
pub(crate) fn say_random(own: &SpanContext) -> SpanContext {
    SpanContext::new(
        own.trace_id(),
        own.span_id(),
        TraceFlags::new(own.trace_flags().to_u8() | FLAG_RANDOM),
        own.is_remote(),
        own.trace_state().clone(),
    )
}
