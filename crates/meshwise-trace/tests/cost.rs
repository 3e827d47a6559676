//! What ending a span costs the thread that ends it.

use meshwise_core::{DropReason, Service};
use meshwise_trace::{BatchConfig, SamplerConfig, SpanExport, TraceConfig};
use opentelemetry::{Context, InstrumentationScope, trace::TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{
        BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter,
        SpanProcessor,
    },
};
use std::time::{Duration, Instant};

/// Takes spans and drops them.
#[derive(Debug)]
struct Noop;

impl SpanProcessor for Noop {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, _: SpanData) {}
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Takes spans and never comes to an end with them.
#[derive(Debug)]
struct Stuck;

impl SpanExporter for Stuck {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        std::future::pending().await
    }
}

fn ours(queue: usize, exporter: impl SpanExporter + 'static) -> meshwise_trace::Tracing {
    TraceConfig::new(Service::new("orders", "1"))
        .with_exporter(SpanExport::custom(exporter))
        .with_batch(BatchConfig::new().with_queue_size(queue).with_batch_size(512))
        .build()
        .unwrap()
}

fn noop() -> SdkTracer {
    let scope = InstrumentationScope::builder("meshwise").with_version("0").build();
    let provider = SdkTracerProvider::builder().with_span_processor(Noop).build();
    let tracer = provider.tracer_with_scope(scope);
    // Its drop would shut the provider down.
    std::mem::forget(provider);
    tracer
}

/// Counts them once the first spans' places have come back: `settle` waits until those that have ended are
/// exported. Before a batch is full none is, so that there are at least as many places.
fn allocations(tracer: &impl opentelemetry::trace::Tracer, settle: impl Fn()) -> u64 {
    let spans = |count: usize| (0..count).for_each(|_| drop(tracer.start("work")));
    spans(1_100);
    (0..10)
        .map(|_| {
            settle();
            allocation_counter::measure(|| spans(100)).count_total
        })
        .sum()
}

#[test]
fn ending_a_span_through_the_queue_allocates_nothing_more() {
    let nothing = allocations(&noop(), || ());
    let tracing = ours(4_096, Nowhere);
    let flush = || tracing.provider().force_flush().unwrap();
    assert_eq!(allocations(tracing.tracer(), flush), nothing);
    // A queue that is full costs nothing either.
    let tracing = ours(512, Stuck);
    assert_eq!(allocations(tracing.tracer(), || ()), nothing);
    assert!(tracing.report().dropped_because(DropReason::QueueFull) >= 1_000);
    // To shut it down would take the exporter's whole time.
    std::mem::forget(tracing);
}

#[test]
fn a_span_that_is_not_sampled_allocates_nothing() {
    let tracing = TraceConfig::new(Service::new("orders", "1"))
        .with_exporter(SpanExport::custom(Nowhere))
        .with_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(0.0)))
        .build()
        .unwrap();
    assert_eq!(allocations(tracing.tracer(), || ()), 0);
}

fn time(name: &str, tracer: &(impl opentelemetry::trace::Tracer + Sync), threads: usize) {
    const SPANS: u32 = 200_000;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..SPANS {
                    drop(tracer.start("work"));
                }
            });
        }
    });
    println!("{name:>24}, {threads} threads: {:?} a span", start.elapsed() / SPANS);
}

/// Prints what start and end of a span take beside the SDK's own batch processor:
/// `cargo test --release -p meshwise-trace --test cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn compare_with_the_sdk() {
    for threads in [1, 2, 4] {
        time("no-op processor", &noop(), threads);
        let tracing = ours(2_048, Nowhere);
        time("ours", tracing.tracer(), threads);
        println!("{:>26} {}", "", tracing.report());
        let sdk = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(Nowhere).build())
            .build();
        time("the SDK's", &sdk.tracer("meshwise"), threads);
    }
}
