//! Telling threads apart, for what is counted or queued in shards.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Returns this thread's number: threads are numbered as they first ask, from 0.
///
/// It tells a thread from all others that live at the same time, until 2^63 have asked. Take it
/// modulo the number of shards. It works while the thread ends, too.
///
/// ```
/// use meshwise_core::internal::threads::thread_index;
/// assert_eq!(thread_index(), thread_index());
/// let other = std::thread::spawn(thread_index).join().unwrap();
/// assert_ne!(thread_index(), other);
/// ```
#[inline]
#[must_use]
pub fn thread_index() -> usize {
    thread_local! {
        // Needs no destructor, and so is never gone.
        static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    match INDEX.get() {
        usize::MAX => {
            let index = next();
            INDEX.set(index);
            index
        }
        index => index,
    }
}

#[inline(never)]
fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Relaxed) & (usize::MAX >> 1)
}
