//! Building the crates from the files that they are published as.

use anyhow::{Context as _, ensure};
use cargo_metadata::MetadataCommand;
use std::process::Command;

/// Packs all crates that are published and builds each from its packed files, against those of the
/// others: a file that is not packed, or a dependency without a version, is found here.
pub(crate) fn run() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let mut cargo = Command::new(env!("CARGO"));
    // Cargo puts the packed crates into a registry of its own, in order, and builds from there.
    cargo.args(["package", "--allow-dirty", "--locked"]);
    let mut count = 0;
    for package in metadata.workspace_packages() {
        if package.publish.as_ref().is_none_or(|registries| !registries.is_empty()) {
            cargo.args(["--package", package.name.as_str()]);
            count += 1;
        }
    }
    let status = cargo.status().context("cargo package")?;
    ensure!(status.success(), "not all crates build from their packed files");
    println!("{count} crates build from their packed files");
    Ok(())
}
