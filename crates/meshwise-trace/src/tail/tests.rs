use super::*;
use crate::{MemorySpans, SamplerConfig, SpanExport, TailLimits, TraceConfig, Tracing};
use meshwise_core::Service;
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Link, Span as _, SpanBuilder, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);

fn tracing(limits: TailLimits) -> (Tracing, MemorySpans) {
    let spans = MemorySpans::new();
    let sampler = SamplerConfig::keep_errors(SamplerConfig::always_off()).with_tail_limits(limits);
    let tracing = TraceConfig::new(Service::new("orders", "1"))
        .with_sampler(SamplerConfig::parent_based(sampler))
        .with_exporter(SpanExport::memory(&spans))
        .build()
        .unwrap();
    (tracing, spans)
}

fn names(spans: &MemorySpans) -> Vec<String> {
    spans.spans().iter().map(|span| span.name.to_string()).collect()
}

fn why(spans: &MemorySpans, name: &str) -> Option<String> {
    let span = spans.spans().into_iter().find(|span| span.name == name)?;
    let kept = span.attributes.iter().find(|kv| kv.key.as_str() == "meshwise.sampling.kept")?;
    Some(kept.value.to_string())
}

fn remote(trace: u128) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(trace),
        SpanId::from(99),
        TraceFlags::default(),
        true,
        TraceState::NONE,
    ))
}

/// Starts a span below `parent`.
fn start(tracing: &Tracing, name: &'static str, parent: &Context) -> Context {
    Context::new().with_span(tracing.tracer().start_with_context(name, parent))
}

fn end(span: &Context) {
    span.span().end();
}

fn fail(span: &Context) {
    span.span().set_status(Status::error("broken"));
    span.span().end();
}

fn end_after(span: &Context, start: SystemTime, elapsed: Duration) {
    span.span().end_with_timestamp(start + elapsed);
}

#[test]
fn a_trace_that_ends_well_is_forgotten() {
    let (tracing, spans) = tracing(TailLimits::new());
    let root = start(&tracing, "root", &Context::new());
    let child = start(&tracing, "child", &root);
    end(&child);
    end(&root);
    assert!(spans.spans().is_empty());
    assert_eq!(tracing.report().total_dropped(), 0, "what is not sampled is not lost");
}

#[test]
fn an_error_anywhere_keeps_the_whole_trace() {
    let (tracing, spans) = tracing(TailLimits::new());
    let root = start(&tracing, "root", &remote(5));
    let good = start(&tracing, "good", &root);
    let bad = start(&tracing, "bad", &root);
    let after = start(&tracing, "after", &root);
    end(&good);
    assert!(spans.spans().is_empty(), "nothing is decided yet");
    fail(&bad);
    end(&after);
    end(&root);
    assert_eq!(names(&spans), ["good", "bad", "after", "root"]);
    assert_eq!(why(&spans, "root").as_deref(), Some("error"));
    assert_eq!(why(&spans, "good"), None);
    for span in spans.spans() {
        assert!(span.span_context.is_sampled(), "{} is marked as sampled", span.name);
        assert_eq!(span.span_context.trace_id(), TraceId::from(5));
    }
    assert_eq!(tracing.report().delivered, 4);
}

#[test]
fn a_slow_local_root_keeps_its_trace() {
    let (tracing, spans) = tracing(TailLimits::new());
    let tracer = tracing.tracer();
    for (trace, elapsed, kept) in [(1, SECOND - Duration::from_nanos(1), 0), (2, SECOND, 2)] {
        let now = SystemTime::now();
        let builder = SpanBuilder::from_name("root").with_start_time(now);
        let root = Context::new().with_span(tracer.build_with_context(builder, &remote(trace)));
        let child = start(&tracing, "child", &root);
        end(&child);
        end_after(&root, now, elapsed);
        assert_eq!(spans.spans().len(), kept);
    }
    assert_eq!(why(&spans, "root").as_deref(), Some("slow"));
}

#[test]
fn a_slow_child_of_a_fast_root_does_not() {
    let (tracing, spans) = tracing(TailLimits::new());
    let root = start(&tracing, "root", &Context::new());
    let now = SystemTime::now();
    let builder = SpanBuilder::from_name("child").with_start_time(now);
    let child = Context::new().with_span(tracing.tracer().build_with_context(builder, &root));
    end_after(&child, now, SECOND * 10);
    end(&root);
    assert!(spans.spans().is_empty());
}

#[test]
fn sampled_traces_pass_untouched() {
    let (tracing, spans) = tracing(TailLimits::new());
    let sampled = Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(3),
        SpanId::from(4),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    ));
    let root = start(&tracing, "root", &sampled);
    end(&root);
    assert_eq!(names(&spans), ["root"]);
    assert_eq!(why(&spans, "root"), None);
}

#[test]
fn calls_of_one_trace_that_overlap_share_one_decision() {
    let (tracing, spans) = tracing(TailLimits::new());
    let first = start(&tracing, "first", &remote(7));
    let second = start(&tracing, "second", &remote(7));
    end(&first);
    fail(&second);
    assert_eq!(names(&spans), ["first", "second"]);
    assert_eq!(why(&spans, "first").as_deref(), Some("error"));

    // Not overlapping, each is decided by itself.
    let third = start(&tracing, "third", &remote(7));
    end(&third);
    assert_eq!(names(&spans).len(), 2);
}

#[test]
fn a_span_that_ends_after_its_root_follows_it() {
    let (tracing, spans) = tracing(TailLimits::new());
    let root = start(&tracing, "root", &Context::new());
    let late = start(&tracing, "late", &root);
    fail(&root);
    end(&late);
    assert_eq!(names(&spans), ["root", "late"]);

    spans.clear();
    let root = start(&tracing, "root", &Context::new());
    let late = start(&tracing, "late", &root);
    end(&root);
    fail(&late);
    assert!(spans.spans().is_empty(), "its trace is forgotten");
}

#[test]
fn a_trace_s_spans_are_bounded_and_those_missing_from_a_kept_one_counted() {
    let (tracing, spans) = tracing(TailLimits::new().with_spans_per_trace(3));
    for fails in [false, true] {
        let root = start(&tracing, "root", &Context::new());
        for _ in 0..10 {
            end(&start(&tracing, "child", &root));
        }
        if fails { fail(&root) } else { end(&root) }
    }
    assert_eq!(spans.spans().len(), 4);
    assert_eq!(tracing.report().dropped_because(DropReason::QueueFull), 7);
}

#[test]
fn past_the_limit_the_oldest_trace_is_thrown_out_and_counted() {
    let (tracing, spans) = tracing(TailLimits::new().with_traces(0));
    // One trace for each shard is left; these two fall into the same.
    let old = start(&tracing, "old", &remote(16));
    end(&start(&tracing, "old child", &old));
    let new = start(&tracing, "new", &remote(32));
    assert_eq!(tracing.report().dropped_because(DropReason::QueueFull), 1);
    fail(&new);
    fail(&old);
    assert_eq!(names(&spans), ["new", "old"], "a local root still speaks for itself");
    let quiet = start(&tracing, "quiet", &remote(48));
    let quieter = start(&tracing, "quieter", &remote(64));
    end(&quiet);
    end(&quieter);
    assert_eq!(names(&spans).len(), 2);
}

#[test]
fn memory_is_bounded() {
    let (tracing, spans) = tracing(TailLimits::new().with_bytes(100_000));
    let root = start(&tracing, "root", &Context::new());
    for _ in 0..100 {
        let child = start(&tracing, "child", &root);
        child.span().set_attribute(KeyValue::new("text", "x".repeat(10_000)));
        end(&child);
    }
    end(&root);
    let lost = tracing.report().dropped_because(DropReason::QueueFull);
    assert!(lost >= 1, "{lost}");
    // All memory is released, so that there is room again.
    let root = start(&tracing, "root", &Context::new());
    end(&start(&tracing, "child", &root));
    fail(&root);
    assert_eq!(spans.spans().len(), 2);
}

#[test]
fn roots_that_never_end_do_not_pile_up() {
    let tail = Tail::new(TailConfig {
        limits: TailLimits::new().with_traces(160),
        ..TailConfig::default()
    });
    let (tracing, _) = tracing(TailLimits::new());
    let tracer = tracing.provider().tracer("sdk");
    for trace in 0..10_000_u128 {
        let parent = remote(trace + 1);
        let span = tracer.start_with_context("leaked", &parent);
        tail.started(span.span_context(), parent.span().span_context());
        std::mem::forget(span);
    }
    for shard in &tail.shards {
        let shard = shard.lock().unwrap();
        assert!(shard.size() <= 10, "{}", shard.size());
    }
}

#[test]
fn a_head_sampler_still_samples() {
    let spans = MemorySpans::new();
    let tracing = TraceConfig::new(Service::new("orders", "1"))
        .with_sampler(SamplerConfig::keep_errors(SamplerConfig::always_on()))
        .with_exporter(SpanExport::memory(&spans))
        .build()
        .unwrap();
    let root = tracing.tracer().start("root");
    assert!(root.span_context().is_sampled());
    drop(root);
    assert_eq!(spans.spans().len(), 1);
}

#[test]
fn many_threads_keep_exactly_the_traces_that_fail() {
    let (tracing, spans) = tracing(TailLimits::new());
    std::thread::scope(|scope| {
        for thread in 0..4_u128 {
            let tracing = &tracing;
            scope.spawn(move || {
                for i in 0..500_u128 {
                    let root = start(tracing, "root", &remote(1 + thread * 1_000 + i));
                    for _ in 0..3 {
                        end(&start(tracing, "child", &root));
                    }
                    if i % 10 == 0 { fail(&root) } else { end(&root) }
                }
            });
        }
    });
    assert_eq!(spans.spans().len(), 4 * 50 * 4);
    assert_eq!(tracing.report().total_dropped(), 0);
}

#[test]
fn footprints_count_what_is_large() {
    let mut span = crate::test_util::span_data("work");
    let bare = shard::footprint(&span);
    span.attributes.push(KeyValue::new("text", "x".repeat(1_000)));
    assert!(shard::footprint(&span) >= bare + 1_000);
    let with_text = shard::footprint(&span);
    span.links.links.push(Link::new(SpanContext::NONE, Vec::new(), 0));
    assert!(shard::footprint(&span) > with_text);
}
