//! What runs within a layer of a service's that counts its calls: one further in does not count them again.
//!
//! A router may be wrapped and then served by what wraps it again. A mark in the request would cost an
//! allocation a call.

use crate::limits::AROUND;
use std::cell::Cell;

/// Puts back what was around before when it is dropped.
#[derive(Debug)]
pub struct Within((usize, bool));

impl Within {
    /// Says that what runs now is within the layer of a service, which counts the call by its version or
    /// only as one whose version cannot be told.
    #[must_use]
    pub fn enter(service: &'static str, by_version: bool) -> Self {
        let own = (name(service), by_version);
        Self(AROUND.try_with(|around| around.replace(own)).unwrap_or_default())
    }

    /// Tells whether a layer of this service is around what runs now, and counts the call by its version.
    #[must_use]
    pub fn around(service: &'static str) -> Option<bool> {
        let (around, by_version) = AROUND.try_with(Cell::get).ok()?;
        (around == name(service)).then_some(by_version)
    }

    /// Tells the layer around this one, which does not know the version, that the call is counted by it.
    pub fn count_by_version() {
        let _ending = AROUND.try_with(|around| around.set((around.get().0, true)));
    }

    /// Leaves the layer; tells whether the call counts by its version, here or further in.
    #[must_use]
    pub fn leave(mut self) -> bool {
        let (service, by_version) = AROUND.try_with(Cell::get).unwrap_or_default();
        if self.0.0 == service {
            self.0.1 |= by_version;
        }
        by_version
    }
}

/// A declaration is a constant of its service's: its name stands in one place.
fn name(service: &'static str) -> usize {
    service.as_ptr().addr()
}

impl Drop for Within {
    fn drop(&mut self) {
        // A thread that ends has nothing to put back.
        let _ending = AROUND.try_with(|around| around.set(self.0));
    }
}
