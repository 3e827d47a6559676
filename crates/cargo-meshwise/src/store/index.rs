//! `index.json`: what a plain web server cannot list.
//!
//! A cache and nothing more: it can be thrown away and rebuilt from the documents
//! (`cargo meshwise index`). Folders and buckets never read it to find documents, and no command
//! begins one: it is for who serves a dictionary over HTTP. In a git checkout it would make merges
//! conflict; there the job that deploys the folder makes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    key::Key,
    listing::{Listing, Sequence},
};

/// The index's file name.
pub(crate) const FILE: &str = "index.json";

/// The largest number that is believed. A server must not make its readers ask for documents
/// without end.
pub(crate) const MAX_SEQ: u64 = 100_000;

/// Lists the newest document of each service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    /// The format's number: 1.
    pub schema: u32,
    /// The services, by name.
    pub services: BTreeMap<String, Head>,
}

/// Names the newest document of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// Its number.
    pub seq: u64,
    /// Its digest.
    pub digest: String,
}

impl Index {
    /// Creates an index.
    #[must_use]
    pub(crate) fn new(services: BTreeMap<String, Head>) -> Self {
        Self { schema: 1, services }
    }

    /// Reads an index.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if index.schema != 1 {
            return Err(format!("schema {} is not known, only 1", index.schema));
        }
        for (service, head) in &index.services {
            if !Key::is_service_name(service) || !(1..=MAX_SEQ).contains(&head.seq) {
                return Err(format!("{service:?} with seq {} names no document", head.seq));
            }
        }
        Ok(index)
    }

    /// Writes the index: sorted, the same bytes for the same content.
    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        // Maps with string keys and plain fields always serialize.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Turns into what a store lists.
    #[must_use]
    pub(crate) fn into_listing(self) -> Listing {
        let services = self.services.into_iter().map(|(service, head)| {
            let sequence = Sequence { head: head.seq, gap: None, digest: Some(head.digest) };
            (service, sequence)
        });
        Listing { services: services.collect(), strays: Vec::new() }
    }
}
