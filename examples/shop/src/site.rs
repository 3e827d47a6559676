//! The four running services, each with a mesh of its own, and what was seen of them.
//!
//! In production each would be a process that calls `install()`. Here they share one, so each mesh
//! is made with `build()`, which sets nothing process-wide, and keeps what it records in memory
//! beside exporting it.

use crate::services::{auth, gateway, orders, stock};
use axum::Router;
use meshwise::{
    Mesh, ShutdownReport,
    log::{LogFormat, LogLines, LogOutput},
    opentelemetry_sdk::trace::SpanData,
    trace::{MemorySpans, OtlpConfig, SpanExport},
};
use std::{collections::BTreeMap, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// One running service.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) mesh: Mesh,
    pub(crate) lines: LogLines,
    pub(crate) spans: MemorySpans,
    server: JoinHandle<std::io::Result<()>>,
}

/// All of them, the gateway first.
pub(crate) struct Site {
    pub(crate) services: Vec<Running>,
    stop: watch::Sender<bool>,
}

/// One service that does not run yet.
struct Prepared {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    mesh: Mesh,
    lines: LogLines,
    spans: MemorySpans,
}

impl Prepared {
    async fn new(name: &'static str) -> anyhow::Result<Self> {
        let lines = LogLines::new();
        let spans = MemorySpans::new();
        let mesh = meshwise::builder(name, env!("CARGO_PKG_VERSION"))
            .with_namespace("shop")
            .logs({
                let lines = lines.clone();
                move |logs| logs.with_output(LogOutput::memory(&lines)).with_format(LogFormat::Json)
            })
            .traces({
                let spans = spans.clone();
                move |traces| {
                    let traces = traces.with_exporter(SpanExport::memory(&spans));
                    match collector_is_named() {
                        true => traces.with_exporter(SpanExport::otlp(OtlpConfig::new())),
                        false => traces,
                    }
                }
            })
            .build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self { name, listener, address, mesh, lines, spans })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn run(self, routes: Router, mut stop: watch::Receiver<bool>) -> Running {
        let Self { name, listener, address, mesh, lines, spans } = self;
        let app = routes.layer(mesh.server_layer()).merge(mesh.ops_router());
        let server = tokio::spawn(async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(async move {
                    let _ = stop.wait_for(|stop| *stop).await;
                })
                .await
        });
        Running { name, address, mesh, lines, spans, server }
    }
}

impl Site {
    /// Starts all services; each knows its neighbours' URLs.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let gateway = Prepared::new("gateway").await?;
        let orders = Prepared::new("orders").await?;
        let auth = Prepared::new("auth").await?;
        let stock = Prepared::new("stock").await?;

        let to_orders = gateway.mesh.client("orders").with_base_url(orders.url()).build()?;
        let to_auth = orders.mesh.grpc_client("auth").with_endpoint(auth.url()).build()?;
        let to_stock = orders.mesh.client("stock").with_base_url(stock.url()).build()?;
        orders.mesh.health().add_check("stock", reachable(stock.address));
        gateway.mesh.health().add_check("orders", reachable(orders.address));

        let auth_routes = auth::routes(&auth.mesh)?;
        let (stop, stopped) = watch::channel(false);
        let services = vec![
            gateway.run(gateway::routes(to_orders), stopped.clone()),
            orders.run(orders::routes(to_auth, to_stock), stopped.clone()),
            auth.run(auth_routes, stopped.clone()),
            stock.run(stock::routes(), stopped),
        ];
        Ok(Self { services, stop })
    }

    /// Returns the gateway's address.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.services[0].address
    }

    /// Returns all finished spans, with the service that made each.
    pub(crate) fn spans(&self) -> Vec<(&'static str, SpanData)> {
        let of = |service: &Running| {
            let name = service.name;
            service.spans.spans().into_iter().map(move |span| (name, span)).collect::<Vec<_>>()
        };
        self.services.iter().flat_map(of).collect()
    }

    /// Returns every service's metrics, by name and labels.
    pub(crate) fn metrics(&self) -> BTreeMap<(&'static str, String), f64> {
        let mut all = BTreeMap::new();
        for service in &self.services {
            for line in service.mesh.metrics().render_text().lines() {
                if let Some((series, value)) = line.rsplit_once(' ')
                    && !line.starts_with('#')
                    && let Ok(value) = value.parse()
                {
                    all.insert((service.name, series.to_owned()), value);
                }
            }
        }
        all
    }

    /// Lets go of what was recorded, so that serving on for days needs no more memory.
    pub(crate) fn forget_old(&self) {
        for service in &self.services {
            service.spans.clear();
            service.lines.clear();
        }
    }

    /// Waits for Ctrl-C or SIGTERM.
    pub(crate) async fn shutdown_signal(&self) {
        self.services[0].mesh.shutdown_signal().await;
    }

    /// Stops serving, then sends what is still queued.
    pub(crate) async fn shutdown(self) -> Vec<(&'static str, ShutdownReport)> {
        let _ = self.stop.send(true);
        let mut reports = Vec::new();
        for service in self.services {
            let _ = service.server.await;
            reports.push((service.name, service.mesh.shutdown().await));
        }
        reports
    }
}

/// Tells whether the environment says where a collector is. An exporter named in code, as our
/// memory is, takes the place of the environment's, so both are named then.
fn collector_is_named() -> bool {
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Makes a readiness check that connects to a neighbour.
fn reachable(
    address: SocketAddr,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    move || {
        Box::pin(async move {
            let connected = TcpStream::connect(address).await;
            connected.map(drop).map_err(|error| format!("{address}: {error}"))
        })
    }
}
