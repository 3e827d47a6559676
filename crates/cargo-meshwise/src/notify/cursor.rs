//! What a run has seen, kept for the next one.
//!
//! A document is new if it was not there at the last run, whatever day it is dated: one that was
//! published on a branch and merged later, or written late to a bucket, is told all the same.

use std::collections::BTreeMap;

use meshwise_api::{Date, Dictionary, Digest};
use serde::{Deserialize, Serialize};

use super::SinceError;

/// Names the newest document of each service that a run has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub(crate) struct Cursor {
    /// The day of that run.
    pub on: Date,
    /// By service.
    pub heads: BTreeMap<String, SeenHead>,
}

/// Names a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub(crate) struct SeenHead {
    /// Its number.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
}

impl Cursor {
    /// Notes what a dictionary holds.
    #[must_use]
    pub(crate) fn of(dictionary: &Dictionary, on: Date) -> Self {
        let head = |document: &meshwise_api::Document| {
            (
                document.service().to_owned(),
                SeenHead { seq: document.seq(), digest: document.digest() },
            )
        };
        Self { on, heads: dictionary.services().map(head).collect() }
    }

    /// Proves that nothing which was seen is gone, or is another.
    pub(super) fn fits(&self, dictionary: &Dictionary) -> Result<(), SinceError> {
        for (service, seen) in &self.heads {
            let mut history = dictionary.history(service).iter();
            let there = history.find(|document| document.seq() == seen.seq);
            if there.is_none_or(|document| document.digest() != seen.digest) {
                return Err(SinceError::removed(service, seen.seq));
            }
        }
        Ok(())
    }
}
