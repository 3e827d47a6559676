//! What a thread keeps for what comes next, so that this allocates nothing.

use std::{cell::RefCell, thread::LocalKey};

/// How many of a kind a thread keeps.
const KEPT: usize = 64;

/// Takes one that was kept. A thread that is about to end has none.
#[inline]
#[must_use]
pub fn take<T>(spares: &'static LocalKey<RefCell<Vec<T>>>) -> Option<T> {
    spares.try_with(|spares| spares.borrow_mut().pop()).ok().flatten()
}

/// Keeps one, up to 64. A thread that is about to end keeps nothing.
#[inline]
pub fn keep<T>(spares: &'static LocalKey<RefCell<Vec<T>>>, spare: T) {
    let _ending = spares.try_with(|spares| {
        let mut spares = spares.borrow_mut();
        if spares.len() < KEPT {
            spares.push(spare);
        }
    });
}
