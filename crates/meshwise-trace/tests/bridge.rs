//! The bridge from `tracing`: which spans become OpenTelemetry spans, and what the others stand for.

use meshwise_core::{Env, Service};
use meshwise_trace::{
    MemorySpans, OpenTelemetrySpanExt, SamplerConfig, SpanExport, SpanFilter, TraceConfig, Tracing,
};
use opentelemetry::{
    Context, Value,
    trace::{
        Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
        Tracer as _,
    },
};
use opentelemetry_sdk::trace::SpanData;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

/// A pipeline whose spans are kept, and a subscriber whose log filter lets all through.
struct World {
    tracing: Tracing,
    spans: MemorySpans,
    dispatch: Dispatch,
}

fn world(directives: &str, change: impl FnOnce(TraceConfig) -> TraceConfig) -> World {
    let spans = MemorySpans::new();
    let config = TraceConfig::new(Service::new("bridge", "0"));
    let config = change(config.with_exporter(SpanExport::memory(&spans)));
    let tracing = config.build().expect("a pipeline");
    let filter = SpanFilter::new(directives).expect("directives");
    let filter = filter.with_log_filter(EnvFilter::new("trace"));
    let dispatch = Dispatch::new(Registry::default().with(tracing.layer(filter)));
    World { tracing, spans, dispatch }
}

impl World {
    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, work)
    }

    fn span(&self, name: &str) -> SpanData {
        let all = self.spans.spans();
        let span = all.iter().find(|span| span.name == name);
        span.unwrap_or_else(|| panic!("no {name} in {all:?}")).clone()
    }
}

fn remote() -> Context {
    let (trace, span) = (TraceId::from(7), SpanId::from(8));
    let ids = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(ids)
}

fn value<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv| &kv.value)
}

#[test]
fn a_call_s_span_stands_for_the_current_one() {
    let world = world("info", |config| config);
    let own = world.tracing.tracer().start("the call");
    let ids = own.span_context().clone();
    let attached = Context::new().with_span(own).attach();
    world.within(|| {
        let span = tracing::error_span!(target: "meshwise::call", "call");
        span.in_scope(|| {
            tracing::error!(n = 1, "logged");
            let error = std::io::Error::other("disk full");
            tracing::error!(error = &error as &dyn std::error::Error, "with its error");
        });
        span.set_attribute("by", "hand");
        span.set_status(Status::error("not by hand"));
        assert_eq!(*span.context().span().span_context(), ids);
        assert!(span.context().span().is_recording());
    });
    assert!(world.spans.spans().is_empty(), "the alias ended, and ended nothing");
    Context::current().span().end();
    drop(attached);
    let span = world.span("the call");
    assert_eq!(span.status, Status::Unset);
    assert_eq!(value(&span, "by"), Some(&"hand".into()));
    assert_eq!(value(&span, "exception.message"), None);
    let events: Vec<&str> = span.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["logged", "with its error"]);
    assert_eq!(world.spans.spans().len(), 1);
}

#[test]
fn a_span_that_is_not_wanted_stands_for_its_parent_whenever_that_is_set() {
    let world = world("info", |config| config);
    world.within(|| {
        let outer = tracing::info_span!("outer");
        let _entered = outer.enter();
        // What is added before the start goes to the parent, too.
        let unwanted = tracing::debug_span!("unwanted", otel.name = "renamed", field = 1);
        tracing::info!(parent: &unwanted, "early");
        unwanted.add_link(remote().span().span_context().clone());
        assert_eq!(
            unwanted.context().span().span_context().span_id(),
            outer.context().span().span_context().span_id()
        );
        unwanted.record("field", 2);
        // As a consumer of messages does.
        let consume = tracing::debug_span!(parent: None, "consume");
        consume.set_parent(remote()).expect("not started yet");
        assert_eq!(consume.context().span().span_context().span_id(), SpanId::from(8));
        consume.in_scope(|| tracing::info_span!("handle").in_scope(|| ()));
    });
    let (outer, handle) = (world.span("outer"), world.span("handle"));
    assert_eq!(handle.span_context.trace_id(), TraceId::from(7));
    assert_eq!(handle.parent_span_id, SpanId::from(8));
    assert_eq!(outer.events.len(), 1, "{outer:?}");
    assert_eq!(outer.links.len(), 1, "{outer:?}");
    assert_eq!(value(&outer, "field"), None, "the fields of another span are not its own");
    assert_eq!(value(&outer, "target"), None);
    assert_eq!(world.spans.spans().len(), 2);
}

#[test]
fn one_s_own_spans_are_as_they_were() {
    let world = world("info", |config| config);
    world.within(|| {
        let span = tracing::info_span!("own", a = 1, later = tracing::field::Empty);
        span.in_scope(|| tracing::error!("bad"));
        span.record("later", "now");
    });
    let span = world.span("own");
    assert_eq!((value(&span, "a"), value(&span, "later")), (Some(&1.into()), Some(&"now".into())));
    assert!(matches!(span.status, Status::Error { .. }));
    assert_eq!(span.events.len(), 1);
}

#[test]
fn tower_http_makes_spans_only_where_it_is_named() {
    for (directives, expected) in [("info", 0), ("trace", 0), ("info,tower_http=info", 1)] {
        let world = world(directives, |config| config);
        world.within(|| {
            let span = tracing::info_span!(target: "tower_http::trace::make_span", "request");
            span.in_scope(|| ());
        });
        assert_eq!(world.spans.spans().len(), expected, "{directives}");
    }
    let error = SpanFilter::<Registry>::new("info,=x=").expect_err("no directives");
    let text = error.to_string();
    assert!(text.contains("MESHWISE_TRACES_SPAN_FILTER") && text.contains("`info,=x=`"), "{text}");
}

#[test]
fn each_trace_is_decided_once() {
    let world = world("info", |config| config.with_sampler(SamplerConfig::rate_limited(2.0)));
    world.within(|| {
        for _ in 0..10 {
            tracing::info_span!("root").in_scope(|| tracing::info_span!("child").in_scope(|| ()));
        }
    });
    let named = |name| world.spans.spans().iter().filter(|span| span.name == name).count();
    assert_eq!((named("root"), named("child")), (2, 2));
}

#[test]
fn unsampled_spans_have_ids_of_their_own_in_the_caller_s_trace() {
    let world = world("info", |config| config.with_sampler(SamplerConfig::always_off()));
    let _attached = remote().attach();
    world.within(|| {
        let outer = tracing::info_span!("outer");
        let outer_ids = outer.context().span().span_context().clone();
        let inner = outer.in_scope(|| tracing::info_span!("inner"));
        let inner_ids = inner.context().span().span_context().clone();
        for ids in [&outer_ids, &inner_ids] {
            assert!(ids.is_valid() && !ids.is_sampled() && !ids.is_remote());
            assert_eq!(ids.trace_id(), TraceId::from(7));
        }
        assert!(
            outer_ids.span_id() != inner_ids.span_id() && outer_ids.span_id() != SpanId::from(8)
        );
    });
    assert!(world.spans.spans().is_empty());
}

#[test]
fn with_tracing_off_a_span_is_the_caller_s() {
    let env = Env::from_pairs([("OTEL_SDK_DISABLED", "true")]);
    let world = world("info", |config| config.with_env(&env).expect("an environment"));
    world.within(|| {
        let alone = tracing::info_span!("alone");
        assert!(!alone.context().span().span_context().is_valid());
        let _attached = remote().attach();
        let below = tracing::info_span!("below");
        assert_eq!(below.context().span().span_context(), remote().span().span_context());
    });
    let tracer = world.tracing.tracer();
    let span = tracer.start_with_context("by hand", &remote());
    assert_eq!(span.span_context(), remote().span().span_context());
}

/// A builder that asks for nothing special is not taken for an alias by what a thread did before.
#[test]
fn nothing_is_left_for_the_next_span() {
    let world = world("warn", |config| config);
    world.within(|| drop(tracing::info_span!("unwanted")));
    drop(world.tracing.tracer().start("by hand"));
    assert_eq!(world.spans.spans().len(), 1);
    let suppressed = Context::new().with_telemetry_suppressed();
    let span = world.tracing.tracer().start_with_context("quiet", &suppressed);
    assert!(!span.span_context().is_valid());
    drop(span);
    assert_eq!(world.spans.spans().len(), 1);
}
