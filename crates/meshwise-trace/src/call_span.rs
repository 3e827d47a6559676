//! The `tracing` span that stands for a call's OpenTelemetry span.

use crate::on_demand::{Demanded, Frame};
use meshwise_core::internal::SPAN_TARGET;
use opentelemetry::Context;
use std::{fmt, sync::OnceLock};
use tracing::{
    Dispatch, Level, Metadata,
    callsite::DefaultCallsite,
    dispatcher,
    field::{Field, Value},
    metadata::Kind,
    span::{Attributes, Id},
};

static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);

/// Of the highest level, so that no filter by level leaves a call without one.
static METADATA: Metadata<'static> = tracing::metadata! {
    name: "call",
    target: SPAN_TARGET,
    level: Level::ERROR,
    fields: &[],
    callsite: &CALLSITE,
    kind: Kind::SPAN
};

/// Makes a call's span, of the current context.
pub(crate) fn make(
    is_wanted: impl FnOnce(&Metadata<'static>) -> bool,
    new_span: impl FnOnce(&Attributes<'_>) -> Id,
) -> Option<Id> {
    let none: [(&Field, Option<&dyn Value>); 0] = [];
    let values = METADATA.fields().value_set(&none);
    is_wanted(&METADATA).then(|| new_span(&Attributes::new(&METADATA, &values)))
}

/// Stands for the OpenTelemetry span of a call or message; closed when it is dropped.
///
/// In a subscriber of the front door's ([`Tracing::on_demand`](crate::Tracing::on_demand)) it is made
/// and entered once code asks for the current span; in any other it is there from the start.
#[doc(hidden)]
pub struct CallSpan {
    /// The number of the subscriber that makes spans on demand; 0 for any other.
    on_demand: u64,
    made: OnceLock<MadeSpan>,
}

/// A span that was made, and where.
struct MadeSpan {
    id: Id,
    dispatch: Dispatch,
}

impl CallSpan {
    /// Prepares a span that stands for the span of `cx`: in `dispatch`, or else in the current subscriber.
    #[must_use]
    pub fn new(cx: &Context, dispatch: Option<&Dispatch>) -> Self {
        let number =
            |dispatch: &Dispatch| dispatch.downcast_ref::<Demanded>().map_or(0, Demanded::number);
        let on_demand = dispatch.map_or_else(|| dispatcher::get_default(number), number);
        let span = Self { on_demand, made: OnceLock::new() };
        if on_demand == 0 && !CALLSITE.register().is_never() {
            // Not from within `get_default`: what asks for a subscriber there is told that there is none.
            let current = || dispatcher::get_default(Dispatch::clone);
            let dispatch = dispatch.map_or_else(current, Dispatch::clone);
            let _attached = cx.clone().attach();
            let made = make(|metadata| dispatch.enabled(metadata), |new| dispatch.new_span(new));
            if let Some(id) = made {
                let _first = span.made.set(MadeSpan { id, dispatch });
            }
        }
        span
    }

    /// Returns the span, once it is made.
    #[inline]
    fn id(&self) -> Option<&Id> {
        self.made.get().map(|made| &made.id)
    }

    /// Keeps what was made while it was entered. If the call's code ran on two threads at once, each may
    /// have made one: the first that ends is kept, and the other closed once nothing here is within it.
    fn keep(&self, id: Id, owner: usize) {
        let made = MadeSpan { id, dispatch: dispatcher::get_default(Dispatch::clone) };
        if let Err(other) = self.made.set(made)
            && self.id() != Some(&other.id)
            && !Frame::holds(owner, &other.id)
        {
            other.dispatch.try_close(other.id);
        }
    }

    /// Tells this span from all others that live.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Makes it `tracing`'s current span until the guard is dropped. The call's context must be attached,
    /// and its subscriber be the thread's.
    #[must_use]
    #[inline]
    pub fn enter(&self) -> CallSpanGuard<'_> {
        if self.on_demand != 0 {
            Frame::push(self.address(), self.on_demand, self.id());
        } else if let Some(MadeSpan { id, dispatch }) = self.made.get() {
            dispatch.enter(id);
        }
        CallSpanGuard(self)
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if let Some(MadeSpan { id, dispatch }) = self.made.take() {
            dispatch.try_close(id);
        }
    }
}

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallSpan").field(&self.id()).finish()
    }
}

/// Holds a call's span current.
#[doc(hidden)]
#[derive(Debug)]
pub struct CallSpanGuard<'a>(&'a CallSpan);

impl Drop for CallSpanGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let CallSpan { on_demand, made } = self.0;
        if *on_demand == 0 {
            if let Some(MadeSpan { id, dispatch }) = made.get() {
                dispatch.exit(id);
            }
            return;
        }
        let owner = self.0.address();
        if Frame::pop_unused(owner, self.0.id()) {
            return;
        }
        // The subscriber that has made and entered it is still the thread's.
        if let Some(entered) = Frame::entered(owner) {
            dispatcher::get_default(Dispatch::clone).exit(&entered);
        }
        if let Some(span) = Frame::pop(owner)
            && self.0.id() != Some(&span)
        {
            self.0.keep(span, owner);
        }
    }
}
