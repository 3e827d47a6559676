//! How a call starts: what came with it is read, its span begins, what goes with it is written.

use super::{Call, Progress, Side, finish::default_port, original_method};
use crate::{
    client::{ClientConfig, ClientMode, UrlTemplate},
    convert, method, names,
    redact::{redact_query, redact_url},
    rpc::{CountBody, RequestMessages, full_method},
    server::{RequestIdPolicy, ServerConfig, ServerMode},
};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use meshwise_core::{
    CallInfo, Deadline, Protocol,
    call::{ApiVersion, Attempt, RequestId},
    deadline,
    propagation::{Baggage, Caller, Incoming, Outgoing, Sampling},
};
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        Link, Span, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags,
        TraceId, TraceState, Tracer,
    },
};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Instant, SystemTime},
};

impl Call {
    /// Begins an incoming call.
    pub(crate) fn server<B: 'static>(config: &Arc<ServerConfig>, request: &mut Request<B>) -> Self {
        let started = Instant::now();
        let started_at = SystemTime::now();
        let shared = &config.telemetry.0;
        let headers = request.headers();
        let incoming = shared.propagators.extract(headers);
        let protocol = Protocol::of(headers);
        let method = method::known(request.method());
        let scheme = method::scheme(request.uri().scheme_str(), config.scheme);
        let route = (config.route)(request.extensions()).map(|route| shared.routes.intern(route));
        let trusted = config.mode == ServerMode::Internal;

        let mut info = CallInfo::default();
        if trusted {
            info.caller = incoming.caller.as_ref().map(|c| shared.callers.intern(&c.service));
            info.attempt = attempt(protocol, headers, &incoming);
            info.deadline = deadline(config, protocol, headers, started);
            if let Some(parent) = &incoming.parent {
                info.trace_state = parent.state.clone();
            }
        }

        let (parent, link) = server_parent(config, &incoming);
        let parent = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let parent =
            if trusted { convert::with_baggage(parent, &incoming.baggage) } else { parent };

        // A caller that wants no trace, and names none, gets one that is not recorded.
        let declined =
            trusted && incoming.parent.is_none() && incoming.sampling == Sampling::NotSampled;
        let parent = if declined { parent.with_remote_span_context(unrecorded()) } else { parent };

        let mut span = None;
        if let Some(tracing) = shared.tracing.as_ref().filter(|_| !declined) {
            // The full name is made once it is known that somebody will read it.
            let mut builder = SpanBuilder::from_name(method)
                .with_kind(SpanKind::Server)
                .with_start_time(started_at);
            if let Some(link) = link {
                builder = builder.with_links(vec![Link::with_context(link)]);
            }
            let mut started = tracing.tracer().build_with_context(builder, &parent);
            if started.is_recording() {
                started.update_name(span_name(protocol, request.uri(), method, route.as_deref()));
                let set = |key: &'static str, value: Value| {
                    started.set_attribute(KeyValue::new(key, value));
                };
                server_attributes(config, request, protocol, &info, route.as_deref(), set);
            }
            span = Some(started);
        }
        let request_size = super::content_length(headers);
        let deadline = info.deadline;
        let current = ids(&parent, span.as_ref());
        info.request_id = request_id(config, headers, &current);
        let cx = if says_nothing(&info) { parent } else { parent.with_value(info) };
        let (cx, recording) = enter_span(cx, span, current);
        let counted = recording && protocol == Protocol::Grpc;

        let in_flight = match (&shared.metrics, protocol) {
            (Some(metrics), Protocol::Http) => Some(metrics.http_server.started(method, scheme)),
            _ => None,
        };
        Self {
            side: Side::Server { config: Arc::clone(config), route },
            protocol,
            method,
            scheme,
            uri: request.uri().clone(),
            version: request.version(),
            cx,
            recording,
            started,
            started_at,
            in_flight,
            request_size,
            request_messages: counted
                .then(|| count_messages(&config.count_bodies, request))
                .flatten(),
            deadline,
            progress: Progress::default(),
        }
    }

    /// Begins an outgoing call, and writes into the request what the callee shall know.
    pub(crate) fn client<B: 'static>(config: &Arc<ClientConfig>, request: &mut Request<B>) -> Self {
        let started = Instant::now();
        let started_at = SystemTime::now();
        let shared = &config.telemetry.0;
        let protocol = Protocol::of(request.headers());
        let method = method::known(request.method());
        let scheme = method::scheme(request.uri().scheme_str(), "http");
        let resend_count = request.extensions().get::<Attempt>().map_or(0, |attempt| attempt.0);
        let parent = Context::current();

        let mut span = None;
        if let Some(tracing) = &shared.tracing {
            let template = request.extensions().get::<UrlTemplate>().map(|template| template.0);
            let builder = SpanBuilder::from_name(method)
                .with_kind(SpanKind::Client)
                .with_start_time(started_at);
            let mut started = tracing.tracer().build_with_context(builder, &parent);
            if started.is_recording() {
                started.update_name(span_name(protocol, request.uri(), method, template));
                let set = |key: &'static str, value: Value| {
                    started.set_attribute(KeyValue::new(key, value));
                };
                client_attributes(config, request, protocol, resend_count, template, set);
            }
            span = Some(started);
        }
        let current = ids(&parent, span.as_ref());
        let deadline = inject(config, request, &parent, &current, protocol, resend_count, started);
        let (cx, recording) = enter_span(parent, span, current);
        let counted = recording && protocol == Protocol::Grpc;

        let in_flight = match (&shared.metrics, protocol) {
            (Some(metrics), Protocol::Http) => {
                Some(metrics.http_client.started(method, &config.peer))
            }
            _ => None,
        };
        Self {
            side: Side::Client { config: Arc::clone(config) },
            protocol,
            method,
            scheme,
            uri: request.uri().clone(),
            version: request.version(),
            cx,
            recording,
            started,
            started_at,
            in_flight,
            request_size: super::content_length(request.headers()),
            request_messages: counted
                .then(|| count_messages(&config.count_bodies, request))
                .flatten(),
            deadline,
            progress: Progress::default(),
        }
    }
}

/// Tells whether nobody would miss the facts of a call: a context that holds them costs three
/// allocations.
fn says_nothing(info: &CallInfo) -> bool {
    let CallInfo { request_id, caller, deadline, attempt, trace_state, .. } = info;
    request_id.is_none()
        && caller.is_none()
        && deadline.is_none()
        && *attempt == 0
        && trace_state.is_empty()
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

/// Returns the ids that a call goes by: its own span's, or else its parent's.
///
/// OpenTelemetry's SDK forgets all flags of a span that it does not sample; that the trace's id is
/// random stays true.
fn ids<S: Span>(parent: &Context, span: Option<&S>) -> SpanContext {
    let parent = parent.span();
    let parent = parent.span_context();
    let Some(own) = span.map(Span::span_context) else { return parent.clone() };
    if own.is_sampled() || own.trace_id() != parent.trace_id() {
        return own.clone();
    }
    SpanContext::new(
        own.trace_id(),
        own.span_id(),
        parent.trace_flags().with_sampled(false),
        false,
        own.trace_state().clone(),
    )
}

/// Makes the ids of a trace that nobody records.
fn unrecorded() -> SpanContext {
    SpanContext::new(
        TraceId::from(fastrand::u128(1..)),
        SpanId::from(fastrand::u64(1..)),
        TraceFlags::default(),
        false,
        TraceState::NONE,
    )
}

/// Puts a span into a context. One that records nothing is only its ids there: that saves its box.
fn enter_span<S>(cx: Context, span: Option<S>, ids: SpanContext) -> (Context, bool)
where
    S: Span + Send + Sync + 'static,
{
    match span {
        Some(span) if span.is_recording() => (cx.with_span(span), true),
        Some(_) => (cx.with_remote_span_context(ids), false),
        None => (cx, false),
    }
}

/// Names a span: `{method} {route}` (`HTTP` for a method that is not known), or
/// `package.Service/Method`.
fn span_name(
    protocol: Protocol,
    uri: &Uri,
    method: &'static str,
    route: Option<&str>,
) -> Cow<'static, str> {
    if protocol == Protocol::Grpc {
        return Cow::Owned(full_method(uri).to_owned());
    }
    let method = if method == method::OTHER { "HTTP" } else { method };
    match route {
        Some(route) => Cow::Owned([method, " ", route].concat()),
        None => Cow::Borrowed(method),
    }
}

/// Decides which span the server's becomes a child of, or only links to.
fn server_parent(
    config: &ServerConfig,
    incoming: &Incoming<'_>,
) -> (Option<SpanContext>, Option<SpanContext>) {
    let Some(parent) = &incoming.parent else { return (None, None) };
    if config.mode == ServerMode::Edge {
        return (None, Some(convert::span_context(parent, parent.flags.is_sampled())));
    }
    let sampled = match (parent.sampling, &config.telemetry.0.tracing) {
        (Sampling::Deferred, Some(tracing)) => tracing.decide_root(parent.trace_id),
        (Sampling::Deferred | Sampling::NotSampled, _) => false,
        (Sampling::Sampled | Sampling::Debug, _) => true,
    };
    (Some(convert::span_context(parent, sampled)), None)
}

fn request_id(
    config: &ServerConfig,
    headers: &HeaderMap,
    current: &SpanContext,
) -> Option<RequestId> {
    let made = || {
        // A call that starts its own trace is named by that trace: one id to search for.
        let id = match current.is_valid() {
            true => u128::from_be_bytes(current.trace_id().to_bytes()),
            false => fastrand::u128(1..),
        };
        RequestId::from_random(id)
    };
    let taken = || headers.get(&config.request_id_header).and_then(RequestId::from_header);
    match (config.request_id, config.mode) {
        (RequestIdPolicy::Off, _) => None,
        (RequestIdPolicy::Make, _) | (RequestIdPolicy::Auto, ServerMode::Edge) => Some(made()),
        (RequestIdPolicy::Accept | RequestIdPolicy::Auto, _) => Some(taken().unwrap_or_else(made)),
    }
}

fn attempt(protocol: Protocol, headers: &HeaderMap, incoming: &Incoming<'_>) -> u32 {
    let told = incoming.caller.as_ref().map_or(0, |caller| caller.attempt);
    let grpc = (protocol == Protocol::Grpc)
        .then(|| headers.get(names::GRPC_PREVIOUS_RPC_ATTEMPTS)?.to_str().ok()?.parse().ok())
        .flatten();
    told.max(grpc.unwrap_or(0))
}

fn deadline(
    config: &ServerConfig,
    protocol: Protocol,
    headers: &HeaderMap,
    now: Instant,
) -> Option<Deadline> {
    let timeout = match protocol {
        Protocol::Grpc => {
            deadline::parse_grpc_timeout(headers.get(names::GRPC_TIMEOUT)?.as_bytes())
        }
        _ => deadline::parse_millis(headers.get(&config.timeout_header)?.as_bytes()),
    };
    timeout.map(|timeout| Deadline::after(now, timeout))
}

fn server_attributes<B>(
    config: &ServerConfig,
    request: &Request<B>,
    protocol: Protocol,
    info: &CallInfo,
    route: Option<&str>,
    mut set: impl FnMut(&'static str, Value),
) {
    let headers = request.headers();
    let uri = request.uri();
    let method = method::known(request.method());
    if protocol == Protocol::Grpc {
        // The method is told at the end: only then is it sure that this server has it.
        set(names::RPC_SYSTEM_NAME, "grpc".into());
    } else {
        set(names::HTTP_REQUEST_METHOD, method.into());
        if let Some(original) = original_method(request.method(), method) {
            set(names::HTTP_REQUEST_METHOD_ORIGINAL, original.into());
        }
        set(names::URL_PATH, uri.path().to_owned().into());
        if let Some(query) = uri.query() {
            set(names::URL_QUERY, redact_query(query).into_owned().into());
        }
        set(names::URL_SCHEME, method::scheme(uri.scheme_str(), config.scheme).into());
        if let Some(route) = route {
            set(names::HTTP_ROUTE, route.to_owned().into());
        }
    }
    set(names::NETWORK_PROTOCOL_VERSION, method::version(request.version()).into());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if let Some(authority) =
        host.and_then(|host| host.parse::<http::uri::Authority>().ok()).as_ref().or(uri.authority())
    {
        set(names::SERVER_ADDRESS, authority.host().to_owned().into());
        if let Some(port) = authority.port_u16() {
            set(names::SERVER_PORT, i64::from(port).into());
        }
    }
    if let Some(address) =
        config.client_address.iter().find_map(|address| address(request.extensions()))
    {
        set(names::CLIENT_ADDRESS, address.to_string().into());
    }
    if let Some(agent) = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()) {
        set(names::USER_AGENT_ORIGINAL, agent.to_owned().into());
    }
    if let Some(caller) = &info.caller {
        set(names::MESHWISE_CALLER, Arc::clone(caller).into());
    }
}

fn client_attributes<B>(
    config: &ClientConfig,
    request: &Request<B>,
    protocol: Protocol,
    resend_count: u32,
    template: Option<&'static str>,
    mut set: impl FnMut(&'static str, Value),
) {
    let uri = request.uri();
    let method = method::known(request.method());
    if protocol == Protocol::Grpc {
        set(names::RPC_SYSTEM_NAME, "grpc".into());
        set(names::RPC_METHOD, full_method(uri).to_owned().into());
    } else {
        set(names::HTTP_REQUEST_METHOD, method.into());
        if let Some(original) = original_method(request.method(), method) {
            set(names::HTTP_REQUEST_METHOD_ORIGINAL, original.into());
        }
        set(names::URL_FULL, redact_url(uri).into());
        if let Some(template) = template {
            set(names::URL_TEMPLATE, template.into());
        }
    }
    if let Some(host) = uri.host() {
        set(names::SERVER_ADDRESS, host.to_owned().into());
    }
    if let Some(port) = uri.port_u16().or_else(|| default_port(uri.scheme_str()?)) {
        set(names::SERVER_PORT, i64::from(port).into());
    }
    if resend_count > 0 {
        set(names::HTTP_REQUEST_RESEND_COUNT, i64::from(resend_count).into());
    }
    set(names::SERVICE_PEER_NAME, Arc::clone(&config.peer).into());
}

/// Writes context, deadline and request id into an outgoing request; returns the deadline.
fn inject<B>(
    config: &ClientConfig,
    request: &mut Request<B>,
    parent: &Context,
    current: &SpanContext,
    protocol: Protocol,
    resend_count: u32,
    now: Instant,
) -> Option<Deadline> {
    let shared = &config.telemetry.0;
    let info = parent.get::<CallInfo>();
    let internal = config.mode == ClientMode::Internal;
    let attempt = resend_count.saturating_add(info.map_or(0, |info| info.attempt));

    let baggage = if internal { convert::baggage(parent) } else { Baggage::default() };
    if current.is_valid() {
        let state = match current.trace_state().header() {
            state if state.is_empty() => {
                info.map_or(Cow::Borrowed(""), |info| Cow::Borrowed(info.trace_state.as_str()))
            }
            state => Cow::Owned(state),
        };
        let asked = request.extensions().get::<ApiVersion>().cloned();
        let caller = || {
            let caller = Caller::new(shared.service.name()).with_attempt(attempt);
            asked.iter().fold(caller, |caller, ApiVersion(asked)| caller.with_api_version(&**asked))
        };
        let outgoing = Outgoing {
            trace_id: convert::trace_id(current.trace_id()),
            span_id: convert::span_id(current.span_id()),
            flags: convert::flags(current.trace_flags()),
            state: &state,
            caller: internal.then(caller),
            baggage: &baggage,
        };
        shared.propagators.inject(&outgoing, request.headers_mut());
    }
    // The transport enforces the deadline, whoever set it.
    let own = request.extensions().get::<Deadline>().copied();
    let inherited = info.and_then(|info| info.deadline);
    let deadline = [own, (config.deadline)(), inherited].into_iter().flatten().min();
    if let Some(deadline) = deadline
        && own != Some(deadline)
    {
        request.extensions_mut().insert(deadline);
    }
    if !internal {
        return deadline;
    }

    if let Some(deadline) = deadline {
        let left = deadline.remaining(now).unwrap_or_default();
        write_timeout(config, request.headers_mut(), protocol, left);
    }
    if attempt > 0 && protocol == Protocol::Grpc {
        request.headers_mut().insert(names::GRPC_PREVIOUS_RPC_ATTEMPTS, HeaderValue::from(attempt));
    }
    if let Some(id) = info.and_then(|info| info.request_id.as_ref())
        && !request.headers().contains_key(&config.request_id_header)
    {
        request.headers_mut().insert(config.request_id_header.clone(), id.to_header());
    }
    deadline
}

/// Writes the remaining time, unless the request already carries a shorter one.
fn write_timeout(
    config: &ClientConfig,
    headers: &mut HeaderMap,
    protocol: Protocol,
    left: std::time::Duration,
) {
    if protocol == Protocol::Grpc {
        let set = headers.get(names::GRPC_TIMEOUT);
        let set = set.and_then(|value| deadline::parse_grpc_timeout(value.as_bytes()));
        if set.is_none_or(|set| set > left)
            && let Ok(value) = HeaderValue::try_from(deadline::format_grpc_timeout(left))
        {
            headers.insert(names::GRPC_TIMEOUT, value);
        }
    } else {
        let set = headers.get(&config.timeout_header);
        let set = set.and_then(|value| deadline::parse_millis(value.as_bytes()));
        if set.is_none_or(|set| set > left) {
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            // Eleven days are as good as no deadline; more digits would not be read.
            headers.insert(config.timeout_header.clone(), millis.min(999_999_999).into());
        }
    }
}
