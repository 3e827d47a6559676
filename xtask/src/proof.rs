//! The long proofs: tests that say more the longer they run.

use anyhow::{Context as _, ensure};
use std::process::Command;

/// Hands so many messages with made-up headers to a consumer; optimised, for each is up to megabytes.
fn hostile(messages: &str) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--release", "--package", "meshwise-messaging", "--test", "hostile"])
        .args(["--", "--nocapture"])
        .env("MESHWISE_HOSTILE", messages)
        .status()
        .context("cargo test")?;
    ensure!(status.success(), "headers harm a consumer ({messages} messages)");
    Ok(())
}

/// Runs the tests whose names begin with `proof_`, whole or a tenth as long.
pub(crate) fn run(tenth: bool) -> anyhow::Result<()> {
    let scale = if tenth { "tenth" } else { "full" };
    let status = Command::new(env!("CARGO"))
        .args(["test", "--package", "meshwise-tests", "--test", "proof"])
        // One at a time: each wants the machine for itself.
        .args(["--", "--test-threads", "1", "--nocapture"])
        .env("MESHWISE_PROOF", scale)
        .status()
        .context("cargo test")?;
    ensure!(status.success(), "a proof failed ({scale})");
    hostile(if tenth { "100000" } else { "1000000" })?;
    if !tenth {
        // A few of it are among the tests of each change.
        let status = Command::new(env!("CARGO"))
            .args(["test", "--package", "cargo-meshwise", "--test", "cli", "--"])
            .args(["life::", "many_publishers"])
            .env("MESHWISE_PROOF", scale)
            .status()
            .context("cargo test")?;
        ensure!(status.success(), "a proof of API versions failed");
    }
    // A tenth of it is a part of `cargo xtask interop`.
    if tenth {
        return Ok(());
    }
    crate::interop::delivery::proof()?;
    crate::interop::messaging::proof()
}
