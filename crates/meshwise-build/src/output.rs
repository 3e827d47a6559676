//! What a build script says to Cargo: `cargo::KEY=VALUE`, a line each.

use std::{
    io::{self, Write},
    path::Path,
};

use meshwise_api::Diagnostic;

/// Asks to run again if a variable changes.
pub(crate) fn rerun_if_env_changed(out: &mut dyn Write, name: &str) -> io::Result<()> {
    writeln!(out, "cargo::rerun-if-env-changed={name}")
}

/// Asks to run again if a file or a folder changes. Only for what exists: Cargo takes what does not
/// for changed, every time.
pub(crate) fn rerun_if_changed(out: &mut dyn Write, path: &Path) -> io::Result<()> {
    match path.to_str() {
        // A line break would end the path and begin a line that means something else.
        Some(text) if path.exists() && !text.contains(['\n', '\r']) => {
            writeln!(out, "cargo::rerun-if-changed={text}")
        }
        _ => Ok(()),
    }
}

/// Shows a warning, in one line: Cargo puts the package's name before each.
pub(crate) fn warning(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "cargo::warning={}", one_line(text))
}

/// Writes a diagnostic in one line: `api.toml:9:11: message [finding]; label; help: ...`.
pub(crate) fn summary(diagnostic: &Diagnostic) -> String {
    let mut text = String::new();
    if let Some(at) = &diagnostic.location {
        text.push_str(&format!("{}:{}:{}: ", at.file, at.line, at.column));
    }
    text.push_str(&format!("{} [{}]", diagnostic.message, diagnostic.finding));
    if let Some(label) = &diagnostic.label {
        text.push_str(&format!("; {label}"));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("; {note}"));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("; help: {help}"));
    }
    text
}

/// What a declaration says cannot end the line, nor command the terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
