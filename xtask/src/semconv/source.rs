//! The names in the crates' sources.

use anyhow::{Context as _, ensure};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A constant in a `names.rs`.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) value: String,
}

impl Constant {
    /// Says which log format has a list of its own for this name: `ECS_..` and `GCP_..`, or all of a
    /// `names.rs` in a folder `ecs` or `gcp`.
    pub(super) fn format(&self) -> Option<&'static str> {
        ["ecs", "gcp"].into_iter().find(|format| {
            self.name.starts_with(&format!("{}_", format.to_ascii_uppercase()))
                || self.file.contains(&format!("/{format}/"))
        })
    }

    /// Tells whether a name says by its form that it is no convention's: variables of the
    /// environment, and what begins with `meshwise`.
    pub(super) fn is_ours(&self) -> bool {
        let variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        self.value.starts_with("meshwise")
            || self.value.starts_with(super::SCHEMA)
            || (self.value.starts_with(|c: char| c.is_ascii_uppercase())
                && self.value.chars().all(variable))
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} = \"{}\"", self.file, self.name, self.value)
    }
}

/// A text elsewhere that has the form of a name with dots.
#[derive(Debug)]
pub(super) struct Literal {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) name: String,
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}`", self.file, self.line, self.name)
    }
}

/// Reads the sources of all crates.
pub(super) fn read(root: &Path) -> anyhow::Result<(Vec<Constant>, Vec<Literal>)> {
    let (mut constants, mut literals) = (Vec::new(), Vec::new());
    let mut files = Vec::new();
    for package in std::fs::read_dir(root.join("crates"))? {
        walk(&package?.path().join("src"), &mut files)?;
    }
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("names.rs") => constants.extend(self::constants(&file, &text)),
            Some("tests.rs" | "test_util.rs") => {}
            _ => literals.extend(self::literals(&file, &text)),
        }
    }
    ensure!(constants.len() > 50, "only {} names were found", constants.len());
    Ok((constants, literals))
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("tests") {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Finds `const NAME: &str = "value";`, over several lines or not.
pub(super) fn constants(file: &str, text: &str) -> Vec<Constant> {
    let code: String = without_comments(text).map(|(_, line)| format!("{line} ")).collect();
    let statements = code.split(';').filter_map(|statement| {
        let (_, declared) = statement.split_once("const ")?;
        let (name, rest) = declared.split_once(':')?;
        let (_, value) = rest.trim_start().strip_prefix("&str")?.split_once('"')?;
        let value = value.trim_end().strip_suffix('"')?.to_owned();
        Some(Constant { file: file.to_owned(), name: name.trim().to_owned(), value })
    });
    statements.collect()
}

/// Finds texts and fields of `tracing`'s macros that have the form of a name with dots.
pub(super) fn literals(file: &str, text: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    // The unit tests at a file's end may say what they like.
    let (code, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((text, ""));
    for (line, code) in without_comments(code) {
        let texts = code.split('"').skip(1).step_by(2);
        let field = code.trim().split_once(" = ").map(|(field, _)| field.trim_matches('"'));
        for name in texts.chain(field).filter(|name| has_dots(name)) {
            found.push(Literal { file: file.to_owned(), line, name: name.to_owned() });
        }
    }
    found.dedup_by(|a, b| (a.line, &a.name) == (b.line, &b.name));
    found
}

fn has_dots(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    name.contains('.') && name.chars().all(inside)
}

/// Numbers the lines, and leaves out those that are comments.
fn without_comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
