//! The `rust-version` that manifests promise is the one that this builds with: an older one would be
//! a promise that no test keeps.

use anyhow::{Context as _, ensure};
use cargo_metadata::{MetadataCommand, semver::Version};
use std::process::Command;

pub(crate) fn check() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let output = Command::new("rustc").arg("--version").output().context("rustc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rustc = compiler(&said).with_context(|| format!("what version is `{said}`?"))?;
    for package in metadata.workspace_packages() {
        let promised = package.rust_version.as_ref();
        ensure!(
            promised.is_some_and(|promised| same(promised, &rustc)),
            "{} says rust-version {promised:?}, and this builds with {rustc}: change the one in the \
             root Cargo.toml, or take the other compiler",
            package.name
        );
    }
    println!("rust-version is what this builds with: {}.{}", rustc.major, rustc.minor);
    Ok(())
}

/// Reads `rustc 1.95.0 (59807616e 2026-04-14)`; what stands behind a dash is left out.
fn compiler(said: &str) -> Option<Version> {
    let version = said.split_whitespace().nth(1)?;
    let version: Version = version.parse().ok()?;
    Some(Version::new(version.major, version.minor, version.patch))
}

/// Tells whether it is the same but for the patch release.
fn same(one: &Version, other: &Version) -> bool {
    (one.major, one.minor) == (other.major, other.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_known_by_its_minor_version() {
        let rustc = compiler("rustc 1.95.3 (59807616e 2026-04-14)\n").unwrap();
        assert!(same(&Version::new(1, 95, 0), &rustc));
        assert!(!same(&Version::new(1, 91, 0), &rustc));
        assert_eq!(compiler("rustc 1.97.0-nightly (x 2026-04-14)"), Some(Version::new(1, 97, 0)));
        assert_eq!(compiler("clang 3"), None);
    }
}
