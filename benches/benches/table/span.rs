//! One span from start to end, with what an HTTP server says about a call.

use crate::stacks;
use benches::{Bench, Contestant};
use opentelemetry::{
    KeyValue,
    trace::{Span, SpanKind, Tracer, TracerProvider},
};

pub(crate) fn span(tracer: &impl Tracer) {
    let mut span =
        tracer.span_builder("GET /orders/{id}").with_kind(SpanKind::Server).start(tracer);
    span.set_attribute(KeyValue::new("http.request.method", "GET"));
    span.set_attribute(KeyValue::new("http.route", "/orders/{id}"));
    span.set_attribute(KeyValue::new("url.path", "/orders/7"));
    span.set_attribute(KeyValue::new("http.response.status_code", 200_i64));
    span.end();
}

pub(crate) fn run(bench: &mut Bench) {
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        bench.contest(&format!("span, {word}, start to end"), |contest| {
            contest.ours("meshwise-trace's pipeline", move || {
                let mesh = stacks::mesh(sampled);
                let tracer = mesh.tracing().tracer().clone();
                Contestant::new(move || span(&tracer)).with_settle(stacks::settle(mesh))
            });
            contest.peer("opentelemetry_sdk's batch processor", move || {
                let provider = stacks::sdk(sampled);
                let tracer = provider.tracer("bench");
                let settle = stacks::settle_sdk(provider);
                Contestant::new(move || span(&tracer)).with_settle(settle)
            });
        });
    }
}
