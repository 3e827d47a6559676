//! What a thread keeps for its next calls: places for their state while they are in flight, and the context
//! of those that bring nothing.

use super::Call;
use meshwise_core::{CallInfo, internal::spares};
use opentelemetry::Context;
use std::{cell::RefCell, fmt};

/// How many boxes a thread keeps.
const KEPT: usize = 64;

type Place = Box<Option<Call>>;

thread_local! {
    static SPARE: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
    static NAMED_BY_TRACE: Context = make_named_by_trace();
}

/// Holds a call's state, or nothing; dropping it ends the call.
///
/// The state is some hundred bytes, and its owner (the future, then the body) is moved a
/// dozen times on the way to the server: so it stays in one place, a box that the thread keeps for
/// its next call.
#[derive(Default)]
pub(crate) struct Slot(Option<Place>);

impl Slot {
    /// Has a call begin in its place: to hand it over would move it four times.
    #[inline]
    pub(crate) fn new(begin: impl FnOnce(&mut Option<Call>)) -> Self {
        let mut place = spares::take(&SPARE).unwrap_or_default();
        begin(&mut place);
        Self(Some(place))
    }

    pub(crate) fn get(&self) -> Option<&Call> {
        self.0.as_deref()?.as_ref()
    }

    pub(crate) fn get_mut(&mut self) -> Option<&mut Call> {
        self.0.as_deref_mut()?.as_mut()
    }

    /// Hands the call on to another owner.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Ends the call, if it has not ended.
    pub(crate) fn clear(&mut self) {
        let Some(mut place) = self.0.take() else { return };
        *place = None;
        spares::keep(&SPARE, KEPT, place);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.get().is_some()).finish()
    }
}

/// Returns the context of a call of which no more is known than that its trace is its request id. Most calls
/// from outside are such, and a value in a context costs three allocations.
#[inline]
pub(super) fn named_by_trace() -> Context {
    // A thread that is about to end keeps nothing.
    NAMED_BY_TRACE.try_with(Context::clone).unwrap_or_else(|_ending| make_named_by_trace())
}

fn make_named_by_trace() -> Context {
    Context::new().with_value(CallInfo::default().named_by_trace())
}
