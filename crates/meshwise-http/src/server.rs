//! The layer that observes incoming calls.

pub(crate) mod config;
pub(crate) mod trust;

use self::config::{RequestIdPolicy, ServerConfig, ServerMode};
use crate::{
    access::AccessLog, calls::serving, names, rpc::RpcServices, service::ObservedService,
    setters::setters, telemetry::Telemetry,
};
use http::Extensions;
use meshwise_core::{Classifier, internal::HeaderFilter};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tower_layer::Layer;

/// Observes every call to a service: a span, metrics, an access-log line, ids handed on.
///
/// Wraps any `Service<http::Request<_>>`. For axum use `mesh.server_layer()` or
/// `meshwise_axum::server_layer`, which know its routes; put it on the `Router` with
/// `Router::layer`, so that it runs once the route is known.
///
/// Applied twice, to a router and to a part of it, the outer one observes and decides whom to trust;
/// the inner one passes calls through, tells the outer one the route if that knows none (and still
/// removes strangers' headers in [`ServerMode::Edge`]). So does one around a service that a handler calls in its own process, unless
/// [`ClientLayer`](crate::ClientLayer) stands between. A layer between the two that calls services from
/// a task of its own (tower's `Buffer`) hides the outer one: both observe then, each with a trace.
///
/// | setting | default |
/// |---|---|
/// | [`with_mode`](Self::with_mode) | [`ServerMode::Internal`] |
/// | [`with_access_log`](Self::with_access_log) | every call |
/// | [`with_request_id`](Self::with_request_id) | [`RequestIdPolicy::Auto`], in `x-request-id` |
/// | [`with_timeout_header`](Self::with_timeout_header) | `x-request-timeout-ms` |
/// | [`with_scheme`](Self::with_scheme) | `http` |
/// | [`with_classifier`](Self::with_classifier) | OpenTelemetry's conventions for servers |
/// | [`with_outer_timeout`](Self::with_outer_timeout) | none |
#[derive(Clone, Debug)]
pub struct ServerLayer {
    config: Arc<ServerConfig>,
}

impl ServerLayer {
    /// Observes with the default settings.
    #[must_use]
    pub fn new(telemetry: Telemetry) -> Self {
        serving::tell_guards();
        Self {
            config: Arc::new(ServerConfig {
                telemetry,
                mode: ServerMode::default(),
                access: AccessLog::default(),
                request_id: RequestIdPolicy::default(),
                request_id_header: names::REQUEST_ID.clone(),
                timeout_header: names::REQUEST_TIMEOUT.clone(),
                scheme: "http",
                route: |_| None,
                client_address: Vec::new(),
                rpc_services: RpcServices::default(),
                classifier: Classifier::default(),
                outer_timeout: None,
                count_bodies: Vec::new(),
                deferring: Vec::new(),
                reads: HeaderFilter::all(),
            }),
        }
        .with(|_| ())
    }

    setters!();

    /// Sets how far callers are trusted.
    #[must_use]
    pub fn with_mode(self, mode: ServerMode) -> Self {
        self.with(|config| config.mode = mode)
    }

    /// Sets which finished calls are logged.
    #[must_use]
    pub fn with_access_log(self, access: AccessLog) -> Self {
        self.with(|config| config.access = access)
    }

    /// Sets where request ids come from.
    #[must_use]
    pub fn with_request_id(self, policy: RequestIdPolicy) -> Self {
        self.with(|config| config.request_id = policy)
    }

    /// Says that connections are TLS (`https`) where the request itself does not tell, as HTTP/1.1
    /// requests never do.
    #[doc(hidden)]
    #[must_use]
    pub fn with_scheme(self, scheme: &'static str) -> Self {
        self.with(|config| config.scheme = scheme)
    }

    /// Sets how the route template is found in a request's extensions; without one, routes are
    /// empty, never the raw path.
    #[must_use]
    pub fn with_route(self, route: fn(&Extensions) -> Option<&str>) -> Self {
        self.with(|config| config.route = route)
    }

    /// Adds a way to find the client's address in a request's extensions; the first that finds one
    /// wins.
    #[doc(hidden)]
    #[must_use]
    pub fn with_client_address(self, address: fn(&Extensions) -> Option<IpAddr>) -> Self {
        self.with(|config| config.client_address.push(address))
    }

    /// Names the gRPC services that this server has, such as `auth.v1.Auth`
    /// (`<AuthServer<_> as tonic::server::NamedService>::NAME`); calls of any other get the label
    /// `rpc_method="_OTHER"`.
    ///
    /// With or without it, a method becomes a label once a handler has proved it: by an answer that
    /// begins without a status, or by an answer other than `UNIMPLEMENTED` to a request whose message
    /// was read. What access checks and limits say before a handler is reached proves nothing. At
    /// most 1,000 methods are told apart.
    #[must_use]
    pub fn with_rpc_services(self, names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.with(|config| config.rpc_services = RpcServices::named(names))
    }

    /// Says that a timeout stands outside of this layer, and how long it is: such a layer
    /// (`tonic::transport::Server::timeout`, tower-http's `TimeoutLayer` around a whole service) only
    /// drops the call, as a client does that leaves. A call that is dropped before its head, no
    /// earlier than that (less 2 ms), ends as `timeout` (`DEADLINE_EXCEEDED`) instead of `cancelled`.
    ///
    /// This enforces nothing. A timeout inside of this layer answers, and needs no word of it; what a
    /// caller's `grpc-timeout` or `x-request-timeout-ms` says is known from the header
    /// (in [`ServerMode::Internal`]).
    #[must_use]
    pub fn with_outer_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.outer_timeout = Some(timeout))
    }

    fn with(mut self, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let config = Arc::make_mut(&mut self.config);
        change(config);
        config.gather_reads();
        self
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ObservedService<S>;

    fn layer(&self, inner: S) -> ObservedService<S> {
        ObservedService::server(inner, Arc::clone(&self.config))
    }
}
