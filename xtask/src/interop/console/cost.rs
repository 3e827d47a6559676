//! What the console costs, beside another that keeps spans in memory. Reported, not judged: times depend on
//! the machine, and on what else it does.

use super::{install, node_folder, told};
use crate::interop::{
    kits::{self, Kits},
    process::{Server, target},
    shop,
};
use anyhow::Context as _;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const COST: &str = include_str!("cost.py");
const PEER: &str = include_str!("peer.rs");
const PACKAGES: [&str; 2] = ["opentelemetry-proto", "grpcio-tools"];

pub(crate) fn run() -> anyhow::Result<()> {
    let kits = kits::install()?;
    install(&kits)?;
    kits::pypi(&kits.python, "opentelemetry.proto.collector, grpc_tools", &PACKAGES)?;
    shop::build()?;
    super::build()?;
    let (peer, session) = (peer(&kits)?, session()?);
    measure(&kits, &peer, &session)
}

fn measure(kits: &Kits, peer: &Path, session: &Path) -> anyhow::Result<()> {
    let script = node_folder()?.join("cost.py");
    fs::write(&script, COST)?;
    kits::run(Command::new(&kits.python).arg(script).arg(peer).arg(session))
}

/// Builds both in release, with one set of dependencies. The other one's build wants a `protoc`, which
/// `grpcio-tools` has.
fn peer(kits: &Kits) -> anyhow::Result<PathBuf> {
    let folder = node_folder()?.join("peer");
    fs::create_dir_all(&folder)?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/meshwise-console");
    let manifest = format!(
        "[package]\nname = \"peer\"\nedition = \"2024\"\n[[bin]]\nname = \"peer\"\npath = \"peer.rs\"\n\
         [dependencies]\nmeshwise-console = {{ path = {:?} }}\notlp-embedded = \"=0.0.2\"\n\
         tokio = {{ version = \"1\", features = [\"full\"] }}\ntonic = \"0.14\"\n[workspace]\n",
        root.canonicalize()?
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("peer.rs"), PEER)?;
    let protoc = folder.join("protoc");
    let script = format!("#!/bin/sh\nexec {:?} -m grpc_tools.protoc \"$@\"\n", kits.python);
    fs::write(&protoc, script)?;
    fs::set_permissions(&protoc, Permissions::from_mode(0o755))?;
    let build = ["build", "--release", "--quiet", "--manifest-path"];
    let mut command = Command::new(env!("CARGO"));
    command.args(build).arg(folder.join("Cargo.toml")).env("PROTOC", &protoc);
    kits::run(&mut command)?;
    Ok(folder.join("target/release/peer"))
}

/// Lets the console save a session of the shop.
fn session() -> anyhow::Result<PathBuf> {
    let file = node_folder()?.join("session.jsonl");
    let any = "127.0.0.1:0";
    let mut command = Command::new(target().join("debug/cargo-meshwise"));
    command.args(["console", "--page", any, "--grpc", any, "--http", any, "--save"]).arg(&file);
    let server = Server::start(&mut command)?;
    let lines = server.lines_until(|line| line.starts_with("It takes OTLP"))?;
    let line = lines.last().context("a line")?;
    let grpc = line.split(' ').find(|word| word.starts_with("http://")).context("an address")?;
    let mut shop = shop::with_console();
    shop.args(["--once", "--requests", "40"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", grpc);
    told(&mut shop, "the shop")?;
    // What is written is there once the console has ended.
    server.terminate()?;
    Ok(file)
}
