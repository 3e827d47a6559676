//! Handing what a guard's clones share to each call, without touching its reference count.
//!
//! A count goes up with each call and down at its end: two atomic operations of some 5 ns each, and
//! more where threads fight for its cache line. So each thread keeps the last reference that a call
//! has given back, for its next call to the same neighbour. It keeps no more than one for each kind
//! of guard, and lets go of it when it calls another neighbour, or ends.

use std::{
    cell::Cell,
    sync::Arc,
    thread::{AccessError, LocalKey},
};

/// Where a thread keeps its spare reference.
pub(crate) type Spare<T> = Cell<Option<Arc<T>>>;

/// Takes the thread's spare reference, or makes a new one.
#[inline]
pub(crate) fn take<T>(spare: &'static LocalKey<Spare<T>>, own: &Arc<T>) -> Arc<T> {
    match spare.try_with(Cell::take) {
        Ok(Some(kept)) if Arc::ptr_eq(&kept, own) => kept,
        other => renew(other, own),
    }
}

/// Lets go of what belongs to another neighbour.
#[cold]
#[inline(never)]
fn renew<T>(other: Result<Option<Arc<T>>, AccessError>, own: &Arc<T>) -> Arc<T> {
    drop(other);
    Arc::clone(own)
}

/// Keeps a reference that is no more needed, instead of the one that was kept.
#[inline]
pub(crate) fn keep<T>(spare: &'static LocalKey<Spare<T>>, reference: Arc<T>) {
    // A thread that ends keeps nothing: the reference is just dropped.
    let before = spare.try_with(|spare| spare.replace(Some(reference)));
    drop(before);
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static SPARE: Spare<&'static str> = const { Cell::new(None) };
    }

    #[test]
    fn a_thread_keeps_one_reference_of_the_neighbour_it_called_last() {
        let (stock, prices) = (Arc::new("stock"), Arc::new("prices"));
        let first = take(&SPARE, &stock);
        let second = take(&SPARE, &stock);
        assert_eq!((*first, Arc::strong_count(&stock)), ("stock", 3));
        keep(&SPARE, first);
        keep(&SPARE, second);
        assert_eq!(Arc::strong_count(&stock), 2, "its own, and one that is kept");
        let again = take(&SPARE, &stock);
        assert_eq!(Arc::strong_count(&stock), 2, "the kept one");
        keep(&SPARE, again);

        let other = take(&SPARE, &prices);
        assert_eq!((*other, Arc::strong_count(&stock)), ("prices", 1), "gone with the next");
        keep(&SPARE, other);
        assert_eq!(Arc::strong_count(&prices), 2);
    }

    #[test]
    fn what_a_thread_keeps_goes_with_it() {
        let stock = Arc::new("stock");
        let thread = {
            let stock = Arc::clone(&stock);
            std::thread::spawn(move || keep(&SPARE, take(&SPARE, &stock)))
        };
        assert!(thread.join().is_ok());
        assert_eq!(Arc::strong_count(&stock), 1);
    }
}
