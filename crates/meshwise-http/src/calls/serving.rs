//! Which served call the code belongs to that runs now: calls that it makes are listed within it.

use super::register::{CallId, Listed};
use crate::telemetry::Telemetry;
use meshwise_core::internal::queued::{self, ServedCall};
use std::cell::Cell;

thread_local! {
    /// The served call that runs on this thread right now; nothing within the calls that it makes. In a
    /// request's extensions a mark would cost an allocation a call.
    static SERVING: Cell<Served> = const { Cell::new(Served::NOTHING) };
}

/// Names a served call.
#[derive(Clone, Copy)]
struct Served {
    /// The telemetry that observes it; 0 for none.
    telemetry: usize,
    /// Which of its calls it is, if that is listed.
    call: Option<CallId>,
}

impl Served {
    const NOTHING: Self = Self { telemetry: 0, call: None };
}

/// Has a served call run on this thread, and puts back what ran before when it is dropped.
pub(crate) struct Serving(Served);

impl Serving {
    #[inline]
    pub(crate) fn of(telemetry: &Telemetry, listed: &Listed) -> Self {
        Self::replace(Served { telemetry: telemetry.address(), call: listed.id() })
    }

    #[inline]
    pub(crate) fn nothing() -> Self {
        Self::replace(Served::NOTHING)
    }

    #[inline]
    fn replace(by: Served) -> Self {
        Self(SERVING.try_with(|serving| serving.replace(by)).unwrap_or(Served::NOTHING))
    }
}

impl Drop for Serving {
    #[inline]
    fn drop(&mut self) {
        // A thread that ends serves nothing.
        let _ending = SERVING.try_with(|serving| serving.set(self.0));
    }
}

/// Lets guards name the served call whose code waits in their queue.
pub(crate) fn tell_guards() {
    queued::found_by(served);
}

fn served() -> Option<ServedCall> {
    let Served { telemetry, call } = SERVING.try_with(Cell::get).ok()?;
    Some(ServedCall { telemetry, call: call?.number() })
}

/// Tells whether the code that runs now belongs to a served call of this telemetry.
#[inline]
pub(crate) fn is_serving(telemetry: &Telemetry) -> bool {
    SERVING.try_with(Cell::get).is_ok_and(|serving| serving.telemetry == telemetry.address())
}

/// Returns the served call, observed by this telemetry, that the code belongs to that runs now.
#[inline]
pub(crate) fn serving(telemetry: &Telemetry) -> Option<CallId> {
    let serving = SERVING.try_with(Cell::get).ok()?;
    serving.call.filter(|_| serving.telemetry == telemetry.address())
}
