//! How an outgoing call starts: its span begins, and its request is told what the callee shall know.

use super::{Call, Progress, Side, attributes, running::says_nothing};
use crate::{
    calls::{
        Calls,
        facts::{ListedFacts, Party},
        register::ListedCall,
        serving::serving,
    },
    client::{
        config::{ClientConfig, UrlTemplate},
        sending::Sending,
    },
    method,
    operations::http_name,
    rpc::{RequestMessages, full_method},
};
use http::{Request, header::CONTENT_LENGTH};
use meshwise_core::{
    Attempt, CallInfo, Protocol,
    internal::{HeaderFilter, clock},
};
use meshwise_metrics::internal::CallCost;
use meshwise_trace::Room;
use opentelemetry::{
    Context,
    trace::{SpanBuilder, SpanContext, SpanKind, TraceContextExt},
};
use std::sync::Arc;

impl Call {
    /// Begins an outgoing call, and writes into the request what the callee shall know.
    pub(crate) fn client<B: 'static>(
        config: &Arc<ClientConfig>,
        request: &mut Request<B>,
        place: &mut Option<Self>,
    ) {
        let began = clock::now();
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

        let mut recorded_at = None;
        let mut recording = false;
        let mut goes_by_ids = true;
        let cx = match &shared.tracing {
            Some(tracing) if !around.is_telemetry_suppressed() => {
                let build = |room: &mut Room| {
                    let now = clock::wall_time_at(began);
                    recorded_at = Some(now);
                    let name = match protocol {
                        Protocol::Grpc => full_method(request.uri().path()).to_owned().into(),
                        _ => http_name(method, template),
                    };
                    let target = target.as_deref();
                    attributes::client(room, config, request, target, resend_count, template);
                    SpanBuilder {
                        span_kind: Some(SpanKind::Client),
                        start_time: Some(now),
                        ..SpanBuilder::from_name(name)
                    }
                };
                let span = tracing.start(parent, || around.clone(), build);
                // They are not valid once the provider was shut down.
                goes_by_ids = span.ids().is_valid();
                let (cx, records) = span.enter(around);
                recording = records;
                cx
            }
            // Whatever span is current stays so. What is suppressed, an exporter's own call for one, writes no ids.
            _ => around,
        };
        let current = cx.span();
        let current = if goes_by_ids { current.span_context() } else { &SpanContext::NONE };
        let info = cx.get::<CallInfo>();
        let sending = Sending {
            config,
            cx: &cx,
            info,
            current,
            around: trace_around,
            seen,
            protocol: asked,
            began,
        };
        let limits = sending.write(request, resend_count);
        let grpc = asked == Protocol::Grpc;
        let cx_says_nothing = !current.is_valid() && says_nothing(&cx);
        let uri = request.uri();
        let list = |calls: &Calls| {
            let make = || {
                let callee = target.as_ref().map_or(&config.callee, |target| &target.callee);
                let party = Party::Client { callee: Arc::clone(callee), method, template };
                let facts = ListedFacts { party, protocol, path: None, cx: cx.clone() };
                ListedCall::new(facts, serving(&config.telemetry), began, limits)
            };
            calls.begin(None, make, uri.path_and_query().filter(|_| protocol == Protocol::Grpc))
        };
        let listed = shared.calls.as_ref().map(list).unwrap_or_default();
        let request_messages = (recording && grpc)
            .then(|| RequestMessages::of(&config.count_bodies, &config.classifier, request))
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
            began,
            recorded_at,
            is_active: false,
            request_size: super::content_length(seen.get(request.headers(), &CONTENT_LENGTH)),
            request_messages,
            limits,
            listed,
            cost: CallCost::default(),
            progress: Progress::default(),
        });
        Self::begin(place);
    }
}
