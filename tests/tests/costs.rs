//! What observing a call costs, in allocations: numbers that no machine changes.
//!
//! `benches::budgets` is the one table of them. A change that breaks one fails here.

use allocation_counter::measure;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path},
    http::Request,
    routing::get,
};
use benches::budgets;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Response, Uri};
use http_body_util::{BodyExt, Full};
use meshwise::{
    Mesh,
    core::{
        SpanId, TraceFlags, TraceId,
        propagation::{Baggage, Outgoing, Propagators},
    },
    http::{AccessLog, ClientLayer, Recording, RequestIdPolicy, Telemetry},
    log::{LogFormat, LogOutput},
    metrics::MetricsConfig,
    opentelemetry::{
        KeyValue,
        trace::{Span, Tracer},
    },
    opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SpanData, SpanExporter},
    },
    trace::{BatchConfig, SamplerConfig, SpanExport},
};
use meshwise_tests::echo::{Echo, EchoServer};
use std::{convert::Infallible, io, net::SocketAddr, time::Duration};
use tonic::service::Routes;
use tower::{Layer, Service, ServiceExt, service_fn};

/// Takes spans and forgets them.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

fn mesh(sampled: bool) -> Mesh {
    mesh_with(sampled, SpanExport::custom(Nowhere))
}

/// Makes a mesh whose spans go nowhere: nothing exports them.
fn unseen_mesh() -> Mesh {
    mesh_with(true, SpanExport::none())
}

fn mesh_with(sampled: bool, export: SpanExport) -> Mesh {
    let sampler = if sampled { SamplerConfig::always_on() } else { SamplerConfig::always_off() };
    meshwise::builder("costs", "0.0.0")
        .with_env(meshwise::core::Env::empty())
        .logs(|logs| logs.with_format(LogFormat::Json).with_output(LogOutput::writer(io::sink())))
        .traces(|traces| {
            let traces = traces.with_sampler(sampler).with_exporter(export);
            traces.with_batch(BatchConfig::new().with_delay(Duration::from_secs(3600)))
        })
        .build()
        .expect("a mesh")
}

/// Counts the allocations of one call, at the least of many: buffers grow now and then.
///
/// What `prepare` makes and `settle` does is not counted.
fn least<T>(
    mut prepare: impl FnMut() -> T,
    mut call: impl FnMut(T),
    mut settle: impl FnMut(),
) -> i64 {
    let mut once = || {
        let prepared = prepare();
        let taken = measure(|| call(prepared));
        settle();
        taken.count_total
    };
    (0..100).for_each(|_| {
        once();
    });
    (0..50).map(|_| once()).min().expect("some").cast_signed()
}

/// What is measured of a server.
#[derive(Clone, Copy)]
struct Server {
    /// Whether calls have a `tracing` span, as is the front door's default.
    span: bool,
    /// Whether spans go anywhere.
    exported: bool,
    sampled: Option<bool>,
    metrics: bool,
    access: bool,
    path: &'static str,
    from_caller: bool,
    /// Whether there are the map, the register of calls and what routes cost.
    overview: bool,
}

const LOGGING: &str = "/orders/7";
const QUIET: &str = "/quiet/7";

impl Server {
    fn traced(sampled: bool, path: &'static str) -> Self {
        Self {
            span: true,
            exported: true,
            sampled: Some(sampled),
            metrics: true,
            access: false,
            path,
            from_caller: false,
            overview: true,
        }
    }

    fn from_caller(sampled: bool) -> Self {
        Self { access: true, from_caller: true, ..Self::traced(sampled, LOGGING) }
    }

    /// Counts what the layer adds to what axum allocates for any layer.
    fn added(&self) -> i64 {
        let mesh = match self.exported {
            true => mesh(self.sampled.unwrap_or(false)),
            false => unseen_mesh(),
        };
        let mut recording = Recording::new(mesh.service().clone()).with_tracing_span(self.span);
        if self.sampled.is_some() {
            recording = recording.with_tracing(mesh.tracing().clone());
        }
        if self.metrics {
            recording = recording.with_metrics(mesh.metrics().clone());
        }
        let access = if self.access { AccessLog::all() } else { AccessLog::off() };
        let telemetry = match self.overview {
            true => Telemetry::new(recording),
            false => Telemetry::without_overview(recording),
        };
        let layer = meshwise::axum::server_layer(telemetry).with_access_log(access);
        // Where nothing but metrics is wanted, no one reads a request id.
        let layer = match self.sampled.is_some() || self.access {
            true => layer,
            false => layer.with_request_id(RequestIdPolicy::Off),
        };
        let settle = || {
            assert!(mesh.logs().flush(Duration::from_secs(20)));
            mesh.tracing().provider().force_flush().expect("flushed");
        };
        let observed = tracing::dispatcher::with_default(mesh.dispatch(), || {
            self.allocations(routes().layer(layer), settle)
        });
        observed - self.allocations(routes().layer(tower::layer::util::Identity::new()), || ())
    }

    fn allocations(&self, app: Router, settle: impl FnMut()) -> i64 {
        // As serving does: layers are applied once, not for each request.
        let mut app = app.with_state::<()>(());
        let mut ready = app.clone();
        let call = |request: Request<Body>| {
            let answered = async {
                let response = app.call(request).await.expect("infallible");
                axum::body::to_bytes(response.into_body(), 1024).await.expect("a body");
            };
            answered.now_or_never().expect("nothing waits here");
        };
        let prepare = || {
            let ready = ServiceExt::<Request<Body>>::ready(&mut ready).now_or_never();
            assert!(ready.is_some_and(|ready| ready.is_ok()));
            self.request()
        };
        least(prepare, call, settle)
    }

    fn request(&self) -> Request<Body> {
        // As hyper reads it: a piece of the connection's buffer.
        let line = Bytes::from(format!("GET {} HTTP/1.1", self.path));
        let uri = Uri::from_maybe_shared(line.slice(4..4 + self.path.len())).expect("a path");
        let mut request = Request::get(uri).body(Body::empty()).expect("a request");
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::from_static("orders"));
        let agent = HeaderValue::from_maybe_shared(line.slice(..3)).expect("a value");
        headers.insert("user-agent", agent);
        if self.from_caller {
            let parent = match self.sampled {
                Some(true) => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                _ => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            };
            headers.insert("traceparent", HeaderValue::from_static(parent));
            let state = "mw=p:00f067aa0ba902b7;s:gateway";
            headers.insert("tracestate", HeaderValue::from_static(state));
        }
        if self.sampled.is_none() {
            // Spans have it as a text of their own.
            let client = ConnectInfo(SocketAddr::from(([10, 0, 0, 7], 50_000)));
            request.extensions_mut().insert(client);
        }
        request
    }
}

fn routes() -> Router {
    async fn order(Path(id): Path<u64>) -> &'static str {
        tracing::info!(id, "looking up");
        "an order"
    }
    async fn quiet(Path(_): Path<u64>) -> &'static str {
        "an order"
    }
    Router::new().route("/orders/{id}", get(order)).route("/quiet/{id}", get(quiet))
}

/// Counts what the layer adds to an outgoing call.
fn client(sampled: Option<bool>, span: bool) -> i64 {
    client_to(sampled, span, Telemetry::new)
}

fn client_to(
    sampled: Option<bool>,
    span: bool,
    telemetry: impl FnOnce(Recording) -> Telemetry,
) -> i64 {
    let mesh = mesh(sampled.unwrap_or(false));
    let recording = Recording::new(mesh.service().clone())
        .with_metrics(mesh.metrics().clone())
        .with_tracing_span(span);
    let recording = match sampled {
        Some(_) => recording.with_tracing(mesh.tracing().clone()),
        None => recording,
    };
    let inner = service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let observed = ClientLayer::new(telemetry(recording), "stock").layer(inner);
    let request = || Request::get("http://stock:80/items/7").body(String::new()).expect("one");
    let settle = || mesh.tracing().provider().force_flush().expect("flushed");
    let bare = least(request, |request| drop(inner.oneshot(request).now_or_never()), || ());
    let call = |request| drop(observed.clone().oneshot(request).now_or_never());
    tracing::dispatcher::with_default(mesh.dispatch(), || least(request, call, settle)) - bare
}

/// Counts what the layer adds to a unary gRPC call.
fn grpc_server(sampled: bool) -> i64 {
    let mesh = mesh(sampled);
    let recording = Recording::new(mesh.service().clone())
        .with_metrics(mesh.metrics().clone())
        .with_tracing(mesh.tracing().clone())
        .with_tracing_span(true);
    let layer =
        meshwise::grpc::server_layer(Telemetry::new(recording)).with_access_log(AccessLog::off());
    let inner = Routes::new(EchoServer::new(Echo));
    let settle = || mesh.tracing().provider().force_flush().expect("flushed");
    let bare = least(grpc_request, |request| grpc_answer(inner.clone(), request), || ());
    let observed = layer.layer(inner);
    let call = |request| grpc_answer(observed.clone(), request);
    tracing::dispatcher::with_default(mesh.dispatch(), || least(grpc_request, call, settle)) - bare
}

fn grpc_request() -> Request<tonic::body::Body> {
    let ask = Bytes::from_static(&[0, 0, 0, 0, 5, 0x0a, 3, b't', b'e', b'a']);
    Request::post("/meshwise.test.v1.Echo/Unary")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(Full::new(ask)))
        .expect("a request")
}

fn grpc_answer<S, B>(service: S, request: Request<tonic::body::Body>)
where
    S: Service<Request<tonic::body::Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let answered = async {
        let response = service.oneshot(request).await.expect("infallible");
        response.into_body().collect().await.expect("a body");
    };
    answered.now_or_never().expect("nothing waits here");
}

fn log_line() -> i64 {
    let mesh = mesh(false);
    let line = |()| tracing::info!(id = 7, user = "gold-4711", elapsed_ms = 12.5, "order placed");
    let settle = || assert!(mesh.logs().flush(Duration::from_secs(20)));
    tracing::dispatcher::with_default(mesh.dispatch(), || least(|| (), line, settle))
}

fn span(sampled: bool) -> i64 {
    let mesh = mesh(sampled);
    let tracer = mesh.tracing().tracer();
    let span = |()| {
        let mut span = tracer.start("GET /orders/{id}");
        span.set_attribute(KeyValue::new("http.request.method", "GET"));
        span.set_attribute(KeyValue::new("http.response.status_code", 200_i64));
        span.end();
    };
    least(|| (), span, || mesh.tracing().provider().force_flush().expect("flushed"))
}

/// Counts what a span of the application's own costs within a call, from start to end.
fn own_span(sampled: bool, fields: bool) -> i64 {
    let mesh = mesh(sampled);
    let recording = Recording::new(mesh.service().clone()).with_tracing(mesh.tracing().clone());
    let layer = ClientLayer::new(Telemetry::new(recording.with_tracing_span(true)), "stock");
    let measured = std::cell::Cell::new(0);
    let inner = service_fn(|_: Request<String>| {
        let work = |()| match fields {
            true => tracing::info_span!("work", id = 7, tries = 1).in_scope(|| ()),
            false => tracing::info_span!("work").in_scope(|| ()),
        };
        let settle = || mesh.tracing().provider().force_flush().expect("flushed");
        measured.set(least(|| (), work, settle));
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    let request = Request::get("http://stock:80/items/7").body(String::new()).expect("one");
    tracing::dispatcher::with_default(mesh.dispatch(), || {
        drop(layer.layer(inner).oneshot(request).now_or_never());
    });
    measured.get()
}

fn metric(by_name: bool, native: bool) -> i64 {
    let service = meshwise::core::Service::new("costs", "0.0.0");
    let config = MetricsConfig::new(service);
    let config = if native { config.with_native_histogram("call_seconds") } else { config };
    let metrics = config.build().expect("metrics");
    let held = || metrics::histogram!("call_seconds", "route" => "/orders/{id}", "status" => "200");
    metrics::with_local_recorder(&metrics.recorder(), || match by_name {
        true => least(|| (), |()| held().record(0.03), || ()),
        false => {
            let histogram = held();
            least(|| (), |()| histogram.record(0.03), || ())
        }
    })
}

fn propagation(write: bool) -> i64 {
    let propagators = Propagators::default();
    let baggage = Baggage::default();
    let call = Outgoing {
        trace_id: TraceId::from_int(0x4bf92f3577b34da6a3ce929d0e0e4736),
        span_id: SpanId::from_int(0x00f067aa0ba902b7),
        flags: TraceFlags::SAMPLED,
        state: "",
        caller: None,
        baggage: &baggage,
    };
    let mut headers = HeaderMap::with_capacity(8);
    propagators.inject(&call, &mut headers);
    match write {
        true => least(|| (), |()| propagators.inject(&call, &mut headers), || ()),
        false => least(|| (), |()| drop(propagators.extract(&headers)), || ()),
    }
}

fn cost(what: &str) -> Option<i64> {
    let quiet = |metrics, access| Server {
        span: false,
        exported: true,
        sampled: None,
        metrics,
        access,
        path: QUIET,
        from_caller: false,
        overview: true,
    };
    Some(match what {
        "server, sampled, one log line" => Server::traced(true, LOGGING).added(),
        "server, sampled, no log line" => Server::traced(true, QUIET).added(),
        "server, unsampled, one log line" => Server::traced(false, LOGGING).added(),
        "server, unsampled, no log line" => Server::traced(false, QUIET).added(),
        "server, sampled, no log line, no tracing span" => {
            Server { span: false, ..Server::traced(true, QUIET) }.added()
        }
        "server, unsampled, no log line, no tracing span" => {
            Server { span: false, ..Server::traced(false, QUIET) }.added()
        }
        "server, sampled but not exported, no log line" => {
            Server { exported: false, ..Server::traced(true, QUIET) }.added()
        }
        "server, metrics only" => quiet(true, false).added(),
        "server, map, register and capacity" => {
            let without = Server { overview: false, ..quiet(true, false) };
            quiet(true, false).added() - without.added()
        }
        "server, access log only" => quiet(false, true).added(),
        "server, a caller's trace, sampled, access log" => Server::from_caller(true).added(),
        "server, a caller's trace, unsampled, access log" => Server::from_caller(false).added(),
        "gRPC server, sampled" => grpc_server(true),
        "gRPC server, unsampled" => grpc_server(false),
        "client, sampled" => client(Some(true), true),
        "client, unsampled" => client(Some(false), true),
        "client, sampled, no tracing span" => client(Some(true), false),
        "client, unsampled, no tracing span" => client(Some(false), false),
        "client, metrics only" => client(None, false),
        "client, map and register" => {
            client(None, false) - client_to(None, false, Telemetry::without_overview)
        }
        "#[instrument], sampled, no fields" => own_span(true, false),
        "#[instrument], sampled, two fields" => own_span(true, true),
        "#[instrument], unsampled, no fields" => own_span(false, false),
        "#[instrument], unsampled, two fields" => own_span(false, true),
        "one JSON log line" => log_line(),
        "metric update: histogram, handle held" => metric(false, false),
        "metric update: native histogram, handle held" => metric(false, true),
        "metric update: histogram, by name and labels" => metric(true, false),
        "span, sampled, start to end" => span(true),
        "span, unsampled, start to end" => span(false),
        "propagation, read traceparent" => propagation(false),
        "propagation, write traceparent" => propagation(true),
        _ => return None,
    })
}

#[test]
fn everything_stays_within_its_budget() {
    let mut report = String::new();
    let mut broken = false;
    // Guards and messages are counted in their own crates, beside their promises; a text of 64 KiB is
    // for an optimised build, and a handler with all that it calls for the benches.
    let elsewhere = ["resilience, ", "redaction, ", "messages, ", "a real handler, "];
    let own = budgets::BUDGETS
        .iter()
        .filter(|budget| !elsewhere.iter().any(|others| budget.what.starts_with(others)));
    for budget in own {
        let Some(cost) = cost(budget.what) else { panic!("nobody measures {}", budget.what) };
        let allowed = budget.allocations;
        report += &format!("{:50} {cost:3} allocations, {allowed:3} allowed\n", budget.what);
        broken |= cost > allowed;
    }
    println!("{report}");
    assert!(!broken, "over budget:\n{report}");
}

/// The page's table of what the benches do not count.
#[test]
fn the_page_says_what_the_budgets_allow() {
    let page = include_str!("../../docs/performance.md");
    let table = page.split("| what | allocations |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut listed = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let budget = budgets::of(cells[0]).unwrap_or_else(|| panic!("no budget for {row}"));
        assert_eq!(cells[1], budget.allocations.to_string(), "{row}");
        listed.push(cells[0]);
    }
    let idioms = budgets::BUDGETS.iter().map(|budget| budget.what);
    for what in idioms.filter(|what| what.starts_with('#') || what.contains("not exported")) {
        assert!(listed.contains(&what), "{what} is not in the table");
    }
}
