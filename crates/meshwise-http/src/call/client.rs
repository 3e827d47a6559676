//! How an outgoing call starts: its span begins, and what the callee shall know is written into the
//! request.

use super::{
    Call, Progress, Side, attributes, count_messages, enter_span, ids, running::says_nothing,
};
use crate::{
    calls::{
        Calls,
        register::ListedCall,
        serving::serving,
        snapshot::{ListedFacts, Party},
    },
    client::config::{ClientConfig, ClientMode, UrlTemplate},
    convert, method, names,
    operations::http_name,
    rpc::full_method,
};
use http::{HeaderValue, Request, header::CONTENT_LENGTH};
use meshwise_core::{
    ApiVersion, Attempt, CallInfo, Deadline, Protocol,
    internal::{HeaderFilter, Limits, clock, format_grpc_timeout, read_timeouts},
    propagation::{Baggage, Caller, Outgoing, Propagators},
};
use meshwise_metrics::internal::CallCost;
use meshwise_trace::Started;
use opentelemetry::{
    Context,
    trace::{SpanBuilder, SpanContext, SpanKind, TraceContextExt},
};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

impl Call {
    /// Begins an outgoing call, and writes into the request what the callee shall know.
    pub(crate) fn client<B: 'static>(
        config: &Arc<ClientConfig>,
        request: &mut Request<B>,
        place: &mut Option<Self>,
    ) {
        let started = Instant::now();
        let shared = &config.telemetry.0;
        let (asked, answer_tells) = Protocol::of_sent(request);
        let handed_on = answer_tells.is_some();
        let protocol = if handed_on { Protocol::Http } else { asked };
        let method = method::known(request.method());
        let scheme = method::scheme(request.uri().scheme_str(), "http");
        let resend_count = request.extensions().get::<Attempt>().map_or(0, |attempt| attempt.0);
        let template = request.extensions().get::<UrlTemplate>().map(|url| url.0);
        let cx = Context::current();
        let parent = cx.span();
        let parent = parent.span_context();

        let mut recorded_at = None;
        let span = match &shared.tracing {
            // Whatever span is current stays so.
            None => None,
            // An exporter's own calls, for one: they go by no ids at all.
            Some(_) if cx.is_telemetry_suppressed() => Some(Started::Unrecorded(SpanContext::NONE)),
            Some(tracing) => {
                let build = || {
                    let now = clock::wall_time(started);
                    recorded_at = Some(now);
                    let name = match protocol {
                        Protocol::Grpc => full_method(request.uri().path()).to_owned().into(),
                        _ => http_name(method, template),
                    };
                    let attributes =
                        attributes::client(config, request, protocol, resend_count, template);
                    SpanBuilder {
                        span_kind: Some(SpanKind::Client),
                        start_time: Some(now),
                        attributes: Some(attributes),
                        ..SpanBuilder::from_name(name)
                    }
                };
                Some(tracing.start(parent, || cx.clone(), build))
            }
        };
        let current = span.as_ref().map_or(parent, ids);
        let (limits, filter) = inject(config, request, &cx, current, asked, resend_count, started);
        let uri = request.uri();
        let target = match protocol {
            Protocol::Grpc => None,
            _ => Some(config.targets.find(config, uri.authority(), scheme)),
        };
        let in_flight = target.as_ref().and_then(|target| Some(target.http.as_ref()?.started()));
        let grpc = asked == Protocol::Grpc;
        let cx_says_nothing = !current.is_valid() && says_nothing(&cx);
        let (cx, recording) = match span {
            Some(span) => enter_span(cx, span),
            None => (cx, false),
        };
        let uri = request.uri();
        let list = |calls: &Calls| {
            let make = || {
                let facts = ListedFacts {
                    party: Party::Client {
                        callee: Arc::clone(
                            target.as_ref().map_or(&config.callee, |target| &target.callee),
                        ),
                        method,
                        template,
                    },
                    protocol,
                    path: None,
                    cx: cx.clone(),
                };
                ListedCall::new(facts, serving(&config.telemetry), started, limits)
            };
            calls.begin(None, make, uri.path_and_query().filter(|_| protocol == Protocol::Grpc))
        };
        let listed = shared.calls.as_ref().map(list).unwrap_or_default();
        let request_messages =
            (recording && grpc).then(|| count_messages(&config.count_bodies, request)).flatten();
        let uri = request.uri();
        *place = Some(Self {
            side: Side::Client { config: Arc::clone(config), target, handed_on },
            protocol,
            method,
            scheme,
            path: uri.path_and_query().filter(|_| grpc).cloned(),
            version: request.version(),
            cx_says_nothing,
            tracing_span: None,
            cx,
            recording,
            started,
            recorded_at,
            in_flight,
            request_size: super::content_length(filter.get(request.headers(), &CONTENT_LENGTH)),
            request_messages,
            limits,
            listed,
            cost: CallCost::default(),
            progress: Progress::default(),
        });
        Self::begin_tracing_span(place);
    }
}

/// Writes context, limits and request id into an outgoing request, in the place of what stood there
/// (a request may be sent again, or be one that came in); returns what limits the call, and which headers
/// the request may have.
fn inject<B>(
    config: &ClientConfig,
    request: &mut Request<B>,
    parent: &Context,
    current: &SpanContext,
    protocol: Protocol,
    resend_count: u32,
    now: Instant,
) -> (Limits, HeaderFilter) {
    let info = parent.get::<CallInfo>();
    let internal = config.mode == ClientMode::Internal;
    let attempt = resend_count.saturating_add(info.map_or(0, |info| info.attempt));

    if !parent.is_telemetry_suppressed() {
        write_context(config, request, parent, current, attempt);
    }
    let filter = HeaderFilter::of(request.headers());
    let limits = limit(config, request, filter, info, protocol, now);
    let headers = request.headers_mut();
    if internal && attempt > 0 && protocol == Protocol::Grpc {
        headers.insert(names::ATTEMPTS_OF_GRPC.clone(), HeaderValue::from(attempt));
    } else if filter.may_have(&names::ATTEMPTS_OF_GRPC) {
        headers.remove(&names::ATTEMPTS_OF_GRPC);
    }
    let trace = || convert::trace_id(parent.span().span_context().trace_id());
    let id = info.and_then(|info| info.request_id_in(trace()));
    let set = filter.get(headers, &config.request_id_header);
    if internal {
        if let (Some(id), None) = (id, set) {
            headers.insert(config.request_id_header.clone(), id.to_header());
        }
    } else if set.is_some_and(|set| id.is_some_and(|id| id.as_str() == set)) {
        headers.remove(&config.request_id_header);
    }
    (limits, filter)
}

/// Writes who calls, and in which trace, in the place of what stood there.
fn write_context<B>(
    config: &ClientConfig,
    request: &mut Request<B>,
    parent: &Context,
    current: &SpanContext,
    attempt: u32,
) {
    let shared = &config.telemetry.0;
    let internal = config.mode == ClientMode::Internal;
    let baggage = if internal { convert::baggage(parent) } else { Baggage::default() };
    if internal
        && attempt == 0
        && !current.is_valid()
        && baggage.is_empty()
        && request.extensions().get::<ApiVersion>().is_none()
        && let Some(untraced) = config.untraced()
    {
        return shared.propagators.inject_untraced(untraced, request.headers_mut());
    }
    let info = parent.get::<CallInfo>();
    let state = match current.trace_state().header() {
        _ if !internal => Cow::Borrowed(""),
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
    let headers = request.headers_mut();
    if !internal {
        Propagators::strip_all(headers);
    }
    shared.propagators.inject(&outgoing, headers);
}

/// Finds out what limits the call, tells the peer, and leaves to the transport what no guard around
/// the call enforces.
fn limit<B>(
    config: &ClientConfig,
    request: &mut Request<B>,
    filter: HeaderFilter,
    info: Option<&CallInfo>,
    protocol: Protocol,
    started: Instant,
) -> Limits {
    let grpc = protocol == Protocol::Grpc;
    let internal = config.mode == ClientMode::Internal;
    let around = Limits::current();
    let mut limits = around.unwrap_or_else(|| Limits::new(started));

    let headers = request.headers_mut();
    let (grpc_header, header) = read_timeouts(headers, filter, &config.timeout_header);
    // What came in with the call being served was not set for this request, and no longer holds.
    let header = header.filter(|told| !info.is_some_and(|info| info.is_limit_header(*told)));
    let stale =
        grpc_header.is_some_and(|told| info.is_some_and(|info| info.is_deadline_header(told)));
    if stale {
        headers.remove(&names::TIMEOUT_OF_GRPC);
    }
    let grpc_header = grpc_header.filter(|_| grpc && !stale);
    if !internal {
        headers.remove(&config.timeout_header);
    }
    let own = request.extensions().get::<Deadline>().copied();
    let inherited = info.and_then(|info| info.deadline);
    let limit = info.and_then(CallInfo::limit);
    let set = own.is_some() || header.is_some() || grpc_header.is_some();
    if !set && inherited.is_none() && limit.is_none() && limits.end().is_none() {
        return limits;
    }

    let now = if around.is_some() { super::now() } else { started };
    let after = |timeout: Option<Duration>| timeout.map(|timeout| Deadline::after(now, timeout));
    let asked = [own, after(header), after(grpc_header)].into_iter().flatten().min();
    let deadline = [asked, inherited, limits.told()].into_iter().flatten().min();
    if let Some(asked) = asked {
        limits = limits.with_asked(asked);
    }
    if let Some(inherited) = inherited {
        limits = limits.with_told(inherited);
    }
    if let Some(limit) = limit {
        limits = limits.with_deadline(limit.moment());
    }

    // A guard that knows of a limit enforces it.
    let left = |deadline: &Deadline| around.is_none_or(|around| !around.enforce(*deadline));
    let open = |limit: &Deadline| {
        around.and_then(|around| around.end()).is_none_or(|end| end > limit.moment())
    };
    let to_enforce = [deadline.filter(left), limit.filter(open)].into_iter().flatten().min();
    if let Some(to_enforce) = to_enforce
        && own.is_none_or(|own| own > to_enforce)
    {
        request.extensions_mut().insert(to_enforce);
    }
    if internal {
        let headers = request.headers_mut();
        if grpc && let Some(deadline) = deadline {
            let left = deadline.remaining(now).unwrap_or_default();
            if grpc_header.is_none_or(|told| told > left)
                && let Ok(value) = HeaderValue::try_from(format_grpc_timeout(left))
            {
                headers.insert(names::TIMEOUT_OF_GRPC.clone(), value);
            }
        }
        if let Some(end) = limits.end() {
            let left = end.saturating_duration_since(now).as_millis();
            // Eleven days are as good as no deadline; more digits would not be read.
            let millis = u64::try_from(left).unwrap_or(u64::MAX).min(999_999_999);
            headers.insert(config.timeout_header.clone(), millis.into());
        }
    }
    limits
}
