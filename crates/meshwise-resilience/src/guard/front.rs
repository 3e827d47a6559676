//! The front of a guard: its layer, and the handle to see and turn it.

use super::{Gate, Guarded, Spare};
use meshwise_core::Classifier;
use std::{fmt, sync::Arc};

/// What a layer and its handles share.
pub trait Guard {
    /// Returns the peer's name.
    #[doc(hidden)]
    fn peer(&self) -> &str;
}

/// Puts a guard around services, for calls of a kind `K` ([`CallKind`](crate::CallKind)).
///
/// One layer is one guard: all services it makes, and their clones, share it. What its services do at
/// `poll_ready` and `call` stands at [`Guarded`].
pub struct GuardLayer<G, K> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) guard: Arc<G>,
    pub(crate) kind: K,
}

impl<G, K> GuardLayer<G, K> {
    pub(crate) fn front(gate: Gate, guard: Arc<G>, kind: K) -> Self {
        Self { gate: Arc::new(gate), guard, kind }
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Gate)) -> Self {
        change(Arc::make_mut(&mut self.gate));
        self
    }

    /// Sets how answers and errors are judged: what counts against the peer, what is tried again, what
    /// is overload.
    #[must_use]
    pub fn with_classifier(self, classifier: Classifier) -> Self {
        self.change(|gate| gate.classifier = classifier)
    }

    /// Guards another kind of calls; the guard stays the same one.
    #[must_use]
    pub fn with_calls<L>(self, kind: L) -> GuardLayer<G, L> {
        GuardLayer { gate: self.gate, guard: self.guard, kind }
    }

    /// Returns the guard, to be read and turned.
    #[must_use]
    pub fn handle(&self) -> Handle<G> {
        Handle(Arc::clone(&self.guard))
    }
}

impl<G, K: Clone> GuardLayer<G, K> {
    /// Guards a service whose calls neither wait nor are made again: it need not be `Clone`.
    pub(crate) fn around<S, T>(&self, inner: S) -> Guarded<S, K, T> {
        Guarded::new(inner, Arc::clone(&self.gate), self.kind.clone(), None)
    }

    /// Guards a service whose calls may wait, or be made again.
    pub(crate) fn around_clones<S: Clone>(&self, inner: S) -> Guarded<S, K> {
        let spare = Some(Spare::of(&inner));
        Guarded::new(inner, Arc::clone(&self.gate), self.kind.clone(), spare)
    }
}

impl<G, K: Clone> Clone for GuardLayer<G, K> {
    fn clone(&self) -> Self {
        let (gate, guard) = (Arc::clone(&self.gate), Arc::clone(&self.guard));
        Self { gate, guard, kind: self.kind.clone() }
    }
}

impl<G, K> fmt::Debug for GuardLayer<G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer").field("peer", &self.gate.peer).finish_non_exhaustive()
    }
}

/// Shows a guard and turns it, at run time; clones, and the layer that it came from, share it.
pub struct Handle<G>(pub(crate) Arc<G>);

impl<G: Guard> Handle<G> {
    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        self.0.peer()
    }
}

impl<G> Clone for Handle<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G: Guard> fmt::Debug for Handle<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
