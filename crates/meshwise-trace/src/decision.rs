//! The ids and the decision that are made before a span, laid ready for the SDK on this thread.

use meshwise_core::internal::random;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, SamplingDecision};
use std::cell::Cell;

thread_local! {
    static DECISION: Cell<Option<SamplingDecision>> = const { Cell::new(None) };
    static TRACE_ID: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Lays ready what the SDK will ask for.
pub(crate) fn prepare(trace_id: TraceId, decision: Option<SamplingDecision>) {
    TRACE_ID.set(Some(trace_id));
    DECISION.set(decision);
}

/// Forgets what was not asked for.
pub(crate) fn clear() {
    TRACE_ID.take();
    DECISION.take();
}

/// Takes the decision that was made for the span being started on this thread.
pub(crate) fn take_decision() -> Option<SamplingDecision> {
    DECISION.take()
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

pub(crate) fn random_trace_id() -> TraceId {
    TraceId::from(random::u128().max(1))
}

pub(crate) fn random_span_id() -> SpanId {
    SpanId::from(random::u64().max(1))
}
