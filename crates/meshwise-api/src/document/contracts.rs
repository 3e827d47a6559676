//! The descriptions of the published versions, by their digests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Document;
use crate::{
    canonical::Digest,
    date::Date,
    declaration::{Declaration, Release},
};

/// Names the description of a version; the text lies in the dictionary under its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Contract {
    /// The SHA-256 digest of the text.
    pub digest: Digest,
    /// The name of the file that it was read from, without folders: its ending tells its form.
    pub file: String,
}

impl Contract {
    /// Names a description by its file and text.
    #[must_use]
    pub fn new(file: &str, text: &[u8]) -> Self {
        let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
        Self { digest: Digest::of(text), file: crate::text::shorten(file) }
    }

    /// Returns where a description lies in a dictionary: `contracts/<64 hexadecimal digits>`.
    #[must_use]
    pub fn path_of(digest: Digest) -> String {
        format!("contracts/{}", digest.to_string().trim_start_matches("sha256:"))
    }

    /// Returns where it lies in a dictionary.
    #[must_use]
    pub fn path(&self) -> String {
        Self::path_of(self.digest)
    }
}

impl Document {
    /// Returns the description of a version, if one was published with it.
    #[must_use]
    pub fn contract(&self, api: &str, version: &str) -> Option<&Contract> {
        self.body.contracts.get(api)?.get(version)
    }

    /// Returns the descriptions of a version that were replaced since it can be called, from the first on.
    #[must_use]
    pub fn former_contracts(&self, api: &str, version: &str) -> &[Contract] {
        let versions = self.body.former_contracts.get(api);
        versions.and_then(|versions| versions.get(version)).map_or(&[], Vec::as_slice)
    }
}

/// By API and version.
pub(super) type Contracts = BTreeMap<String, BTreeMap<String, Contract>>;

/// By API and version: the descriptions that callers could see before the newest, from the first on.
pub(super) type Former = BTreeMap<String, BTreeMap<String, Vec<Contract>>>;

/// Carries on the descriptions that were replaced, of versions that could be called by then.
pub(super) fn former(all: &Contracts, parent: &Document, on: Date) -> Former {
    let mut former = Former::new();
    for (api, versions) in all {
        let provided = parent.declaration().provided(api);
        for (version, now) in versions {
            let known = parent.former_contracts(api, version);
            let seen = |release: &Release| release.released.is_some_and(|day| day <= on);
            let was_seen = provided.and_then(|it| it.version(version)).is_some_and(seen);
            let replaced = parent.contract(api, version).filter(|before| {
                was_seen && before.digest != now.digest && !known.contains(before)
            });
            let list: Vec<Contract> = known.iter().chain(replaced).cloned().collect();
            if !list.is_empty() {
                former.entry(api.clone()).or_default().insert(version.clone(), list);
            }
        }
    }
    former
}

/// Carries on what is known of versions that are still declared and were not described anew.
pub(super) fn carried(own: Contracts, before: Option<&Contracts>, now: &Declaration) -> Contracts {
    let mut all = own;
    for (api, versions) in before.into_iter().flatten() {
        let Some(provides) = now.provided(api) else { continue };
        for (version, contract) in versions {
            if provides.version(version).is_some() {
                let known = all.entry(api.clone()).or_default();
                known.entry(version.clone()).or_insert_with(|| contract.clone());
            }
        }
    }
    all
}

/// Tells whether each of a draft's descriptions is known already.
pub(super) fn known(own: &Contracts, before: &Contracts) -> bool {
    own.iter().all(|(api, versions)| {
        let before = before.get(api);
        versions.iter().all(|(version, contract)| {
            before.and_then(|before| before.get(version)) == Some(contract)
        })
    })
}
