//! The way to a setting: `log.format`, `peers.auth.routes."GET /items/{id}".timeout.limit`.

use super::{raw::printable, value::quote};
use std::fmt;

/// Names a setting by the names of the sections that it is in, and its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// Starts at the root.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Goes into a part.
    pub fn push(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// Goes back.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// Lists the names on the way.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Tells whether it is in this section of the root.
    #[must_use]
    pub fn is_in(&self, section: &str) -> bool {
        self.0.first().is_some_and(|first| first == section)
    }

    /// Returns the name of the variable that sets it, if its names are all of the tree's own.
    pub(super) fn variable(&self) -> String {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        format!("MESHWISE_{}", self.0.join("_").chars().map(upper).collect::<String>())
    }

    pub(super) fn may_hold_secrets(&self) -> bool {
        self.0.iter().any(|name| name == "headers")
    }
}

impl<S: Into<String>> FromIterator<S> for Path {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// Writes it as a TOML key.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "." })?;
            let bare = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
            match !name.is_empty() && name.bytes().all(bare) {
                true => f.write_str(&printable(name))?,
                false => quote(f, &printable(name))?,
            }
        }
        Ok(())
    }
}
