//! The console, started and stopped.

use crate::{
    config::ConsoleConfig, error::ConsoleError, ingest, listen, save::Saver, shared::Shared, watch,
    web,
};
use http::Request;
use hyper::body::Incoming;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};

/// How often what waits is settled and live pages hear of it.
const TICK: Duration = Duration::from_secs(1);

/// Is a console that runs. It stops when it is dropped.
///
/// ```no_run
/// # async fn start() -> Result<(), meshwise_console::ConsoleError> {
/// use meshwise_console::{Console, ConsoleConfig};
///
/// let console = Console::start(ConsoleConfig::new()).await?;
/// println!("see {}", console.url());
/// std::future::pending::<()>().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Console {
    shared: Arc<Shared>,
    page: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Console {
    /// Starts listening, on the runtime that calls.
    ///
    /// # Errors
    ///
    /// A port is taken, an address that others reach has no token, or a session file cannot be opened.
    pub async fn start(config: ConsoleConfig) -> Result<Self, ConsoleError> {
        check(&config)?;
        let page = bind(config.page).await?;
        let (grpc, http) = (bind(config.grpc).await?, bind(config.http).await?);
        let session = |file: &std::path::Path| {
            let file = file.to_owned();
            |source| ConsoleError::Session { file, source }
        };
        let replay = match &config.replay {
            Some(file) => Some(ingest::replay::open(file).map_err(session(file))?),
            None => None,
        };
        let saver = match &config.save {
            Some(file) => Some(Saver::start(file).map_err(session(file))?),
            None => None,
        };
        let [address, grpc_address, http_address] = [&page, &grpc, &http].map(address);
        let shared = Arc::new(Shared::new(&config, [grpc_address, http_address], saver));
        let mut tasks = JoinSet::new();
        for listener in [grpc, http] {
            tasks.spawn(listen::serve(listener, Arc::clone(&shared), otlp));
        }
        tasks.spawn(listen::serve(page, Arc::clone(&shared), web::serve));
        tasks.spawn(watch::run(Arc::clone(&shared)));
        tasks.spawn(tick(Arc::clone(&shared)));
        if let Some(file) = replay {
            let shared = Arc::clone(&shared);
            tasks.spawn_blocking(move || ingest::replay::run(&shared, file));
        }
        Ok(Self { shared, page: address, _tasks: tasks })
    }

    /// Returns the page's address to open, with the token if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.shared.token {
            Some(token) => format!("http://{}/?token={token}", self.page),
            None => format!("http://{}/", self.page),
        }
    }

    /// Returns where the page is served.
    #[must_use]
    pub fn page(&self) -> SocketAddr {
        self.page
    }

    /// Returns where OTLP over gRPC is taken.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.shared.otlp[0]
    }

    /// Returns where OTLP over HTTP is taken.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.shared.otlp[1]
    }

    /// Reads a service's ops pages from now on: for those that are known only later.
    pub fn watch(&self, target: crate::config::OpsTarget) {
        self.shared.watched.lock().list(target);
    }
}

fn check(config: &ConsoleConfig) -> Result<(), ConsoleError> {
    if let Some(token) = &config.token {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        if !(16..=200).contains(&token.len()) || !token.chars().all(fine) {
            return Err(ConsoleError::WeakToken);
        }
        return Ok(());
    }
    let open = [config.page, config.grpc, config.http];
    match open.into_iter().find(|address| !address.ip().is_loopback()) {
        Some(address) => Err(ConsoleError::NeedsToken(address)),
        None => Ok(()),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ConsoleError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ConsoleError::Listen { address, source })
}

fn address(listener: &TcpListener) -> SocketAddr {
    // A socket that listens has an address.
    listener.local_addr().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
}

async fn otlp(shared: Arc<Shared>, request: Request<Incoming>) -> crate::respond::Reply {
    ingest::serve::serve(shared, request).await
}

async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        shared.store.write().tick(shared.clock.now());
    }
}
