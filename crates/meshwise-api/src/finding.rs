//! What can be found wrong, as data: [`Finding::ALL`] is the one table.
//!
//! The command, the build script and the documents read it; a test proves that the table, the keys
//! of `[policy]`, the JSON Schema and the fixtures (`fixtures/<id>/pass` and `fixtures/<id>/fail`)
//! agree.
//!
//! ```
//! use meshwise_api::{Finding, Level};
//!
//! let finding = Finding::by_id("deprecated-version").expect("in the table");
//! assert_eq!(finding.level(), Level::Warn);
//! assert!(finding.is_configurable());
//! ```

mod table;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

/// How grave a finding is.
///
/// Ordered: `Allow < Warn < Deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Level {
    /// Say nothing.
    Allow,
    /// Say it, and go on.
    Warn,
    /// Say it, and fail.
    Deny,
}

impl Level {
    /// Returns the name, as it is written in `api.toml`: `allow`, `warn` or `deny`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        match text {
            "allow" => Ok(Self::Allow),
            "warn" => Ok(Self::Warn),
            "deny" => Ok(Self::Deny),
            _ => Err(LevelError(crate::text::shorten(text))),
        }
    }
}

/// Says that a text is not the name of a [`Level`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a level, write deny, warn or allow")]
pub struct LevelError(String);

/// Describes one thing that can be found wrong.
///
/// There is one of each kind, in [`Finding::ALL`] and as a constant ([`Finding::UNKNOWN_API`]).
#[derive(Debug)]
pub struct Finding {
    id: &'static str,
    level: Level,
    ci_level: Level,
    configurable: bool,
    summary: &'static str,
    help: &'static str,
    reference: &'static str,
}

impl Finding {
    /// Finds one by its id.
    #[must_use]
    pub fn by_id(id: &str) -> Option<&'static Self> {
        Self::ALL.iter().copied().find(|finding| finding.id == id)
    }

    /// Returns the id, which is also its key in `[policy]`: `unknown-api`, ...
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Returns the level that holds unless `[policy]` sets another, outside of CI.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Returns the level that holds in CI unless `[policy]` sets another.
    #[must_use]
    pub const fn ci_level(&self) -> Level {
        self.ci_level
    }

    /// Tells whether `[policy]` may set its level. Those that protect others from a service's
    /// mistakes, or say that nothing could be read, are always denied.
    #[must_use]
    pub const fn is_configurable(&self) -> bool {
        self.configurable
    }

    /// Returns what it means, in one sentence.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// Returns what to do about it, in a sentence or two.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// Returns where the rule comes from.
    #[must_use]
    pub const fn reference(&self) -> &'static str {
        self.reference
    }
}

impl PartialEq for Finding {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Finding {}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id)
    }
}

impl Serialize for Finding {
    /// Writes the id.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id)
    }
}
