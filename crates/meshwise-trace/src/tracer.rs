//! The tracer of the pipeline, and its spans.
//!
//! The SDK gives a span that begins a trace the flags of its parent, which are none: there is no way
//! to tell it that the ids are random. So a span of ours says it in its place (W3C Trace Context
//! level 2, "random-trace-id flag"). Spans below it take their flags from it.
//!
//! # Aliases
//!
//! `tracing-opentelemetry` makes an OpenTelemetry span of each `tracing` span. Where a `tracing` span
//! shall stand for an OpenTelemetry span that is there already (that of a call; the one around a span
//! that the filter does not want), this tracer answers with an alias of the parent: the same ids, and
//! events, attributes and links go to the parent. It has no end of its own, and no status: a logged
//! error is an event of a call, and how the call went is decided at its end.

use crate::{
    decision::say_random,
    logged,
    record::{Record, Recorder},
    sampler::MeshSampler,
    start::{self, Started},
};
use opentelemetry::{
    Context, InstrumentationScope, Key, KeyValue,
    trace::{self as otel, SpanBuilder, SpanContext, SpanRef, Status, TraceContextExt as _},
};
use opentelemetry_sdk::trace as sdk;
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    sync::Arc,
    time::SystemTime,
};

/// Marks the builder of an alias: as its name, and as its first attribute where a field could replace
/// the name before the span starts.
const ALIAS: &str = "meshwise.alias";

/// Says that the next builder that this thread asks for is an alias's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    /// A field may set the span's name.
    pub(crate) named: bool,
}

thread_local! {
    static NEXT: Cell<Option<Alias>> = const { Cell::new(None) };
    static HUSHED: Cell<bool> = const { Cell::new(false) };
    /// The code that runs has the right to say how a call went.
    static OWNER: Cell<bool> = const { Cell::new(false) };
    /// What the owner of a span says last of it.
    static LAST: RefCell<Vec<KeyValue>> = const { RefCell::new(Vec::new()) };
}

/// Ends a span that is left to the layer which started it ([`MeshSpan::of_call`]): adds the attributes that
/// `last` lists, fails it if there is a description of the error, which may be empty, and ends it, now or at
/// a time that is known.
///
/// All at once: one thing at a time, each would take the span's lock and find the span behind it.
pub fn end_as_owner(
    span: &SpanRef<'_>,
    failure: Option<String>,
    at: Option<SystemTime>,
    last: impl FnOnce(&mut Vec<KeyValue>),
) {
    struct OwnerBefore(bool);
    impl Drop for OwnerBefore {
        fn drop(&mut self) {
            OWNER.set(self.0);
        }
    }
    let _before = OwnerBefore(OWNER.replace(true));
    // A thread that is about to end has no list; what is said last is then lost, the span is not.
    let _ending = LAST.try_with(|list| {
        let mut list = list.borrow_mut();
        list.clear();
        last(&mut list);
    });
    if let Some(description) = failure {
        span.set_status(Status::error(description));
    }
    match at {
        Some(at) => span.end_with_timestamp(at),
        None => span.end(),
    }
}

/// Hands over what the owner has said last, if it is the owner that ends the span.
fn last_words(take: impl FnOnce(&mut Vec<KeyValue>)) {
    if OWNER.get() {
        let _ending = LAST.try_with(|list| take(&mut list.borrow_mut()));
    }
}

/// Says what the next builder is for that this thread asks a tracer for, or no longer.
pub(crate) fn set_next(next: Option<Alias>) {
    NEXT.set(next);
}

/// Keeps aliases from taking attributes on this thread, or no longer: the fields of a span that no
/// one wants, and what is made of an error that is logged, say nothing of the span around them.
pub(crate) fn hush(hushed: bool) {
    HUSHED.set(hushed);
}

/// What becomes of the spans of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Tracing is off: a span stands for its parent.
    Off,
    /// Nothing exports: spans are their ids, sampled or not.
    Unseen,
    Exported,
}

/// Starts spans of a [`Tracing`](crate::Tracing); those that begin a trace say that its id is random.
#[derive(Clone, Debug)]
pub struct MeshTracer {
    inner: sdk::SdkTracer,
    /// `None` for a provider that was made elsewhere, whose own sampler is not known.
    sampler: Option<MeshSampler>,
    mode: Mode,
    random_ids: bool,
    /// What takes records; `None` for a provider that was made elsewhere.
    recorder: Option<Arc<Recorder>>,
}

impl MeshTracer {
    pub(crate) fn new(
        inner: sdk::SdkTracer,
        sampler: Option<MeshSampler>,
        mode: Mode,
        recorder: Option<Recorder>,
    ) -> Self {
        // Only a pipeline of ours knows how its ids are made.
        let random_ids = recorder.is_some();
        Self { inner, sampler, mode, random_ids, recorder: recorder.map(Arc::new) }
    }

    /// Makes a tracer that differs in its scope alone.
    pub(crate) fn with_scope(&self, inner: sdk::SdkTracer, scope: InstrumentationScope) -> Self {
        let recorder = self.recorder.as_ref().map(|own| Arc::new(own.with_scope(scope)));
        Self { inner, recorder, ..self.clone() }
    }

    pub(crate) fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.recorder.as_ref()
    }

    pub(crate) fn sampler(&self) -> Option<&MeshSampler> {
        self.sampler.as_ref()
    }

    pub(crate) fn is_exported(&self) -> bool {
        self.mode == Mode::Exported
    }

    /// Has the SDK start a span below `parent`, the span of `context`.
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

    fn span_builder<T>(&self, name: T) -> SpanBuilder
    where
        T: Into<Cow<'static, str>>,
    {
        match NEXT.take() {
            None => SpanBuilder::from_name(name),
            Some(Alias { named }) => SpanBuilder {
                attributes: named.then(|| vec![KeyValue::new(ALIAS, true)]),
                ..SpanBuilder::from_name(ALIAS)
            },
        }
    }

    fn build_with_context(&self, builder: SpanBuilder, parent_cx: &Context) -> MeshSpan {
        if is_alias(&builder) || self.mode == Mode::Off {
            return MeshSpan::alias(builder, parent_cx);
        }
        if parent_cx.is_telemetry_suppressed() {
            return MeshSpan(MeshSpanKind::Unrecorded(SpanContext::NONE), Ends::ByAnyone);
        }
        let parent = parent_cx.span();
        match start::start(self, parent.span_context(), || parent_cx.clone(), |_| builder) {
            Started::Recorded(span) => span,
            Started::Unrecorded(ids) => MeshSpan(MeshSpanKind::Unrecorded(ids), Ends::ByAnyone),
        }
    }
}

fn is_alias(builder: &SpanBuilder) -> bool {
    let marked = |attribute: &KeyValue| attribute.key == Key::from_static_str(ALIAS);
    builder.name == ALIAS
        || builder.attributes.as_ref().and_then(|list| list.first()).is_some_and(marked)
}

/// Records what happens until it ends, which its drop makes it do.
#[derive(Debug)]
pub struct MeshSpan(MeshSpanKind, Ends);

/// Who sets a span's status, and ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    ByAnyone,
    ByOwner,
}

#[derive(Debug)]
enum MeshSpanKind {
    /// Recorded by this pipeline.
    Own(Record),
    /// Recorded by the SDK.
    Recorded(Box<SdkSpan>),
    /// Only the ids.
    Unrecorded(SpanContext),
    /// Stands for the span of this context.
    Alias { of: Context, ids: SpanContext },
}

/// A span that the SDK records.
#[derive(Debug)]
struct SdkSpan {
    inner: sdk::Span,
    /// The ids and flags of a span that begins a trace; the SDK knows those of any other.
    root: Option<SpanContext>,
}

impl From<Record> for MeshSpan {
    fn from(record: Record) -> Self {
        Self(MeshSpanKind::Own(record), Ends::ByAnyone)
    }
}

impl MeshSpan {
    /// Leaves the span's status and end to the layer that started it ([`end_as_owner`]): code of the call's
    /// has the span at hand (`Context::current().span()`).
    #[must_use]
    #[inline]
    pub fn of_call(mut self) -> Self {
        self.1 = Ends::ByOwner;
        self
    }

    /// Tells whether the code that runs may say how it went.
    fn is_free(&self) -> bool {
        self.1 == Ends::ByAnyone || OWNER.get()
    }

    fn new(inner: sdk::Span, begins_with_random_id: bool) -> Self {
        use otel::Span as _;
        let own = inner.span_context();
        let root = (begins_with_random_id && own.is_valid()).then(|| say_random(own));
        Self(MeshSpanKind::Recorded(Box::new(SdkSpan { inner, root })), Ends::ByAnyone)
    }

    /// Stands for the span of `of`; what was added before the start is handed on to it.
    fn alias(builder: SpanBuilder, of: &Context) -> Self {
        let span = of.span();
        for event in builder.events.into_iter().flatten() {
            span.add_event_with_timestamp(event.name, event.timestamp, event.attributes);
        }
        for link in builder.links.into_iter().flatten() {
            span.add_link(link.span_context, link.attributes);
        }
        let kind = MeshSpanKind::Alias { of: of.clone(), ids: span.span_context().clone() };
        Self(kind, Ends::ByAnyone)
    }
}

impl otel::Span for MeshSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        match &mut self.0 {
            MeshSpanKind::Own(record) => record.add_event(name.into(), timestamp, attributes),
            MeshSpanKind::Recorded(sdk) => {
                sdk.inner.add_event_with_timestamp(name, timestamp, attributes);
            }
            MeshSpanKind::Unrecorded(_) => {}
            MeshSpanKind::Alias { of, .. } => {
                of.span().add_event_with_timestamp(name, timestamp, attributes);
            }
        }
    }

    fn span_context(&self) -> &SpanContext {
        match &self.0 {
            MeshSpanKind::Own(record) => record.span_context(),
            MeshSpanKind::Recorded(sdk) => {
                sdk.root.as_ref().unwrap_or_else(|| sdk.inner.span_context())
            }
            MeshSpanKind::Unrecorded(ids) | MeshSpanKind::Alias { ids, .. } => ids,
        }
    }

    fn is_recording(&self) -> bool {
        match &self.0 {
            MeshSpanKind::Own(record) => record.is_recording(),
            MeshSpanKind::Recorded(sdk) => sdk.inner.is_recording(),
            MeshSpanKind::Unrecorded(_) => false,
            MeshSpanKind::Alias { of, .. } => of.span().is_recording(),
        }
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        match &mut self.0 {
            MeshSpanKind::Own(record) => record.set_attribute(attribute),
            MeshSpanKind::Recorded(sdk) => sdk.inner.set_attribute(attribute),
            MeshSpanKind::Unrecorded(_) => {}
            MeshSpanKind::Alias { .. } if HUSHED.get() => {}
            MeshSpanKind::Alias { of, .. } => of.span().set_attribute(attribute),
        }
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        match &mut self.0 {
            MeshSpanKind::Own(record) => record.set_attributes(attributes),
            MeshSpanKind::Recorded(sdk) => sdk.inner.set_attributes(attributes),
            MeshSpanKind::Unrecorded(_) => {}
            MeshSpanKind::Alias { .. } if HUSHED.get() => {}
            MeshSpanKind::Alias { of, .. } => of.span().set_attributes(attributes),
        }
    }

    /// An alias sets none: how a call went is decided once, at its end.
    fn set_status(&mut self, status: Status) {
        if status == Status::Unset {
            // It sets nothing, and says that an event may be offered.
            return match &mut self.0 {
                MeshSpanKind::Own(record) => {
                    logged::take(|metadata, at, values| record.log(metadata, at, values));
                }
                MeshSpanKind::Alias { of, .. } => of.span().set_status(status),
                MeshSpanKind::Recorded { .. } | MeshSpanKind::Unrecorded(_) => {}
            };
        }
        if !self.is_free() {
            return;
        }
        match &mut self.0 {
            MeshSpanKind::Own(record) => record.set_status(status),
            MeshSpanKind::Recorded(sdk) => sdk.inner.set_status(status),
            MeshSpanKind::Unrecorded(_) | MeshSpanKind::Alias { .. } => {}
        }
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, new_name: T) {
        match &mut self.0 {
            MeshSpanKind::Own(record) => record.update_name(new_name.into()),
            MeshSpanKind::Recorded(sdk) => sdk.inner.update_name(new_name),
            MeshSpanKind::Unrecorded(_) => {}
            MeshSpanKind::Alias { of, .. } => of.span().update_name(new_name),
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        match &mut self.0 {
            MeshSpanKind::Own(record) => record.add_link(span_context, attributes),
            MeshSpanKind::Recorded(sdk) => sdk.inner.add_link(span_context, attributes),
            MeshSpanKind::Unrecorded(_) => {}
            MeshSpanKind::Alias { of, .. } => of.span().add_link(span_context, attributes),
        }
    }

    /// An alias ends with the span that it stands for.
    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if !self.is_free() {
            return;
        }
        match &mut self.0 {
            MeshSpanKind::Own(record) => {
                last_words(|list| record.append(list));
                record.end(timestamp);
            }
            MeshSpanKind::Recorded(sdk) => {
                last_words(|list| sdk.inner.set_attributes(list.drain(..)));
                sdk.inner.end_with_timestamp(timestamp);
            }
            MeshSpanKind::Unrecorded(_) | MeshSpanKind::Alias { .. } => {}
        }
    }
}
