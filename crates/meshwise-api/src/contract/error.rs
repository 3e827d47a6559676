//! What can go wrong with a description.

use super::kind::DescriptionKind;
use crate::text::shorten;

/// The largest description that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// The reason a description cannot be read or compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The text is larger than what is read.
    #[error("{name} has {bytes} bytes, at most {MAX_BYTES} are read: split the description")]
    TooLarge {
        /// The file.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// The text is written wrongly.
    #[error("cannot read {name}: {reason}")]
    Unreadable {
        /// The file.
        name: String,
        /// What is wrong, with the place where the parser knows it.
        reason: String,
    },
    /// The text is none of the kinds that are known.
    #[error(
        "{0} is no description that is known: write OpenAPI 3, AsyncAPI or JSON Schema as JSON or YAML, or a .proto file"
    )]
    UnknownKind(String),
    /// Two descriptions of different kinds.
    #[error("the description was {} and is {}: they cannot be compared", old.as_str(), new.as_str())]
    DifferentKinds {
        /// Of the older one.
        old: DescriptionKind,
        /// Of the newer one.
        new: DescriptionKind,
    },
    /// Descriptions of this kind are stored, not compared.
    #[error("descriptions in {} are stored and not compared: set a contract-command that can", .0.as_str())]
    NotCompared(DescriptionKind),
    /// The work would exceed its bounds.
    #[error(
        "the descriptions are too entangled to be compared within bounds: use a contract-command"
    )]
    TooComplex,
}

impl ContractError {
    pub(super) fn unreadable(name: &str, reason: impl Into<String>) -> Self {
        Self::Unreadable { name: shorten(name), reason: reason.into() }
    }
}
