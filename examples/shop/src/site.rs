//! The five running services, each with a mesh of its own, and what was seen of them.
//!
//! In production each would be a process that calls `install()`. Here they share one, so each mesh
//! is made with `build()`, which sets nothing process-wide, and keeps what it records in memory
//! beside exporting it.

use crate::{
    queue::Queue,
    services::{
        auth, gateway, mailer, orders,
        stock::{self, Weather},
    },
};
use axum::Router;
use meshwise::{
    Mesh, OpsAddr, ServeError, ShutdownReport,
    api::Declared,
    log::{LogFormat, LogLines, LogOutput},
    opentelemetry_sdk::trace::SpanData,
    resilience::BreakerConfig,
    trace::{BatchConfig, MemorySpans, OtlpConfig, SpanExport},
};
use std::{
    collections::BTreeMap, fs::File, io::Write as _, net::SocketAddr, path::Path, time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tonic::service::Routes;
use tower::limit::GlobalConcurrencyLimitLayer;

/// What the build script has checked of a service; one that is a package of its own says
/// `meshwise::api::declared!()`.
macro_rules! declared {
    ($service:literal) => {
        meshwise::api::declared!(concat!(env!("OUT_DIR"), "/", $service, "/meshwise_api.rs"))
    };
}

/// One running service.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) mesh: Mesh,
    pub(crate) lines: LogLines,
    pub(crate) spans: MemorySpans,
    server: JoinHandle<Result<ShutdownReport, ServeError>>,
}

/// All of them, the gateway first.
pub(crate) struct Site {
    pub(crate) services: Vec<Running>,
    stop: watch::Sender<bool>,
    weather: watch::Sender<Weather>,
    log_file: Option<File>,
    queue: Queue,
    mailer: JoinHandle<()>,
}

/// How long one attempt at stock may take.
const STOCK_PATIENCE: Duration = Duration::from_millis(400);

/// People look on.
const SOON: BatchConfig = BatchConfig::new().with_delay(Duration::from_millis(500));

/// How many calls the gateway works on at a time: workers, connections to a database, memory are
/// never endless. The others wait.
const GATEWAY_CAPACITY: usize = 32;

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
    async fn new(
        name: &'static str,
        declared: Declared,
        otlp: Option<&OtlpConfig>,
    ) -> anyhow::Result<Self> {
        let lines = LogLines::new();
        let spans = MemorySpans::new();
        let mesh = meshwise::builder(name, env!("CARGO_PKG_VERSION"))
            .with_namespace("shop")
            .apis(declared)
            // Five services in one process: each has all its pages on its one port.
            .with_ops_addr(OpsAddr::SamePort)
            .logs({
                let (lines, otlp) = (lines.clone(), otlp.cloned());
                move |logs| {
                    let logs =
                        logs.with_output(LogOutput::memory(&lines)).with_format(LogFormat::Json);
                    match otlp {
                        Some(otlp) => logs.with_otlp(&otlp).with_batch(SOON),
                        None => logs,
                    }
                }
            })
            .traces({
                let (spans, otlp) = (spans.clone(), otlp.cloned());
                move |traces| {
                    let traces = traces.with_exporter(SpanExport::memory(&spans));
                    match otlp {
                        Some(otlp) => traces.with_exporter(SpanExport::otlp(otlp)).with_batch(SOON),
                        None => traces,
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

    fn run(self, http: Router, grpc: Option<Routes>, mut stop: watch::Receiver<bool>) -> Running {
        let Self { name, listener, address, mesh, lines, spans } = self;
        let mut server = mesh.server().with_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        if let Some(grpc) = grpc {
            server = server.with_grpc(grpc);
        }
        let server = tokio::spawn(server.serve(listener, http));
        Running { name, address, mesh, lines, spans, server }
    }
}

impl Site {
    /// Starts all services; each knows its peers' URLs.
    pub(crate) async fn start(
        guarded: bool,
        queue: Queue,
        log_file: Option<&Path>,
        otlp: Option<OtlpConfig>,
    ) -> anyhow::Result<Self> {
        let otlp = otlp.as_ref();
        let log_file = log_file.map(File::create).transpose()?;
        let gateway = Prepared::new("gateway", declared!("gateway"), otlp).await?;
        let orders = Prepared::new("orders", declared!("orders"), otlp).await?;
        let auth = Prepared::new("auth", declared!("auth"), otlp).await?;
        let stock = Prepared::new("stock", declared!("stock"), otlp).await?;
        let mailer = Prepared::new("mailer", declared!("mailer"), otlp).await?;

        let mut to_orders = gateway.mesh.client("orders").with_base_url(orders.url());
        let mut to_auth = orders.mesh.grpc_client("auth").with_endpoint(auth.url());
        let mut to_stock = orders.mesh.client("stock").with_base_url(stock.url());
        if guarded {
            // A breaker that tries again soon: an outage here lasts seconds.
            let breaker =
                BreakerConfig::new().with_open_time(Duration::from_secs(1), Duration::from_secs(2));
            to_stock = to_stock
                .with_guards(|guards| guards.with_timeout(STOCK_PATIENCE).with_breaker(breaker));
        } else {
            to_orders = to_orders.without_guards();
            to_auth = to_auth.without_guards();
            to_stock = to_stock.without_guards();
        }
        let (to_orders, to_auth, to_stock) =
            (to_orders.build()?, to_auth.build()?, to_stock.build()?);
        orders.mesh.health().add_check("stock", reachable(stock.address));
        gateway.mesh.health().add_check("orders", reachable(orders.address));

        let auth_routes = auth::routes(&auth.mesh)?;
        let capacity = GlobalConcurrencyLimitLayer::new(GATEWAY_CAPACITY);
        let (stop, stopped) = watch::channel(false);
        let (weather, stock_weather) = watch::channel(Weather::Well);
        let orders_routes =
            orders::routes(to_auth, to_stock, orders.mesh.messaging(), queue.clone());
        let mailing = tokio::spawn(mailer::run(mailer.mesh.messaging().clone(), queue.clone()));
        let services = vec![
            gateway.run(gateway::routes(to_orders).layer(capacity), None, stopped.clone()),
            orders.run(orders_routes, None, stopped.clone()),
            auth.run(Router::new(), Some(auth_routes), stopped.clone()),
            stock.run(stock::routes(stock_weather), None, stopped.clone()),
            mailer.run(Router::new(), None, stopped),
        ];
        Ok(Self { services, stop, weather, queue, mailer: mailing, log_file })
    }

    /// Returns the gateway's address.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.services[0].address
    }

    /// Waits until the mailer has handled all that it was told, for 20 s at the most.
    pub(crate) async fn mailed(&self) {
        let handled = async {
            while !self.queue.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _late = tokio::time::timeout(Duration::from_secs(20), handled).await;
    }

    /// Makes stock well, slow or dead.
    pub(crate) fn set_weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Returns how many calls are in flight in the gateway, those that wait for a place included.
    pub(crate) fn gateway_in_flight(&self) -> u64 {
        let metrics = self.services[0].mesh.metrics().render_text();
        let gauges = metrics.lines().filter(|line| line.starts_with("http_server_active_requests"));
        gauges.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
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
            self.save(&service.lines.lines());
            service.lines.clear();
        }
    }

    /// Appends log lines to the file, if one is named.
    fn save(&self, lines: &[String]) {
        let Some(mut file) = self.log_file.as_ref() else { return };
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        if let Err(error) = file.write_all(text.as_bytes()) {
            eprintln!("shop: log lines cannot be written: {error}");
        }
    }

    /// Waits for Ctrl-C or SIGTERM.
    pub(crate) async fn shutdown_signal(&self) {
        self.services[0].mesh.shutdown_signal().await;
    }

    /// Stops serving, then sends what is still queued.
    pub(crate) async fn shutdown(self) -> Vec<(&'static str, ShutdownReport)> {
        self.set_weather(Weather::Well);
        let _ = self.stop.send(true);
        self.mailed().await;
        self.mailer.abort();
        let mut reports = Vec::new();
        for service in self.services {
            let _ = service.server.await;
            reports.push((service.name, service.mesh.shutdown().await));
        }
        reports
    }
}

/// Makes a readiness check that connects to a peer.
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
