//! Serving: the one place where layers are put in order, connections accepted, and ended within
//! bounds.

mod connections;
mod ends;
mod ops;
mod running;
mod settings;

use crate::{
    changes::Changes,
    mesh::{Mesh, Parts},
    shutdown::ShutdownReport,
};
use axum::Router;
use connections::Connections;
use ends::{Cut, EndLayer};
#[cfg(feature = "api")]
use meshwise_api_http::{ApiConfigError, ApiServerBuilder};
use meshwise_axum::DebugAccess;
use meshwise_core::settings::Setting;
use meshwise_http::{ServerLayer, ServerMode};
#[cfg(feature = "resilience")]
use meshwise_resilience::{ConfigError, ShedConfig};
use running::Active;
pub use running::OpsServer;
pub(crate) use running::Serving;
pub use settings::OpsAddr;
use std::{fmt, io, pin::Pin, time::Duration};
use tokio::net::TcpListener;

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves, or wraps a router for a server of one's own. Made by [`Mesh::server`].
///
/// | setting | default | variable |
/// |---|---|---|
/// | [`with_mode`](Self::with_mode) | callers are services of the same mesh | |
/// | [`with_shed`](Self::with_shed) | nothing is shed | |
/// | [`with_drain_delay`](Self::with_drain_delay) | 0; 5 s where `KUBERNETES_SERVICE_HOST` is set | `MESHWISE_DRAIN_DELAY` |
/// | [`with_drain_timeout`](Self::with_drain_timeout) | 20 s | `MESHWISE_DRAIN_TIMEOUT` |
/// | [`with_shutdown`](Self::with_shutdown) | SIGTERM, SIGINT or Ctrl-C | |
/// | [`MeshBuilder::with_ops_addr`](crate::MeshBuilder::with_ops_addr) | `127.0.0.1:9464`; `0.0.0.0:9464` where `KUBERNETES_SERVICE_HOST` is set | `MESHWISE_OPS_ADDR` |
///
/// The variables beat what code says.
///
/// # The order of layers
///
/// From the outside in: observation (so that 404, 405 and what is refused are seen), answers for
/// panics and broken-off calls, shedding, versions of APIs, the routes.
#[must_use = "nothing is served before `serve`"]
pub struct ServeBuilder {
    mesh: Mesh,
    observe: Changes<ServerLayer>,
    #[cfg(feature = "api")]
    api: Changes<ApiServerBuilder>,
    #[cfg(feature = "resilience")]
    shed: Option<ShedConfig>,
    #[cfg(feature = "grpc")]
    grpc: Option<tonic::service::Routes>,
    drain_delay: Option<Duration>,
    drain_timeout: Option<Duration>,
    shutdown: Option<Stop>,
    cut: Cut,
}

/// Says why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener is no good.
    #[error("the listener does not tell its address")]
    Listener(#[source] io::Error),
    /// The versions of the APIs contradict themselves.
    #[cfg(feature = "api")]
    #[error("the versions of this service's APIs cannot be served")]
    Api(#[from] ApiConfigError),
    /// The settings for shedding load make no sense.
    #[cfg(feature = "resilience")]
    #[error(transparent)]
    Shed(#[from] ConfigError),
}

impl Mesh {
    /// Starts serving with settings; [`serve`](Self::serve) is the short way without.
    pub fn server(&self) -> ServeBuilder {
        ServeBuilder {
            mesh: self.clone(),
            observe: Changes::default(),
            #[cfg(feature = "api")]
            api: Changes::default(),
            #[cfg(feature = "resilience")]
            shed: None,
            #[cfg(feature = "grpc")]
            grpc: None,
            drain_delay: None,
            drain_timeout: None,
            shutdown: None,
            cut: Cut::default(),
        }
    }

    /// Serves a router until the process is asked to stop, then ends well: all layers in the right
    /// order, ops routes on a port of their own, connections drained within bounds, telemetry
    /// flushed.
    ///
    /// ```no_run
    /// # use axum::{Router, routing::get};
    /// # async fn run(mesh: meshwise::Mesh) -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
    /// mesh.serve(listener, Router::new().route("/", get(|| async { "hello" }))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Speaks HTTP/1.1 and HTTP/2 (without TLS), and hands on the caller's address as
    /// `ConnectInfo<SocketAddr>`. A handler that panics is answered with 500 (gRPC: `UNKNOWN`), and
    /// its connection lives on.
    ///
    /// # How it ends
    ///
    /// | when | what |
    /// |---|---|
    /// | SIGTERM, SIGINT or Ctrl-C | `/readyz` answers 503 and health watches are told; calls are still taken |
    /// | after the drain delay | the port is closed; calls in flight go on, idle connections are closed |
    /// | after the drain timeout | calls in flight are answered with 503 (gRPC: `UNAVAILABLE`), streams are broken off; each is recorded with `meshwise.ended_by=shutdown` or that code |
    /// | at most 1 s later | calls whose handlers block their threads are counted and named, as nothing can end them; telemetry is flushed, and the report returned; the ops routes have answered until now |
    /// | a second signal, at any time | the process ends at once, with 128 and the signal's number as its exit code |
    ///
    /// Several servers of one mesh (`tokio::try_join!`) each drain; the last of them flushes, and
    /// all return the same report. A connection that was upgraded (web sockets) is waited for like a
    /// call, and closed after the drain timeout; its handler learns of the drain by
    /// [`Health::drained`](meshwise_http::Health::drained). What else a handler has spawned is not
    /// waited for.
    ///
    /// # Errors
    /// Before it begins, if the versions of APIs contradict themselves. Errors of single connections,
    /// of accepting and of the ops routes are logged and never end it.
    pub async fn serve(
        &self,
        listener: TcpListener,
        router: Router,
    ) -> Result<ShutdownReport, ServeError> {
        self.server().serve(listener, router).await
    }

    /// Puts all layers around a router, for a server of one's own: the right order, 404 and 405
    /// included. See [`ServeBuilder::wrap`].
    ///
    /// Not for [`serve`](Self::serve), which puts them on itself: with both, a call is still observed
    /// once and counts once, but shedding asks it twice.
    ///
    /// # Errors
    /// If the versions of APIs contradict themselves.
    pub fn wrap(&self, router: Router) -> Result<Router, ServeError> {
        self.server().wrap(router)
    }

    /// Serves gRPC alone, as [`serve`](Self::serve) does; for HTTP on the same port, give the routes to
    /// [`ServeBuilder::with_grpc`].
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    #[cfg(feature = "grpc")]
    pub async fn serve_grpc(
        &self,
        listener: TcpListener,
        routes: tonic::service::Routes,
    ) -> Result<ShutdownReport, ServeError> {
        self.server().with_grpc(routes).serve(listener, Router::new()).await
    }

    /// Puts all layers around gRPC routes, and makes them a router that can be merged with others:
    /// it has no fallback, so that a path that is not there stays 404.
    ///
    /// # Errors
    /// If the versions of APIs contradict themselves.
    #[cfg(feature = "grpc")]
    pub fn wrap_grpc(&self, routes: tonic::service::Routes) -> Result<Router, ServeError> {
        self.server().wrap(routes.into_axum_router().reset_fallback())
    }

    /// Returns where the ops routes are served since [`serve`](Self::serve) was called, if they are.
    #[must_use]
    pub fn ops_addr(&self) -> Option<std::net::SocketAddr> {
        self.0.serving.ops.get()?.as_ref()?.address()
    }
}

impl ServeBuilder {
    /// Sets how far callers are trusted: [`ServerMode::Edge`] where strangers call.
    pub fn with_mode(self, mode: ServerMode) -> Self {
        self.with_observation(move |layer| layer.with_mode(mode))
    }

    /// Changes how calls are observed: access log, request ids, named gRPC services.
    pub fn with_observation(
        mut self,
        change: impl FnOnce(ServerLayer) -> ServerLayer + Send + 'static,
    ) -> Self {
        self.observe.add(change);
        self
    }

    /// Changes how the versions of this service's APIs are served: routes, links, what follows their
    /// end. Without [`apis`](crate::MeshBuilder::apis) it does nothing.
    #[cfg(feature = "api")]
    pub fn with_api(
        mut self,
        change: impl FnOnce(ApiServerBuilder) -> ApiServerBuilder + Send + 'static,
    ) -> Self {
        self.api.add(change);
        self
    }

    /// Sheds load: calls beyond a limit are answered at once, with 503.
    #[cfg(feature = "resilience")]
    pub fn with_shed(mut self, config: ShedConfig) -> Self {
        self.shed = Some(config);
        self
    }

    /// Serves gRPC on the same port. A path that neither has is 404 for HTTP and `UNIMPLEMENTED` for
    /// gRPC, and the router may have a fallback of its own.
    #[cfg(feature = "grpc")]
    pub fn with_grpc(mut self, routes: tonic::service::Routes) -> Self {
        self.grpc = Some(routes);
        self
    }

    /// Sets how long calls are still taken once the process is asked to stop and `/readyz` answers
    /// 503: those who send calls here need a moment to notice.
    pub fn with_drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = Some(delay);
        self
    }

    /// Sets how long calls in flight may go on after that, before they are broken off.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = Some(timeout);
        self
    }

    /// Stops when this is ready, instead of by a signal.
    pub fn with_shutdown(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(stop));
        self
    }

    /// Puts all layers around a router, for a server of one's own; settings about draining say
    /// nothing then.
    ///
    /// The ops routes are served by [`Mesh::serve_ops`] on an address of their own, or merged:
    /// `mesh.ops_router().merge(wrapped)`, so that the fallback of what is wrapped stays.
    ///
    /// # Errors
    /// If the versions of APIs contradict themselves, or a setting makes no sense.
    pub fn wrap(mut self, router: Router) -> Result<Router, ServeError> {
        self.assemble(router, true)
    }

    /// Serves a router until it is asked to stop; see [`Mesh::serve`].
    ///
    /// # Errors
    /// Before it begins, if a setting makes no sense.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        router: Router,
    ) -> Result<ShutdownReport, ServeError> {
        let address = listener.local_addr().map_err(ServeError::Listener)?;
        let same_port = ops::wanted(&self.mesh) == OpsAddr::SamePort;
        let mut app = self.assemble(router, same_port)?;
        let Self { mesh, drain_delay, drain_timeout, shutdown, cut, .. } = self;
        let parts = &*mesh.0;
        let active = Active::begin(&parts.serving.active);
        parts.tell_unused_peers(false);
        if ops::start(&mesh, address).await == ops::Place::SamePort {
            // A stranger's call through a proxy beside the service looks like one from this machine.
            let place = |access| match access {
                DebugAccess::Local => DebugAccess::Off,
                other => other,
            };
            app = mesh.ops_router_for(place).merge(app);
        }
        match mesh.ops_addr() {
            Some(ops) => parts.log(|| {
                tracing::info!(target: "meshwise", %address, %ops, "serving; ops routes on {ops}");
            }),
            None => parts.log(|| {
                tracing::info!(target: "meshwise", %address, "serving; no ops routes");
            }),
        }

        let connections = Connections::new(cut.clone(), parts.dispatch.clone());
        let (delay, limit) = drain(parts, drain_delay, drain_timeout);
        let asked = async {
            match shutdown {
                Some(stop) => {
                    stop.await;
                    parts.begin_drain("asked to stop");
                }
                None => mesh.shutdown_signal().await,
            }
            tokio::time::sleep(delay).await;
        };
        connections.accept(listener, app, asked).await;
        parts.log(|| {
            tracing::info!(target: "meshwise", %address, "draining, for at most {limit:?}");
        });
        #[cfg(feature = "messaging")]
        tokio::join!(connections.drain(limit), parts.settle_messages(limit));
        #[cfg(not(feature = "messaging"))]
        connections.drain(limit).await;
        drop(connections);
        if cut.calls() > 0 {
            parts.serving.cut(cut.calls());
            parts.log(|| {
                tracing::warn!(
                    target: "meshwise", %address, calls = cut.calls(),
                    "calls were broken off after {limit:?}"
                );
            });
        }
        active.end().await;
        leave(parts);
        Ok(mesh.shutdown().await)
    }

    /// Puts the layers around a router. `pages`: whether those who call it reach the ops routes there.
    #[cfg_attr(not(feature = "api"), allow(unused_variables, reason = "only APIs have pages"))]
    fn assemble(&mut self, router: Router, pages: bool) -> Result<Router, ServeError> {
        let mesh = self.mesh.clone();
        let observe = std::mem::take(&mut self.observe).apply(mesh.server_layer());
        #[cfg(feature = "resilience")]
        let shed = self.shed(&mesh)?;
        #[cfg(feature = "api")]
        let changes = std::mem::take(&mut self.api);
        #[cfg(feature = "api")]
        let api = match mesh.declared() {
            Some(_) => {
                let api = mesh.api_server();
                Some(changes.apply(if pages { api } else { api.without_pages() }).build()?)
            }
            None => None,
        };
        let ends = EndLayer { cut: self.cut.clone() };
        // Each part of a router is layered where its routes are known; the layers are the same ones.
        let layered = |router: Router| {
            #[cfg(feature = "api")]
            let router = match &api {
                Some(api) => router.layer(api.clone()),
                None => router,
            };
            #[cfg(feature = "resilience")]
            let router = match &shed {
                Some(shed) => router.layer(shed.clone()),
                None => router,
            };
            router.layer(ends.clone()).layer(observe.clone())
        };
        #[cfg(feature = "grpc")]
        if let Some(grpc) = self.grpc.take() {
            return Ok(beside(grpc, router, layered));
        }
        Ok(layered(router))
    }

    #[cfg(feature = "resilience")]
    fn shed(&mut self, mesh: &Mesh) -> Result<Option<meshwise_resilience::ShedLayer>, ServeError> {
        let said = &mesh.0.operator.said.shed;
        let code = self.shed.take().or_else(|| {
            let code = &mesh.0.code.shed;
            code.enabled.or(false).then(|| ShedConfig::new().with_settings(code))
        });
        let shed = said.enabled.or(code.is_some()).then(|| code.unwrap_or_default());
        Ok(shed.map(|config| mesh.shed_layer(config)).transpose()?)
    }
}

/// Takes account of the calls that nothing can end, as their handlers block their threads, and says which
/// they are.
fn leave(parts: &Parts) {
    /// How many routes are named.
    const NAMED: usize = 5;
    let left = parts.telemetry.give_up_calls();
    if left.is_empty() {
        return;
    }
    parts.serving.leave(left.len() as u64);
    let named = left.iter().take(NAMED).map(|call| match call.rpc_method {
        Some(_) => call.route.as_deref().unwrap_or_default().to_owned(),
        None => format!("{} {}", call.method, call.route.as_deref().unwrap_or("(no route)")),
    });
    let routes = named.collect::<Vec<_>>().join(", ");
    let more = if left.len() > NAMED { " and others" } else { "" };
    parts.log(|| {
        tracing::warn!(
            target: "meshwise", calls = left.len(),
            "calls did not end, their handlers block their threads: {routes}{more}"
        );
    });
}

/// Returns for how long calls are taken and then waited for, as code and operator say it.
fn drain(
    parts: &Parts,
    delay: Option<Duration>,
    timeout: Option<Duration>,
) -> (Duration, Duration) {
    let (set, here) = (parts.in_force.get().drain, parts.serving.surroundings);
    let both = (here.drain_delay(&set, delay), settings::drain_timeout(&set, timeout));
    let shown = |setting: &mut Setting<Duration>, value, code: Option<Duration>| {
        if setting.source().is_operator() {
            return;
        }
        match code {
            Some(_) => setting.set(value),
            None => *setting = Setting::new(value, setting.source().clone()),
        }
    };
    parts.in_force.change(|all| {
        shown(&mut all.drain.delay, both.0, delay);
        shown(&mut all.drain.timeout, both.1, timeout);
    });
    both
}

/// Puts gRPC beside HTTP: its paths first, then by what a request says it is.
#[cfg(feature = "grpc")]
fn beside(
    grpc: tonic::service::Routes,
    http: Router,
    layered: impl Fn(Router) -> Router,
) -> Router {
    use meshwise_core::Protocol;
    use tower::ServiceExt;
    let unknown = layered(Router::new().fallback(|| async {
        tonic::Status::unimplemented("no such service here").into_http::<axum::body::Body>()
    }));
    let http = layered(http).with_state(());
    let neither = tower::service_fn(move |request: axum::extract::Request| {
        match Protocol::of(request.headers()) {
            Protocol::Grpc => unknown.clone().oneshot(request),
            _ => http.clone().oneshot(request),
        }
    });
    layered(grpc.into_axum_router().reset_fallback()).fallback_service(neither)
}

impl fmt::Debug for ServeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeBuilder")
            .field("mesh", &self.mesh)
            .field("drain_delay", &self.drain_delay)
            .field("drain_timeout", &self.drain_timeout)
            .finish_non_exhaustive()
    }
}
