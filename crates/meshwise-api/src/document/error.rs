//! What keeps a text from being a document, and documents from being a chain.

use super::Document;
use crate::canonical::{CanonicalError, Digest};

/// Says why something is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is longer than [`Document::MAX_SIZE`].
    #[error("the document has {0} bytes, at most {max} are read", max = Document::MAX_SIZE)]
    TooBig(usize),
    /// It is not JSON, or lacks something.
    #[error("the document is not one of the dictionary")]
    Json(#[source] serde_json::Error),
    /// It is whole, and says what this release does not know.
    #[error("the document was written by a newer release ({0}): update meshwise to read it")]
    Newer(String),
    /// It is something else.
    #[error("the document has the schema {0}, this release reads {schema}", schema = Document::SCHEMA)]
    Schema(String),
    /// It holds a number that has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// It was changed after it was sealed, or damaged.
    #[error(
        "the document names the digest {named} and has {computed}: it was changed after it was published"
    )]
    Digest {
        /// The digest that it names.
        named: Digest,
        /// The digest that it has.
        computed: Digest,
    },
    /// Its service has a name that cannot be one.
    #[error("{0:?} cannot be the name of a service, use ASCII letters, digits, '.', '_' and '-'")]
    Service(String),
    /// It speaks of two services.
    #[error("the document is of the service {document:?} and speaks of {declaration:?}")]
    OtherService {
        /// The service of the document.
        document: String,
        /// The service of its declaration, or of its parent.
        declaration: String,
    },
}

/// Says how a document breaks the chain of its service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("document {seq} of {service} {flaw}")]
pub struct ChainError {
    pub(super) service: String,
    pub(super) seq: u64,
    pub(super) flaw: ChainFlaw,
}

impl DocumentError {
    /// Tells whether the document is whole, and just newer than this release.
    #[must_use]
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::Newer(_))
    }
}

impl ChainError {
    /// Returns the service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns the number of the document.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChainFlaw {
    #[error("follows one of another service")]
    OtherService,
    #[error("stands where {expected} is expected: the sequence has a gap or a duplicate")]
    Gap { expected: u64 },
    #[error("names another parent than the document before it: one of the two was replaced")]
    OtherParent,
    #[error("holds a record that does not follow from the document before it")]
    Record,
}
