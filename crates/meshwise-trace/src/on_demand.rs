//! Calls' `tracing` spans, made once code asks for one.
//!
//! To make, enter three times and close a call's span costs 10,000 instructions and four allocations
//! ("server, sampled, no log line" of docs/performance.md), and most calls never ask for it: the layers
//! know the call by its OpenTelemetry context. `tracing` asks a subscriber for its current span
//! ([`Subscriber::current_span`]), and no layer is told; so a subscriber of ours stands around all layers:
//!
//! ```text
//! Layered
//!   answers   an OpenTelemetryLayer that no span reaches, and that finds none of an event
//!   OnDemand  current_span: makes and enters the span of the call that runs on this thread
//!     the log layer, the bridge, the registry
//! ```
//!
//! Each poll of a call's code pushes a frame, which counts the application's own spans that are entered
//! meanwhile: within one of them, that one is the current span.
//!
//! A subscriber cannot answer for the types within it without unsafe code, and `OpenTelemetrySpanExt`
//! asks for one of `tracing-opentelemetry`'s. A second layer of that crate's answers in its place: it
//! finds the data that the first one has put into the registry.

mod answers;
mod frame;

pub(crate) use self::{answers::Demanded, frame::Frame};
use self::{
    answers::Nothing,
    frame::{AWAITED, HIDDEN, MEANWHILE, OF_CALL, PLAIN, State, with_last},
};
use crate::{
    bridge::takes_events,
    call_span,
    formatted::{copy, hand_on},
    pipeline::Tracing,
    tracer::MeshTracer,
};
use meshwise_core::{
    CallInfo,
    internal::told::{self, Filled, ToldValues},
};
use opentelemetry::Context as OtelContext;
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    dispatcher::{self, WeakDispatch},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_core::{field::ValueSet, span::Current};
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterId, LevelFilter},
    layer::SubscriberExt as _,
    registry::{LookupSpan, SpanData as _},
};

/// What the targets of the workspace's own events begin with.
const OWN_TARGETS: &str = "meshwise::";

/// Tells whether the event that the layers are told of belongs to a call that has no `tracing` span:
/// then it is for the call's OpenTelemetry span, which is current.
#[inline]
pub(crate) fn is_event_of_call() -> bool {
    OF_CALL.get()
}

/// Has an event logged whose values are texts and numbers, formatted by code that neither fails nor logs: the
/// layers are told of it as it is. Its target is one of `meshwise`'s own.
pub fn with_plain_values<T>(log: impl FnOnce() -> T) -> T {
    struct PlainBefore(bool);
    impl Drop for PlainBefore {
        fn drop(&mut self) {
            PLAIN.set(self.0);
        }
    }
    let _before = PlainBefore(PLAIN.replace(true));
    log()
}

/// Tells the layers of an event.
#[inline]
fn tell(of_call: bool, tell: impl FnOnce()) {
    struct OfCallBefore(bool);
    impl Drop for OfCallBefore {
        fn drop(&mut self) {
            OF_CALL.set(self.0);
        }
    }
    // A field's value may log while it is formatted.
    let _before = OfCallBefore(OF_CALL.replace(of_call));
    tell();
}

/// Takes note of an event or span that went through the filters.
fn went_through() {
    AWAITED.set(None);
    MEANWHILE.set(true);
}

impl Tracing {
    /// Has a subscriber with this pipeline's layer make the `tracing` spans of calls once code asks for
    /// one, and formats what is logged before its layers see it.
    #[doc(hidden)]
    #[must_use]
    pub fn on_demand<S>(&self, subscriber: S) -> Dispatch
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Relaxed) + 1;
        let answers =
            tracing_opentelemetry::layer().with_tracer::<MeshTracer>(self.tracer().clone());
        let answers = answers.and_then(Demanded { number }).with_filter(Nothing);
        let subscriber = OnDemand { inner: subscriber, number, dispatch: OnceLock::new() };
        Dispatch::new(subscriber.with(answers))
    }
}

/// Whose an event is.
#[derive(Clone, Copy)]
struct Owner {
    /// A call that has no `tracing` span.
    call: bool,
    /// Some `tracing` span, or that is around the call.
    span: bool,
}

/// Makes the span of the call that runs, once its current span is asked for.
struct OnDemand<S> {
    inner: S,
    number: u64,
    /// The whole, with the layer that answers.
    dispatch: OnceLock<WeakDispatch>,
}

impl<S: Subscriber> OnDemand<S> {
    /// Tells whether the code that runs is a call's own, whose span is not entered yet.
    #[inline]
    fn is_awaited(&self) -> bool {
        let awaited = |frame: &mut Frame| {
            frame.subscriber == self.number && frame.inside == 0 && frame.state == State::NotAsked
        };
        with_last(awaited).unwrap_or(false)
    }

    /// Makes and enters the span of the call that runs.
    ///
    /// This comes in the midst of things: the application asks `tracing` for its current subscriber, may
    /// be looking at the current context, and the pass of the filters may be an event's. So only the
    /// layers within hear of the new span, and only the registry that it is entered: the call's context
    /// is current already.
    fn make_current(&self) {
        let Some(id) = Frame::start().or_else(|| self.make()) else { return };
        let inner: &dyn Subscriber = &self.inner;
        match inner.downcast_ref::<Registry>() {
            Some(registry) => registry.enter(&id),
            None => self.inner.enter(&id),
        }
        Frame::enter(&id);
        MEANWHILE.set(true);
        self.ask_again(AWAITED.get());
    }

    /// Has the filters say again what they said of what is on its way: each keeps, for its thread, what
    /// it said last, and something else has come in between.
    #[inline]
    fn ask_again(&self, awaited: Option<&'static Metadata<'static>>) {
        if let Some(metadata) = awaited
            && MEANWHILE.take()
            && let Some(whole) = self.upgraded()
        {
            whole.enabled(metadata);
        }
    }

    /// Returns the context of the span that an event names as its parent: its line has the ids of that one, and
    /// not of the span that happens to be current. The call is the same.
    fn parent(&self, event: &Event<'_>) -> Option<OtelContext> {
        let parent = event.parent()?;
        let cx = tracing_opentelemetry::get_otel_context(parent, &self.upgraded()?)?;
        let call = || OtelContext::map_current(|current| current.get::<CallInfo>().cloned());
        match cx.get::<CallInfo>() {
            Some(_) => Some(cx),
            None => Some(call().into_iter().fold(cx, |cx, call| cx.with_value(call))),
        }
    }

    /// Tells whose an event is.
    #[inline]
    fn owner(&self, event: &Event<'_>) -> Owner {
        Owner {
            call: event.is_contextual() && self.is_awaited(),
            span: event.parent().is_some() || self.inner.current_span().id().is_some(),
        }
    }

    /// Has the filters asked of an event that they were not asked of, as they want all of its call site: the
    /// layer of spans would put together what no span keeps.
    #[inline]
    fn lets_through(
        &self,
        event: &Event<'_>,
        awaited: Option<&'static Metadata<'static>>,
        of: Owner,
    ) -> bool {
        awaited.is_some() || !of.span || takes_events() || self.inner.enabled(event.metadata())
    }

    /// Tells the layers of an event with formatted values.
    #[inline]
    fn tell_formatted(&self, event: &Event<'_>, filled: &Filled, changed: bool, of: Owner) {
        let as_it_is = || tell(of.call, || self.inner.event(event));
        // Where the event has no `tracing` span, all layers that look at values are ours.
        if !of.span && filled.tell(event, as_it_is) {
            return;
        }
        let metadata = event.metadata();
        let hand_on = |values: &ToldValues| {
            hand_on(values, metadata.fields(), |values| {
                tell(of.call, || match event.is_contextual() {
                    true => self.inner.event(&Event::new(metadata, values)),
                    false => {
                        let parent = event.parent().cloned();
                        self.inner.event(&Event::new_child_of(parent, metadata, values));
                    }
                });
            });
        };
        if !changed || filled.read(hand_on).is_none() {
            as_it_is();
        }
    }

    fn make(&self) -> Option<Id> {
        let inner = &self.inner;
        let id = call_span::make(|metadata| inner.enabled(metadata), |new| inner.new_span(new))?;
        // From now on it stands for the call: what is set on it must get there before that ends.
        if let Some(dispatch) = self.upgraded() {
            let _started = tracing_opentelemetry::get_otel_context(&id, &dispatch);
        }
        Some(id)
    }

    /// Tells whether this is the thread's subscriber, or that is being looked at and cannot be replaced.
    fn is_current(&self) -> bool {
        let is_own = |current: &Dispatch| {
            current.downcast_ref::<Demanded>().is_some_and(|own| own.number == self.number)
        };
        tracing_core::dispatcher::get_current(is_own).unwrap_or(true)
    }

    fn upgraded(&self) -> Option<Dispatch> {
        self.dispatch.get().and_then(WeakDispatch::upgrade)
    }

    fn count(&self, change: impl FnOnce(u32) -> u32) {
        with_last(|frame| {
            if frame.subscriber == self.number {
                frame.inside = change(frame.inside);
            }
        });
    }
}

impl<S> Subscriber for OnDemand<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A subscriber belongs to one.
        let _again = self.dispatch.set(dispatch.downgrade());
        self.inner.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The answering layer, which was asked first and wants nothing, is told of events all the same: what
        // all layers want need not be asked for each time.
        if metadata.is_event()
            && let Some(registry) = (&self.inner as &dyn Subscriber).downcast_ref::<Registry>()
        {
            registry.register_callsite(metadata);
        }
        self.inner.register_callsite(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let enabled = self.inner.enabled(metadata);
        // A record of the `log` crate has values, not expressions, and metadata of its own.
        let own = metadata.callsite().0.metadata();
        AWAITED.set(Some(own).filter(|own| enabled && std::ptr::eq(*own, metadata)));
        enabled
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let metadata = attributes.metadata();
        let awaited = AWAITED.take().filter(|own| std::ptr::eq(*own, metadata));
        MEANWHILE.set(false);
        let (filled, changed) =
            told::fill(|values| copy(values, |visitor| attributes.record(visitor)));
        self.ask_again(awaited);
        let formatted = |values: &ValueSet<'_>| match attributes.parent() {
            Some(parent) => {
                self.inner.new_span(&Attributes::child_of(parent.clone(), metadata, values))
            }
            None if attributes.is_root() => {
                self.inner.new_span(&Attributes::new_root(metadata, values))
            }
            None => self.inner.new_span(&Attributes::new(metadata, values)),
        };
        let hand_on = |values: &ToldValues| hand_on(values, metadata.fields(), formatted);
        let id = changed.then(|| filled.read(hand_on)).flatten();
        let id = id.unwrap_or_else(|| self.inner.new_span(attributes));
        drop(filled);
        went_through();
        id
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let metadata = self.inner.span_data(span).map(|data| data.metadata());
        match metadata {
            None => self.inner.record(span, values),
            Some(metadata) => {
                let (filled, changed) =
                    told::fill(|copied| copy(copied, |visitor| values.record(visitor)));
                let formatted =
                    |values: &ValueSet<'_>| self.inner.record(span, &Record::new(values));
                let hand_on = |values: &ToldValues| hand_on(values, metadata.fields(), formatted);
                if !changed || filled.read(hand_on).is_none() {
                    self.inner.record(span, values);
                }
            }
        }
        HIDDEN.set(true);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        // `span.follows_from(Span::current())` in that span says nothing, and the layer of spans would wait
        // for a lock that it holds itself.
        if span != follows {
            self.inner.record_follows_from(span, follows);
        }
        HIDDEN.set(true);
    }

    fn event_enabled(&self, _: &Event<'_>) -> bool {
        // No layer of the front door's goes by what an event says: their filters are asked of its call site.
        true
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let _parent = self.parent(event).map(OtelContext::attach);
        let is_plain = PLAIN.take() && metadata.target().starts_with(OWN_TARGETS);
        let mut of = self.owner(event);
        // An event belongs to the current span. That of a call is not made for it (`call_event.rs`), unless
        // the layers would take a span around the call for it.
        if of.call && of.span && takes_events() {
            self.make_current();
            of.call = false;
        }
        let awaited = AWAITED.take().filter(|own| std::ptr::eq(*own, metadata));
        MEANWHILE.set(false);
        // What a layer logs meanwhile, or a filter before, is another's.
        if is_plain && !of.call {
            if self.lets_through(event, awaited, of) {
                tell(false, || self.inner.event(event));
            }
        } else {
            let (filled, changed) =
                told::fill(|values| copy(values, |visitor| event.record(visitor)));
            if MEANWHILE.get() {
                // A value asked for the current span.
                of = self.owner(event);
            }
            self.ask_again(awaited);
            if self.lets_through(event, awaited, of) {
                self.tell_formatted(event, &filled, changed, of);
            }
        }
        went_through();
        // The answering layer is told of it, too.
        HIDDEN.set(true);
    }

    fn enter(&self, span: &Id) {
        self.count(|inside| inside.saturating_add(1));
        self.inner.enter(span);
        HIDDEN.set(true);
    }

    fn exit(&self, span: &Id) {
        self.count(|inside| inside.saturating_sub(1));
        self.inner.exit(span);
        HIDDEN.set(true);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        // The registry closes the span's parent in what is then the current subscriber. A call may end
        // on a thread of another's, such as a connection's.
        let _current = match self.is_current() {
            true => None,
            false => self.upgraded().map(|own| dispatcher::set_default(&own)),
        };
        let closed = self.inner.try_close(id);
        HIDDEN.set(closed);
        closed
    }

    fn current_span(&self) -> Current {
        if HIDDEN.take() {
            return Current::none();
        }
        if self.is_awaited() {
            self.make_current();
        }
        self.inner.current_span()
    }
}

impl<'a, S: LookupSpan<'a>> LookupSpan<'a> for OnDemand<S> {
    type Data = S::Data;

    fn span_data(&'a self, id: &Id) -> Option<Self::Data> {
        if HIDDEN.take() {
            return None;
        }
        self.inner.span_data(id)
    }

    fn register_filter(&mut self) -> FilterId {
        self.inner.register_filter()
    }
}

#[cfg(test)]
mod tests;
