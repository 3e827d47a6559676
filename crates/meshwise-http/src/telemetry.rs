//! What the layers of one mesh share: tracer, instruments, propagators, log dispatcher.

use crate::{
    calls::{Calls, snapshot::CallsSnapshot},
    finished::Finished,
    hosts::Hosts,
    method,
    operations::Operations,
};
use http::HeaderValue;
use meshwise_core::{Service, propagation::Propagators};
use meshwise_metrics::{
    Metrics, SharedRecorder,
    internal::{
        CallCost, Edge, HttpClientMetrics, HttpServerMetrics, HttpServerSeries, LabelGuard,
        RouteCosts, RpcMetrics, ServiceMap,
    },
};
use meshwise_trace::Tracing;
use opentelemetry::Value;
use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
};
use tracing::Dispatch;

/// How many calling services are told apart; the rest share one name.
const MAX_CALLERS: usize = 200;
/// How many routes, and how many gRPC methods, of this service are told apart.
const MAX_ROUTES: usize = 1000;
/// How many hosts and user agents are kept.
const MAX_TEXTS: usize = 500;

/// Says what the layers of a service, its producers and consumers record to.
pub type Recording = meshwise_trace::Recording<Metrics>;

/// Holds the parts of a mesh that its layers record to, made of a [`Recording`]. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) tracing: Option<Tracing>,
    pub(crate) metrics: Option<Instruments>,
    pub(crate) propagators: Propagators,
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) tracing_span: bool,
    pub(crate) recorder: Option<SharedRecorder>,
    pub(crate) callers: LabelGuard,
    /// The versions of this service's APIs that callers ask for.
    pub(crate) api_versions: LabelGuard,
    pub(crate) operations: Operations,
    pub(crate) texts: Texts,
    pub(crate) hosts: Hosts,
    /// Those in flight and those that ended; `None` in a bench.
    pub(crate) calls: Option<Calls>,
    /// The gRPC methods that this service has turned out to have.
    pub(crate) rpc_methods: LabelGuard,
}

/// Shares the texts that the spans of many calls say: hosts, user agents. Beyond so many of them,
/// each span has its own.
pub(crate) struct Texts(LabelGuard);

impl Texts {
    fn new() -> Self {
        Self(LabelGuard::detached(MAX_TEXTS))
    }

    /// Shares what a header says; `None` if it is no text.
    #[inline]
    pub(crate) fn share_header(&self, header: &HeaderValue) -> Option<Value> {
        let known = self.0.known_bytes(header.as_bytes()).map(Value::from);
        known.or_else(|| header.to_str().ok().map(|text| self.share(text)))
    }

    pub(crate) fn share(&self, text: &str) -> Value {
        let shared = self.0.intern(text);
        if *shared == *text { shared.into() } else { text.to_owned().into() }
    }
}

pub(crate) struct Instruments {
    pub(crate) http_server: HttpServerMetrics,
    pub(crate) http_client: HttpClientMetrics,
    pub(crate) rpc_server: RpcMetrics,
    pub(crate) rpc_client: RpcMetrics,
    pub(crate) costs: Option<RouteCosts>,
    pub(crate) map: Option<ServiceMap>,
    /// The edge from callers without a name, once there is one.
    pub(crate) unnamed: OnceLock<Edge>,
}

impl Instruments {
    /// Counts a call that was served, a gRPC one under the method that a handler has proved.
    #[inline]
    pub(crate) fn served(
        &self,
        own: &str,
        http: Option<&HttpServerSeries>,
        rpc_method: Option<&str>,
        from_named: bool,
        finished: &Finished,
    ) {
        // Callers that have a name count their calls on the map themselves.
        if let Some(map) = self.map.as_ref().filter(|_| !from_named) {
            let make = || map.unnamed(own);
            finished.draw(map, &self.unnamed, make, |edge, call| map.served_unnamed(edge, call));
        }
        if let Some(code) = finished.code {
            let method = rpc_method.unwrap_or(method::OTHER);
            self.rpc_server.finished(&finished.rpc(method, code, None), finished.duration);
        } else if let Some(http) = http {
            let (status, error_type) = (finished.status, finished.end.error_type());
            http.finished(status, error_type, finished.duration, finished.sizes());
        }
    }

    /// Counts what a served call has cost, which stands for so many calls: by its route, or by its gRPC method
    /// once a handler has proved that.
    #[inline(never)]
    pub(crate) fn cost(
        &self,
        route: Option<&str>,
        rpc: Option<Option<&str>>,
        cost: &CallCost,
        calls: NonZeroU32,
    ) {
        if let Some(costs) = &self.costs {
            let rpc = rpc.map(|method| method.unwrap_or(method::OTHER));
            costs.count(rpc.or(route).unwrap_or_default(), cost, calls);
        }
    }
}

impl Telemetry {
    /// Resolves the instruments of what records.
    pub fn new(recording: impl Into<Recording>) -> Self {
        Self::of(recording.into(), true)
    }

    /// Resolves the instruments without the map, the register of calls and what routes cost: beside it
    /// the benches show what these take.
    #[doc(hidden)]
    pub fn without_overview(recording: impl Into<Recording>) -> Self {
        Self::of(recording.into(), false)
    }

    fn of(recording: Recording, overview: bool) -> Self {
        let metrics = recording.metrics.as_ref();
        let guard = |metric, label, limit| match metrics {
            Some(metrics) => LabelGuard::new(metrics, metric, label, limit),
            None => LabelGuard::detached(limit),
        };
        let callers = guard("http_server_request_duration_seconds", "caller", MAX_CALLERS);
        let rpc_methods = guard("rpc_server_call_duration_seconds", "rpc_method", MAX_ROUTES);
        let recorder = metrics.filter(|_| recording.local_recorder).map(Metrics::recorder);
        let metrics: Option<Instruments> = metrics.map(|metrics| Instruments {
            http_server: HttpServerMetrics::new(metrics),
            http_client: HttpClientMetrics::new(metrics),
            rpc_server: RpcMetrics::server(metrics),
            rpc_client: RpcMetrics::client(metrics),
            costs: overview.then(|| RouteCosts::new(metrics)),
            map: overview.then(|| ServiceMap::new(metrics)),
            unnamed: OnceLock::new(),
        });
        let http = metrics.as_ref().map(|metrics| metrics.http_server.clone());
        let routes = http.as_ref().map(|http| http.routes().clone());
        let routes = routes.unwrap_or_else(|| LabelGuard::detached(MAX_ROUTES));
        Self(Arc::new(Shared {
            service: recording.service,
            // A disabled pipeline has no ids to give: the caller's context is handed on as it is.
            tracing: recording.tracing.filter(Tracing::is_enabled),
            metrics,
            propagators: recording.propagators,
            dispatch: recording.dispatch,
            tracing_span: recording.tracing_span,
            recorder,
            callers,
            api_versions: LabelGuard::detached(MAX_CALLERS),
            operations: Operations::new(routes, http),
            texts: Texts::new(),
            hosts: Hosts::new(),
            calls: overview.then(Calls::new),
            rpc_methods,
        }))
    }

    /// Tells one telemetry from another.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Returns the service that records.
    #[doc(hidden)]
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    /// Returns the calls in flight, and of those that have ended, which failed last and which lasted
    /// longest.
    #[doc(hidden)]
    #[must_use]
    pub fn calls(&self) -> CallsSnapshot {
        // The clock that limits are held against.
        let now = tokio::time::Instant::now().into_std();
        self.0.calls.as_ref().map(|calls| calls.snapshot(self.address(), now)).unwrap_or_default()
    }
}

impl Shared {
    /// Tells whether the mesh is not installed, so that its calls' code has to find its parts.
    #[inline]
    pub(crate) fn has_own_parts(&self) -> bool {
        self.dispatch.is_some() || self.recorder.is_some()
    }

    /// Makes its parts current, if there are any.
    #[inline]
    pub(crate) fn own_parts(&self) -> Option<OwnParts<'_>> {
        self.has_own_parts().then(|| OwnParts::of(self))
    }
}

/// What a mesh that is not installed makes current for its calls' code.
pub(crate) struct OwnParts<'a> {
    _dispatch: Option<tracing::dispatcher::DefaultGuard>,
    _recorder: Option<metrics::LocalRecorderGuard<'a>>,
}

impl<'a> OwnParts<'a> {
    #[inline(never)]
    fn of(shared: &'a Shared) -> Self {
        Self {
            _dispatch: shared.dispatch.as_ref().map(tracing::dispatcher::set_default),
            _recorder: shared.recorder.as_ref().map(|r| metrics::set_default_local_recorder(r)),
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("service", &self.0.service)
            .field("tracing", &self.0.tracing.is_some())
            .field("metrics", &self.0.metrics.is_some())
            .field("propagators", &self.0.propagators)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shared_up_to_a_bound_and_never_wrong() {
        let texts = Texts::new();
        let shared =
            |value: &Value| matches!(value, Value::String(text) if text.as_str() == "orders");
        assert!(shared(&texts.share("orders")));
        let inside = allocation_counter::measure(|| drop(texts.share("orders")));
        assert_eq!(inside.count_total, 0);
        let header = |bytes| texts.share_header(&HeaderValue::from_bytes(bytes).unwrap());
        assert!(shared(&header(b"orders").unwrap()));
        assert_eq!(header(b"agent"), Some("agent".into()));
        assert_eq!(header(b"\xff"), None);
        // Strangers may send any number of hosts, of any length.
        let long = "x".repeat(10_000);
        assert_eq!(texts.share(&long).as_str(), long);
        for i in 0..2 * MAX_TEXTS {
            let host = format!("host-{i}");
            assert_eq!(texts.share(&host).as_str(), host);
        }
        assert!(shared(&texts.share("orders")));
    }
}
