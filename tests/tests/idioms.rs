//! The idioms of `tracing` and `tokio`, as people write them in handlers and around outgoing calls, over
//! real sockets: what they say and do is a part of the call.

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
async fn spawned_tasks_are_in_the_call_by_each_idiom() {
    async fn handler() {
        let _of_handler = ids();
        tokio::spawn(async { tracing::info!("by in_current_span") }.in_current_span())
            .await
            .expect("it ends");
        let work = async {
            let _agrees = ids();
            tracing::info!("by instrument");
        };
        tokio::spawn(work.instrument(Span::current())).await.expect("it ends");
        let work = async { tracing::info!("by context") }.with_current_context();
        tokio::spawn(work).await.expect("it ends");
        let mut set = JoinSet::new();
        set.spawn(async { tracing::info!("by JoinSet") }.in_current_span());
        assert!(set.join_next().await.expect("one").is_ok());
        let span = Span::current();
        // As on a thread of rayon's.
        std::thread::spawn(move || span.in_scope(|| tracing::info!("by in_scope")))
            .join()
            .expect("it ends");
        let span = Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| tracing::info!("by spawn_blocking")))
            .await
            .expect("it ends");
        meshwise::spawn(async {
            let _agrees = ids();
            tracing::info!("by meshwise::spawn");
        })
        .await
        .expect("it ends");
        meshwise::spawn_blocking(|| {
            let _agrees = ids();
            tracing::info!("by meshwise::spawn_blocking");
        })
        .await
        .expect("it ends");
        assert!(tokio::spawn(async { Span::current().is_none() }).await.expect("it ends"));
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/spawned", get(handler))).await;
    call(&served, "/spawned").await;
    let span = world.span("GET /spawned").await;
    let all = [
        "by in_current_span",
        "by instrument",
        "by context",
        "by JoinSet",
        "by in_scope",
        "by spawn_blocking",
        "by meshwise::spawn",
        "by meshwise::spawn_blocking",
    ];
    for message in all {
        world.assert_line_of(message, &span).await;
    }
    let events = event_names(&span);
    // Without its `tracing` span, a task has no span to add events to.
    let expected: Vec<&str> = all.into_iter().filter(|name| *name != "by context").collect();
    assert_eq!(events, expected);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_spawned_tasks_carry_baggage_request_id_and_deadline() {
    let world = installed();
    let echo = echo_headers().await;
    let client = world.mesh.client("echo").with_base_url(echo.url("")).build().expect("a client");
    let handler = async move || {
        let ask = {
            let client = client.clone();
            async move || {
                client.get("/").send().await.expect("an answer").text().await.expect("text")
            }
        };
        let spawned = meshwise::spawn({
            let ask = ask.clone();
            async move { ask().await }
        });
        let instrumented = tokio::spawn({
            let ask = ask.clone();
            async move { ask().await }.in_current_span()
        });
        let runtime = tokio::runtime::Handle::current();
        let blocking = meshwise::spawn_blocking(move || runtime.block_on(ask()));
        let (a, b) = (spawned.await.expect("it ends"), instrumented.await.expect("it ends"));
        [a, b, blocking.await.expect("it ends")].join("---\n")
    };
    let served = serve_with(&world.mesh, Router::new().route("/carried", get(handler))).await;
    let request = "GET /carried HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                   baggage: tenant=acme\r\nx-request-id: from-afar\r\n\
                   x-request-timeout-ms: 60000\r\n\r\n";
    let answer = raw(served.address, request.as_bytes()).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let parts: Vec<&str> = body.split("---\n").collect();
    assert_eq!(parts.len(), 3, "{answer}");
    for part in parts {
        assert!(told(part, "traceparent").starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert_eq!(told(part, "baggage"), "tenant=acme");
        assert_eq!(told(part, "x-request-id"), "from-afar");
        let left: u64 = told(part, "x-request-timeout-ms").parse().expect("milliseconds");
        assert!((1..=60_000).contains(&left), "{left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_depth_there_is_a_context() {
    #[instrument(name = "outer work")]
    async fn outer() -> [SpanContext; 4] {
        let own = ids();
        tracing::error!("in the outer work");
        let (mid, ids_inside, deep) = middle().await;
        [own, mid, ids_inside, deep]
    }
    // The span filter lets nothing below INFO through, the log filter does.
    #[instrument(level = "debug", fields(secret = "not for the outer span", later))]
    async fn middle() -> (SpanContext, SpanContext, SpanContext) {
        Span::current().record("later", "neither");
        Span::current().set_attribute("told", "by hand");
        let own = ids();
        let inside = tracing::info_span!("inner work").in_scope(ids);
        let deep =
            tokio::spawn(async { ids() }.instrument(tracing::debug_span!("deep", otel.name = "x")));
        (own, inside, deep.await.expect("it ends"))
    }
    let world = installed();
    let seen: Arc<Mutex<Vec<SpanContext>>> = Arc::default();
    let handler = {
        let seen = Arc::clone(&seen);
        async move || {
            let all = outer().await;
            let mut seen = seen.lock().expect("not poisoned");
            seen.push(ids());
            seen.extend(all);
        }
    };
    let served = serve_with(&world.mesh, Router::new().route("/depth", get(handler))).await;
    call(&served, "/depth").await;
    let (server, outer) = (world.span("GET /depth").await, world.span("outer work").await);
    let inner = world.span("inner work").await;
    let seen = seen.lock().expect("not poisoned").clone();
    let [handler, in_outer, middle, in_inner, deep] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(handler.span_id(), server.span_context.span_id());
    assert_eq!(in_outer.span_id(), outer.span_context.span_id());
    assert_eq!(
        middle.span_id(),
        outer.span_context.span_id(),
        "an unwanted span stands for its parent"
    );
    assert_eq!(in_inner.span_id(), inner.span_context.span_id());
    assert_eq!(deep.span_id(), outer.span_context.span_id());
    assert_eq!(outer.parent_span_id, server.span_context.span_id());
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    assert!(seen.iter().all(|ids| ids.trace_id() == server.span_context.trace_id()));
    // The status of one's own spans is what is logged there, as everywhere.
    assert!(matches!(outer.status, Status::Error { .. }), "{outer:?}");
    assert_eq!(server.status, Status::Unset);
    assert_eq!(attribute(&outer, "told"), Some(&"by hand".into()));
    assert_eq!((attribute(&outer, "secret"), attribute(&outer, "later")), (None, None));
    assert!(!world.spans.spans().iter().any(|span| ["middle", "deep", "x"].contains(&&*span.name)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_s_body_is_the_call_s_own_code() {
    async fn handler() -> Body {
        Body::from_stream(stream::iter(0..3).map(|n| {
            let ids = ids();
            Span::current().set_attribute(format!("piece.{n}"), n);
            tracing::warn!("piece {n}");
            Ok::<_, Infallible>(format!("{}\n", ids.span_id()))
        }))
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/stream", get(handler))).await;
    let pieces = call(&served, "/stream").await;
    let span = world.span("GET /stream").await;
    let own = span.span_context.span_id().to_string();
    assert_eq!(pieces.lines().collect::<Vec<_>>(), [&*own; 3]);
    assert_eq!(event_names(&span), ["piece 0", "piece 1", "piece 2"]);
    assert_eq!(attribute(&span, "piece.2"), Some(&2.into()));
    world.assert_line_of("piece 1", &span).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_outgoing_call_the_current_span_is_that_call_s() {
    #[instrument(name = "ask stock")]
    async fn ask(layer: meshwise::http::ClientLayer) -> (SpanContext, SpanContext) {
        let own = ids();
        let transport = service_fn(|_: Request<String>| async {
            let before = ids();
            tokio::task::yield_now().await;
            Span::current().set_attribute("pool", "warm");
            tracing::error!("a first try failed");
            tokio::spawn(async { tracing::info!("in the transport's task") }.in_current_span())
                .await
                .expect("it ends");
            let answer = Response::new(before.span_id().to_string());
            Ok::<_, Infallible>(answer)
        });
        let request = Request::get("http://stock/items").body(String::new()).expect("a request");
        let answer = layer.layer(transport).oneshot(request).await.expect("an answer");
        let within = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a body");
        let within = String::from_utf8(within.to_bytes().to_vec()).expect("hex");
        assert_eq!(ids(), own, "what was current is so again");
        let within = SpanId::from_hex(&within).expect("hex");
        (
            own.clone(),
            SpanContext::new(own.trace_id(), within, own.trace_flags(), false, TraceState::NONE),
        )
    }
    let world = installed();
    let layer = world.mesh.client_layer("stock of the idioms");
    let seen: Arc<Mutex<Option<(SpanContext, SpanContext)>>> = Arc::default();
    let handler = {
        let seen = Arc::clone(&seen);
        async move || {
            let ids = ask(layer.clone()).await;
            *seen.lock().expect("not poisoned") = Some(ids);
        }
    };
    let served = serve_with(&world.mesh, Router::new().route("/ask", get(handler))).await;
    call(&served, "/ask").await;
    let (server, ask) = (world.span("GET /ask").await, world.span("ask stock").await);
    let (own, within) = seen.lock().expect("not poisoned").clone().expect("asked");
    let spans = world.spans.spans();
    let client = spans.iter().find(|span| span.span_context.span_id() == within.span_id());
    let client = client.expect("the client's span");
    assert_eq!(client.span_kind, SpanKind::Client);
    assert_eq!(
        (client.parent_span_id, ask.parent_span_id),
        (own.span_id(), server.span_context.span_id())
    );
    assert_eq!(own.span_id(), ask.span_context.span_id());
    assert_eq!(client.status, Status::Unset);
    assert_eq!(attribute(client, "pool"), Some(&"warm".into()));
    assert_eq!(event_names(client), ["a first try failed", "in the transport's task"]);
    world.assert_line_of("in the transport's task", client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_outside_of_any_call_has_a_span_too() {
    let world = installed();
    let transport = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(ids().trace_id().to_string()))
    });
    let request = Request::get("http://lonely/").body(String::new()).expect("a request");
    let layer = world.mesh.client_layer("lonely");
    let answer = layer.layer(transport).oneshot(request).await.expect("an answer");
    drop(answer);
    assert!(Span::current().is_none());
    assert!(!Context::current().has_active_span());
}

/// Logs what it sees when it is dropped.
struct Guard(&'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        let _agrees = ids();
        tracing::warn!("{}", self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destructors_of_what_is_given_up_run_inside_the_call() {
    let world = installed();
    let began = Arc::new(Notify::new());
    let handler = |began: Arc<Notify>| async move {
        let _guard = Guard("a handler was given up");
        let _task = meshwise::spawn(async { tracing::info!("beside the handler") }).await;
        began.notify_one();
        std::future::pending::<()>().await;
    };
    let body = |began: Arc<Notify>| async move {
        let guard = Guard("a body was given up");
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"first")) });
        let rest = stream::once(async move {
            let _guard = guard;
            began.notify_one();
            std::future::pending().await
        });
        Body::from_stream(first.chain(rest))
    };
    let (of_handler, of_body) = (Arc::clone(&began), Arc::clone(&began));
    let routes = Router::new()
        .route("/given-up", get(move || handler(Arc::clone(&of_handler))))
        .route("/given-up-body", get(move || body(Arc::clone(&of_body))));
    let served = serve_with(&world.mesh, routes).await;
    for (path, message) in
        [("/given-up", "a handler was given up"), ("/given-up-body", "a body was given up")]
    {
        let address = served.address;
        let mut caller = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut caller, request.as_bytes()).await.expect("sent");
        timeout(PATIENCE, began.notified()).await.expect("it begins");
        drop(caller);
        let span = world.span(&format!("GET {path}")).await;
        world.assert_line_of(message, &span).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_aborted_is_dropped_inside_the_call() {
    async fn handler() {
        let began = Arc::new(Notify::new());
        let task = meshwise::spawn({
            let began = Arc::clone(&began);
            async move {
                let _guard = Guard("a task was aborted");
                began.notify_one();
                std::future::pending::<()>().await;
            }
        });
        began.notified().await;
        task.abort();
        assert!(task.await.expect_err("aborted").is_cancelled());
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/aborted", get(handler))).await;
    call(&served, "/aborted").await;
    let span = world.span("GET /aborted").await;
    world.assert_line_of("a task was aborted", &span).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_leaves_nothing_behind() {
    async fn handler(State(of): State<&'static str>) {
        let _agrees = ids();
        let joined = meshwise::spawn(async { panic!("in a task") }).await;
        assert!(joined.expect_err("it panicked").is_panic());
        panic!("in the handler of {of}");
    }
    let world = installed();
    let routes = Router::new().route("/panics", get(handler)).with_state("the idioms");
    let routes = routes.route("/after", get(|| async { ids().trace_id().to_string() }));
    let served = serve_with(&world.mesh, routes).await;
    let request = b"GET /panics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    raw(served.address, request).await;
    let span = world.span("GET /panics").await;
    assert_eq!(attribute(&span, "error.type"), Some(&"panic".into()));
    assert!(matches!(span.status, Status::Error { .. }));
    assert_ne!(call(&served, "/after").await, span.span_context.trace_id().to_string());
    assert!(Span::current().is_none() && !Context::current().has_active_span());
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

/// Asks at several depths; tells the trace and the flags that a peer is sent from there.
async fn ask_from_below(mesh: &TestMesh) -> (String, Vec<String>) {
    #[instrument]
    async fn below(client: meshwise::client::Client) -> Vec<String> {
        let agree = || {
            let now = Context::current().span().span_context().clone();
            assert_eq!(*Span::current().context().span().span_context(), now);
            assert!(Span::current().context().get::<CallInfo>().is_some());
            assert!(Context::current().baggage().get("tenant").is_some());
            now
        };
        let mut told = vec![agree().trace_id().to_string()];
        let inner = tracing::info_span!("inner");
        let asked = async {
            told.push(agree().trace_id().to_string());
            let spawned =
                tokio::spawn(async move { agree().trace_id().to_string() }.in_current_span());
            told.push(spawned.await.expect("it ends"));
            told.push(client.get("/").send().await.expect("an answer").text().await.expect("text"));
        };
        asked.instrument(inner).await;
        told
    }
    let echo = echo_headers().await;
    let client = mesh.client("echo").with_base_url(echo.url("")).build().expect("a client");
    let handler = async move || below(client.clone()).await.join("|");
    let served = serve_with(mesh, Router::new().route("/", get(handler))).await;
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                   baggage: tenant=acme\r\nContent-Length: 0\r\n\r\n";
    let answer = raw(served.address, request.as_bytes()).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let mut told: Vec<String> = body.split('|').map(str::to_owned).collect();
    (told.pop().expect("the echo"), told)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn what_is_not_sampled_has_a_context_at_every_depth() {
    let mesh = TestMesh::with("unsampled", |builder| {
        builder.traces(|traces| traces.with_sampler(SamplerConfig::always_off()))
    });
    let (sent, told) = ask_from_below(&mesh).await;
    assert_eq!(told, [TRACE; 3]);
    let traceparent = crate::told(&sent, "traceparent");
    assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
    assert!(traceparent.ends_with("-00"), "{traceparent}");
    assert!(!traceparent.contains("00f067aa0ba902b7"), "a span id of this side: {traceparent}");
    mesh.spans().assert_none();
}

#[tokio::test]
async fn what_nothing_exports_is_not_recorded_and_its_flag_goes_on() {
    let mesh = meshwise::builder("unseen", "0").with_env(Env::empty()).with_tracing_span(true);
    let lines = LogLines::new();
    let to_lines = lines.clone();
    let mesh = mesh
        .logs(move |logs| {
            logs.with_output(LogOutput::memory(&to_lines)).with_format(LogFormat::Json)
        })
        .build()
        .expect("a mesh");
    let echo = echo_headers().await;
    let client = mesh.client("echo").with_base_url(echo.url("")).build().expect("a client");
    let handler = async move || {
        assert!(!Context::current().span().is_recording());
        let ids = ids();
        assert!(ids.is_sampled());
        let span = tracing::info_span!("own");
        let own = span.context().span().span_context().clone();
        assert!(own.is_valid() && own.is_sampled() && own.span_id() != ids.span_id());
        assert!(!span.context().span().is_recording());
        let ask = async { client.get("/").send().await.expect("an answer").text().await };
        ask.instrument(span).await.expect("text")
    };
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    for flags in ["01", "03"] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntraceparent: \
             00-{TRACE}-00f067aa0ba902b7-{flags}\r\n\r\n"
        );
        let answer = raw(served.address, request.as_bytes()).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let traceparent = told(body, "traceparent");
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
        assert!(traceparent.ends_with(&format!("-{flags}")), "{traceparent}");
    }
    let body = call(&served, "/").await;
    assert!(told(&body, "traceparent").ends_with("-03"), "a new trace is sampled: {body}");
}

#[tokio::test]
async fn with_tracing_off_the_caller_s_trace_is_current() {
    let mesh = TestMesh::with("off", |builder| {
        builder.with_env(Env::from_pairs([("OTEL_SDK_DISABLED", "true")]))
    });
    let (sent, told) = ask_from_below(&mesh).await;
    assert_eq!(told, [TRACE; 3]);
    let traceparent = crate::told(&sent, "traceparent");
    assert_eq!(traceparent, format!("00-{TRACE}-00f067aa0ba902b7-01"), "as it came");
    assert_eq!(crate::told(&sent, "baggage"), "tenant=acme");
}

#[tokio::test]
async fn without_tracing_spans_the_rest_is_the_same() {
    #[instrument]
    async fn work() -> SpanContext {
        ids()
    }
    async fn handler() -> String {
        assert!(Span::current().is_none());
        tracing::error!("in the handler");
        let of_task = meshwise::spawn(async {
            tracing::info!("in a task");
            Context::current().span().span_context().clone()
        });
        let here = Context::current().span().span_context().clone();
        assert_eq!(of_task.await.expect("it ends"), here);
        assert_eq!(work().await.trace_id(), here.trace_id());
        here.span_id().to_string()
    }
    let mesh = TestMesh::with("plain", |builder| builder.with_tracing_span(false));
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    let told = call(&served, "/").await;
    let span = mesh.spans().named("GET /").one();
    assert_eq!(span.span_id(), told);
    assert!(span.data().events.events.is_empty());
    span.assert_not_failed();
    mesh.spans().named("work").one().assert_child_of(&span);
    mesh.lines().containing("in a task").one().assert_in_span(&span);
}

#[tokio::test]
async fn a_filter_of_spans_that_lets_nothing_through_leaves_the_idioms() {
    #[instrument(fields(secret = 1))]
    async fn work() -> SpanContext {
        Span::current().set_attribute("user.id", "ada");
        ids()
    }
    let mesh = TestMesh::with("filtered", |builder| builder.with_span_filter("off"));
    let handler = async || {
        let here = ids();
        assert_eq!(work().await, here);
        here.span_id().to_string()
    };
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    let told = call(&served, "/").await;
    let span = mesh.spans().one();
    assert_eq!(span.span_id(), told);
    span.assert_attribute("user.id", "ada").assert_no_attribute("secret");
}

/// A request id that came in is the call's at every depth, with a header of any case.
#[tokio::test]
async fn lines_of_spawned_tasks_have_the_request_id_that_came_in() {
    let mesh = TestMesh::new("ids");
    let _entered = mesh.enter();
    let handler = async || {
        let task = async { tracing::info!("in a task") }.in_current_span();
        tokio::spawn(task).await.expect("it ends");
    };
    let served = serve_with(&mesh, Router::new().route("/", get(handler))).await;
    let request = reqwest::Client::new().get(served.url("/"));
    let id = HeaderValue::from_static("from-afar");
    let answer = request.header("X-Request-Id", id).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    mesh.lines().containing("in a task").one().assert_field("request_id", "from-afar");
}
