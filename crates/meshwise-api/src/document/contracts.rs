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

    /// Returns the descriptions of a version that were replaced since it can be called, from the first on;
    /// of one that this service no longer provides, all of them.
    #[must_use]
    pub fn former_contracts(&self, api: &str, version: &str) -> &[Contract] {
        let versions = self.body.former_contracts.get(api);
        versions.and_then(|versions| versions.get(version)).map_or(&[], Vec::as_slice)
    }
}

impl Document {
    /// Returns the versions of an API that this service described and no longer provides, each with the
    /// end that it promised last.
    #[doc(hidden)]
    pub fn left_versions(&self, api: &str) -> Vec<(&str, Option<Date>)> {
        let provided = self.declaration().provided(api);
        let has = |version: &str| provided.is_some_and(|it| it.version(version).is_some());
        let versions = self.body.former_contracts.get(api).into_iter().flat_map(BTreeMap::keys);
        let left = versions.map(String::as_str).filter(|version| !has(version));
        left.map(|version| (version, self.record().last_sunset(api, version))).collect()
    }
}

/// By API and version.
pub(super) type Contracts = BTreeMap<String, BTreeMap<String, Contract>>;

/// By API and version: the descriptions that callers could see before the newest, from the first on.
pub(super) type Former = BTreeMap<String, BTreeMap<String, Vec<Contract>>>;

/// Carries on the descriptions that were replaced or left, of versions that could be called by then.
///
/// A service that hands an API over says nothing more of it, and what it promised binds the next.
pub(super) fn former(now: &Contracts, parent: &Document, on: Date) -> Former {
    let mut former = parent.body.former_contracts.clone();
    for (api, versions) in &parent.body.contracts {
        let provided = parent.declaration().provided(api);
        for (version, before) in versions {
            let seen = |release: &Release| release.released.is_some_and(|day| day <= on);
            let is_kept = now.get(api).and_then(|versions| versions.get(version));
            let is_kept = is_kept.is_some_and(|now| now.digest == before.digest);
            if is_kept || !provided.and_then(|it| it.version(version)).is_some_and(seen) {
                continue;
            }
            let known = former.entry(api.clone()).or_default().entry(version.clone()).or_default();
            if !known.contains(before) {
                known.push(before.clone());
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
