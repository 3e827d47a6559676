//! The record of a span that this pipeline starts itself, straight into its processor.
//!
//! The SDK's span would be the same data behind another sampler, another id generator and two more
//! reference counts; it stays for tracers of its own provider and for samplers of one's own.

use crate::{
    ids,
    logged::{Logged, made},
    processor::Processor,
    room::Room,
    scrub::unique,
    spare::{self, Place, SpanBox, has_texts_of},
};
use meshwise_core::internal::told::ToldValues;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Event, Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceId},
};
use opentelemetry_sdk::trace::{SpanData, SpanLimits};
use std::{borrow::Cow, sync::Arc, time::SystemTime};
use tracing::Metadata;

/// What all records of one scope share.
#[derive(Debug)]
pub(crate) struct Recorder {
    processor: Processor,
    limits: SpanLimits,
    scope: InstrumentationScope,
}

impl Recorder {
    pub(crate) fn new(
        processor: Processor,
        limits: SpanLimits,
        scope: InstrumentationScope,
    ) -> Self {
        Self { processor, limits, scope }
    }

    pub(crate) fn with_scope(&self, scope: InstrumentationScope) -> Self {
        Self { processor: self.processor.clone(), limits: self.limits, scope }
    }

    /// Tells whether the provider was shut down: spans that start then have no ids.
    pub(crate) fn is_stopped(&self) -> bool {
        self.processor.is_stopped()
    }
}

/// A span that is open, or has ended.
#[derive(Debug)]
pub(crate) struct Record {
    /// Its ids stay when it has ended.
    span_context: SpanContext,
    data: Option<SpanBox>,
    /// Whether it has as many attributes as it may, and each once: then no more can come.
    is_full: bool,
    /// Events that came after those of the data.
    logged: Option<Box<Logged>>,
    recorder: Arc<Recorder>,
}

impl Record {
    /// Starts a span below `parent`, or one that begins a trace if that is not valid; `build` is given what
    /// its first attributes are put into.
    #[inline]
    pub(crate) fn start(
        recorder: &Arc<Recorder>,
        build: impl FnOnce(&mut Room) -> SpanBuilder,
        parent: &SpanContext,
        own: (TraceId, SpanId),
        sampled: bool,
    ) -> Self {
        let span_context = ids::below(parent, own, sampled);
        recorder.processor.started(&span_context, parent);
        let limits = &recorder.limits;
        let mut data = spare::take();
        let mut room = data.lend();
        let builder = room.build(build);
        data.take_back(room);
        let SpanBuilder { name, start_time, span_kind, links, events, .. } = builder;
        let start_time = start_time.unwrap_or_else(opentelemetry::time::now);
        if data.attributes.len() > limits.max_attributes_per_span as usize {
            data.complete();
        }
        data.dropped_attributes_count = cut(&mut data.attributes, limits.max_attributes_per_span);
        data.span_context = span_context.clone();
        data.parent_span_id = parent.span_id();
        data.parent_span_is_remote = parent.is_valid() && parent.is_remote();
        data.span_kind = span_kind.unwrap_or(SpanKind::Internal);
        data.name = name;
        data.start_time = start_time;
        data.end_time = start_time;
        if !has_texts_of(&data.instrumentation_scope, &recorder.scope) {
            data.instrumentation_scope = recorder.scope.clone();
        }
        events.into_iter().flatten().for_each(|event| add_event(&mut data, limits, event));
        links.into_iter().flatten().for_each(|link| add_link(&mut data, limits, link));
        let recorder = Arc::clone(recorder);
        Self { span_context, data: Some(data), is_full: false, logged: None, recorder }
    }

    pub(crate) fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.data.is_some()
    }

    pub(crate) fn add_event(
        &mut self,
        name: Cow<'static, str>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        self.make_logged();
        self.add_event_of(Event::new(name, timestamp, attributes, 0));
    }

    /// Takes an event as it was logged.
    pub(crate) fn log(
        &mut self,
        metadata: &'static Metadata<'static>,
        at: SystemTime,
        values: &ToldValues,
    ) {
        let Some(data) = &mut self.data else { return };
        let limits = &self.recorder.limits;
        let before = data.events.events.len() + self.logged.as_ref().map_or(0, |own| own.len());
        if before >= limits.max_events_per_span as usize {
            data.events.dropped_count += 1;
            return;
        }
        let ToldValues { text, values: all, errors } = values;
        if errors.is_empty() && 2 + all.len() <= limits.max_attributes_per_event as usize {
            self.logged.get_or_insert_with(Logged::kept).push(metadata, at, values);
        } else {
            self.make_logged();
            self.add_event_of(made(metadata, at, text, all, errors));
        }
    }

    fn add_event_of(&mut self, event: Event) {
        if let Some(data) = &mut self.data {
            add_event(data, &self.recorder.limits, event);
        }
    }

    /// Makes the events that were logged, behind those that are there.
    fn make_logged(&mut self) {
        if let (Some(data), Some(mut logged)) = (&mut self.data, self.logged.take()) {
            logged.make_all(&mut data.events.events);
            logged.keep();
        }
    }

    pub(crate) fn set_attribute(&mut self, attribute: KeyValue) {
        self.set_attributes([attribute]);
    }

    pub(crate) fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        let limit = self.recorder.limits.max_attributes_per_span as usize;
        let Some(data) = &mut self.data else { return };
        for attribute in attributes {
            match data.attributes.len() < limit {
                true => data.attributes.push(attribute),
                false => set_in_full(data, &mut self.is_full, limit, attribute),
            }
        }
    }

    /// Moves attributes out of a list.
    #[inline]
    pub(crate) fn append(&mut self, last: &mut Vec<KeyValue>) {
        let limit = self.recorder.limits.max_attributes_per_span as usize;
        match &mut self.data {
            Some(data) if data.attributes.len() + last.len() <= limit => {
                data.attributes.append(last);
            }
            _ => self.set_attributes(last.drain(..)),
        }
    }

    /// Sets the status if it outranks what is set: `Ok` beats `Error`, which beats `Unset`.
    pub(crate) fn set_status(&mut self, status: Status) {
        if let Some(data) = &mut self.data
            && status > data.status
        {
            data.status = status;
        }
    }

    pub(crate) fn update_name(&mut self, name: Cow<'static, str>) {
        if let Some(data) = &mut self.data {
            data.name = name;
        }
    }

    pub(crate) fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some(data) = &mut self.data {
            add_link(data, &self.recorder.limits, Link::new(span_context, attributes, 0));
        }
    }

    pub(crate) fn end(&mut self, at: SystemTime) {
        if let Some(mut data) = self.data.take() {
            data.end_time = at;
            let mut logged = self.logged.take();
            self.recorder.processor.ended(data, logged.as_deref_mut());
            if let Some(logged) = logged {
                logged.keep();
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.data.is_some() {
            self.end(opentelemetry::time::now());
        }
    }
}

/// Sets an attribute of a span that holds as many as it may: a new value of one that is there takes the
/// place of the old one, and those that are there several times make room, until none is.
#[inline(never)]
fn set_in_full(place: &mut Place, is_full: &mut bool, limit: usize, attribute: KeyValue) {
    place.complete();
    let data: &mut SpanData = place;
    let attributes = &mut data.attributes;
    if let Some(old) = attributes.iter_mut().rfind(|old| old.key == attribute.key) {
        old.value = attribute.value;
        return;
    }
    if !*is_full {
        unique(attributes);
    }
    match attributes.len() < limit {
        true => attributes.push(attribute),
        false => data.dropped_attributes_count += 1,
    }
    // What is pushed below the limit is not compared.
    *is_full = attributes.len() >= limit;
}

/// Cuts attributes to the limit, and tells how many are gone.
fn cut(attributes: &mut Vec<KeyValue>, limit: u32) -> u32 {
    if attributes.len() > limit as usize {
        unique(attributes);
    }
    let dropped = attributes.len().saturating_sub(limit as usize);
    attributes.truncate(limit as usize);
    u32::try_from(dropped).unwrap_or(u32::MAX)
}

fn add_event(data: &mut SpanData, limits: &SpanLimits, mut event: Event) {
    if data.events.events.len() >= limits.max_events_per_span as usize {
        data.events.dropped_count += 1;
        return;
    }
    event.dropped_attributes_count = cut(&mut event.attributes, limits.max_attributes_per_event);
    if data.events.events.is_empty() {
        // Most have one.
        data.events.events.reserve_exact(1);
    }
    data.events.events.push(event);
}

fn add_link(data: &mut SpanData, limits: &SpanLimits, mut link: Link) {
    if data.links.links.len() >= limits.max_links_per_span as usize {
        data.links.dropped_count += 1;
        return;
    }
    link.dropped_attributes_count = cut(&mut link.attributes, limits.max_attributes_per_link);
    data.links.links.push(link);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MemorySpans, SpanExport, TraceConfig, Tracing, start::Started, test_util::Collected,
    };
    use meshwise_core::Service;
    use opentelemetry::{
        Context,
        trace::{Span, Tracer, TracerProvider as _},
    };
    use std::time::Duration;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn pipeline(limits: SpanLimits) -> (Tracing, MemorySpans) {
        let spans = MemorySpans::new();
        let config = TraceConfig::new(Service::new("test", "0")).with_span_limits(limits);
        (config.with_exporter(SpanExport::memory(&spans)).build().unwrap(), spans)
    }

    fn attributes() -> Vec<KeyValue> {
        vec![KeyValue::new("a", 1), KeyValue::new("b", 2), KeyValue::new("c", 3)]
    }

    /// Does all that can be done to a span.
    fn live(tracer: &impl Tracer) {
        let event = || Event::new("early", START, attributes(), 0);
        let mut builder = SpanBuilder::from_name("first name")
            .with_kind(SpanKind::Client)
            .with_start_time(START)
            .with_attributes(attributes())
            .with_links(vec![Link::new(SpanContext::NONE, attributes(), 0); 2]);
        builder.events = Some(vec![event(), event()]);
        let mut span = tracer.build(builder);
        assert!(span.is_recording());
        span.set_attribute(KeyValue::new("d", 4));
        span.set_attribute(KeyValue::new("e", 5));
        span.set_attributes(attributes());
        span.add_event_with_timestamp("late", START, attributes());
        span.add_link(SpanContext::NONE, attributes());
        span.update_name("last name");
        for status in [Status::error("it broke"), Status::Unset, Status::error("again")] {
            span.set_status(status);
        }
        span.end_with_timestamp(START + Duration::from_secs(1));
        assert!(!span.is_recording() && span.span_context().is_valid());
        // Nothing changes it any more, and it ends once.
        span.set_attribute(KeyValue::new("late", true));
        span.end();
    }

    #[test]
    fn a_record_is_what_the_sdk_would_have_recorded() {
        let mut few = SpanLimits::default();
        (few.max_attributes_per_span, few.max_events_per_span, few.max_links_per_span) = (4, 2, 2);
        (few.max_attributes_per_event, few.max_attributes_per_link) = (2, 1);
        let mut none = few;
        (none.max_attributes_per_span, none.max_events_per_span) = (0, 0);
        for (limits, dropped) in [(SpanLimits::default(), 0), (few, 1), (none, 8)] {
            let (tracing, spans) = pipeline(limits);
            let scope = || InstrumentationScope::builder("a scope").build();
            live(&tracing.provider().tracer_with_scope(scope()));
            live(&tracing.tracer_with_scope(scope()));
            let mut spans = spans.spans();
            let (own, sdk) = (spans.pop().unwrap(), &mut spans[0]);
            sdk.span_context = own.span_context.clone();
            assert_eq!(own.dropped_attributes_count, dropped, "{limits:?}");
            // The SDK counts a new value of an attribute that it has as one too many.
            sdk.dropped_attributes_count = own.dropped_attributes_count;
            assert_eq!(own, *sdk, "{limits:?}");
        }
    }

    #[test]
    fn a_text_that_is_made_late_is_in_its_place_whatever_else_comes() {
        let build = |room: &mut Room| {
            room.attributes.extend([KeyValue::new("a", 0), KeyValue::new("a", 1)]);
            room.push_text("path", |text| text.push_str("/orders/7"));
            room.push_text("another", |text| text.push_str("is made at once"));
            room.attributes.push(KeyValue::new("b", 2));
            SpanBuilder::from_name("GET").with_attributes([KeyValue::new("c", 3)])
        };
        for limit in [128, 7, 6, 5, 4, 3, 2, 1, 0] {
            let limits = SpanLimits { max_attributes_per_span: limit, ..SpanLimits::default() };
            let (memory, spans) = pipeline(limits);
            let (queued, collected) =
                (TraceConfig::new(Service::new("test", "0")), Collected::default());
            let queued = queued.with_span_limits(limits);
            let queued =
                queued.with_exporter(SpanExport::custom(collected.clone())).build().unwrap();
            for tracing in [&memory, &queued] {
                // Each but the first in the place of the one before.
                for _ in 0..3 {
                    let started = tracing.start(&SpanContext::NONE, Context::new, build);
                    let Started::Recorded(mut span) = started else { panic!("it records") };
                    span.set_attributes([KeyValue::new("d", 4), KeyValue::new("a", 5)]);
                    drop(span);
                    tracing.provider().force_flush().unwrap();
                }
            }
            let all = ["a=5", "path=/orders/7", "another=is made at once", "b=2", "c=3", "d=4"];
            for span in spans.spans().into_iter().chain(collected.spans()) {
                let shown: Vec<_> =
                    span.attributes.iter().map(|kv| format!("{}={}", kv.key, kv.value)).collect();
                assert_eq!(shown, all[..all.len().min(limit as usize)], "{limit}");
            }
            assert_eq!((spans.spans().len(), collected.spans().len()), (3, 3));
        }
    }

    #[test]
    fn a_full_span_takes_new_values_of_what_it_has() {
        let limits = SpanLimits { max_attributes_per_span: 4, ..SpanLimits::default() };
        let (tracing, spans) = pipeline(limits);
        let many = (0..50).map(|n| KeyValue::new("early", n));
        let mut span =
            tracing.tracer().build(SpanBuilder::from_name("poller").with_attributes(many));
        for n in 0..500 {
            span.set_attribute(KeyValue::new("offset", n));
        }
        for key in ["a", "b", "c", "d"] {
            span.set_attribute(KeyValue::new(key, true));
        }
        span.set_attribute(KeyValue::new("offset", 1999));
        span.end();
        let span = &spans.spans()[0];
        let shown: Vec<_> =
            span.attributes.iter().map(|kv| format!("{}={}", kv.key, kv.value)).collect();
        assert_eq!(shown, ["early=49", "offset=1999", "a=true", "b=true"]);
        assert_eq!(span.dropped_attributes_count, 2);
    }

    #[test]
    fn a_full_span_is_looked_through_for_doubles_once() {
        let (tracing, spans) = pipeline(SpanLimits::default());
        let mut span = tracing.tracer().start("poller");
        for n in 0..SpanLimits::default().max_attributes_per_span {
            span.set_attribute(KeyValue::new(format!("k{n}"), true));
        }
        span.set_attribute(KeyValue::new("late", 0));
        let each = allocation_counter::measure(|| {
            (1..10_000).for_each(|n| span.set_attribute(KeyValue::new("late", n)));
        });
        assert_eq!(each.count_total, 0);
        span.end();
        assert_eq!(spans.spans()[0].dropped_attributes_count, 10_000);
    }

    #[test]
    fn a_record_that_is_dropped_ends_now() {
        let (tracing, spans) = pipeline(SpanLimits::default());
        drop(tracing.tracer().start("work"));
        let span = &spans.spans()[0];
        assert!(span.end_time >= span.start_time && span.start_time > START);
        assert_eq!(span.parent_span_id, SpanId::INVALID);
    }
}
