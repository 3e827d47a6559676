//! What is known of a call: while the register lists it, and once the call itself is gone.

use crate::{convert, operations::Operation};
use http::uri::PathAndQuery;
use meshwise_core::{
    CallInfo, ErrorType, GrpcCode, Protocol, RequestId, SpanId, TraceId,
    outcome::{EndedBy, Side},
};
use opentelemetry::{Context, trace::TraceContextExt};
use std::{borrow::Cow, sync::Arc, time::Duration};

/// What the register holds of a call in flight: references to what the call has anyway.
#[derive(Clone, Debug)]
pub(crate) struct ListedFacts {
    pub(crate) party: Party,
    pub(crate) protocol: Protocol,
    /// That of a gRPC call.
    pub(crate) path: Option<PathAndQuery>,
    /// Has the ids, and for the calls of a served one what came with that.
    pub(crate) cx: Context,
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
        let Self { party, protocol, path, cx } = self;
        let span = cx.span();
        let trace = convert::trace_id(span.span_context().trace_id());
        // Calls of an exporter's own go by no ids.
        let ids = Some(span.span_context()).filter(|_| !cx.is_telemetry_suppressed());
        let ids = ids.filter(|ids| ids.is_valid());
        let info = cx.get::<CallInfo>();
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
            ids: ids
                .map(|ids| (convert::trace_id(ids.trace_id()), convert::span_id(ids.span_id()))),
            request_id: info.and_then(|info| info.request_id_in(trace)).map(Cow::into_owned),
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
