//! The idioms of `tracing` and `tokio`, as people write them in handlers and around outgoing calls, over
//! real sockets: what they say and do is a part of the call.

mod asked;
mod destructors;
mod formatting;
mod named;
mod spawned;
mod unrecorded;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use futures_util::{StreamExt, stream};
use http::HeaderValue;
use meshwise::{
    Mesh,
    client::reqwest,
    core::{CallInfo, Env},
    log::{LogFormat, LogLines, LogOutput},
    opentelemetry::{
        Context, KeyValue,
        baggage::BaggageExt,
        trace::{
            FutureExt, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
            TraceState,
        },
    },
    opentelemetry_sdk::trace::SpanData,
    trace::{MemorySpans, OpenTelemetrySpanExt, SamplerConfig, SpanExport},
};
use meshwise_testing::TestMesh;
use meshwise_tests::{PATIENCE, Served, eventually, raw, serve};
use serde_json::Value;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, OnceLock},
};
use tokio::{sync::Notify, task::JoinSet, time::timeout};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::{Instrument, Span, instrument};

/// The mesh of this process, installed; each test has routes of its own.
struct Installed {
    mesh: Mesh,
    spans: MemorySpans,
    lines: LogLines,
}

fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let (spans, lines) = (MemorySpans::new(), LogLines::new());
        let (to_spans, to_lines) = (spans.clone(), lines.clone());
        let mesh = meshwise::builder("idioms", "0.0.0")
            .with_env(Env::empty())
            .logs(move |logs| {
                let logs = logs.with_output(LogOutput::memory(&to_lines));
                logs.with_format(LogFormat::Json).with_filter("debug,hyper_util=off,reqwest=off")
            })
            .traces(move |traces| traces.with_exporter(SpanExport::memory(&to_spans)))
            .install()
            .expect("a mesh");
        Installed { mesh, spans, lines }
    })
}

impl Installed {
    /// Waits for the one span of this name.
    async fn span(&self, name: &str) -> SpanData {
        let named = || self.spans.spans().into_iter().filter(|span| span.name == name).last();
        eventually(name, || named().is_some()).await;
        named().expect("it is there")
    }

    async fn line(&self, message: &str) -> Value {
        let found = || {
            let lines = self.lines.lines();
            let mut lines = lines
                .iter()
                .map(|line| -> Value { serde_json::from_str(line).expect("a line is JSON") });
            lines.find(|line| line["message"] == message)
        };
        eventually(message, || found().is_some()).await;
        found().expect("it is there")
    }

    /// Asserts that this line belongs to the call of this span.
    async fn assert_line_of(&self, message: &str, span: &SpanData) {
        let line = self.line(message).await;
        let trace = span.span_context.trace_id().to_string();
        assert_eq!(line["trace_id"], *trace, "{line}");
        assert_eq!(line["span_id"], *span.span_context.span_id().to_string(), "{line}");
        assert!(line["request_id"].is_string(), "{line}");
        assert!(!line.to_string().contains(r#""call""#), "the call is no span object: {line}");
    }
}

async fn serve_with(mesh: &Mesh, routes: Router) -> Served {
    serve(mesh.wrap(routes).expect("layers")).await
}

async fn call(served: &Served, path: &str) -> String {
    let answer = reqwest::Client::new().get(served.url(path)).send().await.expect("an answer");
    answer.text().await.expect("a body")
}

/// The ids that code here goes by, having asserted that all ways to ask agree.
#[track_caller]
fn ids() -> SpanContext {
    let ids = Context::current().span().span_context().clone();
    let asked = Span::current().context();
    assert_eq!(*asked.span().span_context(), ids, "tracing and OpenTelemetry say the same");
    assert!(ids.is_valid());
    ids
}

fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<&'a meshwise::opentelemetry::Value> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv| &kv.value)
}

fn event_names(span: &SpanData) -> Vec<&str> {
    span.events.iter().map(|event| &*event.name).collect()
}

fn remote() -> SpanContext {
    SpanContext::new(
        TraceId::from(7),
        SpanId::from(8),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_handler_the_current_span_is_the_call_s() {
    async fn handler() -> String {
        let ids = ids();
        let span = Span::current();
        span.set_attribute("user.id", "ada");
        span.add_link(remote());
        span.add_event("by hand", vec![KeyValue::new("n", 1)]);
        // Neither is how the call went.
        span.set_status(Status::error("set by hand"));
        let error = std::io::Error::other("disk full");
        tracing::error!(
            error = &error as &dyn std::error::Error,
            order = 7,
            "an error in the handler"
        );
        tracing::error!(%error);
        Context::current().span().set_attribute(KeyValue::new("by.context", true));
        Context::current().span().end();
        ids.span_id().to_string()
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/current", get(handler))).await;
    let told = call(&served, "/current").await;
    let span = world.span("GET /current").await;
    assert_eq!(span.span_context.span_id().to_string(), told);
    assert_eq!(span.status, Status::Unset, "a logged error on a 200 is an event");
    assert_eq!(attribute(&span, "user.id"), Some(&"ada".into()));
    assert_eq!(attribute(&span, "by.context"), Some(&true.into()));
    assert_eq!(attribute(&span, "http.response.status_code"), Some(&200.into()));
    assert_eq!(attribute(&span, "exception.message"), None, "an event has it");
    assert_eq!(span.links.links[0].span_context, remote());
    assert_eq!(event_names(&span), ["by hand", "an error in the handler", "exception"]);
    let event = &span.events[1];
    assert!(event.attributes.contains(&KeyValue::new("level", "ERROR")), "{event:?}");
    assert!(event.attributes.contains(&KeyValue::new("order", 7)), "{event:?}");
    world.assert_line_of("an error in the handler", &span).await;
    let spans = world.spans.spans();
    let in_trace =
        spans.iter().filter(|s| s.span_context.trace_id() == span.span_context.trace_id());
    assert_eq!(in_trace.count(), 1, "the call has one span");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_layer_of_tower_http_makes_no_span_of_its_own() {
    use tower_http::trace::{DefaultMakeSpan, TraceLayer};
    let trace_layer = || {
        TraceLayer::new_for_http()
            .make_span_with(DefaultMakeSpan::new().level(tracing::Level::INFO))
    };
    async fn handler() -> String {
        tracing::info!("below a TraceLayer");
        ids().span_id().to_string()
    }
    let world = installed();
    let inside = Router::new().route("/inside", get(handler)).layer(trace_layer());
    let outside = Router::new().route("/outside", get(handler)).layer(world.mesh.server_layer());
    let served =
        serve(inside.layer(world.mesh.server_layer()).merge(outside.layer(trace_layer()))).await;
    for path in ["/inside", "/outside"] {
        let told = call(&served, path).await;
        let span = world.span(&format!("GET {path}")).await;
        assert_eq!(span.span_context.span_id().to_string(), told, "{path}");
        let trace = span.span_context.trace_id();
        let spans = world.spans.spans();
        assert_eq!(
            spans.iter().filter(|s| s.span_context.trace_id() == trace).count(),
            1,
            "{path}"
        );
    }
    assert!(!world.spans.spans().iter().any(|span| span.name == "request"));
}

#[tokio::test]
async fn a_mesh_of_its_own_has_its_own_idioms() {
    async fn handler() -> String {
        let task = meshwise::spawn(async {
            tracing::info!("in a task");
            ids().span_id().to_string()
        });
        tracing::error!("in the handler");
        Span::current().set_attribute("user.id", "ada");
        let blocking = meshwise::spawn_blocking(|| {
            tracing::info!("on a blocking thread");
            ids().span_id().to_string()
        });
        let (task, blocking) = (task.await.expect("it ends"), blocking.await.expect("it ends"));
        assert_eq!(task, blocking);
        task
    }
    let _of_the_process = installed();
    let mesh = TestMesh::new("of its own");
    let served = serve_with(&mesh, Router::new().route("/own", get(handler))).await;
    let told = call(&served, "/own").await;
    let span = mesh.spans().named("GET /own").one();
    assert_eq!(span.span_id(), told);
    span.assert_attribute("user.id", "ada").assert_not_failed();
    for message in ["in a task", "in the handler", "on a blocking thread"] {
        mesh.lines().containing(message).one().assert_in_span(&span);
    }
    mesh.spans().assert_count(1);
    assert!(!installed().spans.spans().iter().any(|span| span.name == "GET /own"));
}

#[tokio::test]
async fn two_meshes_in_one_process_do_not_mix() {
    let (front, back) = (TestMesh::new("front"), TestMesh::new("back"));
    let handler = async || {
        tracing::info!("in back");
        Span::current().set_attribute("side", "back");
        ids().span_id().to_string()
    };
    let behind = serve_with(&back, Router::new().route("/back", get(handler))).await;
    // Called in the same process too, by the handler's own thread.
    let in_process = back.server_layer().layer(service_fn(async |_: Request<Body>| {
        tracing::info!("in process");
        Span::current().set_attribute("side", "in process");
        Ok::<_, Infallible>(Response::new(Body::from(ids().span_id().to_string())))
    }));
    let client = front.client("back").with_base_url(behind.url("")).build().expect("a client");
    let handler = async move || {
        let before = ids();
        let over_socket = client.get("/back").send().await.expect("an answer").text().await;
        let mut in_process = in_process.clone();
        let request = Request::get("/in-process").body(Body::empty()).expect("a request");
        let answer = in_process.call(request).await.expect("an answer");
        let answer =
            axum::body::to_bytes(Body::new(answer.into_body()), 100).await.expect("a body");
        assert_eq!(ids(), before, "the front's call is current again");
        tracing::info!("in front");
        Span::current().set_attribute("side", "front");
        format!("{} {}", over_socket.expect("text"), String::from_utf8_lossy(&answer))
    };
    let served = serve_with(&front, Router::new().route("/front", get(handler))).await;
    let told = call(&served, "/front").await;
    let (over_socket, in_process) = told.split_once(' ').expect("two");
    let server = front.spans().of_kind(&SpanKind::Server).one();
    server.assert_attribute("side", "front");
    let client = front.spans().of_kind(&SpanKind::Client).one();
    client.assert_child_of(&server).assert_no_attribute("side");
    let behind = back.spans().named("GET /back").one();
    behind.assert_child_of(&client).assert_attribute("side", "back");
    assert_eq!(behind.span_id(), over_socket);
    let beside = back.spans().with_attribute("side", "in process").one();
    assert_eq!(beside.span_id(), in_process);
    assert_ne!(beside.trace_id(), server.trace_id(), "nothing was said over the wire");
    front.spans().assert_count(2);
    back.spans().assert_count(2);
    front.lines().containing("in front").one().assert_in_span(&server);
    back.lines().containing("in back").one().assert_in_span(&behind);
    back.lines().containing("in process").one().assert_in_span(&beside);
    front.lines().containing("in back").assert_none();
    back.lines().containing("in front").assert_none();
}

/// A peer that says what it was sent.
async fn echo_headers() -> Served {
    async fn echo(headers: HeaderMap) -> String {
        let show = |name: &str| {
            let value = headers.get(name).map_or("-", |value| value.to_str().unwrap_or("?"));
            format!("{name}={value}\n")
        };
        ["traceparent", "baggage", "x-request-id", "x-request-timeout-ms"].map(show).concat()
    }
    serve(Router::new().fallback(echo)).await
}

/// Finds a header's value in what the echo says.
fn told<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}
