//! The other form of what layers need, for builds without a pipeline: calls go by their ids, which are
//! handed on, and no span is recorded.

use crate::{ids, room::Room};
use meshwise_core::{Signal, SignalReport, TraceId, internal::LossCounters};
use opentelemetry::{
    Context, KeyValue,
    trace::{self as otel, SpanBuilder, SpanContext, SpanRef, Status},
};
use std::{
    borrow::Cow,
    convert::Infallible,
    marker::PhantomData,
    time::{Duration, SystemTime},
};
use tracing::Dispatch;

/// Makes the ids that calls go by. With the feature `pipeline` it records spans.
#[derive(Clone, Debug)]
pub struct Tracing {
    enabled: bool,
}

impl Tracing {
    /// Makes ids, and hands them on: what the caller samples is sampled, and so are traces that begin
    /// here. Off, it only hands a caller's on.
    #[doc(hidden)]
    #[must_use]
    pub fn ids(enabled: bool) -> Self {
        Self { enabled }
    }

    /// Makes the ids of a call below `parent`; never calls `build`, for there is no span to be built.
    #[doc(hidden)]
    pub fn start(
        &self,
        parent: &SpanContext,
        _context: impl Fn() -> Context,
        _build: impl FnOnce(&mut Room) -> SpanBuilder,
    ) -> Started {
        let sampled = if parent.is_valid() { parent.is_sampled() } else { self.enabled };
        Started::Unrecorded(below(parent, sampled))
    }

    /// Tells whether a span below a caller's has only its ids, as all have, and is not sampled.
    #[doc(hidden)]
    #[must_use]
    pub fn sees_none_below(&self, parent: &SpanContext) -> bool {
        parent.is_valid() && !parent.is_sampled()
    }

    /// Tells whether tracing is on: `false` if `OTEL_SDK_DISABLED` is `true`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Says whether to treat a trace as sampled whose caller left the decision to this service.
    #[doc(hidden)]
    #[must_use]
    pub fn decide_root(&self, _: TraceId) -> bool {
        self.enabled
    }

    /// Knows of none.
    #[doc(hidden)]
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &[]
    }

    /// Tells that nothing was delivered, and nothing dropped.
    pub fn report(&self) -> SignalReport {
        LossCounters::new(Signal::Traces).report()
    }

    /// Has nothing to wait for.
    pub async fn shutdown(&self, _: Duration) -> SignalReport {
        self.report()
    }
}

fn below(parent: &SpanContext, sampled: bool) -> SpanContext {
    ids::below(parent, (ids::trace_of(parent), ids::random_span_id()), sampled)
}

/// Holds what came of starting a span.
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
#[derive(Debug)]
pub enum Started {
    /// There is no such span.
    Recorded(MeshSpan),
    /// The ids that the call goes by.
    Unrecorded(SpanContext),
}

impl Started {
    /// Makes the ids of a trace that starts here, not sampled.
    #[must_use]
    pub fn unrecorded() -> Self {
        Self::Unrecorded(below(&SpanContext::NONE, false))
    }

    /// Makes the ids of a call below `parent`, not sampled.
    #[must_use]
    pub fn ids_below(parent: &SpanContext) -> SpanContext {
        below(parent, false)
    }
}

/// There is none.
#[derive(Debug)]
pub struct MeshSpan {
    never: Infallible,
}

impl MeshSpan {
    /// Is never called.
    #[must_use]
    pub fn of_call(self) -> Self {
        self
    }
}

impl otel::Span for MeshSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        _: T,
        _: SystemTime,
        _: Vec<KeyValue>,
    ) {
        match self.never {}
    }

    fn span_context(&self) -> &SpanContext {
        match self.never {}
    }

    fn is_recording(&self) -> bool {
        match self.never {}
    }

    fn set_attribute(&mut self, _: KeyValue) {
        match self.never {}
    }

    fn set_status(&mut self, _: Status) {
        match self.never {}
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, _: T) {
        match self.never {}
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {
        match self.never {}
    }

    fn end_with_timestamp(&mut self, _: SystemTime) {
        match self.never {}
    }
}

/// Has no span to end.
pub fn end_as_owner(
    _: &SpanRef<'_>,
    _: Option<String>,
    _: Option<SystemTime>,
    _: impl FnOnce(&mut Vec<KeyValue>),
) {
}

/// Has an event logged whose values are texts and numbers.
pub fn with_plain_values<T>(log: impl FnOnce() -> T) -> T {
    log()
}

/// Stands for nothing: a `tracing` span that stands for a call's OpenTelemetry span takes
/// `tracing-opentelemetry`.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallSpan {}

impl CallSpan {
    /// Makes no span.
    #[must_use]
    pub fn new(_: &Context, _: Option<&Dispatch>) -> Self {
        Self {}
    }

    /// Does nothing.
    #[must_use]
    pub fn enter(&self) -> CallSpanGuard<'_> {
        CallSpanGuard(PhantomData)
    }
}

/// Holds nothing.
#[derive(Debug)]
pub struct CallSpanGuard<'a>(PhantomData<&'a CallSpan>);

impl Drop for CallSpanGuard<'_> {
    fn drop(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(tracing: &Tracing, parent: &SpanContext) -> SpanContext {
        match tracing.start(parent, Context::new, |_| unreachable!("nothing records")) {
            Started::Recorded(span) => match span.never {},
            Started::Unrecorded(ids) => ids,
        }
    }

    #[test]
    fn a_trace_that_begins_here_has_random_ids_and_is_sampled() {
        let tracing = Tracing::ids(true);
        let (one, other) = (ids(&tracing, &SpanContext::NONE), ids(&tracing, &SpanContext::NONE));
        assert!(one.is_valid() && one.is_sampled() && !one.is_remote());
        assert_eq!(one.trace_flags().to_u8(), 3);
        assert_ne!(one.trace_id(), other.trace_id());
        let declined = Started::unrecorded();
        assert!(matches!(declined, Started::Unrecorded(ids) if ids.trace_flags().to_u8() == 2));
    }

    #[test]
    fn a_call_below_another_has_its_trace_flags_and_state() {
        let state = otel::TraceState::from_key_value([("a", "1")]).unwrap();
        for flags in 0..4 {
            let flags = otel::TraceFlags::new(flags);
            let (trace, span) = (otel::TraceId::from(7), otel::SpanId::from(8));
            let parent = SpanContext::new(trace, span, flags, true, state.clone());
            let own = ids(&Tracing::ids(true), &parent);
            assert_eq!((own.trace_id(), own.trace_flags()), (parent.trace_id(), flags));
            assert!(own.span_id() != parent.span_id() && !own.is_remote());
            assert_eq!(own.trace_state().header(), "a=1");
        }
    }
}
