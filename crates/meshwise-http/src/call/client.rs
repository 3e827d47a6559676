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
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    trace::{SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceId},
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
        // Of the headers as they came; what is written below is asked for by none of them.
        let seen = HeaderFilter::of(request.headers());
        let (asked, handed_on) = Protocol::of_sent(request);
        let protocol = if handed_on { Protocol::Http } else { asked };
        let method = method::known(request.method());
        let scheme = method::scheme(request.uri().scheme_str(), "http");
        let resend_count = request.extensions().get::<Attempt>().map_or(0, |attempt| attempt.0);
        let template = request.extensions().get::<UrlTemplate>().map(|url| url.0);
        let uri = request.uri();
        let target = match protocol {
            Protocol::Grpc => None,
            _ => Some(config.targets.find(config, uri.authority(), scheme)),
        };
        let around = Context::current();
        let parent = around.span();
        let parent = parent.span_context();
        let trace_around = parent.trace_id();

        let began = clock::nanos(started);
        let mut recorded_at = None;
        let mut recording = false;
        let mut goes_by_ids = true;
        let cx = match &shared.tracing {
            Some(tracing) if !around.is_telemetry_suppressed() => {
                let build = |list| {
                    let now = clock::wall_time_at(began);
                    recorded_at = Some(now);
                    let name = match protocol {
                        Protocol::Grpc => full_method(request.uri().path()).to_owned().into(),
                        _ => http_name(method, template),
                    };
                    let target = target.as_deref();
                    let attributes =
                        attributes::client(list, config, request, target, resend_count, template);
                    SpanBuilder {
                        span_kind: Some(SpanKind::Client),
                        start_time: Some(now),
                        attributes: Some(attributes),
                        ..SpanBuilder::from_name(name)
                    }
                };
                let span = tracing.start(parent, || around.clone(), build);
                // They are not valid once the provider was shut down.
                goes_by_ids = ids(&span).is_valid();
                let (cx, records) = enter_span(around, span);
                recording = records;
                cx
            }
            // Whatever span is current stays so. What is suppressed, an exporter's own call for one, writes no ids.
            _ => around,
        };
        let current = cx.span();
        let current = if goes_by_ids { current.span_context() } else { &SpanContext::NONE };
        let sending = Sending {
            config,
            cx: &cx,
            current,
            around: trace_around,
            seen,
            protocol: asked,
            started,
            began,
        };
        let limits = sending.write(request, resend_count);
        let in_flight = target.as_ref().and_then(|target| Some(target.http.as_ref()?.started()));
        let grpc = asked == Protocol::Grpc;
        let cx_says_nothing = !current.is_valid() && says_nothing(&cx);
        let uri = request.uri();
        let list = |calls: &Calls| {
            let make = || {
                let callee = target.as_ref().map_or(&config.callee, |target| &target.callee);
                let party = Party::Client { callee: Arc::clone(callee), method, template };
                let facts = ListedFacts { party, protocol, path: None, cx: cx.clone() };
                ListedCall::new(facts, serving(&config.telemetry), started, limits)
            };
            calls.begin(None, make, uri.path_and_query().filter(|_| protocol == Protocol::Grpc))
        };
        let listed = shared.calls.as_ref().map(list).unwrap_or_default();
        let request_messages = (recording && grpc)
            .then(|| count_messages(&config.count_bodies, &config.classifier, request))
            .flatten();
        let uri = request.uri();
        *place = Some(Self {
            side: Side::Client { config: Arc::clone(config), target, handed_on },
            protocol,
            method,
            path: uri.path_and_query().filter(|_| grpc).cloned(),
            version: request.version(),
            cx_says_nothing,
            tracing_span: None,
            cx,
            recording,
            started,
            recorded_at,
            in_flight,
            request_size: super::content_length(seen.get(request.headers(), &CONTENT_LENGTH)),
            request_messages,
            limits,
            listed,
            cost: CallCost::default(),
            progress: Progress::default(),
        });
        Self::begin_tracing_span(place);
    }
}

/// What is known of an outgoing call while its request is written.
struct Sending<'a> {
    config: &'a ClientConfig,
    /// The call's own context.
    cx: &'a Context,
    /// The ids that the call goes by.
    current: &'a SpanContext,
    /// The trace that the call is made in.
    around: TraceId,
    /// Which headers the request may have come with.
    seen: HeaderFilter,
    /// What the request says it is.
    protocol: Protocol,
    started: Instant,
    /// As [`clock::nanos`] counts.
    began: u64,
}

impl Sending<'_> {
    /// Writes context, limits and request id into the request, in the place of what stood there (a
    /// request may be sent again, or be one that came in); returns what limits the call.
    fn write<B>(&self, request: &mut Request<B>, resend_count: u32) -> Limits {
        let Self { config, cx, seen, protocol, .. } = *self;
        let info = cx.get::<CallInfo>();
        let internal = config.mode == ClientMode::Internal;
        let attempt = resend_count.saturating_add(info.map_or(0, |info| info.attempt));

        if !cx.is_telemetry_suppressed() {
            self.write_context(request, info, attempt);
        }
        let limits = self.limit(request, info);
        let headers = request.headers_mut();
        if internal && attempt > 0 && protocol == Protocol::Grpc {
            headers.insert(names::ATTEMPTS_OF_GRPC.clone(), HeaderValue::from(attempt));
        } else if seen.may_have(&names::ATTEMPTS_OF_GRPC) {
            headers.remove(&names::ATTEMPTS_OF_GRPC);
        }
        let Some(info) = info else { return limits };
        let trace = convert::trace_id(self.around);
        match seen.get(headers, &config.request_id_header) {
            None if internal => {
                if let Some(id) = info.request_id_header_in(trace) {
                    headers.insert(config.request_id_header.clone(), id);
                }
            }
            Some(set)
                if !internal
                    && info.request_id_in(trace).is_some_and(|id| *set == *id.as_str()) =>
            {
                headers.remove(&config.request_id_header);
            }
            _ => {}
        }
        limits
    }

    /// Writes who calls, and in which trace, in the place of what stood there.
    fn write_context<B>(&self, request: &mut Request<B>, info: Option<&CallInfo>, attempt: u32) {
        let Self { config, cx, current, seen, .. } = *self;
        let shared = &config.telemetry.0;
        let internal = config.mode == ClientMode::Internal;
        let says_more = attempt > 0
            || !cx.baggage().is_empty()
            || request.extensions().get::<ApiVersion>().is_some();
        let own = if internal && !says_more { config.own_entry() } else { None };
        if let (Some(own), false) = (own, current.is_valid()) {
            return shared.propagators.inject_untraced(own, request.headers_mut(), seen);
        }
        let state = match current.trace_state().header() {
            _ if !internal => Cow::Borrowed(""),
            state if state.is_empty() => {
                info.map_or(Cow::Borrowed(""), |info| Cow::Borrowed(info.trace_state.as_str()))
            }
            state => Cow::Owned(state),
        };
        let ids @ (trace_id, span_id, flags) = (
            convert::trace_id(current.trace_id()),
            convert::span_id(current.span_id()),
            convert::flags(current.trace_flags()),
        );
        if let Some(own) = own
            && state.is_empty()
            && shared.propagators.inject_traced(own, ids, request.headers_mut(), seen)
        {
            return;
        }
        let baggage = if internal { convert::baggage(cx) } else { Baggage::default() };
        let asked = request.extensions().get::<ApiVersion>().cloned();
        let caller = || {
            let caller = Caller::new(shared.service.name()).with_attempt(attempt);
            asked.iter().fold(caller, |caller, ApiVersion(asked)| caller.with_api_version(&**asked))
        };
        let (state, caller, baggage) = (&*state, internal.then(caller), &baggage);
        let outgoing = Outgoing { trace_id, span_id, flags, state, caller, baggage };
        let headers = request.headers_mut();
        if !internal {
            Propagators::strip_all(headers);
        }
        shared.propagators.inject_seen(&outgoing, headers, seen);
    }

    /// Finds out what limits the call, tells the peer, and leaves to the transport what no guard around
    /// the call enforces.
    fn limit<B>(&self, request: &mut Request<B>, info: Option<&CallInfo>) -> Limits {
        let Self { config, seen, protocol, started, began, .. } = *self;
        let grpc = protocol == Protocol::Grpc;
        let internal = config.mode == ClientMode::Internal;
        let around = Limits::current();
        let mut limits = around.unwrap_or_else(|| Limits::at(began));

        let headers = request.headers_mut();
        let (grpc_header, header) = read_timeouts(headers, seen, &config.timeout_header);
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
        let after =
            |timeout: Option<Duration>| timeout.map(|timeout| Deadline::after(now, timeout));
        let asked = [own, after(header), after(grpc_header)].into_iter().flatten().min();
        limits = limits.with_asked(asked).with_told(inherited);
        limits = limits.with_deadline(limit.map(Deadline::moment));
        let deadline = limits.told();

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
}
