//! Why a check failed, in words that a build's output can carry.

use std::{fmt, io, path::PathBuf};

use meshwise_api::{Date, Diagnostics};

use crate::today::TodaySource;

/// Says why a check failed.
///
/// `Debug` writes the same text as `Display`: a build script whose `main` returns the error has it
/// printed that way.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with `api.toml` or `api.lock`, or with what they need.
    #[error(
        "{diagnostics}\n\nwhat {package} declares is denied; today is {today} ({source_of_today})"
    )]
    Denied {
        /// The package, as Cargo names it.
        #[doc(hidden)]
        package: String,
        /// What is denied, in the order of the file.
        #[doc(hidden)]
        diagnostics: Diagnostics,
        /// The day that was taken for today.
        #[doc(hidden)]
        today: Date,
        /// Who told which day it is.
        #[doc(hidden)]
        source_of_today: TodaySource,
    },
    /// There is no declaration.
    #[error("there is no {}, run `cargo meshwise init` to write one", .0.display())]
    NoDeclaration(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried: `read`, `write`.
        #[doc(hidden)]
        what: &'static str,
        /// The file or folder.
        #[doc(hidden)]
        path: PathBuf,
        /// Why not.
        #[doc(hidden)]
        source: io::Error,
    },
    /// A variable of the environment has a value that means nothing.
    #[error("{name} is {value:?}, set it to {expected}")]
    Variable {
        /// The variable.
        #[doc(hidden)]
        name: &'static str,
        /// Its value.
        #[doc(hidden)]
        value: String,
        /// What it may be.
        #[doc(hidden)]
        expected: &'static str,
    },
    /// A variable that Cargo sets for build scripts is not set.
    #[error("{0} is not set, call this from a build script")]
    NoBuildScript(&'static str),
    /// The organisation's policy in the dictionary's folder is not valid: what it forbids must not pass.
    #[error("{0}")]
    Policy(Diagnostics),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Denied { .. } = self {
            // Begins a line of its own, after the "Error: " that comes first.
            f.write_str("\n")?;
        }
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
