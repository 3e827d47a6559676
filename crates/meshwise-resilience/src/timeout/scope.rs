//! The deadline of the call that is being polled, told to the layers within without allocating.

use meshwise_core::Deadline;
use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// Returns the deadline of the call whose future is being polled (or made) on this thread, as the
/// innermost [`DeadlineLayer`](super::DeadlineLayer) around it has set it.
///
/// A request's extensions could carry it too, but each insertion there costs three allocations.
/// What runs in another task does not see it: for layers behind a buffer, have the deadline written
/// to the extensions as well
/// ([`DeadlineConfig::with_extension`](super::DeadlineConfig::with_extension)).
#[must_use]
pub fn current_deadline() -> Option<Deadline> {
    CURRENT.get()
}

/// Makes a deadline the current one until the guard is dropped.
#[inline]
pub(super) fn enter(deadline: Option<Deadline>) -> Entered {
    Entered(CURRENT.replace(deadline))
}

/// Puts the enclosing call's deadline back, also when a poll panics.
pub(super) struct Entered(Option<Deadline>);

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}
