//! How versions are written, ordered, and when one will do in place of another.
//!
//! The provider of an API names its [`Scheme`]; nothing is ever guessed from a version's text, since
//! `1.10` means one thing where it is a minor version and another where it is a label.
//!
//! | scheme | example | a provided P satisfies a required R when |
//! |---|---|---|
//! | `semver` | `2.3.1` | same major and P >= R; below 1.0 same minor; a pre-release only if equal |
//! | `main-minor` | `1.1` | same main, and P's minor >= R's |
//! | `main-date-bugfix` | `v1_20171001-2` | main and date equal, and P's bugfix >= R's |
//! | `calver` | `201610` | equal; with `same-or-later`, P's date >= R's |
//! | `exact` | anything | equal |
//!
//! ```
//! use meshwise_api::Scheme;
//!
//! let provided = Scheme::MainMinor.version("1.4")?;
//! assert!(provided.satisfies(&Scheme::MainMinor.version("1.1")?));
//! assert!(!provided.satisfies(&Scheme::MainMinor.version("1.10")?));
//!
//! let error = Scheme::MainDateBugfix.version("v1_20170229-1").expect_err("no such day");
//! assert_eq!(error.to_string(), "\"v1_20170229-1\" has the date 20170229, which is not a day of the calendar");
//! # Ok::<(), meshwise_api::VersionError>(())
//! ```

mod id;
mod version;

use std::{fmt, str::FromStr};

pub use id::{ApiId, ApiIdError};
pub(crate) use id::{MAX_NAME_LEN, is_api_name, is_service_name};
pub use version::{Version, VersionError};

/// Says how the versions of an API are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `2.3.1`: [Semantic Versioning 2.0.0](https://semver.org).
    Semver,
    /// `1.1`: the main version breaks callers, the minor one does not.
    MainMinor,
    /// `v1_20171001-2`: main version and date may break callers, the bugfix may not.
    MainDateBugfix,
    /// `201610`, `20161031`, `2016.10`, `2016.10.2`, `2016-10-31`: a date is the version.
    Calver {
        /// Whether a later version will do for an earlier one. Default: no, only the same.
        same_or_later: bool,
    },
    /// Any text; only the same text will do.
    Exact,
}

impl Scheme {
    /// The names of all schemes, as they are written in `api.toml`.
    pub const NAMES: [&'static str; 5] =
        ["semver", "main-minor", "main-date-bugfix", "calver", "exact"];

    /// Returns the name, as it is written in `api.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Semver => "semver",
            Self::MainMinor => "main-minor",
            Self::MainDateBugfix => "main-date-bugfix",
            Self::Calver { .. } => "calver",
            Self::Exact => "exact",
        }
    }

    /// Returns a version that is written in this scheme, for messages.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Semver => "2.3.1",
            Self::MainMinor => "1.1",
            Self::MainDateBugfix => "v1_20171001-2",
            Self::Calver { .. } => "2016.10",
            Self::Exact => "blue",
        }
    }

    /// Tells in words when a provided version satisfies a required one, for messages.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Semver => {
                "the same major version and not older (below 1.0 the same minor); a pre-release only if equal"
            }
            Self::MainMinor => "the same main version and at least the same minor",
            Self::MainDateBugfix => "the same main version and date, and at least the same bugfix",
            Self::Calver { same_or_later: true } => "the same date or a later one",
            Self::Calver { same_or_later: false } | Self::Exact => "the same text",
        }
    }

    /// Reads a version.
    ///
    /// # Errors
    /// If the text is not written as the scheme wants it, names a day that the calendar lacks, or is
    /// longer than [`Version::MAX_LEN`]. The message says what was expected.
    pub fn version(self, text: &str) -> Result<Version, VersionError> {
        Version::parse(self, text)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = SchemeError;

    /// Reads a name; `calver` becomes the strict one, without `same-or-later`.
    fn from_str(text: &str) -> Result<Self, SchemeError> {
        Ok(match text {
            "semver" => Self::Semver,
            "main-minor" => Self::MainMinor,
            "main-date-bugfix" => Self::MainDateBugfix,
            "calver" => Self::Calver { same_or_later: false },
            "exact" => Self::Exact,
            _ => return Err(SchemeError(crate::text::shorten(text))),
        })
    }
}

/// Says that a text is not the name of a [`Scheme`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scheme, write semver, main-minor, main-date-bugfix, calver or exact")]
pub struct SchemeError(String);
