//! The descriptions of the published versions, by their digests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{canonical::Digest, declaration::Declaration};

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

/// By API and version.
pub(super) type Contracts = BTreeMap<String, BTreeMap<String, Contract>>;

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
