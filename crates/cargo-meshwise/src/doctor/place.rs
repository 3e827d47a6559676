//! A place to look at.

use serde::Serialize;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    /// Relative to the package's folder.
    pub(crate) file: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// The line itself, without the white space around it.
    pub(crate) text: String,
}
