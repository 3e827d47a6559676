//! Starting a span: the decision comes first, so that a span that is not recorded costs no more than
//! its ids.
//!
//! The SDK asks its sampler only once a span is put together. Here the layer's span is decided
//! beforehand, and recorded without the SDK ([`crate::record`]). Only a sampler of one's own is asked by
//! the SDK, with all that the span has by then.

use crate::{
    decision,
    ids::{self, random_span_id, random_trace_id},
    record::Record,
    room::Room,
    tracer::{MeshSpan, MeshTracer},
};
use opentelemetry::{
    Context,
    trace::{Span as _, SpanBuilder, SpanContext, TraceContextExt, TraceId},
};
use opentelemetry_sdk::trace::SamplingDecision;

/// Holds what came of starting a span (complete by nature). Made by
/// [`Tracing::start`](crate::Tracing::start).
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
#[derive(Debug)]
pub enum Started {
    /// A span that records; dropping it ends it.
    Recorded(MeshSpan),
    /// Only the ids that the call goes by: the span is seen nowhere. They are not valid once the
    /// provider was shut down.
    Unrecorded(SpanContext),
}

impl Started {
    /// Makes the ids of a trace that starts here and that is not recorded, whatever a sampler would
    /// say.
    #[must_use]
    pub fn unrecorded() -> Self {
        Self::Unrecorded(unrecorded(random_trace_id(), &SpanContext::NONE, false))
    }

    /// Makes the ids of a span below `parent` that no one records.
    #[must_use]
    pub fn ids_below(parent: &SpanContext) -> SpanContext {
        unrecorded(ids::trace_of(parent), parent, false)
    }
}

/// Makes the ids of a span that is not recorded.
fn unrecorded(trace_id: TraceId, parent: &SpanContext, sampled: bool) -> SpanContext {
    ids::below(parent, (trace_id, random_span_id()), sampled)
}

/// Starts a span as the sampler decides; `build` is given what its first attributes are put into, and only
/// called if it records.
#[inline]
pub(crate) fn start(
    tracer: &MeshTracer,
    parent: &SpanContext,
    context: impl Fn() -> Context,
    build: impl FnOnce(&mut Room) -> SpanBuilder,
) -> Started {
    let Some(sampler) = tracer.sampler() else {
        return built(tracer.build_below(whole(build), parent, &context()), parent);
    };
    let trace_id = ids::trace_of(parent);
    let recording = || context().span().is_recording();
    let decision = sampler.decide(parent, recording, trace_id);
    if decision == Some(SamplingDecision::Drop) {
        return Started::Unrecorded(unrecorded(trace_id, parent, false));
    }
    if !tracer.is_exported()
        && let Some(decision) = &decision
    {
        // What no one will see is not recorded; those further on still hear what was decided.
        let sampled = *decision == SamplingDecision::RecordAndSample;
        return Started::Unrecorded(unrecorded(trace_id, parent, sampled));
    }
    if let (Some(recorder), Some(decision)) = (tracer.recorder(), &decision) {
        if recorder.is_stopped() {
            return Started::Unrecorded(SpanContext::NONE);
        }
        let own = (trace_id, random_span_id());
        let sampled = *decision == SamplingDecision::RecordAndSample;
        return Started::Recorded(Record::start(recorder, build, parent, own, sampled).into());
    }
    let builder = whole(build);
    // Taken by `MeshIds`, unless the SDK has been shut down.
    decision::prepare(trace_id);
    let span = tracer.build_below(builder, parent, &context());
    decision::clear();
    if !tracer.is_exported() && span.is_recording() {
        return Started::Unrecorded(span.span_context().clone());
    }
    built(span, parent)
}

/// Builds a span for the SDK, with all its attributes.
fn whole(build: impl FnOnce(&mut Room) -> SpanBuilder) -> SpanBuilder {
    let mut room = Room::default();
    let builder = room.build(build);
    SpanBuilder { attributes: Some(room.into_attributes()), ..builder }
}

/// The SDK forgets all flags of a span that it does not sample; that the trace's id is random stays
/// true.
fn built(span: MeshSpan, parent: &SpanContext) -> Started {
    if span.is_recording() {
        return Started::Recorded(span);
    }
    let own = span.span_context();
    if own.trace_id() != parent.trace_id() {
        return Started::Unrecorded(own.clone());
    }
    Started::Unrecorded(SpanContext::new(
        own.trace_id(),
        own.span_id(),
        parent.trace_flags().with_sampled(false),
        false,
        own.trace_state().clone(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SamplerConfig, SpanExport, TraceConfig, Tracing};
    use meshwise_core::Service;
    use opentelemetry::{
        KeyValue,
        trace::{SpanId, SpanKind, TraceFlags, TraceState, Tracer as _, TracerProvider as _},
    };
    use opentelemetry_sdk::trace::{Sampler, SamplingResult, SdkTracerProvider, ShouldSample};

    fn tracing(sampler: SamplerConfig) -> Tracing {
        let export = SpanExport::memory(&crate::MemorySpans::new());
        let service = Service::new("test", "0");
        TraceConfig::new(service).with_sampler(sampler).with_exporter(export).build().unwrap()
    }

    fn remote(sampled: bool) -> SpanContext {
        let flags = TraceFlags::new(2).with_sampled(sampled);
        let state = TraceState::from_key_value([("a", "1")]).unwrap();
        SpanContext::new(TraceId::from(7), SpanId::from(8), flags, true, state)
    }

    /// Starts a span; tells its ids, whether it records, and whether it was filled.
    fn start(tracing: &Tracing, parent: &SpanContext) -> (SpanContext, bool, bool) {
        let mut filled = false;
        let context = || Context::new().with_remote_span_context(parent.clone());
        let started = tracing.start(parent, context, |_| {
            filled = true;
            let builder = SpanBuilder::from_name("GET").with_kind(SpanKind::Server);
            builder.with_attributes(vec![KeyValue::new("k", "v")])
        });
        match started {
            Started::Recorded(span) => (span.span_context().clone(), true, filled),
            Started::Unrecorded(ids) => (ids, false, filled),
        }
    }

    #[test]
    fn a_span_that_no_one_records_is_only_its_ids() {
        let tracing = tracing(SamplerConfig::default());
        let (ids, recorded, filled) = start(&tracing, &remote(false));
        assert!(!recorded && !filled);
        assert_eq!(
            (ids.trace_id(), ids.is_sampled(), ids.is_remote()),
            (TraceId::from(7), false, false)
        );
        assert!(ids.span_id() != SpanId::from(8) && ids.is_valid());
        assert_eq!(ids.trace_flags(), TraceFlags::new(2), "that the id is random stays true");
        assert_eq!(ids.trace_state().header(), "a=1");
    }

    #[test]
    fn ids_that_are_made_later_are_those_of_a_span_that_is_dropped() {
        let based = SamplerConfig::parent_based;
        let samplers = [
            SamplerConfig::always_off(),
            SamplerConfig::always_on(),
            based(SamplerConfig::always_off()),
            based(SamplerConfig::always_on()),
            based(SamplerConfig::rate_limited(5.0)),
            SamplerConfig::ratio(0.5),
            SamplerConfig::custom(ByName),
            SamplerConfig::keep_errors(SamplerConfig::ratio(0.5)),
        ];
        let mut unseen = 0;
        for sampler in samplers {
            let tracing = tracing(sampler);
            for parent in [SpanContext::NONE, remote(false), remote(true)] {
                let (ids, recorded, _) = start(&tracing, &parent);
                if tracing.sees_none_below(&parent) {
                    let later = Started::ids_below(&parent);
                    let facts = |ids: &SpanContext| {
                        let state = ids.trace_state().clone();
                        (ids.trace_id(), ids.trace_flags(), ids.is_remote(), state)
                    };
                    assert!(!recorded && later.is_valid() && later.span_id() != parent.span_id());
                    assert_eq!(facts(&later), facts(&ids), "{parent:?}");
                    unseen += 1;
                }
            }
        }
        assert!(unseen >= 5, "{unseen}");
    }

    #[test]
    fn a_span_that_records_is_its_parent_s_child() {
        let tracing = tracing(SamplerConfig::default());
        let (ids, recorded, filled) = start(&tracing, &remote(true));
        assert!(recorded && filled);
        assert_eq!((ids.trace_id(), ids.is_sampled()), (TraceId::from(7), true));
        let (root, recorded, _) = start(&tracing, &SpanContext::NONE);
        assert!(recorded && root.is_valid() && root.trace_id() != TraceId::from(7));
    }

    /// W3C Trace Context level 2, "random-trace-id flag": set where an id is made, handed on else.
    #[test]
    fn a_trace_that_begins_here_says_that_its_id_is_random() {
        let flags = |tracing: &Tracing, parent: &SpanContext| {
            start(tracing, parent).0.trace_flags().to_u8()
        };
        let (on, off) =
            (SamplerConfig::default(), SamplerConfig::parent_based(SamplerConfig::always_off()));
        let (on, off) = (tracing(on), tracing(off));
        assert_eq!(flags(&on, &SpanContext::NONE), 3);
        assert_eq!(flags(&off, &SpanContext::NONE), 2);
        assert_eq!(flags(&tracing(SamplerConfig::custom(ByName)), &SpanContext::NONE), 3);
        let declined = Started::unrecorded();
        assert!(matches!(declined, Started::Unrecorded(ids) if ids.trace_flags().to_u8() == 2));
        for (came, sampled) in [(0, false), (1, true), (2, false), (3, true)] {
            let parent = remote(sampled);
            let parent = SpanContext::new(
                parent.trace_id(),
                parent.span_id(),
                TraceFlags::new(came),
                true,
                TraceState::NONE,
            );
            assert_eq!(flags(&on, &parent), came, "a caller's is handed on");
        }
    }

    #[test]
    fn each_way_to_begin_a_trace_says_so_and_so_do_its_children_and_the_export() {
        let spans = crate::MemorySpans::new();
        let tracing = TraceConfig::new(Service::new("test", "0"))
            .with_exporter(SpanExport::memory(&spans))
            .build()
            .unwrap();
        let global = opentelemetry::trace::TracerProvider::tracer(&tracing, "global");
        for tracer in [tracing.tracer(), &global] {
            let root = tracer.start("root");
            assert_eq!(root.span_context().trace_flags().to_u8(), 3);
            let child = tracer.start_with_context("child", &Context::new().with_span(root));
            assert_eq!(child.span_context().trace_flags().to_u8(), 3);
        }
        let flags: Vec<u8> =
            spans.spans().iter().map(|span| span.span_context.trace_flags().to_u8()).collect();
        assert_eq!(flags, [3; 4]);
        // How a provider that was made elsewhere makes its ids is not known.
        let foreign = Tracing::from_provider(SdkTracerProvider::builder().build());
        assert_eq!(foreign.tracer().start("root").span_context().trace_flags().to_u8(), 1);
    }

    #[test]
    fn the_sampler_decides_once_and_for_the_id_that_the_span_gets() {
        let limited = tracing(SamplerConfig::rate_limited(2.0));
        let kept = (0..10).filter(|_| start(&limited, &SpanContext::NONE).1).count();
        assert_eq!(kept, 2, "each span takes one token");
        // A ratio decides by the id: the same id must give the same answer again.
        let ratio = tracing(SamplerConfig::ratio(0.5));
        for _ in 0..50 {
            let (ids, recorded, filled) = start(&ratio, &SpanContext::NONE);
            let id = meshwise_core::TraceId::from_bytes(ids.trace_id().to_bytes());
            assert_eq!((recorded, filled), (ratio.decide_root(id), recorded));
        }
    }

    #[test]
    fn nothing_is_left_for_the_next_span() {
        let tracing = tracing(SamplerConfig::always_on());
        let provider = tracing.provider().clone();
        provider.shutdown().unwrap();
        let (ids, recorded, _) = start(&tracing, &remote(true));
        assert!(!recorded && !ids.is_valid());
        assert!(decision::take_trace_id().is_none());
    }

    #[test]
    fn what_nothing_exports_is_neither_put_together_nor_recorded() {
        let unseen = |sampler| {
            let config = TraceConfig::new(Service::new("test", "0")).with_sampler(sampler);
            config.with_exporter(SpanExport::none()).build().unwrap()
        };
        let tracing = unseen(SamplerConfig::always_on());
        for parent in [SpanContext::NONE, remote(true)] {
            let (ids, recorded, filled) = start(&tracing, &parent);
            assert!(ids.is_sampled() && !recorded && !filled, "{parent:?}");
        }
        // A sampler of one's own is asked with what the span has.
        let (ids, recorded, _) = start(&unseen(SamplerConfig::custom(ByName)), &SpanContext::NONE);
        assert!(ids.is_sampled() && !recorded);
        // So it is where the spans of `tracing` are started.
        let span = tracing.tracer().start("own");
        assert!(span.span_context().is_sampled() && !span.is_recording());
    }

    #[derive(Clone, Debug)]
    struct ByName;

    impl ShouldSample for ByName {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            name: &str,
            _: &SpanKind,
            _: &[KeyValue],
            _: &[opentelemetry::trace::Link],
        ) -> SamplingResult {
            let decision = match name {
                "GET" => SamplingDecision::RecordAndSample,
                _ => SamplingDecision::Drop,
            };
            SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
        }
    }

    #[test]
    fn a_custom_sampler_and_a_foreign_provider_have_their_say() {
        let custom = tracing(SamplerConfig::custom(ByName));
        assert!(start(&custom, &SpanContext::NONE).1);
        let post = |_: &mut Room| SpanBuilder::from_name("POST");
        let other = custom.start(&SpanContext::NONE, Context::new, post);
        assert!(matches!(other, Started::Unrecorded(ids) if ids.is_valid()));

        let off = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
        let (ids, recorded, _) = start(&Tracing::from_provider(off), &remote(true));
        assert!(!recorded);
        assert_eq!((ids.trace_id(), ids.trace_flags()), (TraceId::from(7), TraceFlags::new(2)));
        let on = SdkTracerProvider::builder().build();
        let _unused = on.tracer("t");
        assert!(start(&Tracing::from_provider(on), &remote(false)).0.is_valid());
    }
}
