//! What is current while a call's code runs, and what that code tells its observer.

use super::{Call, Side, Slot};
use crate::calls::serving::Serving;
use meshwise_core::{CallInfo, outcome::BrokenOff};
use meshwise_metrics::internal::CostMeter;
use meshwise_trace::{CallSpan, CallSpanGuard};
use opentelemetry::{Context, ContextGuard, baggage::BaggageExt, trace::TraceContextExt};
use std::cell::Cell;

impl Call {
    /// Makes the call's context and span current until the guard is dropped.
    #[inline]
    fn enter(&self) -> Entered<'_> {
        let attached = self.attach();
        Entered { _span: self.tracing_span.as_ref().map(CallSpan::enter), _attached: attached }
    }

    /// Makes the call's context current until the guard is dropped.
    #[inline]
    pub(super) fn attach(&self) -> Attached<'_> {
        let shared = self.shared();
        let serving = match &self.side {
            Side::Server { config, .. } => Serving::of(&config.telemetry, &self.listed),
            Side::Client { .. } => Serving::nothing(),
        };
        // To attach a context costs 170 instructions, three times a call. One that says nothing need only
        // hide what says something.
        let hides = || Context::map_current(|current| !says_nothing(current));
        Attached {
            _serving: serving,
            _cx: (!self.cx_says_nothing || hides()).then(|| self.cx.clone().attach()),
            _own: (shared.dispatch.is_some() || shared.recorder.is_some()).then(|| OwnParts {
                _dispatch: shared.dispatch.as_ref().map(tracing::dispatcher::set_default),
                _recorder: shared.recorder.as_ref().map(|r| metrics::set_default_local_recorder(r)),
            }),
        }
    }
}

/// Tells whether a context has nothing of those things that calls put into theirs.
#[inline]
pub(super) fn says_nothing(cx: &Context) -> bool {
    !cx.has_active_span()
        && !cx.is_telemetry_suppressed()
        && cx.get::<CallInfo>().is_none()
        && cx.baggage().is_empty()
}

/// Holds a call's context and span current; what was made last is dropped first.
struct Entered<'a> {
    _span: Option<CallSpanGuard<'a>>,
    _attached: Attached<'a>,
}

/// Holds a call's context current (and its own dispatcher and recorder, if it has them).
pub(super) struct Attached<'a> {
    _serving: Serving,
    _cx: Option<ContextGuard>,
    _own: Option<OwnParts<'a>>,
}

/// What a mesh that is not installed makes current for its calls' code.
struct OwnParts<'a> {
    _dispatch: Option<tracing::dispatcher::DefaultGuard>,
    _recorder: Option<metrics::LocalRecorderGuard<'a>>,
}

thread_local! {
    /// The route that a layer within has found for the call that is polled.
    static INNER_ROUTE: Cell<Option<Box<str>>> = const { Cell::new(None) };
    /// What the code says that is being dropped on this thread.
    static BROKEN_OFF: Cell<Option<BrokenOff>> = const { Cell::new(None) };
}

/// Polls a piece of a call's code with the call's context current; a panic in it ends the call
/// before it unwinds further, wherever it is caught.
pub(crate) fn poll_in<T>(call: &mut Slot, poll: impl FnOnce() -> T) -> T {
    struct OnPanic<'a>(&'a mut Slot);
    impl Drop for OnPanic<'_> {
        fn drop(&mut self) {
            if let Some(call) = self.0.get_mut() {
                call.panicked();
            }
            self.0.clear();
        }
    }
    let guard = OnPanic(call);
    let metered = guard.0.get().is_some_and(|call| call.listed.meter.is_some());
    let meter = metered.then(CostMeter::start);
    let entered = guard.0.get().map(Call::enter);
    let result = poll();
    drop(entered);
    if let (Some(meter), Some(call)) = (meter, guard.0.get_mut()) {
        meter.stop(&mut call.cost);
    }
    if let Some(call) = guard.0.get_mut()
        && let Some(route) = INNER_ROUTE.try_with(Cell::take).ok().flatten()
    {
        call.take_route(&route);
    }
    // Only unwinding runs the guard's drop.
    std::mem::forget(guard);
    result
}

/// Tells the layer around this one the route that only this one can see.
pub(crate) fn tell_route(route: &str) {
    // A thread that ends has no call.
    let _ending = INNER_ROUTE.try_with(|inner| inner.set(Some(route.into())));
}

/// Says why a call is broken off whose future or body is being dropped on this thread, or whose body
/// ends with the trailers that are being made: to its observer it looks as if the caller had left, or
/// the handler had said so. Elsewhere it does nothing.
pub fn break_off(reason: BrokenOff) {
    // A thread that ends drops no calls.
    let _ending = BROKEN_OFF.try_with(|broken| broken.set(Some(reason)));
}

/// Returns what the code has said that has just run on this thread.
pub(crate) fn broken_off() -> Option<BrokenOff> {
    BROKEN_OFF.try_with(Cell::take).ok().flatten()
}

/// Drops a piece of a call's code with the call's context current, if the call has not ended: what
/// its destructors log and count is still part of the call, and they may say why it ends.
pub(crate) fn drop_in(call: &mut Slot, drop: impl FnOnce()) {
    let Some(call) = call.get_mut() else { return };
    let replace = |broken| BROKEN_OFF.try_with(|cell| cell.replace(broken)).ok().flatten();
    replace(None);
    let entered = call.enter();
    drop();
    std::mem::drop(entered);
    if let Some(broken) = replace(None) {
        call.broken_off(broken);
    }
}
