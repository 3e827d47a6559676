//! Building the crates from the files that they are published as.

use anyhow::{Context as _, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Packs all crates that are published, unpacks them beside each other, and builds each from these
/// files, against those of the others: a file that is not packed, or a dependency without a version, is
/// found here. Needs no registry but for what the workspace itself needs.
pub(crate) fn run() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let published: Vec<&Package> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty()))
        .collect();
    pack(&published)?;
    let folder = unpack(&metadata, &published)?;
    for features in [&[][..], &["--all-features"]] {
        let mut cargo = Command::new(env!("CARGO"));
        // What the workspace has built of others' crates is used, so the profile is the same.
        cargo.args(["check", "--workspace", "--offline", "--target-dir"]);
        cargo.arg(&metadata.target_directory).args(features).current_dir(&folder);
        let status = cargo.status().context("cargo check")?;
        ensure!(status.success(), "not all crates build from their packed files");
    }
    println!("{} crates build from their packed files", published.len());
    Ok(())
}

fn pack(published: &[&Package]) -> anyhow::Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    // Cargo would verify them one by one, and build all that they need anew.
    cargo.args(["package", "--allow-dirty", "--locked", "--no-verify"]);
    for package in published {
        cargo.args(["--package", package.name.as_str()]);
    }
    let status = cargo.status().context("cargo package")?;
    ensure!(status.success(), "not all crates can be packed");
    Ok(())
}

/// Makes a workspace of what was packed.
fn unpack(metadata: &Metadata, published: &[&Package]) -> anyhow::Result<PathBuf> {
    let packed = metadata.target_directory.as_std_path().join("package");
    let folder = packed.join("unpacked");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut patches = String::new();
    for package in published {
        let name = format!("{}-{}", package.name, package.version);
        let tar = Command::new("tar")
            .arg("xzf")
            .arg(packed.join(format!("{name}.crate")))
            .current_dir(&folder)
            .status()
            .context("tar")?;
        ensure!(tar.success(), "{name}.crate cannot be unpacked");
        ensure!(folder.join(&name).join("README.md").exists(), "{name} has no README.md");
        patches.push_str(&format!("{} = {{ path = \"{name}\" }}\n", package.name));
    }
    let root = fs::read_to_string(metadata.workspace_root.join("Cargo.toml"))?;
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n[patch.crates-io]\n{patches}\n{}",
        profile(&root)
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(metadata.workspace_root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    drop_locks(&folder, published)?;
    Ok(folder)
}

/// Returns the section of a manifest that says how development builds are made.
fn profile(manifest: &str) -> &str {
    let from = manifest.find("[profile.dev]").unwrap_or(manifest.len());
    let section = &manifest[from..];
    section.split_inclusive("\n\n").next().unwrap_or_default()
}

/// Removes the lock files that were packed: the workspace's holds for all.
fn drop_locks(folder: &Path, published: &[&Package]) -> anyhow::Result<()> {
    for package in published {
        let lock = folder.join(format!("{}-{}/Cargo.lock", package.name, package.version));
        if lock.exists() {
            fs::remove_file(lock)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_taken_as_it_is() {
        let manifest = "[a]\nb = 1\n\n[profile.dev]\ndebug = 1\n\n[profile.bench]\ndebug = 2\n";
        assert_eq!(profile(manifest), "[profile.dev]\ndebug = 1\n\n");
        assert_eq!(profile("[a]\n"), "");
    }
}
