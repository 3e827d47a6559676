//! What is told to a person about a finding, and where in their file it is.

mod render;
mod source;

use std::fmt;

use serde::Serialize;

pub(crate) use source::Source;

use crate::finding::{Finding, Level};

/// Tells of one finding: what is wrong, where, and what to do.
///
/// [`Display`](fmt::Display) writes it as `rustc` would, with the line of the file and a caret under
/// the words; `Serialize` writes flat JSON for machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What was found.
    pub finding: &'static Finding,
    /// How grave it is here, by policy and by the requirement's own level.
    pub level: Level,
    /// What is wrong, in one line.
    pub message: String,
    /// The API that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The version that it is about, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it is, if it is in a file.
    #[serde(flatten)]
    pub location: Option<Location>,
    /// What stands beside the caret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to write or to do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Says where in a file something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Location {
    /// The file, as it was named to the reader.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The first column, from 1, in characters.
    pub column: usize,
    /// The column after the last, in the same line.
    pub end_column: usize,
    /// The line's text, cut around the columns if it is very long.
    #[serde(skip)]
    pub(crate) text: String,
    /// The column of the first character of `text`.
    #[serde(skip)]
    pub(crate) text_column: usize,
}

impl Diagnostic {
    /// Starts with a finding at its default level, and a message in one line.
    #[must_use]
    pub fn new(finding: &'static Finding, message: impl Into<String>) -> Self {
        Self {
            finding,
            level: finding.level(),
            message: message.into(),
            api: None,
            version: None,
            location: None,
            label: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// Sets the level.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Sets the API and the version that it is about.
    #[must_use]
    pub fn with_subject(mut self, api: impl Into<String>, version: impl Into<String>) -> Self {
        self.api = Some(api.into());
        self.version = Some(version.into());
        self
    }

    /// Sets what stands beside the caret.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds something else to be known.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets what to write or to do instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets where it is.
    #[must_use]
    pub fn with_location(mut self, location: Option<Location>) -> Self {
        self.location = location;
        self
    }

    /// Writes it as `rustc` would, with ANSI colours.
    #[must_use]
    pub fn colored(&self) -> impl fmt::Display + '_ {
        render::Colored(self)
    }
}

impl fmt::Display for Diagnostic {
    /// Writes it as `rustc` would, without colours and without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render::render(self, false, f)
    }
}

/// Several diagnostics as one error; never none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Wraps diagnostics.
    #[must_use]
    pub fn new(diagnostics: Vec<Diagnostic>) -> Self {
        Self(diagnostics)
    }

    /// Returns them, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.0
    }

    /// Returns them, in the order of the file.
    #[must_use]
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests;
