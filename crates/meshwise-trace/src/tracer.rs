//! The tracer of the pipeline, and its spans.
//!
//! The SDK gives a span that begins a trace the flags of its parent, which are none: there is no way
//! to tell it that the ids are random. So a span of ours says it in its place (W3C Trace Context
//! level 2, "random-trace-id flag"). Spans below it take their flags from it.

use crate::{Tracing, start::FLAG_RANDOM};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    trace::{self as otel, SpanBuilder, SpanContext, Status, TraceContextExt as _, TraceFlags},
};
use opentelemetry_sdk::trace as sdk;
use std::{borrow::Cow, time::SystemTime};

/// Starts spans of a [`Tracing`]; those that begin a trace say that its id is random.
#[derive(Clone, Debug)]
pub struct MeshTracer {
    inner: sdk::SdkTracer,
    random_ids: bool,
}

impl MeshTracer {
    pub(crate) fn new(inner: sdk::SdkTracer, random_ids: bool) -> Self {
        Self { inner, random_ids }
    }

    /// Starts a span below `parent`, the span of `context`.
    #[inline]
    pub(crate) fn build_below(
        &self,
        builder: SpanBuilder,
        parent: &SpanContext,
        context: &Context,
    ) -> MeshSpan {
        let span = otel::Tracer::build_with_context(&self.inner, builder, context);
        MeshSpan::new(span, self.random_ids && !parent.is_valid())
    }
}

impl otel::Tracer for MeshTracer {
    type Span = MeshSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent_cx: &Context) -> MeshSpan {
        let parent = parent_cx.span();
        self.build_below(builder, parent.span_context(), parent_cx)
    }
}

/// Makes tracers of this pipeline, to be OpenTelemetry's global provider:
/// `opentelemetry::global::set_tracer_provider(tracing.clone())`.
impl otel::TracerProvider for Tracing {
    type Tracer = MeshTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> MeshTracer {
        self.new_tracer(scope)
    }
}

/// Records what happens until it ends, which its drop makes it do.
#[derive(Debug)]
pub struct MeshSpan {
    inner: sdk::Span,
    /// The ids and flags of a span that begins a trace; the SDK knows those of any other.
    root: Option<SpanContext>,
}

impl MeshSpan {
    fn new(inner: sdk::Span, begins_with_random_id: bool) -> Self {
        use otel::Span as _;
        let own = inner.span_context();
        let root = (begins_with_random_id && own.is_valid()).then(|| say_random(own));
        Self { inner, root }
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

impl otel::Span for MeshSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        self.inner.add_event_with_timestamp(name, timestamp, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        self.root.as_ref().unwrap_or_else(|| self.inner.span_context())
    }

    fn is_recording(&self) -> bool {
        self.inner.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.inner.set_attribute(attribute);
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.inner.set_attributes(attributes);
    }

    fn set_status(&mut self, status: Status) {
        self.inner.set_status(status);
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, new_name: T) {
        self.inner.update_name(new_name);
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.inner.add_link(span_context, attributes);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.inner.end_with_timestamp(timestamp);
    }
}
