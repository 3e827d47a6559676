//! The settings of the layer that observes incoming calls.

use crate::{
    access::AccessLog,
    names,
    rpc::{CountBody, RpcServices},
    telemetry::Telemetry,
};
use http::{Extensions, HeaderName};
use meshwise_core::{Classifier, internal::HeaderFilter, propagation::Format};
use std::{net::IpAddr, time::Duration};

/// Says how far callers are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum ServerMode {
    /// Callers are services of the same mesh: their trace is continued, their baggage, name,
    /// deadline, request id and sampling decision are taken over.
    ///
    /// The request keeps its headers. If it is handed on, [`ClientLayer`](crate::ClientLayer) puts
    /// its own in their place: trace context, baggage, the time that is still left, the number of
    /// tries. A client without that layer would send stale ones.
    #[default]
    Internal,
    /// Callers are strangers: each call starts a trace of its own, linked to theirs; their
    /// baggage, name, deadline, request id and sampling decision are ignored.
    ///
    /// The headers that say these things are removed from the request, those of every trace format
    /// among them (`traceparent`, `b3`, `x-datadog-*`, ...), whatever is switched on or off here: a
    /// handler may hand the request on to a peer that would believe them. A request id stays if
    /// [`RequestIdPolicy`] is `Accept` or `Off`.
    Edge,
}

/// Says where request ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum RequestIdPolicy {
    /// Takes over the caller's in [`ServerMode::Internal`], makes one in [`ServerMode::Edge`].
    #[default]
    Auto,
    /// Takes over the caller's, if it is one; otherwise makes one.
    Accept,
    /// Always makes one.
    Make,
    /// Neither reads nor writes any.
    Off,
}

#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    pub(crate) telemetry: Telemetry,
    pub(crate) mode: ServerMode,
    pub(crate) access: AccessLog,
    pub(crate) request_id: RequestIdPolicy,
    pub(crate) request_id_header: HeaderName,
    pub(crate) timeout_header: HeaderName,
    pub(crate) scheme: &'static str,
    pub(crate) route: fn(&Extensions) -> Option<&str>,
    pub(crate) client_address: Vec<fn(&Extensions) -> Option<IpAddr>>,
    pub(crate) rpc_services: RpcServices,
    pub(crate) classifier: Classifier,
    pub(crate) outer_timeout: Option<Duration>,
    pub(crate) count_bodies: Vec<CountBody>,
    /// Names of services' types whose calls run no code of the application's.
    pub(crate) deferring: Vec<&'static str>,
    /// The headers that say anything of a call's context: most requests from outside have none of them.
    pub(crate) reads: HeaderFilter,
}

impl ServerConfig {
    /// Gathers the headers that are read.
    pub(crate) fn gather_reads(&mut self) {
        let propagators = &self.telemetry.0.propagators;
        // Its baggage has headers of any name.
        if propagators.formats().contains(&Format::Jaeger) {
            self.reads = HeaderFilter::all();
            return;
        }
        let mut all: Vec<HeaderName> = propagators.header_names().cloned().collect();
        all.extend([self.request_id_header.clone(), self.timeout_header.clone()]);
        all.extend([names::TIMEOUT_OF_GRPC.clone(), names::ATTEMPTS_OF_GRPC.clone()]);
        self.reads = HeaderFilter::of_names(&all);
    }
}
