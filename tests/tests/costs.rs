//! What observing a call costs, in allocations: numbers that no machine changes.
//!
//! One table holds the budgets. A change that breaks one fails here.

use axum::{Router, body::Body, extract::Path, http::Request, routing::get};
use http::HeaderValue;
use meshwise::{
    Mesh,
    log::{LogFormat, LogOutput},
    opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SpanData, SpanExporter},
    },
    trace::{SamplerConfig, SpanExport},
};
use std::{io, time::Duration};
use tower::{Service, ServiceExt};

/// Allocations that observing may add to a call, span, metrics, access-log line and one line of the
/// handler's own included, beyond those that axum makes for any layer on a `Router` at all.
const BUDGETS: [(&str, bool, bool, u64); 4] = [
    // what, sampled, from a caller, allocations
    ("a new trace, sampled", true, false, 17),
    ("a caller's trace, sampled", true, true, 18),
    ("a new trace, unsampled", false, false, 7),
    ("a caller's trace, unsampled", false, true, 8),
];

/// Takes spans and forgets them.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

fn mesh(sampled: bool) -> Mesh {
    let sampler = if sampled { SamplerConfig::always_on() } else { SamplerConfig::always_off() };
    meshwise::builder("costs", "0.0.0")
        .with_env(meshwise::core::Env::empty())
        .logs(|logs| logs.with_format(LogFormat::Json).with_output(LogOutput::writer(io::sink())))
        .traces(|traces| {
            let traces = traces.with_sampler(sampler).with_exporter(SpanExport::custom(Nowhere));
            traces.with_batch(
                meshwise::trace::BatchConfig::new().with_delay(Duration::from_secs(3600)),
            )
        })
        .build()
        .expect("a mesh")
}

fn routes() -> Router {
    async fn order(Path(id): Path<u64>) -> &'static str {
        tracing::info!(id, "looking up");
        "an order"
    }
    Router::new().route("/orders/{id}", get(order))
}

fn request(from_caller: bool, sampled: bool) -> Request<Body> {
    let mut request = Request::get("/orders/7").body(Body::empty()).expect("a request");
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("orders"));
    headers.insert("user-agent", HeaderValue::from_static("test"));
    if from_caller {
        let parent = match sampled {
            true => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            false => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        };
        headers.insert("traceparent", HeaderValue::from_static(parent));
        let state = "mw=p:00f067aa0ba902b7;s:gateway";
        headers.insert("tracestate", HeaderValue::from_static(state));
    }
    request
}

/// Counts the allocations of one call, at the least of many: buffers grow now and then.
fn allocations(mut app: Router, from_caller: bool, sampled: bool, settle: impl Fn()) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut call = || {
        let request = request(from_caller, sampled);
        let ready = runtime.block_on(ServiceExt::<Request<Body>>::ready(&mut app)).is_ok();
        assert!(ready);
        let taken = allocation_counter::measure(|| {
            runtime.block_on(async {
                let response = app.call(request).await.expect("infallible");
                axum::body::to_bytes(response.into_body(), 1024).await.expect("a body");
            });
        });
        settle();
        taken.count_total
    };
    for _ in 0..100 {
        call();
    }
    (0..50).map(|_| call()).min().expect("some")
}

#[test]
fn observing_a_call_stays_within_its_budget() {
    let mut report = String::new();
    let mut broken = false;
    for (what, sampled, from_caller, budget) in BUDGETS {
        let mesh = mesh(sampled);
        let idle = routes().layer(tower::layer::util::Identity::new());
        let idle = allocations(idle, from_caller, sampled, || {});
        let observed = routes().layer(mesh.server_layer());
        let observed = allocations(observed, from_caller, sampled, || {
            assert!(mesh.logs().flush(Duration::from_secs(20)));
        });
        let added = observed - idle;
        report += &format!("{what:30} {added:3} allocations added, {budget:3} allowed\n");
        broken |= added > budget;
    }
    assert!(!broken, "over budget:\n{report}");
}
