//! What the layers of one mesh share: tracer, instruments, propagators, log dispatcher.

use meshwise_core::{Service, propagation::Propagators};
use meshwise_metrics::{
    Metrics, SharedRecorder,
    internal::{HttpClientMetrics, HttpServerMetrics, LabelGuard, RpcMetrics, ServiceMap},
};
use meshwise_trace::Tracing;
use opentelemetry::Value;
use std::{fmt, sync::Arc};
use tracing::Dispatch;

/// How many calling services are told apart; the rest share one name.
const MAX_CALLERS: usize = 200;
/// How many routes, and how many gRPC methods, of this service are told apart.
const MAX_ROUTES: usize = 1000;
/// How many hosts and user agents are kept.
const MAX_TEXTS: usize = 500;

/// Holds the parts of a mesh that its layers record to. Cheap to clone.
///
/// Each part can be left out: without tracing, calls make no spans but context is still handed on;
/// without metrics, none are counted.
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
    pub(crate) routes: LabelGuard,
    pub(crate) texts: Texts,
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
    pub(crate) map: ServiceMap,
}

impl Telemetry {
    /// Starts with nothing but W3C propagation.
    pub fn builder(service: Service) -> TelemetryBuilder {
        TelemetryBuilder {
            service,
            tracing: None,
            metrics: None,
            propagators: Propagators::default(),
            dispatch: None,
            tracing_span: false,
            local_recorder: false,
        }
    }

    /// Tells one telemetry from another.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Returns the service that records.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.0.service
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

/// Puts a [`Telemetry`] together.
#[derive(Debug)]
#[must_use]
pub struct TelemetryBuilder {
    service: Service,
    tracing: Option<Tracing>,
    metrics: Option<Metrics>,
    propagators: Propagators,
    dispatch: Option<Dispatch>,
    tracing_span: bool,
    local_recorder: bool,
}

impl TelemetryBuilder {
    /// Records a span for each call.
    pub fn with_tracing(mut self, tracing: Tracing) -> Self {
        self.tracing = Some(tracing);
        self
    }

    /// Counts and times each call.
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets the wire formats of context; W3C `tracecontext` and `baggage` by default.
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.propagators = propagators;
        self
    }

    /// Sends log events of the layers, and of handlers while they run, to a subscriber of one's
    /// own instead of the process-wide one.
    pub fn with_dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// Makes a `tracing` span for each call that stands for the call's OpenTelemetry span, so that
    /// `tracing::Span::current()` is the call's while its code runs; off by default.
    ///
    /// Costs up to four allocations a call. It takes a subscriber with the layer that
    /// `meshwise_trace::Tracing::layer` makes: any other OpenTelemetry layer would make a second span
    /// of each call.
    pub fn with_tracing_span(mut self, span: bool) -> Self {
        self.tracing_span = span;
        self
    }

    /// Records what handlers count with the `metrics` macros, while they run inside the layers, to
    /// this telemetry's metrics instead of the process-wide recorder; off by default.
    #[doc(hidden)]
    pub fn with_local_recorder(mut self, local: bool) -> Self {
        self.local_recorder = local;
        self
    }

    /// Resolves the instruments.
    #[must_use]
    pub fn build(self) -> Telemetry {
        let guard = |metric, label, limit| match &self.metrics {
            Some(metrics) => LabelGuard::new(metrics, metric, label, limit),
            None => LabelGuard::detached(limit),
        };
        let callers = guard("http_server_request_duration_seconds", "caller", MAX_CALLERS);
        let routes = guard("http_server_request_duration_seconds", "http_route", MAX_ROUTES);
        let rpc_methods = guard("rpc_server_call_duration_seconds", "rpc_method", MAX_ROUTES);
        let recorder = self.metrics.as_ref().filter(|_| self.local_recorder).map(Metrics::recorder);
        let metrics = self.metrics.as_ref().map(|metrics| Instruments {
            http_server: HttpServerMetrics::new(metrics),
            http_client: HttpClientMetrics::new(metrics),
            rpc_server: RpcMetrics::server(metrics),
            rpc_client: RpcMetrics::client(metrics),
            map: ServiceMap::new(metrics),
        });
        Telemetry(Arc::new(Shared {
            service: self.service,
            // A disabled pipeline has no ids to give: the caller's context is handed on as it is.
            tracing: self.tracing.filter(Tracing::is_enabled),
            metrics,
            propagators: self.propagators,
            dispatch: self.dispatch,
            tracing_span: self.tracing_span,
            recorder,
            callers,
            api_versions: LabelGuard::detached(MAX_CALLERS),
            routes,
            texts: Texts::new(),
            rpc_methods,
        }))
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
