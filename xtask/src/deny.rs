//! Licences, bans and sources, without the network: `deny.toml`, judged by what cargo has resolved.
//!
//! `cargo deny check` judges by the same file, and knows of advisories besides.

use anyhow::{Context as _, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is judged here.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    deny_multiple_versions: bool,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rules: Rules =
        toml::from_str(&std::fs::read_to_string(root.join("deny.toml"))?).context("deny.toml")?;
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .features(cargo_metadata::CargoOpt::AllFeatures)
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .context("cargo metadata --offline --locked")?;
    let mut wrong = licences(&rules.licenses, &metadata.packages)?;
    wrong.extend(bans(&rules.bans, &metadata));
    wrong.extend(sources(&metadata));
    ensure!(wrong.is_empty(), "against deny.toml:\n{}", wrong.join("\n"));
    println!(
        "{} packages: licences, bans and sources as deny.toml wants them",
        metadata.packages.len()
    );
    Ok(())
}

/// Names the packages whose licence is not allowed, and allowed licences that no package needs.
fn licences(rules: &Licences, packages: &[Package]) -> anyhow::Result<Vec<String>> {
    let mut allowed = Vec::new();
    for name in &rules.allow {
        let licensee = spdx::Licensee::parse(name);
        allowed.push((name, licensee.with_context(|| format!("licence {name}"))?, false));
    }
    let mut wrong = Vec::new();
    for package in packages {
        let Some(licence) = &package.license else {
            wrong.push(format!("{} {} names no licence", package.name, package.version));
            continue;
        };
        // Before cargo spoke SPDX, a slash meant `OR`.
        let parsed = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX);
        let expression = parsed.with_context(|| format!("{}: {licence}", package.name))?;
        let fits = expression.evaluate(|wanted| {
            let found = allowed.iter_mut().find(|(_, licensee, _)| licensee.satisfies(wanted));
            let exceptions = rules.exceptions.iter().filter(|rule| rule.name == *package.name);
            found.map(|(_, _, used)| *used = true).is_some()
                || exceptions.flat_map(|rule| &rule.allow).any(|name| {
                    spdx::Licensee::parse(name).is_ok_and(|licensee| licensee.satisfies(wanted))
                })
        });
        if !fits {
            wrong.push(format!("{} {} is {licence}", package.name, package.version));
        }
    }
    let unused = allowed.iter().filter(|(_, _, used)| !used);
    wrong.extend(unused.map(|(name, ..)| format!("no package is {name}: take it off the list")));
    Ok(wrong)
}

/// Names the packages that are banned, or in the build in two versions where one is wanted; and
/// requirements that any version would meet.
fn bans(rules: &Bans, metadata: &Metadata) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        versions.entry(&package.name).or_default().insert(package.version.to_string());
    }
    let mut wrong = Vec::new();
    for ban in &rules.deny {
        let Some(found) = versions.get(&*ban.name) else { continue };
        if !ban.deny_multiple_versions || found.len() > 1 {
            wrong.push(format!("{} is banned, and here in {found:?}", ban.name));
        }
    }
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let own = dependency.path.is_some()
                && (dependency.kind == DependencyKind::Development || unpublished(package));
            if dependency.req.to_string() == "*" && !own {
                wrong.push(format!("{} takes any version of {}", package.name, dependency.name));
            }
        }
    }
    wrong
}

fn unpublished(package: &Package) -> bool {
    package.publish.as_ref().is_some_and(Vec::is_empty)
}

/// Names the packages that are neither ours nor from crates.io.
fn sources(metadata: &Metadata) -> Vec<String> {
    let root = &metadata.workspace_root;
    let strange = |package: &&Package| match &package.source {
        Some(source) => source.repr != CRATES_IO,
        None => !package.manifest_path.starts_with(root),
    };
    let strange = metadata.packages.iter().filter(strange);
    strange.map(|package| format!("{} is from {:?}", package.name, package.source)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, licence: Option<&str>, source: Option<&str>) -> Package {
        let json = serde_json::json!({
            "name": name, "version": "1.0.0", "id": format!("{name}#1.0.0"), "license": licence,
            "license_file": null, "description": null, "source": source, "dependencies": [],
            "targets": [], "features": {}, "manifest_path": format!("/elsewhere/{name}/Cargo.toml"),
            "metadata": null, "publish": null, "authors": [], "categories": [], "keywords": [],
            "readme": null, "repository": null, "homepage": null, "documentation": null,
            "edition": "2024", "links": null, "default_run": null, "rust_version": null,
        });
        serde_json::from_value(json).unwrap()
    }

    fn licences_of(packages: &[Package]) -> Vec<String> {
        let allow = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).to_vec();
        let exception = Exception { name: "e".to_owned(), allow: vec!["CC0-1.0".to_owned()] };
        licences(&Licences { allow, exceptions: vec![exception] }, packages).unwrap()
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_named() {
        let fine = [
            package("a", Some("MIT/Apache-2.0"), None),
            package("b", Some("Apache-2.0 WITH LLVM-exception"), None),
            package("e", Some("CC0-1.0"), None),
        ];
        assert!(licences_of(&fine).is_empty());
        let wrong = [
            package("a", Some("MIT AND GPL-3.0-only"), None),
            package("b", None, None),
            package("d", Some("CC0-1.0"), None),
            package("c", Some("Apache-2.0 WITH LLVM-exception OR MIT"), None),
        ];
        assert_eq!(
            licences_of(&wrong),
            ["a 1.0.0 is MIT AND GPL-3.0-only", "b 1.0.0 names no licence", "d 1.0.0 is CC0-1.0"]
        );
        let unused = [package("a", Some("MIT"), None)];
        assert!(licences_of(&unused)[0].contains("take it off the list"));
    }

    #[test]
    fn this_workspace_is_judged() {
        let mut metadata = MetadataCommand::new().exec().unwrap();
        assert_eq!(sources(&metadata), [""; 0]);
        metadata.packages.push(package("far", None, None));
        metadata.packages.push(package("git", None, Some("git+https://example.org/git#abc")));
        assert_eq!(sources(&metadata).len(), 2);
        let ban = |name: &str, deny_multiple_versions| Bans {
            deny: vec![Ban { name: name.to_owned(), deny_multiple_versions }],
        };
        assert!(bans(&ban("metrics", true), &metadata).is_empty());
        assert_eq!(bans(&ban("metrics", false), &metadata).len(), 1);
        assert!(bans(&ban("no-such-crate", false), &metadata).is_empty());
        let mut second = package("metrics", None, None);
        second.version.major = 9;
        metadata.packages.push(second);
        assert_eq!(bans(&ban("metrics", true), &metadata).len(), 1);
    }
}
