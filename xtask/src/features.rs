//! Checking each crate alone: what compiles only because another crate enables a feature is broken
//! for whoever uses it alone.

use anyhow::{Context as _, ensure};
use cargo_metadata::MetadataCommand;
use std::process::Command;

pub(crate) fn check() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    for package in metadata.workspace_packages() {
        if !package.manifest_path.as_str().contains("/crates/") {
            continue;
        }
        for features in [&["--no-default-features"][..], &[], &["--all-features"]] {
            println!("check {} {}", package.name, features.join(" "));
            let status = Command::new(env!("CARGO"))
                .args(["clippy", "--quiet", "--package", package.name.as_str()])
                .args(features)
                // Not by RUSTFLAGS: those would have every dependency built anew.
                .args(["--", "-D", "warnings"])
                .status()
                .context("cargo clippy")?;
            ensure!(status.success(), "{} {} does not compile", package.name, features.join(" "));
        }
    }
    Ok(())
}
