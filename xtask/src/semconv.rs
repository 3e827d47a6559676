//! Holding every name that the crates use against OpenTelemetry's semantic conventions.
//!
//! The conventions' tables are those of the npm package, whose version `SCHEMA_URL` names. A name is
//! stable there, or `semconv.toml` says why it is used all the same; a deprecated one is refused. To
//! be held against anything, names stand in the `names.rs` of their crate: elsewhere they are
//! refused too.

mod list;
mod source;
mod tables;

use anyhow::{Context as _, ensure};
use list::List;
use source::{Constant, Literal};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};
use tables::{Status, Tables};

const PACKAGE: &str = "@opentelemetry/semantic-conventions";
const SCHEMA: &str = "https://opentelemetry.io/schemas/";

pub(crate) fn check() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (constants, literals) = source::read(&root)?;
    let version = version(&constants)?;
    let tables = Tables::read(&install(version)?.join("dist"))?;
    let list = List::parse(&std::fs::read_to_string(root.join("xtask/semconv.toml"))?)?;
    let counts = judge(&constants, &literals, &tables, &list)?;
    println!("semantic conventions {version}: {counts}");
    Ok(())
}

/// Returns the version of the conventions that the crates say they follow.
fn version(constants: &[Constant]) -> anyhow::Result<&str> {
    let versions: BTreeSet<&str> =
        constants.iter().filter_map(|constant| constant.value.strip_prefix(SCHEMA)).collect();
    ensure!(versions.len() == 1, "one version of the conventions, please: {versions:?}");
    versions.first().copied().context("no schema URL")
}

/// Returns the package's folder; gets the package if it is not there.
fn install(version: &str) -> anyhow::Result<PathBuf> {
    let target = crate::interop::target().join("semconv");
    let package = target.join("node_modules").join(PACKAGE);
    let there = || {
        let manifest = std::fs::read_to_string(package.join("package.json")).unwrap_or_default();
        let manifest = serde_json::from_str::<serde_json::Value>(&manifest).unwrap_or_default();
        manifest["version"] == version
    };
    if !there() {
        println!("installing from npm: {PACKAGE}@{version}");
        std::fs::create_dir_all(&target)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-save", "--no-audit", "--no-fund"])
            .args(["--ignore-scripts", "--prefix"])
            .arg(&target)
            .arg(format!("{PACKAGE}@{version}"));
        let status = npm.status().context("npm cannot be run; install Debian's package `npm`")?;
        ensure!(status.success(), "{npm:?} failed");
    }
    ensure!(there(), "{} is not {PACKAGE} {version}", package.display());
    Ok(package)
}

/// Judges all names; says how many of each sort there are.
fn judge(
    constants: &[Constant],
    literals: &[Literal],
    tables: &Tables,
    list: &List,
) -> anyhow::Result<String> {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let (mut stable, mut experimental, mut others) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for constant in constants {
        let value = &*constant.value;
        let mut listed = |section: &'static str| {
            used.insert((section, value.to_owned()));
            list.has(section, value)
        };
        if let Some(section) = constant.format() {
            if !listed(section) {
                wrong.push(format!("{constant} is not in [{section}]"));
            }
            others.insert(value);
            continue;
        }
        match tables.find(value) {
            Some((_, Status::Stable)) => {
                stable.insert(value);
            }
            Some((name, Status::Deprecated(why))) => {
                wrong.push(format!("{constant} is deprecated in the conventions ({name}: {why})"));
            }
            Some((name, Status::Experimental)) => {
                experimental.insert(value);
                used.insert(("experimental", name.to_owned()));
                if !list.has("experimental", name) {
                    wrong.push(format!(
                        "{constant} is not stable; say under [experimental] why `{name}` is used"
                    ));
                }
            }
            None if constant.is_ours() => {
                others.insert(value);
            }
            None => {
                others.insert(value);
                if !listed("others") {
                    wrong.push(format!(
                        "{constant} is not in the conventions; say under [others] what it is"
                    ));
                }
            }
        }
    }
    for literal in literals {
        if tables.find_dotted(&literal.name).is_none() {
            continue;
        }
        match list.names("elsewhere").find(|place| literal.file.starts_with(place)) {
            Some(place) => _ = used.insert(("elsewhere", place.to_owned())),
            None => wrong.push(format!("{literal} belongs into the crate's names.rs")),
        }
    }
    for (section, name) in list.entries() {
        if !used.contains(&(section, name.to_owned())) {
            wrong.push(format!("semconv.toml: [{section}] has `{name}`, which nothing uses"));
        }
    }
    ensure!(wrong.is_empty(), "names that are wrong:\n{}", wrong.join("\n"));
    Ok(format!(
        "{} stable names, {} experimental, 0 deprecated, {} others",
        stable.len(),
        experimental.len(),
        others.len()
    ))
}

#[cfg(test)]
mod tests;
