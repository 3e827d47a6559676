//! Which services' newest documents an answer needs.

use std::collections::BTreeSet;

use meshwise_api::Declaration;

use super::Key;

/// Says which services' newest documents an answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// All of them.
    All,
    /// Those that provide or require one of these APIs, and this service's own.
    Apis {
        /// The APIs.
        apis: BTreeSet<String>,
        /// The service.
        own: Option<String>,
    },
}

impl Need {
    /// Needs what provides or requires one API.
    #[must_use]
    pub(crate) fn api(api: &str) -> Self {
        Self::Apis { apis: BTreeSet::from([api.to_owned()]), own: None }
    }

    /// Needs what a declaration requires, and who else provides what it provides.
    #[must_use]
    pub(crate) fn of(declaration: &Declaration) -> Self {
        let required = declaration.requires.iter().map(|requires| requires.api.clone());
        let provided = declaration.provides.iter().map(|provides| provides.api.clone());
        let versions = declaration.provides.iter().flat_map(|provides| &provides.versions);
        let successors =
            versions.filter_map(|version| version.successor.as_deref()?.split_once('@'));
        let successors = successors.map(|(api, _)| api.to_owned());
        let apis = required.chain(provided).chain(successors).collect();
        Self::Apis { apis, own: Some(declaration.service.name.clone()) }
    }

    /// Needs what another declaration needs, too.
    #[must_use]
    pub(crate) fn and(self, declaration: &Declaration) -> Self {
        match (self, Self::of(declaration)) {
            (Self::Apis { mut apis, own }, Self::Apis { apis: more, .. }) => {
                apis.extend(more);
                Self::Apis { apis, own }
            }
            _ => Self::All,
        }
    }

    /// Tells whether a document may be needed, by its bytes. In canonical JSON an API stands in one
    /// way alone, which is looked for without parsing. What does not look like a document of its
    /// service is needed, so that damage is seen.
    #[must_use]
    pub(crate) fn may_need(&self, key: &Key, bytes: &[u8]) -> bool {
        let Self::Apis { apis, own } = self else { return true };
        let has = |text: &str| memchr::memmem::find(bytes, text.as_bytes()).is_some();
        own.as_deref() == Some(key.service())
            || !bytes.ends_with(format!("\"service\":\"{}\"}}", key.service()).as_bytes())
            // One that has handed an API over says nothing of it but what it promised.
            || apis.iter().any(|api| {
                has(&format!("\"api\":\"{api}\"")) || has(&format!("\"{api}\":{{"))
            })
    }
}
