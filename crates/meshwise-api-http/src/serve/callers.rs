//! Who has declared that it calls.

use arc_swap::ArcSwapOption;
use std::{collections::HashSet, fmt, sync::Arc};

/// Says what becomes of calls whose caller has declared nothing: it is not known to the dictionary, so
/// no notice of a version's end reaches it.
///
/// Each is counted in `meshwise_api_undeclared_callers_total{api,version,caller,caller_verified}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum UndeclaredCallers {
    /// They are counted and served. The default.
    #[default]
    Count,
    /// The response says so, too: `meshwise-undeclared: API`.
    Tell,
    /// The first of each caller is logged here, too (target `meshwise::api`).
    Warn,
    /// Declared callers only: they are refused by 403 with a problem+json body (RFC 9457), gRPC calls by
    /// `PERMISSION_DENIED`.
    Refuse,
}

/// Names the services that have declared that they call this one, as the dictionary has them. Clones
/// are the same list, so that one kept aside can bring it up to date while the service runs.
#[derive(Clone, Default)]
pub struct DeclaredCallers(Arc<ArcSwapOption<HashSet<String>>>);

impl DeclaredCallers {
    /// Starts with names.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let callers = Self::default();
        callers.replace(names);
        callers
    }

    /// Takes other names.
    pub fn replace(&self, names: impl IntoIterator<Item = impl Into<String>>) {
        self.0.store(Some(Arc::new(names.into_iter().map(Into::into).collect())));
    }

    /// Tells whether a service is among them; none if there is no list.
    pub(super) fn has(&self, name: Option<&str>) -> Option<bool> {
        let names = self.0.load();
        names.as_ref().map(|names| name.is_some_and(|name| names.contains(name)))
    }
}

impl fmt::Debug for DeclaredCallers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeclaredCallers")
            .field(&self.0.load().as_ref().map(|names| names.len()))
            .finish()
    }
}
