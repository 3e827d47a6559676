//! The deadline of the call that is being polled, told to the layers within without allocating.

use meshwise_core::Deadline;
use std::{
    cell::{Cell, RefCell},
    mem,
    sync::Arc,
};

thread_local! {
    static CURRENT: Cell<Option<Deadline>> = const { Cell::new(None) };
    static TIMED_OUT: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Drops a call to a neighbour that took too long; its guards, which see a dropped call as one that
/// its caller gave up, ask [`timed_out`] and count it as failed.
///
/// A breaker stands inside of the timeout, and a neighbour that hangs is what it is there for. Calls
/// to other neighbours that happen to be dropped with it are no failures of theirs.
pub(super) fn drop_as_timed_out(peer: &Arc<str>, drop: impl FnOnce()) {
    /// Puts the name back, also when a destructor panics.
    struct Reset(Option<Arc<str>>);
    impl Drop for Reset {
        fn drop(&mut self) {
            set_timed_out(self.0.take());
        }
    }
    let _reset = Reset(set_timed_out(Some(Arc::clone(peer))));
    drop();
}

/// Returns what it was before.
fn set_timed_out(peer: Option<Arc<str>>) -> Option<Arc<str>> {
    TIMED_OUT
        .try_with(|timed_out| {
            timed_out.try_borrow_mut().map(|mut now| mem::replace(&mut *now, peer))
        })
        .ok()
        .and_then(Result::ok)
        .flatten()
}

/// Tells whether the call to this neighbour that is being dropped on this thread took longer than
/// it may; `false` if its caller gave it up.
///
/// Made for the `Drop` of what observes an attempt: a timeout outside of it drops it.
#[must_use]
pub fn timed_out(peer: &str) -> bool {
    // A call may be dropped by what the thread's end drops.
    TIMED_OUT
        .try_with(|timed_out| {
            timed_out.try_borrow().is_ok_and(|timed_out| timed_out.as_deref() == Some(peer))
        })
        .unwrap_or_default()
}

/// Says that the call which is being dropped never reached the neighbour: the guards further out
/// are not to count it.
pub(crate) fn not_the_neighbour() {
    set_timed_out(None);
}

/// Returns the deadline of the call whose future is being polled (or made) on this thread, as the
/// innermost [`DeadlineLayer`](super::DeadlineLayer) around it has set it.
///
/// A request's extensions could carry it too, but each insertion there costs three allocations.
/// What runs in another task does not see it: for layers behind a buffer, have the deadline written
/// to the extensions as well
/// ([`DeadlineConfig::with_extension`](super::DeadlineConfig::with_extension)).
#[must_use]
#[inline]
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
