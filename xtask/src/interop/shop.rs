//! The shop as the subject of the tests.

use super::process::{Server, target};
use anyhow::{Context as _, ensure};
use std::{net::SocketAddr, path::Path, process::Command};

/// Builds the shop once, so that starting it later takes no time.
pub(crate) fn build() -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO")).args(["build", "--package", "shop"]).status()?;
    ensure!(status.success(), "the shop does not build");
    Ok(())
}

/// Makes the command that runs the shop, without a console: what is measured is the services.
pub(crate) fn command() -> Command {
    let mut command = with_console();
    command.arg("--no-console");
    command
}

/// Makes the command that runs the shop with its console.
pub(crate) fn with_console() -> Command {
    Command::new(target().join("debug/shop"))
}

/// A shop that serves on.
pub(crate) struct Shop {
    pub(crate) services: Vec<(String, SocketAddr)>,
    _server: Server,
}

impl Shop {
    /// Starts the shop and waits until it serves on under load.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a shop whose stock becomes slow, then dead, and writes its log lines to a file.
    pub(crate) fn start_broken(log: &Path, env: &[(&str, String)]) -> anyhow::Result<Self> {
        let env = env.iter().map(|(name, value)| (*name, value));
        let server =
            Server::start(command().args(["--break", "stock", "--log-file"]).arg(log).envs(env))?;
        let lines = server.lines_until(|line| line.trim_start().starts_with("sec "))?;
        Self::of(server, &lines)
    }

    /// Does so with these variables in its environment.
    pub(crate) fn start_with(env: &[(&str, String)]) -> anyhow::Result<Self> {
        let env = env.iter().map(|(name, value)| (*name, value));
        let server = Server::start(command().args(["--rate", "50"]).envs(env))?;
        let lines = server.lines_until(|line| line.starts_with("Serving on"))?;
        Self::of(server, &lines)
    }

    fn of(server: Server, lines: &[String]) -> anyhow::Result<Self> {
        let services: Vec<_> = lines.iter().filter_map(|line| service(line)).collect();
        ensure!(services.len() == 5, "the shop tells five addresses:\n{}", lines.join("\n"));
        Ok(Self { services, _server: server })
    }
}

/// Reads a line such as `  orders   http://127.0.0.1:1234   http://...`.
fn service(line: &str) -> Option<(String, SocketAddr)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let address = words.next()?.strip_prefix("http://")?.parse().ok()?;
    Some((name.to_owned(), address))
}

/// Runs the shop to its end and returns the ids of all spans that it made.
pub(crate) fn run_once(requests: u32, env: &[(&str, String)]) -> anyhow::Result<Vec<String>> {
    let file = target().join(format!("interop/span-ids-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let output = command()
        .args(["--once", "--requests", &requests.to_string(), "--span-ids"])
        .arg(&file)
        .envs(env.iter().map(|(name, value)| (*name, value)))
        .output()
        .context("the shop cannot be run")?;
    ensure!(
        output.status.success(),
        "the shop failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let ids = std::fs::read_to_string(&file).context("the shop wrote no span ids")?;
    Ok(ids.lines().map(str::to_owned).collect())
}
