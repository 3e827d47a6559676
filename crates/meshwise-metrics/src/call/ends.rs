//! The ways in which the calls of one series have ended, each with its handles.

use std::{
    array,
    sync::{Arc, OnceLock},
};

/// Keeps the handles of the first `N` ways that are seen: to find them again among all label sets costs more
/// than to record.
#[derive(Debug)]
pub(super) struct Ends<E, H, const N: usize>([OnceLock<(E, Arc<H>)>; N]);

impl<E, H, const N: usize> Ends<E, H, N> {
    #[inline]
    pub(super) fn find(&self, is: impl Fn(&E) -> bool) -> Option<&H> {
        // In the order in which they were first seen, without gaps.
        let mut known = self.0.iter().map_while(OnceLock::get);
        known.find(|(end, _)| is(end)).map(|(_, handles)| &**handles)
    }

    pub(super) fn keep(&self, end: E, handles: &Arc<H>) {
        // If another thread is faster, the next call will be.
        let place = self.0.iter().find(|place| place.get().is_none());
        let _taken = place.map(|place| place.set((end, Arc::clone(handles))));
    }
}

impl<E, H, const N: usize> Default for Ends<E, H, N> {
    fn default() -> Self {
        Self(array::from_fn(|_| OnceLock::new()))
    }
}
