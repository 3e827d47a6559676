//! One call, from its start to its one finish: the state machine behind both layers.
//!
//! HTTP and gRPC, server and client are data here ([`Side`], [`Protocol`]), not implementations of
//! their own.

mod attributes;
mod client;
mod finish;
pub(crate) mod finished;
mod listing;
mod server;
mod slot;

use crate::{
    calls::register::{CallId, Listed},
    client::config::ClientConfig,
    names,
    rpc::{CountBody, Messages, RequestMessages},
    server::config::ServerConfig,
    telemetry::{Shared, Telemetry},
};
use bytes::Buf;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    response,
    uri::{Authority, PathAndQuery},
};
use http_body::Body;
use meshwise_core::{
    CallInfo, Classifier, GrpcCode, Outcome, Protocol,
    internal::{HeaderFilter, Limits},
    outcome::{BrokenOff, Fault, FaultKind, Head, Side as End, is_event_stream},
};
use meshwise_metrics::internal::{CallCost, CostMeter, InFlight};
use meshwise_trace::{CallSpan, CallSpanGuard, Started};
use opentelemetry::{
    Context, ContextGuard, KeyValue,
    trace::{Span as _, SpanContext, TraceContextExt},
};
pub(crate) use server::remove_foreign;
pub(crate) use slot::Slot;
use std::{
    cell::Cell,
    fmt::Display,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

/// Reads tokio's clock, which limits are held against: tests pause it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Observes one call. Dropping it finishes it.
pub(crate) struct Call {
    side: Side,
    /// A server's is settled by its answer.
    protocol: Protocol,
    /// The request's method, as the label has it.
    method: &'static str,
    scheme: &'static str,
    /// The path, if the request says that it is gRPC, or if it will be logged.
    path: Option<PathAndQuery>,
    version: Version,
    /// The context that holds the call's span, attached whenever the call's code runs.
    cx: Context,
    /// Stands for the call's span in `tracing` whenever the call's code runs; from the first time on.
    tracing_span: OnceLock<CallSpan>,
    recording: bool,
    started: Instant,
    /// When the span began, if it records.
    recorded_at: Option<SystemTime>,
    in_flight: Option<InFlight>,
    request_size: Option<u64>,
    request_messages: Option<RequestMessages>,
    /// What limits the call, to judge its end by.
    limits: Limits,
    /// Its place among the calls in flight.
    listed: Listed,
    /// What it has cost, if that is metered.
    cost: CallCost,
    progress: Progress,
}

/// What differs between the two ends of a call.
pub(crate) enum Side {
    Server {
        config: Arc<ServerConfig>,
        route: Option<Arc<str>>,
        /// The gRPC method, once this server is known to have it.
        rpc_method: Option<Arc<str>>,
        client: Client,
    },
    /// The authority is that of an HTTP call. What is handed on says that it is gRPC and may be none:
    /// its answer tells.
    Client { config: Arc<ClientConfig>, authority: Option<Authority>, handed_on: bool },
}

/// What a request says of its client, if it will be logged.
#[derive(Default)]
pub(crate) struct Client {
    /// Shares the header's bytes.
    agent: Option<HeaderValue>,
    address: Option<IpAddr>,
}

impl Side {
    fn end(&self) -> End {
        match self {
            Self::Server { .. } => End::Server,
            Self::Client { .. } => End::Client,
        }
    }
}

/// How far the response has come.
#[derive(Debug, Default)]
struct Progress {
    head: Option<Head>,
    /// Whether the response carries a body at all.
    bodiless: bool,
    announced: Option<u64>,
    seen: u64,
    messages: Messages,
    /// Only deadlines limit the call from here on.
    streams: bool,
    finished: bool,
}

impl Call {
    /// Makes the call's context and span current until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered<'_> {
        let attached = self.attach();
        let shared = self.shared();
        let span = (shared.tracing_span && !self.cx.is_telemetry_suppressed()).then(|| {
            let dispatch = shared.dispatch.as_ref();
            self.tracing_span.get_or_init(|| CallSpan::new(&self.cx, dispatch)).enter()
        });
        Entered { _span: span, _attached: attached }
    }

    /// Makes the call's context current until the guard is dropped.
    fn attach(&self) -> Attached<'_> {
        let shared = self.shared();
        let serving = match &self.side {
            Side::Server { config, .. } => {
                Served { telemetry: config.telemetry.address(), call: self.listed.id() }
            }
            Side::Client { .. } => Served::NOTHING,
        };
        Attached {
            _serving: Serving::replace(serving),
            _cx: self.cx.clone().attach(),
            _dispatch: shared.dispatch.as_ref().map(tracing::dispatcher::set_default),
            _recorder: shared.recorder.as_ref().map(|r| metrics::set_default_local_recorder(r)),
        }
    }

    fn shared(&self) -> &Shared {
        match &self.side {
            Side::Server { config, .. } => &config.telemetry.0,
            Side::Client { config, .. } => &config.telemetry.0,
        }
    }

    fn classifier(&self) -> &Classifier {
        match &self.side {
            Side::Server { config, .. } => &config.classifier,
            Side::Client { config, .. } => &config.classifier,
        }
    }

    /// Takes note of the response's head, and writes the request id into a server's.
    pub(crate) fn head(&mut self, head: &mut response::Parts, body: &impl Body) {
        let filter = HeaderFilter::of(&head.headers);
        if let Side::Server { config, .. } = &self.side
            && filter.get(&head.headers, &config.request_id_header).is_none()
            && let Some(id) = self.cx.get::<CallInfo>().and_then(|info| info.request_id.as_ref())
        {
            // A map that is full goes without.
            let _full = head.headers.try_insert(&config.request_id_header, id.to_header());
        }
        let content_type = filter.get(&head.headers, &CONTENT_TYPE);
        let (answer, streams) =
            (Protocol::of_content_type(content_type), is_event_stream(content_type));
        match &self.side {
            Side::Client { handed_on: false, .. } => {}
            Side::Client { .. } => self.protocol = answer,
            Side::Server { .. } => self.settle(answer),
        }
        let status = head.status;
        if self.limits.end().is_some() {
            self.limits = self.limits.past_head();
            self.say_limits();
        }
        if streams {
            self.begin_stream();
        }
        let judged = self.classifier().head(self.protocol, status, &head.headers);
        let progress = &mut self.progress;
        progress.head = Some(judged);
        // A body that knows its length says what the header does.
        let known = body.size_hint().exact();
        progress.announced =
            known.or_else(|| content_length(filter.get(&head.headers, &CONTENT_LENGTH)));
        progress.bodiless = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || self.method == "HEAD";
        self.say_head(status.as_u16());
    }

    /// Takes note of what is to come: a gRPC response that goes on after its first message streams.
    #[inline]
    pub(crate) fn before_frame(&mut self) {
        if self.progress.messages.count > 0 && !self.progress.streams {
            self.begin_stream();
        }
    }

    /// Lifts the limits that do not hold for streams.
    fn begin_stream(&mut self) {
        self.progress.streams = true;
        if self.limits.end().is_none() {
            return;
        }
        self.limits = self.limits.for_stream();
        self.say_limits();
        if let Side::Server { .. } = &self.side
            && let Some(info) = self.cx.get::<CallInfo>()
        {
            info.begin_stream();
        }
    }

    /// Takes note of a piece of the response's body.
    pub(crate) fn data(&mut self, data: &impl Buf) {
        self.progress.seen += data.remaining() as u64;
        if self.protocol == Protocol::Grpc {
            self.progress.messages.frame(data);
        }
    }

    /// Ends the call: the response is complete.
    pub(crate) fn complete(&mut self, trailers: Option<&HeaderMap>) {
        let Some(head) = self.progress.head else { return };
        let end = self.classifier().complete(self.side.end(), head, trailers, &self.limits);
        self.finish(end, || said_code(head, trailers), None);
    }

    /// Ends the call: the service returned an error instead of a response, or the body broke off.
    #[cold]
    pub(crate) fn failed<E: Display + 'static>(&mut self, error: &E) {
        let faults = self.classifier().faults();
        let mut fault = faults.of(error);
        if fault.kind == FaultKind::Other && self.progress.head.is_some() {
            fault.kind = FaultKind::Body;
        }
        let message = faults.message(error);
        self.broke(fault, Some(message));
    }

    /// Takes over the route that a layer within has found, if this one knew none.
    #[cold]
    fn take_route(&mut self, inner: &str) {
        let Side::Server { config, route: route @ None, .. } = &mut self.side else { return };
        let inner = config.telemetry.0.routes.intern(inner);
        *route = Some(Arc::clone(&inner));
        self.say_route(&inner);
        if self.recording && self.protocol == Protocol::Http {
            let span = self.cx.span();
            span.update_name(attributes::http_name(self.method, Some(&inner)));
            span.set_attribute(KeyValue::new(names::HTTP_ROUTE, inner));
        }
    }

    fn broke(&mut self, fault: Fault, message: Option<String>) {
        let head = self.progress.head;
        let end = self.classifier().failed(self.side.end(), head, fault, &self.limits, now());
        self.finish(end, || fault_code(fault), message);
    }

    /// Ends the call: its code panicked.
    #[cold]
    fn panicked(&mut self) {
        self.broke(Fault::new(FaultKind::Panic), None);
    }

    /// Ends the call: no one waits for (the rest of) the response any more.
    fn dropped(&mut self) {
        let progress = &self.progress;
        let head = progress.head;
        let all_came = progress.bodiless || progress.announced.is_some_and(|n| progress.seen >= n);
        // gRPC's end is in its trailers, whatever came before.
        let whole = all_came && (progress.bodiless || head.is_some_and(|head| head.is_verdict()));
        let end = self.classifier().dropped(self.side.end(), head, whole, &self.limits, now());
        let code = || match head {
            Some(head) if whole || head.is_verdict() => said_code(head, None),
            _ if end.outcome == Outcome::Cancelled => GrpcCode::Cancelled,
            _ => GrpcCode::DeadlineExceeded,
        };
        self.finish(end, code, None);
    }
}

/// Returns the code that a response says.
fn said_code(head: Head, trailers: Option<&HeaderMap>) -> GrpcCode {
    head.code()
        .or_else(|| trailers.and_then(GrpcCode::from_headers))
        .unwrap_or_else(|| GrpcCode::from_http(head.status()))
}

/// Returns the code of a call that got none: what gRPC libraries tell their callers.
fn fault_code(fault: Fault) -> GrpcCode {
    match fault.kind {
        FaultKind::Grpc(code) => code,
        FaultKind::Refused(rule) => rule.grpc_code(),
        FaultKind::Timeout => GrpcCode::DeadlineExceeded,
        FaultKind::Connect | FaultKind::Reset | FaultKind::Shutdown => GrpcCode::Unavailable,
        FaultKind::Cancelled => GrpcCode::Cancelled,
        FaultKind::Body | FaultKind::Request | FaultKind::RequestBody => GrpcCode::Internal,
        _ => GrpcCode::Unknown,
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.progress.finished {
            self.dropped();
        }
    }
}

/// Holds a call's context and span current; what was made last is dropped first.
pub(crate) struct Entered<'a> {
    _span: Option<CallSpanGuard<'a>>,
    _attached: Attached<'a>,
}

/// Holds a call's context current (and its own dispatcher and recorder, if it has them).
struct Attached<'a> {
    _serving: Serving,
    _cx: ContextGuard,
    _dispatch: Option<tracing::dispatcher::DefaultGuard>,
    _recorder: Option<metrics::LocalRecorderGuard<'a>>,
}

thread_local! {
    /// The served call that runs on this thread right now; nothing within the calls that it makes. In a
    /// request's extensions a mark would cost an allocation a call.
    static SERVING: Cell<Served> = const { Cell::new(Served::NOTHING) };
}

/// Names a served call.
#[derive(Clone, Copy)]
struct Served {
    /// The telemetry that observes it; 0 for none.
    telemetry: usize,
    /// Which of its calls it is, if that is listed.
    call: Option<CallId>,
}

impl Served {
    const NOTHING: Self = Self { telemetry: 0, call: None };
}

/// Puts back what ran before when it is dropped.
struct Serving(Served);

impl Serving {
    #[inline]
    fn replace(by: Served) -> Self {
        Self(SERVING.try_with(|serving| serving.replace(by)).unwrap_or(Served::NOTHING))
    }
}

impl Drop for Serving {
    #[inline]
    fn drop(&mut self) {
        // A thread that ends serves nothing.
        let _ending = SERVING.try_with(|serving| serving.set(self.0));
    }
}

/// Tells whether the code that runs now belongs to a served call of this telemetry.
#[inline]
pub(crate) fn is_serving(telemetry: &Telemetry) -> bool {
    SERVING.try_with(Cell::get).is_ok_and(|serving| serving.telemetry == telemetry.address())
}

/// Returns the served call, observed by this telemetry, that the code belongs to that runs now.
#[inline]
fn serving(telemetry: &Telemetry) -> Option<CallId> {
    let serving = SERVING.try_with(Cell::get).ok()?;
    serving.call.filter(|_| serving.telemetry == telemetry.address())
}

/// Polls a piece of a call's code with the call's context current; a panic in it ends the call
/// before it unwinds further, wherever it is caught.
pub(crate) fn poll_in<T>(call: &mut Slot, poll: impl FnOnce() -> T) -> T {
    struct OnPanic<'a>(&'a mut Slot);
    impl Drop for OnPanic<'_> {
        fn drop(&mut self) {
            if let Some(call) = self.0.get_mut() {
                call.panicked();
            }
            self.0.clear();
        }
    }
    let guard = OnPanic(call);
    let meter = guard.0.get().and_then(Call::meter);
    let entered = guard.0.get().map(Call::enter);
    let result = poll();
    drop(entered);
    if let (Some(meter), Some(call)) = (meter, guard.0.get_mut()) {
        meter.stop(&mut call.cost);
    }
    if let Some(call) = guard.0.get_mut()
        && let Some(route) = INNER_ROUTE.try_with(Cell::take).ok().flatten()
    {
        call.take_route(&route);
    }
    // Only unwinding runs the guard's drop.
    std::mem::forget(guard);
    result
}

thread_local! {
    /// The route that a layer within has found for the call that is polled.
    static INNER_ROUTE: Cell<Option<Box<str>>> = const { Cell::new(None) };
}

/// Tells the layer around this one the route that only this one can see.
pub(crate) fn tell_route(route: &str) {
    // A thread that ends has no call.
    let _ending = INNER_ROUTE.try_with(|inner| inner.set(Some(route.into())));
}

thread_local! {
    /// What the code says that is being dropped on this thread.
    static BROKEN_OFF: Cell<Option<BrokenOff>> = const { Cell::new(None) };
}

/// Says why a call is broken off whose future or body is being dropped on this thread: to its observer
/// it looks as if the caller had left. For destructors; elsewhere it does nothing.
pub fn break_off(reason: BrokenOff) {
    // A thread that ends drops no calls.
    let _ending = BROKEN_OFF.try_with(|broken| broken.set(Some(reason)));
}

/// Drops a piece of a call's code with the call's context current, if the call has not ended: what
/// its destructors log and count is still part of the call, and they may say why it ends.
pub(crate) fn drop_in(call: &mut Slot, drop: impl FnOnce()) {
    let Some(call) = call.get_mut() else { return };
    let replace = |broken| BROKEN_OFF.try_with(|cell| cell.replace(broken)).ok().flatten();
    replace(None);
    let entered = call.enter();
    drop();
    std::mem::drop(entered);
    if let Some(broken) = replace(None) {
        call.failed(&broken);
    }
}

/// Reads `Content-Length`, if it is a number.
fn content_length(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.parse().ok()
}

/// Returns the ids that a call goes by.
fn ids(span: &Started) -> &SpanContext {
    match span {
        Started::Recorded(span) => span.span_context(),
        Started::Unrecorded(ids) => ids,
    }
}

/// Puts a call's span into its context, and tells whether it records.
#[inline]
fn enter_span(cx: Context, span: Started) -> (Context, bool) {
    match span {
        Started::Recorded(span) => (cx.with_span(span.of_call()), true),
        Started::Unrecorded(ids) if ids.is_valid() => (cx.with_remote_span_context(ids), false),
        Started::Unrecorded(_) => (cx, false),
    }
}

/// Counts the messages of a request from now on, if its body is of a type that can be wrapped.
fn count_messages<B: 'static>(
    count: &[CountBody],
    request: &mut Request<B>,
) -> Option<RequestMessages> {
    let seen = RequestMessages::default();
    let body = request.body_mut();
    count.iter().any(|count| count.count(body, &seen)).then_some(seen)
}
