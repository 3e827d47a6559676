//! Served calls that have not ended when the service does: their code blocks its thread, so that nothing can
//! end them.

use super::{
    Calls,
    facts::{KeptEnd, KeptFacts, ListedFacts, Party},
    register::ListedCall,
    snapshot::CallFacts,
};
use crate::{
    method,
    operations::Operation,
    rpc::{full_method, is_wildcard},
    telemetry::{Shared, Telemetry},
};
use http::uri::PathAndQuery;
use meshwise_core::{
    ErrorType, GrpcCode, Protocol,
    internal::clock,
    outcome::{EndedBy, Fault, FaultKind},
};
use meshwise_metrics::internal::{BodySizes, EdgeCall, RpcLabels};
use std::{sync::Arc, time::Duration};

/// A call that is counted without its own doing.
struct GivenUp {
    operation: Arc<Operation>,
    facts: KeptFacts,
    duration: Duration,
    status: Option<u16>,
}

fn error_type() -> ErrorType {
    Fault::new(FaultKind::Shutdown).error_type()
}

impl Calls {
    fn give_up(&self) -> Vec<GivenUp> {
        self.register.give_up(|call: &ListedCall<ListedFacts>, status| {
            let Party::Server(operation) = &call.facts.party else { return None };
            let mut facts = call.facts.keep(call.began);
            // As for every call without an answer: this server's own routes know better than the request.
            if facts.route.as_deref().is_some_and(|route| !is_wildcard(route)) {
                facts.protocol = Protocol::Http;
            }
            let duration = clock::since(call.began);
            Some(GivenUp { operation: Arc::clone(operation), facts, duration, status })
        })
    }
}

impl Telemetry {
    /// Counts the served calls that have not ended as ended by the service's end, once each, and returns
    /// them. Those that end all the same are not counted again.
    #[doc(hidden)]
    #[must_use]
    pub fn give_up_calls(&self) -> Vec<CallFacts> {
        let shared = &*self.0;
        let Some(calls) = &shared.calls else { return Vec::new() };
        let given_up = calls.give_up().into_iter().map(|call| {
            let code = (call.facts.protocol == Protocol::Grpc).then_some(GrpcCode::Unavailable);
            call.count(shared, code);
            let shown = call.facts.show();
            calls.ended.keep_failed(KeptEnd {
                facts: call.facts,
                duration: call.duration,
                status: call.status,
                code,
                error_type: Some(error_type()),
                ended_by: EndedBy::Shutdown,
            });
            shown
        });
        given_up.collect()
    }
}

impl GivenUp {
    fn count(&self, shared: &Shared, code: Option<GrpcCode>) {
        let Some(metrics) = &shared.metrics else { return };
        let (duration, error_type) = (self.duration, Some(error_type()));
        if let (None, Some(map)) = (&self.facts.caller, &metrics.map) {
            let edge = metrics.unnamed.get_or_init(|| map.unnamed(shared.service.name()));
            map.served_unnamed(edge, &EdgeCall { status: self.status, code, error_type, duration });
        }
        match (code, &self.operation.http) {
            (Some(code), _) => {
                let path = self.facts.path.as_ref().map_or("", PathAndQuery::path);
                let known = shared.rpc_methods.known(full_method(path));
                let method = known.as_deref().unwrap_or(method::OTHER);
                let labels = RpcLabels { method, code, error_type, peer: None };
                metrics.rpc_server.finished(&labels, duration);
            }
            (None, Some(http)) => {
                let sizes = BodySizes { request: None, response: None };
                http.finished(self.status, error_type, duration, sizes);
            }
            (None, None) => {}
        }
    }
}
