//! The settings of the layer that observes outgoing calls.

use super::target::{Target, Targets};
use crate::{
    calls::facts::Callee,
    finished::Finished,
    rpc::CountBody,
    telemetry::{Instruments, Telemetry},
};
use http::HeaderName;
use meshwise_core::{Classifier, GrpcCode, propagation::OwnEntry};
use meshwise_metrics::internal::{Edge, EdgeKind};
use opentelemetry::Value;
use std::sync::{Arc, OnceLock};

/// Says what the peer may learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum ClientMode {
    /// A service of the same mesh: gets trace context, baggage, this service's name, the deadline,
    /// the number of tries and the request id. Baggage and name go out with tracing switched off,
    /// too.
    #[default]
    Internal,
    /// A third party: gets the ids of trace context (`traceparent`, or what the formats chosen have in
    /// its place), and nothing else: no `tracestate`, no baggage, no deadline, number of tries or
    /// request id, neither this service's own nor those of a request that is handed on. A
    /// `grpc-timeout` and a request id set by hand stay.
    External,
}

/// Names, in a request's extensions, the template its URL was made from, such as
/// `/orders/{id}`: it becomes part of the span's name (`url.template`).
///
/// Templates are few and known when the program is written, hence `&'static`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a name for one value")]
pub struct UrlTemplate(pub &'static str);

#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    pub(crate) telemetry: Telemetry,
    pub(crate) peer: Arc<str>,
    /// What is shown of calls that have no target.
    pub(crate) callee: Arc<Callee>,
    pub(crate) mode: ClientMode,
    pub(crate) undeclared: bool,
    pub(crate) targets: Targets,
    /// The edge of the service map, once it is known; a third party has one for each address.
    pub(crate) edge: OnceLock<Edge>,
    /// What says who this service is, once that was said.
    pub(crate) own_entry: OnceLock<Option<OwnEntry>>,
    pub(crate) request_id_header: HeaderName,
    pub(crate) timeout_header: HeaderName,
    pub(crate) classifier: Classifier,
    pub(crate) count_bodies: Vec<CountBody>,
    /// Names of services' types whose calls run no code of the application's.
    pub(crate) deferring: Vec<&'static str>,
}

impl ClientConfig {
    /// Returns what says who this service is.
    #[inline]
    pub(crate) fn own_entry(&self) -> Option<&OwnEntry> {
        let shared = &self.telemetry.0;
        let name = shared.service.name();
        self.own_entry.get_or_init(|| shared.propagators.own_entry(name)).as_ref()
    }

    /// Returns a host as spans say it.
    pub(crate) fn address(&self, host: &str) -> Value {
        match *host == *self.peer {
            // Peers are often called what their hosts are.
            true => Arc::clone(&self.peer).into(),
            false => self.telemetry.0.texts.share(host),
        }
    }

    /// Returns the edge of a call on the service map, once it is known: what says nothing of itself is known by
    /// its address.
    #[inline]
    fn edge<'a>(&'a self, target: Option<&'a Target>) -> &'a OnceLock<Edge> {
        let addressed = self.addressed(target);
        addressed.map_or(&self.edge, |target| &target.edge)
    }

    #[inline]
    fn addressed<'a>(&self, target: Option<&'a Target>) -> Option<&'a Target> {
        target.filter(|target| self.mode == ClientMode::External && !target.host.is_empty())
    }

    /// What an edge of the service map goes by.
    fn edge_name<'a>(&'a self, target: Option<&'a Target>) -> (&'a str, EdgeKind) {
        let kind = match self.mode {
            ClientMode::External => EdgeKind::Virtual,
            ClientMode::Internal if self.undeclared => EdgeKind::Undeclared,
            ClientMode::Internal => EdgeKind::Call,
        };
        (self.addressed(target).map_or(&*self.peer, |target| &*target.host), kind)
    }

    /// Counts a call that was made, a gRPC one under its method.
    #[inline]
    pub(crate) fn count(
        &self,
        metrics: &Instruments,
        target: Option<&Target>,
        method: &'static str,
        rpc: Option<(&str, GrpcCode)>,
        finished: &Finished,
    ) {
        if let Some(map) = &metrics.map {
            let make = || {
                let (name, kind) = self.edge_name(target);
                map.edge(self.telemetry.0.service.name(), name, kind)
            };
            finished.draw(map, self.edge(target), make, |edge, call| {
                let (name, kind) = self.edge_name(target);
                map.called(edge, name, kind, call);
            });
        }
        if let Some((method, code)) = rpc {
            let labels = finished.rpc(method, code, Some(&*self.peer));
            metrics.rpc_client.finished(&labels, finished.duration);
        } else if let Some(http) = target.and_then(|target| target.http.as_ref()) {
            let (status, error_type) = (finished.status, finished.end.error_type());
            http.finished(method, status, error_type, finished.duration, finished.sizes());
        }
    }
}
