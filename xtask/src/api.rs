//! The public API of each crate as a text that is checked in, so that a change of it is seen in review.
//!
//! rustdoc's JSON is an unstable format that the stable compiler writes if asked; `public-api` is
//! pinned to the version that reads what this compiler writes.

mod count;

use anyhow::{Context as _, bail, ensure};
use cargo_metadata::MetadataCommand;
use house::Ceilings;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Compares the texts with what the crates have now, or writes them if `write` is set; with `root`,
/// those of another checkout, which are only counted.
pub(crate) fn run(write: bool, root: Option<&Path>) -> anyhow::Result<()> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let other = root.is_some();
    let root = root.unwrap_or(&own);
    let mut stale = Vec::new();
    let mut texts = Vec::new();
    for (name, json) in document(root)? {
        let text = text(&json).with_context(|| format!("the API of {name}"))?;
        let file = root.join("docs/api").join(format!("{name}.txt"));
        if write {
            fs::create_dir_all(root.join("docs/api"))?;
            fs::write(&file, &text).with_context(|| format!("{}", file.display()))?;
        } else if !other {
            let there = fs::read_to_string(&file).unwrap_or_default();
            if there != text {
                stale.push(changes(&name, &there, &text));
            }
        }
        texts.push((name, text));
    }
    let counts = count::print(&texts);
    if other {
        return Ok(());
    }
    let mut ceilings = Ceilings::read(root)?;
    if write {
        ceilings.lower_public(&counts, root)?;
    }
    let above = Ceilings::above("public items", &counts, &ceilings.public);
    ensure!(
        above.is_empty(),
        "{}; hide what no user needs (`#[doc(hidden)]`, docs/style.md), or raise the ceiling in \
         tests/ceilings.toml and say why",
        above.join("\n")
    );
    if !stale.is_empty() {
        bail!(
            "the public API has changed; if it is meant, run `cargo xtask api --write` and check \
             docs/api in:\n{}",
            stale.join("\n")
        );
    }
    Ok(())
}

/// Has rustdoc write the JSON of all crates, with all features; returns name and file.
fn document(root: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let target = metadata.target_directory.as_std_path();
    // Only rustdoc is told to be unstable: cargo would build all dependencies anew.
    let rustdoc = target.join("api/rustdoc");
    fs::create_dir_all(target.join("api"))?;
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")?;
    executable(&rustdoc)?;
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["doc", "--quiet", "--workspace", "--no-deps", "--all-features", "--lib"])
        .env("RUSTDOC", &rustdoc)
        .env("RUSTDOCFLAGS", "-Zunstable-options --output-format json")
        .status()
        .context("cargo doc")?;
    ensure!(status.success(), "rustdoc does not write the crates' JSON");
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        if !package.manifest_path.as_str().contains("/crates/") {
            continue;
        }
        let library = package.targets.iter().find(|target| target.is_lib());
        let Some(library) = library else { continue };
        let json = target.join("doc").join(format!("{}.json", library.name));
        found.push((package.name.to_string(), json));
    }
    found.sort();
    Ok(found)
}

#[cfg(unix)]
fn executable(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn executable(_: &Path) -> anyhow::Result<()> {
    bail!("needs a Unix, for rustdoc stands behind a script")
}

/// Renders a crate's API: an item a line, sorted. What every type has (blanket, auto and derived
/// implementations) is left out.
fn text(json: &Path) -> anyhow::Result<String> {
    agree(&fs::read_to_string(json).with_context(|| format!("{}", json.display()))?)?;
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.to_string())
}

/// Tells whether the compiler writes the format that `public-api` reads; a near one may be read
/// wrongly rather than refused.
fn agree(json: &str) -> anyhow::Result<()> {
    #[derive(serde::Deserialize)]
    struct Format {
        format_version: u32,
    }
    let Format { format_version } = serde_json::from_str(json).context("no rustdoc JSON")?;
    ensure!(
        format_version == rustdoc_types::FORMAT_VERSION,
        "this compiler's rustdoc writes format {format_version}, and `public-api` reads {}: take the \
         version of `public-api` that reads it (root Cargo.toml)",
        rustdoc_types::FORMAT_VERSION
    );
    Ok(())
}

/// Tells which lines went and came.
fn changes(name: &str, before: &str, after: &str) -> String {
    let missing = |from: &str, of: &str, sign: char| -> String {
        let there: std::collections::HashSet<&str> = of.lines().collect();
        let lines = from.lines().filter(|line| !there.contains(line));
        lines.map(|line| format!("  {sign} {line}\n")).collect()
    };
    format!("{name}:\n{}{}", missing(before, after, '-'), missing(after, before, '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_is_not_ours_is_refused() {
        let format = |version| format!(r#"{{"root": 1, "format_version": {version}}}"#);
        agree(&format(rustdoc_types::FORMAT_VERSION)).unwrap();
        agree(&format(rustdoc_types::FORMAT_VERSION + 1)).unwrap_err();
        agree("{}").unwrap_err();
    }

    #[test]
    fn what_went_and_came_is_told() {
        let told = changes("x", "pub fn x::a()\npub fn x::b()\n", "pub fn x::b()\npub fn x::c()\n");
        assert_eq!(told, "x:\n  - pub fn x::a()\n  + pub fn x::c()\n");
    }
}
