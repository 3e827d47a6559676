//! The long proofs: tests that say more the longer they run.

use anyhow::{Context as _, ensure};
use std::process::Command;

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
    // A tenth of it is a part of `cargo xtask interop`.
    if tenth {
        return Ok(());
    }
    crate::interop::delivery::proof()?;
    crate::interop::messaging::proof()
}
