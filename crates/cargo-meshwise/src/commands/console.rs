//! `cargo meshwise console`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use meshwise_console::{Console, ConsoleConfig, OpsTarget};
use serde::Serialize;

use super::Context;
use crate::exit::{Exit, Failure, OrExit as _};

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The options of `console`.
#[derive(Debug, Args)]
pub(crate) struct ConsoleOptions {
    /// Where the page is served; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value_t = local(4320))]
    pub page: SocketAddr,
    /// Where OTLP is taken, over gRPC by custom; each port takes both
    #[arg(long, value_name = "ADDRESS", default_value_t = local(4317))]
    pub grpc: SocketAddr,
    /// Where OTLP is taken, over HTTP by custom
    #[arg(long, value_name = "ADDRESS", default_value_t = local(4318))]
    pub http: SocketAddr,
    /// The memory that is kept, in MB
    #[arg(long, value_name = "MB", default_value_t = 400, value_parser = clap::value_parser!(u32).range(8..))]
    pub memory: u32,
    /// A service whose /metrics, /resilience and /apis are read; may be given several times
    #[arg(long, value_name = "SERVICE=ADDRESS", value_parser = target)]
    pub ops: Vec<OpsTarget>,
    /// A name by which browsers may call the console, besides addresses and localhost
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// The token that is wanted of browsers and senders; needed where others reach the console
    #[arg(long, value_name = "TOKEN", env = "MESHWISE_CONSOLE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Write what comes to this file, as lines of OTLP JSON
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Show what a session file holds
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
}

#[derive(Serialize)]
struct ConsoleAnswer {
    page: String,
    grpc: SocketAddr,
    http: SocketAddr,
}

fn target(text: &str) -> Result<OpsTarget, String> {
    let said = "say which service is where: orders=127.0.0.1:9464";
    let (service, address) = text.split_once('=').ok_or(said)?;
    Ok(OpsTarget::new(service, address.parse().map_err(|_| said)?))
}

/// Starts the console, says where it is, and serves until it is stopped.
///
/// # Errors
/// `Usage` when a port is taken, a session file cannot be opened, or others reach the console and no
/// token is set.
pub(crate) fn run(options: &ConsoleOptions, context: &mut Context) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("meshwise-console")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let console = Console::start(options.config()).await;
        let console = console.or_exit(Exit::Usage)?;
        let answer =
            ConsoleAnswer { page: console.url(), grpc: console.grpc(), http: console.http() };
        context.out.either(&answer, |out| {
            out.line(format_args!("The console is at {}", answer.page))?;
            out.line(format_args!(
                "It takes OTLP at http://{} and http://{}",
                answer.grpc, answer.http
            ))?;
            out.line(format_args!("Ctrl-C ends it"))
        })?;
        context.out.flush()?;
        // A signal ends the process; nothing has to be tidied up.
        std::future::pending::<()>().await;
        Ok(Exit::Ok)
    })
}

impl ConsoleOptions {
    fn config(&self) -> ConsoleConfig {
        let mut config = ConsoleConfig::new()
            .with_page(self.page)
            .with_otlp(self.grpc, self.http)
            .with_memory(usize::try_from(self.memory).unwrap_or(400) * 1_000_000);
        for target in &self.ops {
            config = config.with_target(target.clone());
        }
        for host in &self.host {
            config = config.with_host(host);
        }
        if let Some(token) = &self.token {
            config = config.with_token(token);
        }
        if let Some(file) = &self.save {
            config = config.with_save(file);
        }
        if let Some(file) = &self.replay {
            config = config.with_replay(file);
        }
        config
    }
}
