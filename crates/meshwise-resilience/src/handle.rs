//! What shows a guard and turns it, at run time.

use crate::debug::debug;
use std::sync::Arc;

/// Shows a guard and turns it, at run time; clones, and the layer that it came from, share it.
pub struct Handle<G> {
    pub(crate) guard: Arc<G>,
    pub(crate) peer: Arc<str>,
}

impl<G> Handle<G> {
    pub(crate) fn new(guard: &Arc<G>, peer: &Arc<str>) -> Self {
        Self { guard: Arc::clone(guard), peer: Arc::clone(peer) }
    }

    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }
}

impl<G> Clone for Handle<G> {
    fn clone(&self) -> Self {
        Self::new(&self.guard, &self.peer)
    }
}

debug!("Handle", [G] Handle<G>, handle: "peer" = handle.peer);
