//! Finding the sources.

use crate::tokens;
use anyhow::Context as _;
use proc_macro2::TokenStream;
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// A Rust file of a crate.
#[derive(Debug)]
pub struct Source {
    /// Which package it belongs to.
    pub package: String,
    /// Where it lies, from the root on.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// Whether all of it is tests.
    pub test: bool,
    /// Its tokens without the items that only tests have; empty if all of it is tests.
    pub(crate) tokens: TokenStream,
}

/// Returns the workspace's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads `src` and `tests` of each crate below `crates`, and the root's `tests`.
///
/// # Errors
/// If a file cannot be read, or is not Rust.
pub fn sources(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates")).context("the crates")? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        read(root, &name, &folder.join("src"), false, &mut found)?;
        read(root, &name, &folder.join("tests"), true, &mut found)?;
    }
    read(root, "tests", &root.join("tests"), true, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Reads all Rust files of the workspace: crates with their tests, examples and benches, tools and fuzz
/// targets too.
///
/// # Errors
/// If a file cannot be read.
pub fn files(root: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for folder in ["benches", "crates", "examples", "fuzz/fuzz_targets", "tests", "xtask"] {
        list(&root.join(folder), &mut found)?;
    }
    found.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        Ok((file.strip_prefix(root).unwrap_or(&file).to_path_buf(), text))
    };
    found.into_iter().map(read).collect()
}

fn read(
    root: &Path,
    package: &str,
    folder: &Path,
    test: bool,
    found: &mut Vec<Source>,
) -> anyhow::Result<()> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    // Files that `#[cfg(test)] mod name;` names, and what lies below them.
    let mut tests: HashSet<PathBuf> = HashSet::new();
    let mut read = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let all: TokenStream =
            text.parse().map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        let (tokens, modules) = tokens::production(all);
        let beside = children(&file);
        tests.extend(modules.into_iter().map(|module| beside.join(module)));
        read.push((file, text, tokens));
    }
    for (file, text, tokens) in read {
        let module = file.with_extension("");
        let test = test || tests.iter().any(|test| module.starts_with(test));
        let path = file.strip_prefix(root).unwrap_or(&file).to_path_buf();
        let tokens = if test { TokenStream::new() } else { tokens };
        found.push(Source { package: package.to_owned(), path, text, test, tokens });
    }
    Ok(())
}

/// Returns the folder that a file's modules lie in.
fn children(file: &Path) -> PathBuf {
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main") => file.with_file_name(""),
        _ => file.with_extension(""),
    }
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}
