use super::*;
use crate::{CallSpan, MemorySpans, OpenTelemetrySpanExt, SpanExport, SpanFilter, TraceConfig};
use meshwise_core::{
    Service,
    internal::{SPAN_TARGET, bounded::FAILED},
};
use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use tracing::Span;
use tracing_subscriber::layer::Context;

/// Counts the calls' spans that are made, and those that are closed.
#[derive(Clone, Default)]
struct Counts(Arc<(AtomicUsize, AtomicUsize)>);

impl Counts {
    fn get(&self) -> (usize, usize) {
        (self.0.0.load(Relaxed), self.0.1.load(Relaxed))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Counts {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().target() == SPAN_TARGET {
            self.0.0.fetch_add(1, Relaxed);
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        if cx.metadata(&id).is_some_and(|metadata| metadata.target() == SPAN_TARGET) {
            self.0.1.fetch_add(1, Relaxed);
        }
    }
}

/// Has something done with a call and its context; tells how many spans were made and closed for it.
fn with_call(work: impl FnOnce(&CallSpan, &opentelemetry::Context)) -> (usize, usize) {
    let spans = MemorySpans::new();
    let config = TraceConfig::new(Service::new("test", "0"));
    let tracing = config.with_exporter(SpanExport::memory(&spans)).build().unwrap();
    let counts = Counts::default();
    let layers = Registry::default().with(counts.clone());
    let layers = layers.with(tracing.layer(SpanFilter::new("info").unwrap()));
    dispatcher::with_default(&tracing.on_demand(layers), || {
        let span = tracing.tracer().start("a call").of_call();
        let cx = opentelemetry::Context::new().with_span(span);
        let call = CallSpan::new(&cx, None);
        work(&call, &cx);
        assert!(Span::current().is_none(), "nothing is left behind");
    });
    counts.get()
}

/// Runs what is done in the middle of a call, twice, as in two polls.
fn polled_twice(poll: impl Fn()) -> (usize, usize) {
    with_call(|call, cx| {
        for _ in 0..2 {
            let _attached = cx.clone().attach();
            let _entered = call.enter();
            poll();
        }
    })
}

#[test]
fn a_call_that_asks_for_nothing_has_no_span() {
    assert_eq!(polled_twice(|| ()), (0, 0));
    assert_eq!(polled_twice(|| tracing::info_span!("own").in_scope(|| ())), (0, 0));
    let within = || tracing::info_span!("own").in_scope(|| drop(Span::current()));
    assert_eq!(polled_twice(within), (0, 0));
}

#[test]
fn a_call_that_asks_has_one_and_it_is_closed() {
    let ask = || {
        let own = opentelemetry::Context::current();
        let asked = Span::current().context();
        assert_eq!(asked.span().span_context(), own.span().span_context());
    };
    assert_eq!(polled_twice(ask), (1, 1));
    // What it logs is an event of its OpenTelemetry span, without one.
    assert_eq!(polled_twice(|| tracing::info!("an event of the call's")), (0, 0));
}

#[test]
fn a_call_entered_within_itself_has_one_span() {
    let current = || Span::current().id().unwrap();
    // Asked for outside first, only within, or within first.
    for (before, after) in [(true, false), (false, false), (false, true)] {
        let counts = with_call(|call, cx| {
            let _attached = cx.clone().attach();
            let outer = call.enter();
            let mut seen = Vec::new();
            seen.extend(before.then(current));
            {
                let _inner = call.enter();
                seen.push(current());
            }
            seen.extend(after.then(current));
            drop(outer);
            let _entered = call.enter();
            seen.push(current());
            assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
        });
        assert_eq!(counts, (1, 1), "asked before: {before}, after: {after}");
    }
}

#[test]
fn of_a_call_on_two_threads_no_span_is_left_open() {
    // The thread that ends last is within the call once or twice, and asks within or around.
    for (twice, around) in [(false, true), (true, true), (true, false)] {
        let counts = with_call(|call, cx| {
            let dispatch = dispatcher::get_default(Dispatch::clone);
            let _attached = cx.clone().attach();
            let outer = call.enter();
            let made = around.then(|| Span::current().id().unwrap());
            let inner = twice.then(|| call.enter());
            let made = made.or_else(|| Span::current().id());
            let other = std::thread::scope(|scope| {
                let other = scope.spawn(|| {
                    dispatcher::with_default(&dispatch, || {
                        let _attached = cx.clone().attach();
                        let _entered = call.enter();
                        Span::current().id()
                    })
                });
                other.join().unwrap()
            });
            assert_ne!(made, other);
            {
                let _third = call.enter();
                assert_eq!(Span::current().id(), made, "within one poll it is one");
            }
            drop(inner);
            assert!(!twice || Span::current().id() == made);
            drop(outer);
            let _later = call.enter();
            assert_eq!(Span::current().id(), other, "the first that ended is kept");
        });
        assert_eq!(counts, (2, 2), "entered twice: {twice}, asked around: {around}");
    }
}

#[tokio::test]
async fn a_span_around_a_call_ends_wherever_the_call_does() {
    let ended = async |drop_it: fn(CallSpan)| {
        let spans = MemorySpans::new();
        let config = TraceConfig::new(Service::new("test", "0"));
        let tracing = config.with_exporter(SpanExport::memory(&spans)).build().unwrap();
        let layers = Registry::default();
        let layers = layers.with(tracing.layer(SpanFilter::new("info").unwrap()));
        // What a subscriber still has when it ends, it releases then.
        let subscriber = tracing.on_demand(layers);
        dispatcher::with_default(&subscriber, || {
            let own = tracing::info_span!("own");
            let call = own.in_scope(|| {
                let cx = opentelemetry::Context::current();
                let cx = cx.with_span(tracing.tracer().start("a call").of_call());
                let call = CallSpan::new(&cx, None);
                let _attached = cx.attach();
                let _entered = call.enter();
                assert!(Span::current().id().is_some(), "it was asked for");
                drop(_entered);
                call
            });
            drop(own);
            drop_it(call);
        });
        let _report = tracing.flush(Duration::from_secs(10)).await.unwrap();
        spans.spans().iter().any(|span| span.name == "own")
    };
    assert!(ended(drop).await, "in its own subscriber");
    let elsewhere = |call| _ = std::thread::scope(|scope| scope.spawn(|| drop(call)).join());
    assert!(ended(elsewhere).await, "on a thread without one");
    let other = |call| dispatcher::with_default(&Dispatch::none(), || drop(call));
    assert!(ended(other).await, "in another subscriber");
}

#[test]
fn guards_are_dropped_in_any_order() {
    let last = || with_last(|frame| (frame.owner, frame.inside));
    Frame::push(1, 7, None);
    Frame::push(2, 7, Some(&Id::from_u64(5)));
    Frame::pop(1);
    assert_eq!(last(), Some((2, 0)));
    assert_eq!(Frame::entered(2), None, "it was not asked for");
    Frame::pop(1);
    Frame::pop(2);
    assert_eq!(last(), None);
}

/// Says nothing, and that it failed.
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

/// `tracing-opentelemetry` panics where a value fails.
#[test]
fn only_the_next_event_of_the_workspace_s_own_is_taken_as_it_is() {
    let spans = MemorySpans::new();
    let config = TraceConfig::new(Service::new("test", "0"));
    let tracing = config.with_exporter(SpanExport::memory(&spans)).build().unwrap();
    let layers = Registry::default().with(tracing.layer(SpanFilter::new("info").unwrap()));
    dispatcher::with_default(&tracing.on_demand(layers), || {
        let _inside = tracing::info_span!("work").entered();
        let another = || tracing::info!(target: "elsewhere", value = %Broken);
        with_plain_values(|| {
            another();
            tracing::info!(target: "meshwise::test", value = %7);
        });
        with_plain_values(|| tracing::info!(target: "meshwise::test", value = %8));
        with_plain_values(|| ());
        tracing::info!(target: "meshwise::test", value = %Broken);
    });
    let values: Vec<_> = spans.spans()[0]
        .events
        .events
        .iter()
        .flat_map(|event| &event.attributes)
        .filter(|attribute| attribute.key.as_str() == "value")
        .map(|attribute| attribute.value.as_str().into_owned())
        .collect();
    assert_eq!(values, [FAILED, "7", "8", FAILED]);
}
