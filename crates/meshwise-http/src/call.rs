//! One call, from its start to its one finish: the state machine behind both layers.
//!
//! HTTP and gRPC, server and client are data here ([`Side`], [`Protocol`]), not implementations of
//! their own.

mod attributes;
mod client;
mod finish;
mod server;
mod slot;

use crate::{
    client::ClientConfig,
    rpc::{CountBody, Messages, RequestMessages},
    server::ServerConfig,
    telemetry::Shared,
};
use bytes::Buf;
pub(crate) use finish::Finished;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode, Version,
    header::CONTENT_LENGTH,
    response,
    uri::{Authority, PathAndQuery},
};
use meshwise_core::{
    CallInfo, Classify, Deadline, ErrorType, GrpcCode, HeaderSketch, Outcome, Protocol,
    outcome::{ClassifyGrpc, ClassifyHttp, ErrorKinds, Side as End},
};
use meshwise_metrics::InFlight;
use meshwise_trace::Started;
use opentelemetry::{
    Context, ContextGuard,
    trace::{Span as _, SpanContext, TraceContextExt},
};
pub(crate) use slot::Slot;
use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Timers tick in milliseconds, and everybody reads the clock for himself: who gives a call up this
/// long before its deadline does so because of it.
const TICK: Duration = Duration::from_millis(2);

/// Observes one call. Dropping it finishes it.
pub(crate) struct Call {
    side: Side,
    protocol: Protocol,
    /// The request's method, as the label has it.
    method: &'static str,
    scheme: &'static str,
    /// The path, if it is a gRPC method or will be logged.
    path: Option<PathAndQuery>,
    version: Version,
    /// The context that holds the call's span, attached whenever the call's code runs.
    cx: Context,
    recording: bool,
    started: Instant,
    /// When the span began, if it records.
    recorded_at: Option<SystemTime>,
    in_flight: Option<InFlight>,
    request_size: Option<u64>,
    request_messages: Option<RequestMessages>,
    deadline: Option<Deadline>,
    progress: Progress,
}

/// What differs between the two ends of a call.
pub(crate) enum Side {
    Server {
        config: Arc<ServerConfig>,
        route: Option<Arc<str>>,
    },
    /// The authority is that of an HTTP call.
    Client {
        config: Arc<ClientConfig>,
        authority: Option<Authority>,
    },
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
    status: Option<StatusCode>,
    code: Option<GrpcCode>,
    verdict: Option<Outcome>,
    /// Whether the response carries a body at all.
    bodiless: bool,
    announced: Option<u64>,
    seen: u64,
    messages: Messages,
    finished: bool,
}

/// Why a call is over.
enum Over<'a> {
    /// The response ended as its protocol says.
    Complete { trailers: Option<&'a HeaderMap> },
    /// Something failed on the way.
    Failed { error_type: ErrorType, message: Option<String> },
    /// Whoever waited for it has gone.
    Dropped,
}

impl Call {
    /// Makes the call's context current until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered<'_> {
        let shared = self.shared();
        Entered {
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

    fn errors(&self) -> &ErrorKinds {
        match &self.side {
            Side::Server { config, .. } => &config.errors,
            Side::Client { config, .. } => &config.errors,
        }
    }

    /// Takes note of the response's head, and writes the request id into a server's.
    pub(crate) fn head(&mut self, head: &mut response::Parts) {
        let sketch = HeaderSketch::of(&head.headers);
        if let Side::Server { config, .. } = &self.side
            && sketch.get(&head.headers, &config.request_id_header).is_none()
            && let Some(id) = self.cx.get::<CallInfo>().and_then(|info| info.request_id.as_ref())
        {
            // A map that is full goes without.
            let _full = head.headers.try_insert(&config.request_id_header, id.to_header());
        }
        let status = head.status;
        let verdict = self.classify().head(status, &head.headers);
        let progress = &mut self.progress;
        progress.status = Some(status);
        progress.verdict = verdict;
        progress.announced = content_length(sketch.get(&head.headers, &CONTENT_LENGTH));
        progress.bodiless = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || self.method == "HEAD";
        if self.protocol == Protocol::Grpc {
            progress.code = GrpcCode::from_headers(&head.headers)
                .or_else(|| (status != StatusCode::OK).then(|| GrpcCode::from_http(status)));
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
        self.finish(Over::Complete { trailers });
    }

    /// Ends the call: the service returned an error instead of a response.
    pub(crate) fn service_failed<E: Display + 'static>(&mut self, error: &E) {
        self.failed(error, ErrorType::OTHER);
    }

    /// Ends the call: the body broke off.
    pub(crate) fn body_failed<E: Display + 'static>(&mut self, error: &E) {
        self.failed(error, ErrorType::BODY);
    }

    fn failed<E: Display + 'static>(&mut self, error: &E, fallback: ErrorType) {
        let described = self.errors().describe(error, fallback);
        self.finish(Over::Failed {
            error_type: described.error_type,
            message: Some(described.message),
        });
    }

    /// Ends the call: its code panicked.
    fn panicked(&mut self) {
        self.finish(Over::Failed { error_type: ErrorType::PANIC, message: None });
    }

    /// Ends the call: nobody waits for (the rest of) the response any more.
    fn dropped(&mut self) {
        let progress = &self.progress;
        let all_sent = progress.bodiless || progress.announced.is_some_and(|n| progress.seen >= n);
        // A client's reader that drops the body has seen what it wanted; a server's body is
        // dropped because the connection is gone.
        let enough = matches!(self.side, Side::Client { .. }) && progress.verdict.is_some();
        if progress.status.is_some() && (all_sent || enough) {
            self.finish(Over::Complete { trailers: None });
        } else if self.ran_out_of_time() {
            self.finish(Over::Failed { error_type: ErrorType::TIMEOUT, message: None });
        } else {
            self.finish(Over::Dropped);
        }
    }

    /// Tells whether a call that is dropped was given up because of the time it took.
    fn ran_out_of_time(&self) -> bool {
        let limited = match &self.side {
            Side::Client { config, .. } => (config.timed_out)(&config.peer),
            Side::Server { .. } => false,
        };
        limited || self.deadline.is_some_and(|deadline| deadline.moment() <= Instant::now() + TICK)
    }

    fn classify(&self) -> &'static dyn Classify {
        static HTTP_SERVER: ClassifyHttp = ClassifyHttp::for_span(End::Server);
        static HTTP_CLIENT: ClassifyHttp = ClassifyHttp::for_span(End::Client);
        static GRPC_SERVER: ClassifyGrpc = ClassifyGrpc::for_span(End::Server);
        static GRPC_CLIENT: ClassifyGrpc = ClassifyGrpc::for_span(End::Client);
        match (self.protocol, self.side.end()) {
            (Protocol::Grpc, End::Server) => &GRPC_SERVER,
            (Protocol::Grpc, End::Client) => &GRPC_CLIENT,
            (_, End::Server) => &HTTP_SERVER,
            (_, End::Client) => &HTTP_CLIENT,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.progress.finished {
            self.dropped();
        }
    }
}

/// Holds a call's context current (and its own dispatcher and recorder, if it has them).
pub(crate) struct Entered<'a> {
    _cx: ContextGuard,
    _dispatch: Option<tracing::dispatcher::DefaultGuard>,
    _recorder: Option<metrics::LocalRecorderGuard<'a>>,
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
    let entered = guard.0.get().map(Call::enter);
    let result = poll();
    drop(entered);
    // Only unwinding runs the guard's drop.
    std::mem::forget(guard);
    result
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
        Started::Recorded(span) => (cx.with_span(span), true),
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
