//! One call, from its start to its one finish: the state machine behind both layers.
//!
//! HTTP and gRPC, server and client are data here ([`Side`], [`Protocol`]), not implementations of
//! their own.

mod attributes;
mod broken;
mod client;
mod finish;
mod running;
mod server;
mod slot;

use crate::{
    calls::{facts::Party, register::Listed},
    client::{config::ClientConfig, target::Target},
    convert, names,
    operations::Operation,
    rpc::{RequestMessages, fault_code},
    server::config::ServerConfig,
    telemetry::Shared,
};
use bytes::Buf;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    uri::PathAndQuery,
};
use http_body::Body;
use meshwise_core::{
    CallInfo, Classifier, ErrorType, GrpcCode, Outcome, Protocol, RequestId,
    internal::{Limits, header_bytes, is_event_stream, messages::Messages},
    outcome::{Fault, FaultKind, Head, Side as End},
};
use meshwise_metrics::internal::{CallCost, HttpClientSeries, HttpServerSeries};
use meshwise_trace::CallSpan;
use opentelemetry::{Context, KeyValue, trace::TraceContextExt};
pub use running::break_off;
pub(crate) use running::{Entered, Running, broken_off, drop_in, tell_route};
pub(crate) use slot::Slot;
use std::{
    fmt::Display,
    net::IpAddr,
    sync::Arc,
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
    /// The path, if the request says that it is gRPC, or if it will be logged.
    path: Option<PathAndQuery>,
    version: Version,
    /// The context that holds the call's span, attached whenever the call's code runs.
    cx: Context,
    /// It is as good as none.
    cx_says_nothing: bool,
    /// Stands for the call's span in `tracing` whenever the call's code runs.
    tracing_span: Option<CallSpan>,
    recording: bool,
    /// When it began, as `clock::nanos` counts.
    began: u64,
    /// When the span began, if it records.
    recorded_at: Option<SystemTime>,
    /// It is counted among the active ones of its side.
    is_active: bool,
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
        operation: Arc<Operation>,
        /// It has told its name: then it counts the call on the map.
        from_named: bool,
        /// The trace's digits are its request id.
        named_by_trace: bool,
        /// The gRPC method, once this server is known to have it.
        rpc_method: Option<Arc<str>>,
        client: Client,
    },
    /// The target is that of an HTTP call. What is handed on says that it is gRPC and may be none:
    /// its answer tells.
    Client { config: Arc<ClientConfig>, target: Option<Arc<Target>>, handed_on: bool },
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

    fn shared(&self) -> &Shared {
        match self {
            Self::Server { config, .. } => &config.telemetry.0,
            Self::Client { config, .. } => &config.telemetry.0,
        }
    }

    /// Counts one more among its active calls of HTTP, and tells whether they are counted.
    #[inline]
    fn inc_active(&self) -> bool {
        let counted = match self {
            Self::Server { operation, .. } => {
                operation.http.as_ref().map(HttpServerSeries::inc_active)
            }
            Self::Client { target, .. } => target
                .as_ref()
                .and_then(|target| target.http.as_ref())
                .map(HttpClientSeries::inc_active),
        };
        counted.is_some()
    }

    /// Counts one less.
    #[inline]
    fn dec_active(&self) {
        match self {
            Self::Server { operation, .. } => {
                operation.http.as_ref().map(HttpServerSeries::dec_active)
            }
            Self::Client { target, .. } => target
                .as_ref()
                .and_then(|target| target.http.as_ref())
                .map(HttpClientSeries::dec_active),
        };
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
    fn shared(&self) -> &Shared {
        self.side.shared()
    }

    fn classifier(&self) -> &Classifier {
        match &self.side {
            Side::Server { config, .. } => &config.classifier,
            Side::Client { config, .. } => &config.classifier,
        }
    }

    /// Counts a call that is in its place as active, and prepares the `tracing` span that stands for the span of
    /// its context, where there is to be one.
    ///
    /// A subscriber that is not ours makes it at once, and may panic: the call that is there then ends.
    #[inline]
    fn begin(place: &mut Option<Self>) {
        let Some(call) = place else { return };
        call.is_active = call.protocol == Protocol::Http && call.side.inc_active();
        let shared = call.shared();
        if shared.tracing_span && !call.cx.is_telemetry_suppressed() {
            call.tracing_span = Some(CallSpan::new(&call.cx, shared.dispatch.as_ref()));
        }
    }

    /// Takes note of the response's head, and writes the request id into a server's.
    pub(crate) fn head<B: Body>(&mut self, response: &mut Response<B>) {
        let status = response.status();
        // A body that knows its length says what the header does.
        let known = response.body().size_hint().exact();
        let headers = response.headers_mut();
        let (id_header, named_by_trace) = match &self.side {
            Side::Server { config, named_by_trace, .. } => {
                (Some(&config.request_id_header), *named_by_trace)
            }
            Side::Client { .. } => (None, false),
        };
        // One look at all is cheaper than three look-ups.
        let (mut content_type, mut length, mut names_id) = (None, None, false);
        for (name, value) in &*headers {
            if name == CONTENT_TYPE {
                content_type = content_type.or(Some(value));
            } else if name == CONTENT_LENGTH {
                length = length.or(Some(value));
            } else if id_header == Some(name) {
                names_id = true;
            }
        }
        let (answer, streams) =
            (Protocol::of_content_type(content_type), is_event_stream(content_type));
        let announced = known.or_else(|| content_length(length));
        if let Some(id_header) = id_header.filter(|_| !names_id)
            && let Some(id) = self.request_id_header(named_by_trace)
        {
            // A map that is full goes without.
            let _full = headers.try_insert(id_header, id);
        }
        match &self.side {
            Side::Client { handed_on: false, .. } => {}
            Side::Client { .. } => self.protocol = answer,
            Side::Server { .. } => self.settle(answer),
        }
        if self.limits.ends() != u64::MAX {
            self.limits = self.limits.past_head();
            self.list_limits();
        }
        // A connection that becomes another protocol's, or a tunnel, lasts as long as it is used.
        let upgraded = status == StatusCode::SWITCHING_PROTOCOLS
            || (self.method == "CONNECT" && status.is_success());
        if streams || upgraded || self.limits.is_stream() {
            self.begin_stream();
        }
        let judged = self.classifier().head(self.protocol, status, headers);
        let progress = &mut self.progress;
        progress.head = Some(judged);
        progress.announced = announced;
        progress.bodiless = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || self.method == "HEAD";
        if let Some(calls) = &self.shared().calls {
            calls.answered(&self.listed, status.as_u16());
        }
    }

    /// Returns a served call's request id as a header's value.
    #[inline]
    fn request_id_header(&self, named_by_trace: bool) -> Option<HeaderValue> {
        if named_by_trace {
            let trace = convert::trace_id(self.cx.span().span_context().trace_id());
            return header_bytes::value(&trace.to_hex());
        }
        self.cx.get::<CallInfo>()?.request_id.as_ref().map(RequestId::to_header)
    }

    /// Takes note of what is to come: a gRPC response that goes on after its first message streams.
    #[inline]
    pub(crate) fn before_frame(&mut self) {
        if self.progress.messages.are_past_the_first() && !self.progress.streams {
            self.begin_stream();
        }
    }

    /// Takes note whether the response's reader waits for more of its body.
    #[inline]
    pub(crate) fn awaits(&mut self, more: bool) {
        self.progress.head.iter_mut().for_each(|head| head.set_awaited(more));
    }

    /// Lists what limits the call from here on.
    fn list_limits(&self) {
        if let Some(calls) = &self.shared().calls {
            calls.change(&self.listed, |call| call.ends = self.limits.ends());
        }
    }

    /// Lifts the limits that do not hold for streams.
    fn begin_stream(&mut self) {
        self.progress.streams = true;
        if self.limits.ends() == u64::MAX {
            return;
        }
        self.limits = self.limits.for_stream();
        self.list_limits();
        if let Side::Server { .. } = &self.side
            && let Some(info) = self.cx.get::<CallInfo>()
        {
            info.begin_stream();
        }
    }

    /// Takes note of a piece of the response's body.
    pub(crate) fn data(&mut self, data: &impl Buf) {
        self.awaits(false);
        self.progress.seen += data.remaining() as u64;
        if self.protocol == Protocol::Grpc {
            self.progress.messages.frame(data);
        }
    }

    /// Ends the call: the response is complete.
    pub(crate) fn complete(&mut self, trailers: Option<&HeaderMap>) {
        let Some(head) = self.progress.head else { return };
        let head = head.with_trailers(trailers);
        let end = self.classifier().complete(self.side.end(), head, None, &self.limits);
        // The answer is what a server makes of a request's body that broke off; no one gets it.
        if end.outcome.is_failure()
            && self.protocol == Protocol::Grpc
            && matches!(self.side, Side::Server { .. })
            && self.request_messages.as_ref().is_some_and(RequestMessages::caller_left)
        {
            return self.broke(Fault::new(FaultKind::Cancelled), None);
        }
        if self.is_misannounced(true) {
            return self.misannounced();
        }
        self.finish(end, || head.said_code(None), None);
    }

    /// Tells whether a served body is longer than its head has announced, or has `ended` before: servers of
    /// HTTP break such an answer off.
    #[inline]
    fn is_misannounced(&self, ended: bool) -> bool {
        let Progress { announced, seen, bodiless, .. } = self.progress;
        announced.is_some_and(|announced| seen > announced || (ended && seen < announced))
            && !bodiless
            && self.protocol == Protocol::Http
            && matches!(self.side, Side::Server { .. })
    }

    /// Ends the call: its body is not what its head has announced.
    fn misannounced(&mut self) {
        let Progress { announced, seen, .. } = self.progress;
        let announced = announced.unwrap_or_default();
        let message = format!("the body has {seen} bytes, its head announced {announced}");
        self.broke(Fault::new(FaultKind::Body), Some(message));
    }

    /// Ends the call: the service returned an error instead of a response, or the body broke off.
    pub(crate) fn failed<E: Display + 'static>(&mut self, error: &E) {
        let faults = self.classifier().faults();
        let (fault, message) = (faults.of(error), faults.message(error));
        self.broke(fault, Some(message));
    }

    /// Takes over the route that a layer within has found, if this one knew none.
    fn take_route(&mut self, inner: &str) {
        let Side::Server { config, operation, .. } = &mut self.side else { return };
        if operation.route.is_some() {
            return;
        }
        let shared = &config.telemetry.0;
        *operation = shared.operations.find(operation.method, Some(inner), operation.scheme);
        let operation = Arc::clone(operation);
        let Some(inner) = &operation.route else { return };
        if let Some(calls) = &shared.calls {
            calls.change(&self.listed, |call| {
                call.facts.party = Party::Server(Arc::clone(&operation));
            });
        }
        if self.recording && self.protocol == Protocol::Http {
            let span = self.cx.span();
            span.update_name(operation.span_name());
            span.set_attribute(KeyValue::new(names::HTTP_ROUTE, Arc::clone(inner)));
        }
    }

    fn broke(&mut self, fault: Fault, message: Option<String>) {
        let head = self.progress.head;
        let end = self.classifier().failed(self.side.end(), head, fault, &self.limits, now());
        self.finish(end, || fault_code(fault.after_head(head.is_some())), message);
    }

    /// Ends the call: its code panicked.
    fn panicked(&mut self) {
        self.broke(Fault::new(FaultKind::Panic), None);
    }

    /// Ends the call: no one waits for (the rest of) the response any more.
    fn dropped(&mut self) {
        // The guards around know how far its request has got, and have moved the limits by that.
        self.limits = Limits::of_given_up().unwrap_or(self.limits);
        self.before_frame();
        if self.is_misannounced(false) {
            return self.misannounced();
        }
        let progress = &self.progress;
        let head = progress.head;
        let all_came = progress.bodiless || progress.announced.is_some_and(|n| progress.seen >= n);
        // gRPC's end is in its trailers, whatever came before.
        let whole = all_came && (progress.bodiless || head.is_some_and(|head| head.is_verdict()));
        let end = self.classifier().dropped(self.side.end(), head, whole, &self.limits, now());
        let code = || match head {
            _ if end.outcome == Outcome::Cancelled => GrpcCode::Cancelled,
            _ if end.error_type() == Some(ErrorType::TIMEOUT) => GrpcCode::DeadlineExceeded,
            Some(head) => head.said_code(None),
            None => GrpcCode::Unknown,
        };
        self.finish(end, code, None);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.progress.finished {
            self.dropped();
        }
    }
}

/// Reads `Content-Length`, if it is a number.
fn content_length(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.parse().ok()
}
