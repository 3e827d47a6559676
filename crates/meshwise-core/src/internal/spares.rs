//! What a thread keeps for what comes next, so that this allocates nothing.

use std::{cell::RefCell, thread::LocalKey};

/// Takes one that was kept. A thread that is about to end has none.
#[inline]
#[must_use]
pub fn take<T>(spares: &'static LocalKey<RefCell<Vec<T>>>) -> Option<T> {
    spares.try_with(|spares| spares.borrow_mut().pop()).ok().flatten()
}

/// Keeps one, up to `most`. A thread that is about to end keeps nothing.
#[inline]
pub fn keep<T>(spares: &'static LocalKey<RefCell<Vec<T>>>, most: usize, spare: T) {
    let _ending = spares.try_with(|spares| {
        let mut spares = spares.borrow_mut();
        if spares.len() < most {
            spares.push(spare);
        }
    });
}
