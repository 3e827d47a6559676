//! What is current while a call's code runs, and what that code tells its observer.

use super::{Call, Side, Slot};
use crate::{calls::serving::Serving, telemetry::OwnParts};
use meshwise_core::{CallInfo, outcome::BrokenOff};
use meshwise_metrics::internal::{CallCost, CostMeter};
use meshwise_trace::{CallSpan, CallSpanGuard};
use opentelemetry::{Context, ContextGuard, baggage::BaggageExt, trace::TraceContextExt};
use std::cell::Cell;

impl Call {
    /// Makes the call's context and span current until the guard is dropped.
    fn enter(&self) -> Entered<'_> {
        self.enter_with(self.tracing_span.as_ref())
    }

    /// Makes the call's context current until the guard is dropped.
    pub(super) fn attach(&self) -> Entered<'_> {
        self.enter_with(None)
    }

    #[inline]
    fn enter_with<'a>(&'a self, span: Option<&'a CallSpan>) -> Entered<'a> {
        let shared = self.shared();
        let serving = match &self.side {
            Side::Server { config, .. } => Serving::of(&config.telemetry, &self.listed),
            Side::Client { .. } => Serving::nothing(),
        };
        // To attach a context costs 170 instructions, three times a call. One that says nothing need only
        // hide what says something.
        let hides = || Context::map_current(|current| !says_nothing(current));
        let cx = (!self.cx_says_nothing || hides()).then(|| self.cx.clone().attach());
        let meter = self.listed.meter;
        let rare = (meter.is_some() || shared.has_own_parts())
            .then(|| Rare { meter: meter.map(|_| CostMeter::start()), _own: shared.own_parts() });
        Entered { _span: span.map(CallSpan::enter), _serving: serving, _cx: cx, rare }
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

/// Holds a call's context and span current. They are released in the order of the fields.
pub(crate) struct Entered<'a> {
    _span: Option<CallSpanGuard<'a>>,
    _serving: Serving,
    _cx: Option<ContextGuard>,
    rare: Option<Rare<'a>>,
}

/// What few calls have.
struct Rare<'a> {
    /// Measures what the code costs.
    meter: Option<CostMeter>,
    /// Its own dispatcher and recorder.
    _own: Option<OwnParts<'a>>,
}

impl Entered<'_> {
    /// Releases them, and tells what the code has cost, if that is metered.
    #[inline]
    pub(crate) fn leave(self) -> Option<CallCost> {
        self.rare.as_ref().and_then(|rare| rare.meter).map(|meter| {
            let mut cost = CallCost::default();
            meter.stop(&mut cost);
            cost
        })
    }
}

thread_local! {
    /// The route that a layer within has found for the call that is polled.
    static INNER_ROUTE: Cell<Option<Box<str>>> = const { Cell::new(None) };
    /// There may be one: what has no destructor is looked at for a fraction of the instructions.
    static TOLD_ROUTE: Cell<bool> = const { Cell::new(false) };
    /// What the code says that is being dropped on this thread.
    static BROKEN_OFF: Cell<Option<BrokenOff>> = const { Cell::new(None) };
}

/// Runs a piece of a call's code, with the call's context current from [`enter`](Self::enter) on; a panic in
/// it ends the call before it unwinds further, wherever it is caught.
///
/// Not a function that takes the code as a closure: what the code takes and returns, a request, a response,
/// would be moved through it.
pub(crate) struct Running<'a>(&'a mut Slot);

impl<'a> Running<'a> {
    #[inline]
    pub(crate) fn begin(call: &'a mut Slot) -> Self {
        Self(call)
    }

    #[inline]
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.0.get().map(Call::enter)
    }

    /// Takes note of what the code has cost and said, once it has returned.
    #[inline]
    pub(crate) fn end(self, cost: Option<CallCost>) {
        if let Some(call) = self.0.get_mut() {
            if let Some(cost) = cost {
                call.cost.add(cost);
            }
            if TOLD_ROUTE.take()
                && let Some(route) = INNER_ROUTE.try_with(Cell::take).ok().flatten()
            {
                call.take_route(&route);
            }
        }
        // Only unwinding runs the drop.
        std::mem::forget(self);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.0.get_mut() {
            call.panicked();
        }
        self.0.clear();
    }
}

/// Tells the layer around this one the route that only this one can see.
pub(crate) fn tell_route(route: &str) {
    // A thread that ends has no call.
    let _ending = INNER_ROUTE.try_with(|inner| inner.set(Some(route.into())));
    TOLD_ROUTE.set(true);
}

/// Says why a call is broken off whose future or body is being dropped on this thread, or whose body
/// ends with the trailers that are being made: to its observer it looks as if the caller had left, or
/// the handler had said so. The same goes for the calls that it makes, if they are dropped after that.
/// Elsewhere it does nothing.
pub fn break_off(reason: BrokenOff) {
    // A thread that ends drops no calls.
    let _ending = BROKEN_OFF.try_with(|broken| broken.set(Some(reason)));
}

/// Returns what the code has said that has just run on this thread.
pub(crate) fn broken_off() -> Option<BrokenOff> {
    BROKEN_OFF.try_with(Cell::take).ok().flatten()
}

/// Drops a piece of a call's code with the call's context current, if the call has not ended: what
/// its destructors log and count is still part of the call, and they may say why it ends. A call that is
/// made within another's code is broken off with that one.
pub(crate) fn drop_in(call: &mut Slot, drop: impl FnOnce()) {
    let Some(call) = call.get_mut() else { return };
    let replace = |broken| BROKEN_OFF.try_with(|cell| cell.replace(broken)).ok().flatten();
    let around = replace(None).filter(|_| matches!(call.side, Side::Client { .. }));
    let entered = call.enter();
    drop();
    std::mem::drop(entered);
    if let Some(broken) = replace(around).or(around) {
        call.broken_off(broken);
    }
}
