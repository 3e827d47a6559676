//! The long proofs: tests that say more the longer they run.

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use std::process::Command;

/// One group of proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Streams, restarts under load, and processes that are killed: `tests/tests/proof`.
    Processes,
    /// A million messages with made-up headers.
    Hostile,
    /// The whole life of an API with each step done wrong, and many publishers at once. Long only.
    Versions,
    /// A logger with a spool is killed again and again. Long only: a tenth is a part of `interop`.
    Delivery,
    /// Brokers and consumers are killed. Long only: a tenth is a part of `interop`.
    Messages,
}

/// Runs the proofs, or those that are named, whole or a tenth as long.
pub(crate) fn run(parts: &[Part], tenth: bool) -> anyhow::Result<()> {
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let scale = if tenth { "tenth" } else { "full" };
    if wanted(Part::Processes) {
        // One at a time: each wants the machine for itself. Built as the workspace's tests are, so that
        // nothing is compiled once more with other features.
        let mut tests = test(&["--workspace", "--test", "proof"], scale);
        told(tests.args(["--test-threads", "1", "--nocapture"]), "a proof")?;
    }
    if wanted(Part::Hostile) {
        // Optimised, for each message is up to megabytes.
        let tests = ["--release", "--package", "meshwise-messaging", "--test", "hostile"];
        let messages = if tenth { "100000" } else { "1000000" };
        let mut tests = test(&tests, scale);
        told(tests.arg("--nocapture").env("MESHWISE_HOSTILE", messages), "hostile headers")?;
    }
    if tenth {
        return Ok(());
    }
    if wanted(Part::Versions) {
        // A few of it are among the tests of each change.
        let mut tests = test(&["--package", "cargo-meshwise", "--test", "cli"], scale);
        let names = ["life::", "many_publishers", "processes_that_publish", "--nocapture"];
        told(tests.args(names), "a proof of API versions")?;
    }
    if wanted(Part::Delivery) {
        crate::interop::delivery::proof()?;
    }
    if wanted(Part::Messages) {
        crate::interop::messaging::proof()?;
    }
    Ok(())
}

/// Returns `cargo test` with these arguments; what is added goes to the tests.
fn test(args: &[&str], scale: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.arg("test").args(args).arg("--").env("MESHWISE_PROOF", scale);
    command
}

fn told(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status().context("cargo test")?;
    ensure!(status.success(), "{what} failed");
    Ok(())
}
