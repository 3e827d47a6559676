//! Reading and writing trace context and baggage.

use benches::{Bench, Contestant};
use http::{HeaderMap, HeaderValue};
use meshwise::core::{
    SpanId, TraceFlags, TraceId,
    propagation::{Baggage, Caller, Outgoing, Propagators},
};
use opentelemetry::{
    Context,
    propagation::{TextMapCompositePropagator, TextMapPropagator},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use std::hint::black_box;

fn headers(all: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set("host", "orders");
    set("user-agent", "bench");
    set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    if all {
        set("tracestate", "mw=p:00f067aa0ba902b7;s:gateway,congo=t61rcWkgMzE");
        set("baggage", "tier=gold,region=eu-central");
    }
    headers
}

fn theirs() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

pub(crate) fn run(bench: &mut Bench) {
    for (all, word) in [(false, "traceparent"), (true, "traceparent, tracestate, baggage")] {
        bench.contest(&format!("propagation, read {word}"), |contest| {
            contest.ours("meshwise-core", move || {
                let (propagators, headers) = (Propagators::default(), headers(all));
                Contestant::new(move || drop(black_box(propagators.extract(black_box(&headers)))))
            });
            contest.peer("opentelemetry_sdk's propagators", move || {
                let (propagators, headers) = (theirs(), headers(all));
                let root = Context::new();
                Contestant::new(move || {
                    let headers = HeaderExtractor(black_box(&headers));
                    drop(black_box(propagators.extract_with_context(&root, &headers)));
                })
            });
        });
        bench.contest(&format!("propagation, write {word}"), |contest| {
            contest.ours("meshwise-core", move || {
                let baggage = if all { "tier=gold,region=eu-central" } else { "" };
                let baggage = Baggage::from_header(baggage);
                let mut headers = HeaderMap::with_capacity(8);
                let propagators = Propagators::default();
                Contestant::new(move || {
                    let call = Outgoing {
                        trace_id: TraceId::from_int(0x4bf92f3577b34da6a3ce929d0e0e4736),
                        span_id: SpanId::from_int(0x00f067aa0ba902b7),
                        flags: TraceFlags::SAMPLED,
                        state: if all { "congo=t61rcWkgMzE" } else { "" },
                        caller: all.then(|| Caller::new("orders")),
                        baggage: &baggage,
                    };
                    propagators.inject(black_box(&call), &mut headers);
                })
            });
            contest.peer("opentelemetry_sdk's propagators", move || {
                let propagators = theirs();
                let cx = propagators.extract(&HeaderExtractor(&headers(all)));
                let mut headers = HeaderMap::with_capacity(8);
                Contestant::new(move || {
                    let mut headers = HeaderInjector(&mut headers);
                    propagators.inject_context(black_box(&cx), &mut headers);
                })
            });
        });
    }
}
