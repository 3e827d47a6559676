//! What runs within a layer of a service's that counts its calls: one further in counts nothing.
//!
//! A router may be wrapped and then served by what wraps it again. A mark in the request would cost an
//! allocation a call.

use crate::limits::AROUND;
use std::cell::Cell;

/// Puts back what was around before when it is dropped.
#[derive(Debug)]
pub struct Within(usize);

impl Within {
    /// Says that what runs now is within the layer of a service.
    #[must_use]
    pub fn enter(service: &'static str) -> Self {
        Self(AROUND.try_with(|around| around.replace(name(service))).unwrap_or_default())
    }

    /// Tells whether what runs now is within a layer of this service.
    #[must_use]
    pub fn is(service: &'static str) -> bool {
        AROUND.try_with(Cell::get).is_ok_and(|around| around == name(service))
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
