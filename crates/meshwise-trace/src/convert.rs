//! Between core's plain types and OpenTelemetry's, for those who read and write context.

use meshwise_core::{
    SpanId, TraceFlags, TraceId, TraceState,
    propagation::{Baggage, Parent},
};
use opentelemetry::{
    Context,
    baggage::{BaggageExt, KeyValueMetadata},
    trace::{self as otel, SpanContext},
};

/// Turns the caller's span into OpenTelemetry's form.
///
/// An entry of `tracestate` that OpenTelemetry's stricter grammar refuses makes it leave out all of
/// them; `CallInfo` still holds the list, and `inject` reads it there.
#[must_use]
pub fn span_context(parent: &Parent, sampled: bool) -> SpanContext {
    SpanContext::new(
        otel::TraceId::from_bytes(parent.trace_id.to_bytes()),
        otel::SpanId::from_bytes(parent.span_id.to_bytes()),
        otel::TraceFlags::new(parent.flags.with_sampled(sampled).bits()),
        true,
        if sampled { trace_state(&parent.state) } else { otel::TraceState::NONE },
    )
}

fn trace_state(state: &TraceState) -> otel::TraceState {
    if state.is_empty() {
        return otel::TraceState::NONE;
    }
    otel::TraceState::from_key_value(state.iter()).unwrap_or_default()
}

/// Returns a trace id in core's form.
#[must_use]
pub fn trace_id(id: otel::TraceId) -> TraceId {
    TraceId::from_bytes(id.to_bytes())
}

/// Returns a span id in core's form.
#[must_use]
pub fn span_id(id: otel::SpanId) -> SpanId {
    SpanId::from_bytes(id.to_bytes())
}

/// Returns flags in core's form.
#[must_use]
pub fn flags(flags: otel::TraceFlags) -> TraceFlags {
    TraceFlags::from_bits(flags.to_u8())
}

/// Hands the caller's baggage to OpenTelemetry's context, where application code reads it.
#[must_use]
pub fn with_baggage(cx: Context, baggage: &Baggage) -> Context {
    if baggage.is_empty() {
        return cx;
    }
    cx.with_baggage(baggage.iter().map(|entry| {
        KeyValueMetadata::new(entry.key.clone(), entry.value.clone(), entry.metadata.as_str())
    }))
}

/// Takes the baggage of a context, to be sent on.
#[must_use]
pub fn baggage(cx: &Context) -> Baggage {
    let mut out = Baggage::default();
    let baggage = cx.baggage();
    if !baggage.is_empty() {
        for (key, (value, metadata)) in baggage {
            out.insert_with_metadata(key.as_str(), value.as_str(), metadata.as_str());
        }
    }
    out
}
