//! How an incoming call starts: what came with it is read, and its span begins.

use super::{Call, Client, Progress, Side, attributes, now, slot};
use crate::{
    calls::{
        Calls,
        facts::{ListedFacts, Party},
        register::ListedCall,
    },
    convert, method, names,
    rpc::{RequestMessages, full_method},
    server::{
        config::{ServerConfig, ServerMode},
        trust::Name,
    },
};
use http::{
    HeaderMap, Request,
    header::{CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT},
};
use meshwise_core::{
    CallInfo, Deadline, Protocol,
    internal::{HeaderFilter, Limits, clock, read_timeouts},
    propagation::Sampling,
};
use meshwise_metrics::internal::CallCost;
use meshwise_trace::Started;
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt},
};
use std::sync::Arc;

impl Call {
    /// Begins an incoming call.
    pub(crate) fn server<B: 'static>(
        config: &Arc<ServerConfig>,
        request: &mut Request<B>,
        place: &mut Option<Self>,
    ) {
        let began = clock::now();
        let shared = &config.telemetry.0;
        let headers = request.headers();
        let filter = HeaderFilter::of(headers);
        let protocol = Protocol::of_content_type(filter.get(headers, &CONTENT_TYPE));
        let method = method::known(request.method());
        let scheme = method::scheme(request.uri().scheme_str(), config.scheme);
        let operation =
            shared.operations.of_request(method, config.route, scheme, request.extensions());
        let trusted = config.mode == ServerMode::Internal;

        // Most requests from outside say nothing of any of this.
        let told = filter.may_have_any(config.reads);
        let came = told.then(|| Came::of(config, protocol, headers, filter));
        let parent = came.as_ref().map_or(&NO_PARENT, |came| &came.parent);
        let mut recorded_at = None;
        let span = match &shared.tracing {
            _ if came.as_ref().is_some_and(|came| came.declined) => Started::unrecorded(),
            None => Started::Unrecorded(parent.clone()),
            Some(tracing) => {
                let context = || {
                    let cx = came.as_ref().map_or_else(Context::new, |came| came.baggage.clone());
                    match parent.is_valid() {
                        true => cx.with_remote_span_context(parent.clone()),
                        false => cx,
                    }
                };
                tracing.start(parent, context, |room| {
                    let now = clock::wall_time_at(began);
                    recorded_at = Some(now);
                    let name = match protocol {
                        Protocol::Grpc => full_method(request.uri().path()).to_owned().into(),
                        _ => operation.span_name(),
                    };
                    let caller = came.as_ref().and_then(|came| came.info.caller.as_ref());
                    attributes::server(room, config, request, protocol, caller, &operation);
                    let link = came.as_ref().and_then(|came| came.link.clone());
                    SpanBuilder {
                        span_kind: Some(SpanKind::Server),
                        start_time: Some(now),
                        links: link.map(|link| vec![Link::with_context(link)]),
                        ..SpanBuilder::from_name(name)
                    }
                })
            }
        };
        let trace_id = span.ids().trace_id();
        let is_in_trace = span.ids().is_valid();
        let said = told.then(|| filter.get(headers, &config.request_id_header)).flatten();
        let name = config.name(said, is_in_trace);
        let other_id =
            said.is_some() && config.says_other_id(headers, &name, convert::trace_id(trace_id));
        let from_named = came.as_ref().is_some_and(|came| came.info.caller.is_some());
        let limits = limits(config, came.as_ref().map(|came| &came.info), began);
        let logged = !config.access.is_off();
        let grpc = protocol == Protocol::Grpc;
        let path = request.uri().path_and_query().filter(|_| grpc || logged).cloned();
        let client = || Client {
            agent: filter.get(headers, &USER_AGENT).cloned(),
            address: attributes::client_address(config, request),
        };
        let client = logged.then(client).unwrap_or_default();
        let request_size = super::content_length(filter.get(headers, &CONTENT_LENGTH));
        let learned = &shared.rpc_methods;
        let rpc_method = path
            .as_ref()
            .filter(|_| grpc)
            .and_then(|path| config.rpc_services.known(learned, full_method(path.path())));
        let named_by_trace = name == Name::Trace;
        let facts = match came {
            None => facts(name),
            Some(came) => came.facts(name),
        };
        let cx_says_nothing = facts.is_none() && !is_in_trace && !(told && trusted);
        let cx = facts.unwrap_or_default();
        let (cx, recording) = span.enter(cx);
        let list = |calls: &Calls| {
            let make = || {
                let party = Party::Server(Arc::clone(&operation));
                let facts = ListedFacts { party, protocol, path: None, cx: cx.clone() };
                ListedCall::new(facts, None, began, limits)
            };
            calls.begin(Some(limits.began_at()), make, path.as_ref().filter(|_| grpc))
        };
        let listed = shared.calls.as_ref().map(list).unwrap_or_default();
        // What a handler has read proves that there is one.
        let counted = grpc && (recording || (rpc_method.is_none() && shared.metrics.is_some()));
        if !trusted {
            config.remove_foreign(request.headers_mut());
        }
        if other_id {
            // A request that is handed on would say it in the place of the call's own.
            request.headers_mut().remove(&config.request_id_header);
        }
        let request_messages = counted
            .then(|| RequestMessages::of(&config.count_bodies, &config.classifier, request))
            .flatten();
        *place = Some(Self {
            side: Side::Server {
                config: Arc::clone(config),
                operation,
                from_named,
                named_by_trace,
                rpc_method,
                client,
            },
            protocol,
            method,
            path,
            version: request.version(),
            cx_says_nothing,
            tracing_span: None,
            cx,
            recording,
            began,
            recorded_at,
            is_active: false,
            request_size,
            request_messages,
            limits,
            listed,
            cost: CallCost::default(),
            progress: Progress::default(),
        });
        Self::begin(place);
    }
}

/// The parent of a call that begins a trace.
static NO_PARENT: SpanContext = SpanContext::NONE;

/// Returns the context of a call of which only the name is known, if it has one.
#[inline]
fn facts(name: Name) -> Option<Context> {
    match name {
        Name::None => None,
        Name::Trace => Some(slot::named_by_trace()),
        Name::Own(_) => Some(Context::new().with_value(name.give(CallInfo::default()))),
    }
}

/// What came with a call.
struct Came {
    /// The span that the call's becomes a child of.
    parent: SpanContext,
    /// The one that it only links to.
    link: Option<SpanContext>,
    /// A context that holds the caller's baggage.
    baggage: Context,
    info: CallInfo,
    /// The caller wants no trace, and names none: its call gets one that is not recorded.
    declined: bool,
}

impl Came {
    #[inline(never)]
    fn of(
        config: &ServerConfig,
        protocol: Protocol,
        headers: &HeaderMap,
        filter: HeaderFilter,
    ) -> Self {
        let shared = &config.telemetry.0;
        let incoming = shared.propagators.extract_with(headers, filter);
        let (baggage, mut info) = (Context::new(), CallInfo::default());
        if config.mode == ServerMode::Edge {
            let link = incoming.parent.as_ref();
            let link = link.map(|parent| convert::span_context(parent, parent.flags.is_sampled()));
            return Self { parent: SpanContext::NONE, link, baggage, info, declined: false };
        }
        if let Some(caller) = &incoming.caller {
            let asked = caller.api_version.as_deref();
            info.caller = Some(shared.callers.intern(&caller.service));
            info.api_version = asked.map(|version| shared.api_versions.intern(version));
            info.attempt = caller.attempt;
        }
        let grpc = protocol == Protocol::Grpc;
        if grpc && let Some(told) = filter.get(headers, &names::ATTEMPTS_OF_GRPC) {
            let told = told.to_str().ok().and_then(|told| told.parse().ok());
            info.attempt = info.attempt.max(told.unwrap_or(0));
        }
        let (deadline, limit) = read_timeouts(headers, filter, &config.timeout_header);
        // What a gRPC deadline says was set on purpose; the other may be the limit of one attempt.
        if let Some(timeout) = deadline.filter(|_| grpc) {
            info.set_deadline(now(), timeout);
        }
        if let Some(timeout) = limit {
            info.set_limit(now(), timeout);
        }
        let parent = incoming.parent.as_ref().map_or(SpanContext::NONE, |parent| {
            info.trace_state = parent.state.clone();
            let sampled = match (parent.sampling, &shared.tracing) {
                (Sampling::Deferred, Some(tracing)) => tracing.decide_root(parent.trace_id),
                (Sampling::Deferred | Sampling::NotSampled, _) => false,
                (Sampling::Sampled | Sampling::Debug, _) => true,
            };
            convert::span_context(parent, sampled)
        });
        Self {
            parent,
            link: None,
            baggage: convert::with_baggage(baggage, &incoming.baggage),
            info,
            declined: incoming.parent.is_none() && incoming.sampling == Sampling::NotSampled,
        }
    }

    /// Returns the context that holds all that is known of the call, if there is anything.
    fn facts(self, name: Name) -> Option<Context> {
        let has_baggage = !self.baggage.baggage().is_empty();
        match self.info.says_nothing() {
            true if !has_baggage => facts(name),
            true if name == Name::None => Some(self.baggage),
            _ => Some(self.baggage.with_value(name.give(self.info))),
        }
    }
}

/// Gathers what limits the call, so that an end that comes at a limit is known as one.
fn limits(config: &ServerConfig, info: Option<&CallInfo>, began: u64) -> Limits {
    let mut limits = Limits::at(began);
    if let Some(outer) = config.outer_timeout {
        limits = limits.with_attempt(outer);
    }
    let Some(info) = info else { return limits };
    limits.with_told(info.deadline).with_deadline(info.limit().map(Deadline::moment))
}
