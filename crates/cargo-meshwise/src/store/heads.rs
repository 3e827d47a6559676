//! `heads.json`: the newest documents of all services in one file, and the organisation's policy.
//!
//! A cache and nothing more, for those who read over HTTP: one request brings all. Which documents
//! are newer is found out by asking for the next number of each provider that is needed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Key;

/// The file's name.
pub(crate) const FILE: &str = "heads.json";

/// Holds the newest documents, as they are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Heads {
    schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    heads: Vec<Box<RawValue>>,
    /// The number of the newest document of each service that could not be read when this was written. Its
    /// readers ask for it by itself, and see what is wrong: who is left out requires nothing, it would seem.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unread: BTreeMap<String, u64>,
}

/// What is known of a head without reading all of it.
#[derive(Deserialize)]
struct Named {
    service: String,
    seq: u64,
}

#[cfg(feature = "http")]
#[derive(Deserialize)]
struct Provider {
    declaration: Provided,
}

#[cfg(feature = "http")]
#[derive(Deserialize)]
struct Provided {
    #[serde(default)]
    provides: Vec<Api>,
}

#[cfg(feature = "http")]
#[derive(Deserialize)]
struct Api {
    api: String,
}

impl Heads {
    /// Gathers documents.
    ///
    /// # Errors
    /// If one is no JSON.
    pub(crate) fn new<'a>(
        policy: Option<String>,
        documents: impl IntoIterator<Item = &'a str>,
        unread: BTreeMap<String, u64>,
    ) -> Result<Self, serde_json::Error> {
        let heads = documents.into_iter().map(|text| RawValue::from_string(text.to_owned()));
        Ok(Self { schema: 1, policy, heads: heads.collect::<Result<_, _>>()?, unread })
    }

    /// Names the newest documents of services that could not be read.
    pub(crate) fn unread(&self) -> impl Iterator<Item = Key> {
        let known = self.unread.iter().filter(|(service, _)| Key::is_service_name(service));
        known.map(|(service, seq)| Key::new(service, *seq))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let heads: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if heads.schema == 1 { Ok(heads) } else { Err(format!("schema {}", heads.schema)) }
    }

    /// Writes the file.
    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        // Plain fields always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the policy's text.
    #[must_use]
    pub(crate) fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// Lists the documents by their names; what names none is left out.
    #[must_use]
    pub(crate) fn documents(&self) -> BTreeMap<Key, Bytes> {
        let document = |raw: &RawValue| {
            let named: Named = serde_json::from_str(raw.get()).ok()?;
            let known = Key::is_service_name(&named.service);
            known.then(|| {
                (Key::new(named.service, named.seq), Bytes::copy_from_slice(raw.get().as_bytes()))
            })
        };
        self.heads.iter().filter_map(|raw| document(raw)).collect()
    }
}

/// Tells whether a document provides one of these APIs.
#[cfg(feature = "http")]
pub(super) fn provides<'a>(document: &[u8], apis: impl IntoIterator<Item = &'a String>) -> bool {
    let Ok(provider) = serde_json::from_slice::<Provider>(document) else { return false };
    let provided = &provider.declaration.provides;
    apis.into_iter().any(|api| provided.iter().any(|provided| provided.api == *api))
}
