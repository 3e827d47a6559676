//! Calls' `tracing` spans, made once code asks for one.
//!
//! To make, enter three times and close a call's span costs 10,000 instructions and four allocations
//! ("server, sampled, no log line" of docs/performance.md), and most calls never ask for it: the layers
//! know the call by its OpenTelemetry context. `tracing` asks a subscriber for its current span
//! ([`Subscriber::current_span`]), and no layer is told; so a subscriber of ours stands around all layers:
//!
//! ```text
//! Layered
//!   answers   an OpenTelemetryLayer that no span or event reaches
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

pub(crate) use self::answers::Demanded;
use self::answers::Nothing;
use crate::{
    bridge::takes_events, call_span, formatted::with_formatted, pipeline::Tracing,
    tracer::MeshTracer,
};
use std::{
    cell::{Cell, RefCell},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    dispatcher::{self, WeakDispatch},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_core::span::Current;
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterId, LevelFilter},
    layer::SubscriberExt as _,
    registry::{LookupSpan, SpanData as _},
};

/// What the targets of the workspace's own events begin with.
const OWN_TARGETS: &str = "meshwise::";

thread_local! {
    /// The calls whose code runs on this thread, each within the one before.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// The next span that is looked up here is looked up for the answering layer, which has none.
    static HIDDEN: Cell<bool> = const { Cell::new(false) };
    /// The event that the layers are told of belongs to a call that has no `tracing` span.
    static OF_CALL: Cell<bool> = const { Cell::new(false) };
    /// The event or span that the filters were asked about last and let through, while it has not come:
    /// its fields are being evaluated.
    static AWAITED: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
    /// Another event or span went through the filters since this was last looked at.
    static MEANWHILE: Cell<bool> = const { Cell::new(false) };
    /// The next event has values of this workspace's alone.
    static PLAIN: Cell<bool> = const { Cell::new(false) };
    /// What values are formatted into; a value that logs as it is formatted finds an empty one.
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

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

/// A call whose code runs.
pub(crate) struct Frame {
    /// Whose it is: guards may be dropped in any order.
    owner: usize,
    /// The subscriber that is to make its span.
    subscriber: u64,
    /// How many of the application's spans were entered since.
    inside: u32,
    /// The call's span, once it is made.
    span: Option<Id>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NotAsked,
    Entered,
    /// The subscriber wants no such span.
    Refused,
}

/// Does something with the innermost frame; a thread that ends has none.
fn with_last<T>(work: impl FnOnce(&mut Frame) -> T) -> Option<T> {
    FRAMES.try_with(|frames| frames.try_borrow_mut().ok()?.last_mut().map(work)).ok().flatten()
}

impl Frame {
    #[inline]
    pub(crate) fn push(owner: usize, subscriber: u64, span: Option<&Id>) {
        let (span, state) = (span.cloned(), State::NotAsked);
        let frame = Self { owner, subscriber, inside: 0, span, state };
        let _ending = FRAMES.try_with(|frames| frames.borrow_mut().push(frame));
    }

    /// Ends the owner's innermost frame if nothing became of it: it is the last, its span was not
    /// entered, and is the one that is `known`. Tells whether it did.
    #[inline]
    pub(crate) fn pop_unused(owner: usize, known: Option<&Id>) -> bool {
        let popped = FRAMES.try_with(|frames| {
            let mut frames = frames.borrow_mut();
            let unused = frames.last().is_some_and(|last| {
                last.owner == owner && last.state != State::Entered && last.span.as_ref() == known
            });
            if unused {
                frames.pop();
            }
            unused
        });
        popped.unwrap_or(true)
    }

    /// Returns the span of the owner's innermost frame, if that was entered.
    #[inline]
    pub(crate) fn entered(owner: usize) -> Option<Id> {
        let entered = FRAMES.try_with(|frames| {
            let frames = frames.borrow();
            let frame = frames.iter().rfind(|frame| frame.owner == owner)?;
            frame.span.clone().filter(|_| frame.state == State::Entered)
        });
        entered.ok().flatten()
    }

    /// Ends the owner's innermost frame, and returns its span.
    #[inline]
    pub(crate) fn pop(owner: usize) -> Option<Id> {
        let span = FRAMES.try_with(|frames| {
            let mut frames = frames.borrow_mut();
            let last = frames.iter().rposition(|frame| frame.owner == owner)?;
            frames.remove(last).span
        });
        span.ok().flatten()
    }

    /// Tells whether a frame of the owner's on this thread has the span.
    pub(crate) fn holds(owner: usize, span: &Id) -> bool {
        let has = |frame: &Self| frame.owner == owner && frame.span.as_ref() == Some(span);
        FRAMES.try_with(|frames| frames.borrow().iter().any(has)).unwrap_or(false)
    }

    /// Takes the innermost frame as one whose span is being made, and returns the span that an owner
    /// entered more than once has already: that of its outermost frame.
    fn start() -> Option<Id> {
        let known = FRAMES.try_with(|frames| {
            let mut frames = frames.try_borrow_mut().ok()?;
            let last = frames.last_mut()?;
            // Nothing that the layers do on the way makes it once more.
            last.state = State::Refused;
            let owner = last.owner;
            frames.iter().filter(|frame| frame.owner == owner).find_map(|frame| frame.span.clone())
        });
        known.ok().flatten()
    }

    /// Takes the innermost frame as entered, and tells all of its owner's which span they have.
    fn enter(span: &Id) {
        let _ending = FRAMES.try_with(|frames| {
            let Ok(mut frames) = frames.try_borrow_mut() else { return };
            let Some(last) = frames.last_mut() else { return };
            (last.span, last.state) = (Some(span.clone()), State::Entered);
            let owner = last.owner;
            for frame in frames.iter_mut().filter(|frame| frame.owner == owner) {
                frame.span.get_or_insert_with(|| span.clone());
            }
        });
    }
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
    fn ask_again(&self, awaited: Option<&'static Metadata<'static>>) {
        if let Some(metadata) = awaited
            && MEANWHILE.take()
            && let Some(whole) = self.upgraded()
        {
            whole.enabled(metadata);
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
        self.inner.register_callsite(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // An event belongs to the current span. That of a call is not made for it (`call_event.rs`), unless
        // the layers would take a span around the call for it.
        if metadata.is_event()
            && self.is_awaited()
            && takes_events()
            && self.inner.current_span().id().is_some()
        {
            self.make_current();
        }
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
        let id = with_formatted(
            &TEXT,
            metadata.fields(),
            |copy| attributes.record(copy),
            |values| {
                self.ask_again(awaited);
                let Some(values) = values else { return self.inner.new_span(attributes) };
                self.inner.new_span(&match attributes.parent() {
                    Some(parent) => Attributes::child_of(parent.clone(), metadata, values),
                    None if attributes.is_root() => Attributes::new_root(metadata, values),
                    None => Attributes::new(metadata, values),
                })
            },
        );
        went_through();
        id
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let metadata = self.inner.span_data(span).map(|data| data.metadata());
        match metadata {
            None => self.inner.record(span, values),
            Some(metadata) => {
                with_formatted(
                    &TEXT,
                    metadata.fields(),
                    |copy| values.record(copy),
                    |formatted| match formatted {
                        None => self.inner.record(span, values),
                        Some(formatted) => self.inner.record(span, &Record::new(formatted)),
                    },
                );
            }
        }
        HIDDEN.set(true);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
        HIDDEN.set(true);
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.inner.event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let awaited = AWAITED.take().filter(|own| std::ptr::eq(*own, metadata));
        MEANWHILE.set(false);
        // What a layer logs meanwhile, or a filter before, is another's.
        if PLAIN.take() && metadata.target().starts_with(OWN_TARGETS) {
            let of_call = event.is_contextual() && self.is_awaited();
            tell(of_call, || self.inner.event(event));
            return went_through();
        }
        with_formatted(
            &TEXT,
            metadata.fields(),
            |copy| event.record(copy),
            |values| {
                self.ask_again(awaited);
                let of_call = event.is_contextual() && self.is_awaited();
                tell(of_call, || match (values, event.is_contextual()) {
                    (None, _) => self.inner.event(event),
                    (Some(values), true) => self.inner.event(&Event::new(metadata, values)),
                    (Some(values), false) => {
                        let parent = event.parent().cloned();
                        self.inner.event(&Event::new_child_of(parent, metadata, values));
                    }
                });
            },
        );
        went_through();
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
