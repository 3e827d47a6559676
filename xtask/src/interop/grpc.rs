//! gRPC with grpcio, both ways: what each end sends, the other understands.

use super::{
    kits::Kits,
    process::{Server, target},
};
use anyhow::{Context as _, ensure};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

const PEER: &str = include_str!("grpc/peer.py");

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let rust = build()?;
    let script = target().join("interop/peer.py");
    std::fs::write(&script, PEER).with_context(|| format!("{}", script.display()))?;
    let python = || {
        let mut command = Command::new(&kits.python);
        command.arg(&script);
        command
    };

    let server = Server::start(python().arg("serve"))?;
    let lines = server.lines_until(|line| line.parse::<u16>().is_ok())?;
    let port = lines.last().context("no port")?;
    finish(Command::new(&rust).args(["call", &format!("127.0.0.1:{port}")]))?;
    drop(server);

    let server = Server::start(Command::new(&rust).arg("serve"))?;
    let lines = server.lines_until(|line| line.parse::<SocketAddr>().is_ok())?;
    let address = lines.last().context("no address")?;
    finish(python().args(["call", address]))
}

/// Builds the Rust end.
fn build() -> anyhow::Result<PathBuf> {
    let args = ["build", "--quiet", "--package", "meshwise-tests", "--bin", "grpc_peer"];
    let status = Command::new(env!("CARGO")).args(args).status()?;
    ensure!(status.success(), "grpc_peer does not build");
    let binary = target().join("debug/grpc_peer");
    ensure!(Path::new(&binary).exists(), "{} is not there", binary.display());
    Ok(binary)
}

fn finish(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?} cannot be run"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}{erred}");
    print!("{said}");
    Ok(())
}
