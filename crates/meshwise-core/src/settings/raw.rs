//! What stands in a file, with the lines where it stands, before it is known what it means.

use crate::env;

/// Holds a value and its line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) value: RawValue,
    pub(super) line: usize,
}

/// Holds a value as TOML has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RawValue {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Raw>),
    Table(Vec<RawEntry>),
    /// What no setting is, as it was written, and in a word: a date or a time, a number that does not fit.
    Other(String, &'static str),
}

/// Names a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawEntry {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) value: Raw,
}

impl RawValue {
    /// Says what was found, in words; its content only if it may be `shown`.
    pub(super) fn found(&self, shown: bool) -> String {
        let (content, kind) = match self {
            Self::Bool(value) => (value.to_string(), "a boolean"),
            Self::Whole(whole) => (whole.to_string(), "a whole number"),
            Self::Number(number) => (number.to_string(), "a number"),
            Self::Text(text) => (format!("\"{}\"", printable(text)), "a text"),
            Self::List(_) => return "a list".to_owned(),
            Self::Table(_) => return "a table".to_owned(),
            Self::Other(text, kind) => (printable(text), *kind),
        };
        match (shown, self) {
            (false, _) => format!("{kind} (not shown)"),
            (true, Self::Text(_)) => content,
            (true, _) => format!("{content}, {kind}"),
        }
    }
}

/// Cuts a text to 100 characters, as messages show it.
pub(super) fn printable(text: &str) -> String {
    env::printable(text, 100, "...")
}
