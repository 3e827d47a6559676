//! The mesh of one service.

use crate::{
    settings::{InForce, NamedPeers, OperatorSettings},
    shutdown::ShutdownReport,
};
#[cfg(feature = "api")]
use meshwise_api::Declared;
#[cfg(feature = "api")]
use meshwise_api_http::{ApiServerBuilder, ApiServerLayer, CallerInfo};
use meshwise_core::{Resource, Service, settings::Settings};
#[cfg(feature = "resilience")]
use meshwise_http::incoming_limit;
use meshwise_http::{ClientLayer, Health, ServerLayer, Telemetry, Tracing};
#[cfg(feature = "api")]
use meshwise_http::{incoming_api_version, incoming_caller};
use meshwise_log::LogHandle;
use meshwise_metrics::Metrics;
#[cfg(feature = "resilience")]
use meshwise_resilience::{ConfigError, Guards, ShedConfig, ShedLayer};
use std::{fmt, sync::Arc, time::Duration};
use tracing::Dispatch;

/// Holds the logs, metrics and traces of one service, and makes its layers. Cheap to clone.
#[derive(Clone)]
pub struct Mesh(pub(crate) Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) resource: Resource,
    pub(crate) logs: LogHandle,
    pub(crate) tracing: Tracing,
    pub(crate) metrics: Metrics,
    pub(crate) telemetry: Telemetry,
    #[cfg(feature = "messaging")]
    pub(crate) messaging: meshwise_messaging::Messaging,
    pub(crate) health: Health,
    #[cfg(feature = "resilience")]
    pub(crate) guards: Guards,
    #[cfg(feature = "api")]
    pub(crate) apis: Option<Declared>,
    pub(crate) dispatch: Dispatch,
    /// What code says of peers.
    #[cfg_attr(
        not(all(
            feature = "resilience",
            any(feature = "axum", feature = "client", feature = "grpc")
        )),
        expect(dead_code, reason = "servers and clients are guarded by it")
    )]
    pub(crate) code: Settings,
    /// What the operator says.
    pub(crate) operator: OperatorSettings,
    pub(crate) named_peers: NamedPeers,
    /// What comes of both.
    pub(crate) in_force: InForce,
    pub(crate) shutdown_timeout: Duration,
    /// What the one flush came to.
    pub(crate) flushed: tokio::sync::OnceCell<ShutdownReport>,
    #[cfg(feature = "axum")]
    pub(crate) serving: crate::serve::Serving,
}

impl Parts {
    /// Logs to the subscriber of this mesh.
    pub(crate) fn log(&self, log: impl FnOnce()) {
        tracing::dispatcher::with_default(&self.dispatch, log);
    }

    /// Says once of which peers something is set that no client is called by.
    pub(crate) fn tell_unused_peers(&self, end: bool) {
        self.log(|| self.named_peers.tell_unused(&self.operator.said, end));
    }

    /// Takes the service out of its callers' sight.
    pub(crate) fn begin_drain(&self, why: &str) {
        self.log(|| tracing::info!(target: "meshwise", "shutting down ({why}): no longer ready"));
        self.health.drain();
    }
}

impl Drop for Parts {
    /// Gives queued lines a moment, for programs that end without `shutdown`.
    fn drop(&mut self) {
        let _ = self.logs.flush(Duration::from_millis(500));
    }
}

impl Mesh {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Makes the layer for incoming calls, HTTP and gRPC alike, to be put around services by hand: on
    /// an axum `Router` with `Router::layer`, or on a tonic server with `Server::layer`.
    /// [`serve`](Self::serve) and [`wrap`](Self::wrap) do that in the right order.
    ///
    /// What is merged into a router after this layer is not observed, and that may be its fallback:
    /// of two default fallbacks, `Router::merge` keeps that of the router it is given. So merge before
    /// the layer is put on, or merge into the ops router:
    /// `mesh.ops_router().merge(routes.layer(mesh.server_layer()))`.
    ///
    /// A timeout that stands outside of it (tonic's `Server::timeout`, tower-http's `TimeoutLayer`) only
    /// drops the call, as a client that leaves does: say `.with_outer_timeout(limit)`, or put it inside.
    ///
    /// Callers are trusted as services of the same mesh; where strangers call, say
    /// `.with_mode(ServerMode::Edge)`.
    #[must_use]
    pub fn server_layer(&self) -> ServerLayer {
        #[cfg(feature = "axum")]
        let layer = meshwise_axum::server_layer(self.0.telemetry.clone());
        #[cfg(not(feature = "axum"))]
        let layer = ServerLayer::new(self.0.telemetry.clone());
        #[cfg(feature = "grpc")]
        let layer = meshwise_tonic::observe_tonic(layer);
        layer
    }

    /// Makes the layer for outgoing calls to the peer `peer`, for a transport of one's own.
    #[must_use]
    pub fn client_layer(&self, peer: impl Into<Arc<str>>) -> ClientLayer {
        ClientLayer::new(self.0.telemetry.clone(), peer)
    }

    /// Starts the gRPC services that operators' tools ask for: health, answered by the checks
    /// behind `/readyz`, and reflection if descriptors are given.
    #[cfg(feature = "grpc")]
    pub fn grpc_ops(&self) -> meshwise_tonic::OpsRoutes {
        meshwise_tonic::OpsRoutes::new(self.0.health.clone())
    }

    /// Starts the layer that serves the versions of this service's APIs: it counts calls by version
    /// and caller, and tells callers of deprecated ones by `Deprecation`, `Sunset` and `Link`.
    ///
    /// Put what it builds inside of [`server_layer`](Self::server_layer):
    /// `.layer(mesh.api_server().build()?).layer(mesh.server_layer())`. Without
    /// [`apis`](crate::MeshBuilder::apis) there are no versions to serve, and it does nothing.
    #[cfg(feature = "api")]
    pub fn api_server(&self) -> ApiServerBuilder {
        let declared = self.0.apis.unwrap_or(Declared::new(""));
        let builder = ApiServerLayer::builder(declared)
            .with_recorder(self.0.metrics.recorder())
            .with_caller(|_| CallerInfo {
                service: incoming_caller(),
                api_version: incoming_api_version(),
            })
            // The server layer has decided already whose word counts.
            .with_trusted_callers(false);
        #[cfg(feature = "axum")]
        let builder = builder
            .with_matched(|extensions| extensions.get::<axum::extract::MatchedPath>().is_some());
        builder
    }

    /// Makes the ops routes: `/metrics`, `/livez`, `/readyz`, `/resilience`, `/config`, `/apis` if declared, and
    /// `/log-level` if enabled.
    ///
    /// [`serve`](Self::serve) serves them itself. By hand, serve them by
    /// [`serve_ops`](Self::serve_ops), or merge the observed routes *into* them
    /// (`mesh.ops_router().merge(routes)`): the other way round their fallback takes the place of
    /// the observed one, and no 404 is seen any more.
    ///
    /// `/debug/calls` and `/debug/bundle` are for who calls from the same machine
    /// ([`MeshBuilder::with_debug_access`](crate::MeshBuilder::with_debug_access)).
    #[cfg(feature = "axum")]
    pub fn ops_router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        self.ops_router_for(|access| access)
    }

    /// Makes the ops routes; `place` may lower who may read `/debug`.
    #[cfg(feature = "axum")]
    pub(crate) fn ops_router_for<S: Clone + Send + Sync + 'static>(
        &self,
        place: impl FnOnce(meshwise_axum::DebugAccess) -> meshwise_axum::DebugAccess,
    ) -> axum::Router<S> {
        let mut ops = meshwise_axum::OpsRouter::new()
            .with_metrics(self.0.metrics.clone())
            .with_health(self.0.health.clone());
        let set = self.settings().ops;
        #[cfg(feature = "resilience")]
        {
            let control = set.breaker_control.or(false);
            ops = ops.with_guards(self.0.guards.clone()).with_breaker_control(control);
        }
        if set.config.or(true) {
            let mesh = self.clone();
            ops = ops.with_config(move || {
                let unused = mesh.0.named_peers.unused(&mesh.0.operator.said);
                mesh.settings().to_json_marking(&unused)
            });
        }
        #[cfg(feature = "api")]
        if let Some(declared) = self.0.apis {
            ops = ops.with_apis(meshwise_api_http::ApiPages::new(declared));
        }
        let access = match set.debug.get().map(String::as_str) {
            Some("on") => meshwise_axum::DebugAccess::On,
            Some("off") => meshwise_axum::DebugAccess::Off,
            _ => meshwise_axum::DebugAccess::Local,
        };
        ops = ops
            .with_debug(self.0.telemetry.clone(), place(access))
            .with_recent_logs(self.0.logs.clone());
        #[cfg(feature = "messaging")]
        {
            let messaging = self.0.messaging.clone();
            ops = ops.with_messages(move |limit| crate::messages::in_hand(&messaging, limit));
        }
        if set.log_level.or(false) {
            ops = ops.with_log_level(self.0.logs.clone());
        }
        ops.build()
    }

    /// Makes the layer that sheds load: calls beyond a limit, and calls whose deadline has passed
    /// already, are answered at once (503 with `Retry-After`, and 504, each with a problem document;
    /// gRPC codes) instead of begun.
    ///
    /// Put it inside of [`server_layer`](Self::server_layer), so that what is shed is seen.
    ///
    /// # Errors
    /// If a setting makes no sense; it says what is allowed.
    #[cfg(feature = "resilience")]
    pub fn shed_layer(&self, config: ShedConfig) -> Result<ShedLayer, ConfigError> {
        let said = &self.0.operator.said.shed;
        let mut code = Settings::defaults();
        code.shed = config.settings();
        let mut config = config.with_settings(said);
        if said.enabled.get() == Some(&false) {
            // The operator wants none; what is there already takes all that comes.
            config = config.with_limit(1_000_000);
        }
        self.0.in_force.change(|settings| {
            settings.shed = code.from_code().shed;
            settings.shed.overlay(said);
        });
        let name = self.service().name();
        let layer = metrics::with_local_recorder(&self.0.metrics.recorder(), || {
            ShedLayer::new(name, config)
        })?;
        self.0.guards.set_server(layer.handle());
        Ok(layer.with_incoming(incoming_limit))
    }

    /// Returns all settings in force, and who set each; those of peers are there once a client is made.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.0.in_force.get()
    }

    /// Returns the guards of all peers, to be seen and turned.
    #[cfg(feature = "resilience")]
    #[must_use]
    pub fn guards(&self) -> &Guards {
        &self.0.guards
    }

    /// Returns what this service has declared of its APIs, if it has.
    #[doc(hidden)]
    #[cfg(feature = "api")]
    #[must_use]
    pub fn declared(&self) -> Option<Declared> {
        self.0.apis
    }

    /// Returns the checks behind `/readyz`.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Returns the service that this is the mesh of.
    #[must_use]
    pub fn service(&self) -> &Service {
        self.0.resource.service()
    }

    /// Returns what describes this process, the same for log lines, metrics and spans.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Returns what layers record to, for wiring by hand.
    #[must_use]
    pub fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }

    /// Returns the handle to change the log filter, flush, and read counts.
    #[must_use]
    pub fn logs(&self) -> &LogHandle {
        &self.0.logs
    }

    /// Returns the metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Returns the trace pipeline.
    #[cfg(feature = "traces")]
    #[must_use]
    pub fn tracing(&self) -> &Tracing {
        &self.0.tracing
    }

    /// Returns the subscriber that this mesh logs to; for a mesh made by `build`, wrap what shall
    /// log to it in `tracing::dispatcher::with_default`.
    #[must_use]
    pub fn dispatch(&self) -> &Dispatch {
        &self.0.dispatch
    }

    /// Waits for SIGTERM, SIGINT or Ctrl-C; `/readyz` answers 503 from then on, and a second signal
    /// ends the process at once (exit code 128 and the signal's number).
    ///
    /// For a server of one's own, such as `axum::serve(..).with_graceful_shutdown(..)`. That closes
    /// its port in the same moment, and then waits for every open stream without limit;
    /// [`serve`](Self::serve) has a delay before the one and a limit for the other. Outside of a tokio
    /// runtime signals cannot be watched: it logs that, and waits for ever.
    pub fn shutdown_signal(&self) -> impl Future<Output = ()> + Send + use<> {
        let mesh = self.clone();
        async move {
            let signal = crate::shutdown::signal().await;
            mesh.0.begin_drain(signal);
        }
    }

    /// Sends what is still queued, within the shutdown timeout, and says what was lost.
    ///
    /// Never fails and never hangs, on any executor. Spans and lines that come later are dropped and
    /// counted; a second call, such as one after [`serve`](Self::serve), does nothing and reports the
    /// same.
    pub async fn shutdown(&self) -> ShutdownReport {
        crate::shutdown::shutdown(&self.0).await
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("service", self.service()).finish_non_exhaustive()
    }
}
