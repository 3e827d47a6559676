//! What can go wrong with a store.

use crate::exit::{Exit, Failure};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Says why a dictionary could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// The text names no place for a dictionary.
    #[error("{0}")]
    Location(String),
    /// Web servers are read only.
    #[error("{0} is read only; publish to the folder or bucket that it serves")]
    ReadOnly(String),
    /// Something is larger than [`MAX_BYTES`](super::MAX_BYTES).
    #[error(
        "{0} is larger than 16 MiB, so it was not read; no declaration needs that: restore or remove it"
    )]
    TooLarge(String),
    /// Something that must be there is not, or is not what it must be.
    #[error("{0}")]
    Damaged(String),
    /// It is whole, and this release does not know all that it says.
    #[error("{0} was written by a newer release ({1}); update cargo-meshwise to read it")]
    Newer(String, String),
    /// Only this machine may be asked, and it does not know.
    #[error("{0} is not on this machine; run again without --offline")]
    Offline(String),
    /// It could not be read or written.
    #[error("cannot reach {what}")]
    Unavailable {
        /// The file or URL.
        what: String,
        /// Whether it may work when tried again.
        transient: bool,
        /// The cause.
        source: Source,
    },
}

impl StoreError {
    pub(super) fn unavailable(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Unavailable { what: what.into(), transient: false, source: source.into() }
    }

    /// Says that a document is not there.
    #[must_use]
    pub(crate) fn missing(what: &str) -> Self {
        Self::Damaged(format!("{what} is missing; documents are never removed: restore it"))
    }

    pub(super) fn offline(what: impl Into<String>) -> Self {
        Self::Offline(what.into())
    }

    pub(super) fn needs_feature(url: &url::Url, feature: &str) -> Self {
        Self::Location(format!(
            "{}: dictionaries are not in this build; install it with \
             `cargo install cargo-meshwise --features {feature}`",
            url.scheme()
        ))
    }

    /// Tells whether the same call may succeed when made again.
    #[must_use]
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { transient: true, .. })
    }

    /// Tells whether something in the dictionary is not as it must be, rather than out of reach.
    #[must_use]
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::TooLarge(_) | Self::Newer(..))
    }

    /// Gives the exit code that this ends a command with.
    #[must_use]
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Location(_) | Self::ReadOnly(_) => Exit::Usage,
            Self::TooLarge(_)
            | Self::Damaged(_)
            | Self::Newer(..)
            | Self::Offline(_)
            | Self::Unavailable { .. } => Exit::Undetermined,
        }
    }

    /// Turns into a [`Failure`] with its exit code.
    #[must_use]
    pub(crate) fn into_failure(self) -> Failure {
        Failure::new(self.exit(), self)
    }
}
