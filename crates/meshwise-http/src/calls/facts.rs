//! What is known of a call: while the register lists it, and once the call itself is gone.

use crate::{convert, operations::Operation};
use http::uri::PathAndQuery;
use meshwise_core::{
    CallInfo, ErrorType, GrpcCode, Protocol, RequestId, SpanId, TraceId,
    outcome::{EndedBy, Side},
};
use opentelemetry::{
    Context,
    trace::{self as otel, TraceContextExt},
};
use std::{sync::Arc, time::Duration};

/// What the register holds of a call in flight: references to what the call has anyway.
#[derive(Clone, Debug)]
pub(crate) struct ListedFacts {
    pub(crate) party: Party,
    pub(crate) protocol: Protocol,
    /// That of a gRPC call.
    pub(crate) path: Option<PathAndQuery>,
    pub(crate) told: Told,
}

/// What a call's context says of it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Those that it goes by.
    pub(crate) ids: Option<(otel::TraceId, otel::SpanId)>,
    /// The trace's digits are the request id.
    pub(crate) named_by_trace: bool,
    /// The context itself, if it says more: of most calls it does not, and to hold it costs four atomic operations.
    pub(crate) cx: Option<Context>,
}

impl Told {
    /// Takes it from a context; `info` is the one in it.
    #[inline]
    pub(crate) fn of(cx: &Context, info: Option<&CallInfo>) -> Self {
        let span = cx.span();
        // Calls of an exporter's own go by no ids.
        let ids = Some(span.span_context()).filter(|_| !cx.is_telemetry_suppressed());
        let more = |info: &CallInfo| {
            info.request_id.is_some() || info.caller.is_some() || info.attempt > 0
        };
        Self {
            ids: ids.filter(|ids| ids.is_valid()).map(|ids| (ids.trace_id(), ids.span_id())),
            named_by_trace: info.is_some_and(CallInfo::is_named_by_trace),
            cx: info.is_some_and(more).then(|| cx.clone()),
        }
    }

    /// Returns the request id.
    fn request_id(&self, ids: Option<(TraceId, SpanId)>) -> Option<RequestId> {
        let own = self.info().and_then(|info| info.request_id.clone());
        let by_trace = || ids.map(|(trace, _)| RequestId::from_random(trace.to_int()));
        own.or_else(|| by_trace().filter(|_| self.named_by_trace))
    }

    fn info(&self) -> Option<&CallInfo> {
        self.cx.as_ref()?.get::<CallInfo>()
    }
}

/// What differs between the two ends.
#[derive(Clone, Debug)]
pub(crate) enum Party {
    Server(Arc<Operation>),
    Client { callee: Arc<Callee>, method: &'static str, template: Option<&'static str> },
}

/// Whom a call goes to.
#[derive(Debug)]
pub(crate) struct Callee {
    /// The name of the peer.
    pub(crate) peer: Arc<str>,
    /// The host and port of an HTTP call, without what may stand before an `@`.
    pub(crate) address: Option<Arc<str>>,
}

impl ListedFacts {
    /// Lets go of the call itself: what is shown may be kept for longer than that lives.
    pub(crate) fn keep(&self, began: u64) -> KeptFacts {
        let Self { party, protocol, path, told } = self;
        let ids = told.ids.map(|(trace, span)| (convert::trace_id(trace), convert::span_id(span)));
        let info = told.info();
        let facts = KeptFacts {
            side: Side::Client,
            protocol: *protocol,
            method: "",
            route: None,
            template: None,
            path: path.clone(),
            caller: None,
            peer: None,
            address: None,
            ids,
            request_id: told.request_id(ids),
            attempt: info.map_or(0, |info| info.attempt),
            began,
        };
        match party {
            Party::Server(operation) => KeptFacts {
                side: Side::Server,
                method: operation.method,
                route: operation.route.clone(),
                caller: info.and_then(|info| info.caller.clone()),
                ..facts
            },
            Party::Client { callee, method, template } => KeptFacts {
                method,
                template: *template,
                peer: Some(Arc::clone(&callee.peer)),
                address: callee.address.clone(),
                ..facts
            },
        }
    }
}

/// What is shown of a call, once it is looked at or has ended.
#[derive(Clone, Debug)]
pub(crate) struct KeptFacts {
    pub(crate) side: Side,
    pub(crate) protocol: Protocol,
    pub(crate) method: &'static str,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) template: Option<&'static str>,
    /// That of a gRPC call.
    pub(crate) path: Option<PathAndQuery>,
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) peer: Option<Arc<str>>,
    pub(crate) address: Option<Arc<str>>,
    pub(crate) ids: Option<(TraceId, SpanId)>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) attempt: u32,
    pub(crate) began: u64,
}

/// What is kept of a call that has ended.
#[derive(Clone, Debug)]
pub(crate) struct KeptEnd {
    pub(crate) facts: KeptFacts,
    pub(crate) duration: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<GrpcCode>,
    pub(crate) error_type: Option<ErrorType>,
    pub(crate) ended_by: EndedBy,
}
