//! Log lines reach a real Fluent server and an Elasticsearch's `_bulk`, whatever is killed meanwhile.

use super::{
    ecs,
    kits::{self, Kits},
    process::{Server, free_port, get, target, wait_for},
};
use anyhow::{Context as _, ensure};
use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PACKAGE: &str = "@fluent-org/logger@1.0.10";
const SERVER: &str = include_str!("delivery/server.js");
const KEY: &str = "a shared key";
/// How many lines pass the server's restarts, and how often it is killed.
const LINES: u64 = 100_000;
const RESTARTS: u64 = 5;
/// How often the sender is killed, whole and in the short form.
const KILLS: u64 = 50;
const FEW_KILLS: u64 = 5;
/// How many lines a sender that is killed is asked for.
const MANY: u64 = 1_000_000;

/// Runs all of it, with a tenth of the kills.
pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let sender = sender()?;
    fluent(&sender)?;
    killed(&sender, FEW_KILLS)?;
    bulk(&sender, kits)
}

/// Kills the sender as often as promised, for `cargo xtask proof`.
pub(crate) fn proof() -> anyhow::Result<()> {
    killed(&sender()?, KILLS)
}

fn sender() -> anyhow::Result<PathBuf> {
    let build = ["build", "--package", "meshwise-tests", "--bin", "log_delivery"];
    kits::run(Command::new(env!("CARGO")).args(build))?;
    Ok(target().join("debug/log_delivery"))
}

/// A Fluent server from npm, and what it has received.
struct Fluent {
    module: PathBuf,
    script: PathBuf,
    received: PathBuf,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Fluent {
    fn install() -> anyhow::Result<Self> {
        kits::debian("node", "nodejs")?;
        kits::debian("npm", "npm")?;
        let kit = target().join("interop/delivery");
        fs::create_dir_all(&kit)?;
        let module = kit.canonicalize()?.join("node_modules/@fluent-org/logger");
        if !module.exists() {
            println!("installing from npm: {PACKAGE}");
            let npm =
                ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
            kits::run(Command::new("npm").args(npm).arg("--prefix").arg(&kit).arg(PACKAGE))?;
        }
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("server.js");
        fs::write(&script, SERVER)?;
        let received = folder.path().join("received");
        fs::write(&received, "")?;
        Ok(Self { module, script, received, port: free_port()?, _folder: folder })
    }

    fn start(&self) -> anyhow::Result<Server> {
        let server = Server::start(
            Command::new("node")
                .arg(&self.script)
                .arg(&self.module)
                .args([&self.port.to_string(), KEY])
                .arg(&self.received),
        )?;
        server.lines_until(|line| line == "listening")?;
        Ok(server)
    }

    /// Returns the numbers that came, and how many lines there were.
    fn numbers(&self) -> anyhow::Result<(BTreeSet<u64>, u64)> {
        let text = fs::read_to_string(&self.received)?;
        let mut numbers = BTreeSet::new();
        for line in text.lines() {
            let (tag, n) = line.split_once(' ').context("a tag and a number")?;
            ensure!(tag == "orders", "the tag is the service's name: {line}");
            if n != "undefined" {
                numbers.insert(n.parse()?);
            }
        }
        let lines = text.lines().filter(|line| !line.ends_with("undefined")).count() as u64;
        Ok((numbers, lines))
    }

    fn sending(&self, sender: &Path, from: u64, count: u64) -> Command {
        let mut command = Command::new(sender);
        command
            .args([from.to_string(), count.to_string()])
            .env("MESHWISE_LOG_OUTPUTS", "fluent")
            .env("MESHWISE_LOG_FULL", "wait")
            .env("MESHWISE_LOG_FLUENT_SERVERS", format!("127.0.0.1:{}", self.port))
            .env("MESHWISE_LOG_FLUENT_SHARED_KEY", KEY)
            .env("MESHWISE_LOG_FLUENT_TIMEOUT", "2s");
        command
    }
}

/// Sends through restarts of the server, and with a wrong key.
fn fluent(sender: &Path) -> anyhow::Result<()> {
    let fluent = Fluent::install()?;
    let mut server = fluent.start()?;
    let sending = Server::start(&mut fluent.sending(sender, 0, LINES))?;
    for restart in 1..=RESTARTS {
        let at = format!("written {}", restart * LINES / (RESTARTS + 1) / 100 * 100);
        sending.lines_until(|line| line == at)?;
        server.terminate()?;
        server = fluent.start()?;
    }
    let said = sending.lines_until(|line| line.starts_with("fluent:"))?;
    let told = said.last().context("a report")?;
    // The lines of the start are no numbered ones.
    ensure!(told.contains(" 0 lost, 0 spooled"), "{told}");
    let (numbers, lines) = fluent.numbers()?;
    ensure!(numbers == (0..LINES).collect(), "{} of {LINES} lines came", numbers.len());
    let twice = lines - LINES;
    println!("delivery: {LINES} lines, {RESTARTS} restarts of FluentServer, {twice} came twice");

    let mut wrong = fluent.sending(sender, 0, 50);
    wrong.env("MESHWISE_LOG_FLUENT_SHARED_KEY", "wrong").env("MESHWISE_DRAIN_TIMEOUT", "1s");
    let wrong = Server::start(&mut wrong)?;
    let said = wrong.lines_until(|line| line.starts_with("fluent:"))?;
    let told = said.last().context("a report")?;
    ensure!(told.starts_with("fluent: 0 delivered, "), "with a wrong key: {told}");
    Ok(())
}

/// Kills the sender again and again; what it said was written must come.
fn killed(sender: &Path, kills: u64) -> anyhow::Result<()> {
    let fluent = Fluent::install()?;
    let spool = tempfile::tempdir()?;
    let sending = |from, count| {
        let mut command = fluent.sending(sender, from, count);
        command.env("MESHWISE_LOG_SPOOL_DIRECTORY", spool.path());
        command
    };
    let mut promised = BTreeSet::new();
    let mut server: Option<Server> = None;
    for kill in 0..kills {
        // The server is away half of the time.
        if let Some(server) = server.take() {
            server.terminate()?;
        }
        server = if kill % 2 == 0 { Some(fluent.start()?) } else { None };
        let from = kill * MANY;
        let sender = Server::start(&mut sending(from, MANY))?;
        let after = from + 100 * (1 + fastrand::u64(0..50));
        let said = sender.lines_until(|line| line == format!("written {after}"))?;
        drop(sender);
        promised.extend(from..after);
        drop(said);
    }
    if let Some(server) = server {
        server.terminate()?;
    }
    let _server = fluent.start()?;
    // A process sends what it can before its shutdown's time is over, and leaves the rest to the next.
    let mut told = String::new();
    for next in 0..20 {
        let last = Server::start(&mut sending((kills + next) * MANY, 100))?;
        let said = last.lines_until(|line| line.starts_with("fluent:"))?;
        told.clone_from(said.last().context("a report")?);
        if told.contains(" 0 spooled") {
            break;
        }
    }
    ensure!(told.contains(" 0 spooled"), "{told}");
    let (numbers, lines) = fluent.numbers()?;
    let lost = promised.difference(&numbers).count();
    ensure!(lost == 0, "{lost} of {} lines that were spooled never came", promised.len());
    let twice = lines - numbers.len() as u64;
    println!(
        "delivery: {kills} senders killed, all {} lines that were spooled came; {twice} of {lines} twice",
        promised.len()
    );
    Ok(())
}

/// Sends to an Elasticsearch, with documents that it cannot take.
fn bulk(sender: &Path, kits: &Kits) -> anyhow::Result<()> {
    let port = free_port()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let data = tempfile::tempdir()?;
    let _server = Server::start(
        Command::new(ecs::server(kits)?)
            .args(["start", "--only", "elasticsearch", "--elasticsearch-port", &port.to_string()])
            .arg("--data-dir")
            .arg(data.path()),
    )?;
    wait_for("the Elasticsearch", || Ok(Some(TcpStream::connect(address)?)))?;
    let output = Command::new(sender)
        .args(["0", "5000"])
        .env("MESHWISE_LOG_OUTPUTS", "bulk")
        .env("MESHWISE_LOG_FORMAT", "json")
        .env("MESHWISE_LOG_BULK_URLS", format!("http://{address}"))
        .env("CLASH", "1")
        .stdin(Stdio::null())
        .output()
        .context("log_delivery cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}{complaints}");
    let told = said.lines().last().context("a report")?;
    ensure!(
        told.contains(", 1 lost, "),
        "the second of two that clash is lost: {told}\n{complaints}"
    );
    let count = wait_for("the documents", || {
        let (status, body) = get(address, "/logs-meshwise-default/_count")?;
        ensure!(status == 200, "{status}: {body}");
        let body: serde_json::Value = serde_json::from_str(&body)?;
        Ok(body["count"].as_u64().filter(|count| *count >= 5001))
    })?;
    println!("delivery: {count} documents by _bulk; {told}");
    Ok(())
}
