//! What all clones of one layer share.

use super::{notices::Notices, targets::Targets, undeclared::Undeclared};
use crate::runtime::clock::Clock;
use std::fmt;

/// Holds what all clones of one layer share.
pub(super) struct ClientShared {
    pub(super) service: &'static str,
    pub(super) targets: Targets,
    pub(super) notices: Notices,
    pub(super) undeclared: Undeclared,
    pub(super) clock: Clock,
}

impl fmt::Debug for ClientShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientShared")
            .field("targets", &self.targets)
            .field("notices", &self.notices)
            .field("undeclared", &self.undeclared)
            .finish_non_exhaustive()
    }
}
