//! The bridge from `tracing`: its spans become OpenTelemetry spans, and each has a context.
//!
//! `tracing-opentelemetry` does the work. What it cannot do is said to it by two layers around it,
//! through the pipeline's own tracer: that a span stands for one that is there already
//! ([`crate::tracer`]).
//!
//! ```text
//! filter   which spans and events get here; no event where the current span does not record
//! Before   this span is to be an alias; its subscriber is the thread's; what follows is not said by the application itself
//! layer    tracing_opentelemetry::OpenTelemetryLayer
//! After    .. until here
//! ```

use crate::{
    call_event,
    error::TraceError,
    on_demand::{Demanded, is_event_of_call},
    pipeline::Tracing,
    tracer::{Alias, MeshTracer, hush, set_next},
};
use meshwise_core::{
    EnvError,
    internal::{SPAN_TARGET, not_a_target},
};
use opentelemetry::{Context as OtelContext, trace::TraceContextExt as _};
use std::{
    cell::RefCell,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    dispatcher::{self, DefaultGuard, WeakDispatch},
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::LevelFilter,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// What makes no OpenTelemetry span unless the directives name it: `TraceLayer`'s spans are a second
/// one of each call.
const UNWANTED: &str = "tower_http";

/// Says which `tracing` spans become OpenTelemetry spans, and which events go to them.
///
/// The spans that are not wanted, but that a [log filter](Self::with_log_filter) lets through, stand
/// for the span around them: what is asked of them (`OpenTelemetrySpanExt::context`), set on them or
/// logged in them is that span's. Their own fields are not handed on.
pub struct SpanFilter<S> {
    wanted: Arc<EnvFilter>,
    /// Some directive goes by the names or fields of spans. If none does, `wanted` need not hear of
    /// them: it takes a lock for each that is entered or left.
    by_span: bool,
    seen: Option<Box<dyn Filter<S> + Send + Sync>>,
    /// The subscriber around asks again, of those events alone that some span is to take.
    asks_again: Arc<AtomicBool>,
}

impl<S> SpanFilter<S> {
    /// Reads directives in the language of `RUST_LOG`, such as `info,orders=debug`.
    ///
    /// The target `tower_http` is off unless the directives name it.
    ///
    /// # Errors
    /// If a directive is malformed; the message names `MESHWISE_TRACES_SPAN_FILTER`.
    pub fn new(directives: &str) -> Result<Self, TraceError> {
        let mut all = directives.to_owned();
        if !directives.contains(UNWANTED) {
            all = format!("{all},{UNWANTED}=off");
        }
        let wanted = match not_a_target(directives) {
            Some(target) => Err(format!("`{target}` is no target")),
            None => EnvFilter::builder().parse(&all).map_err(|error| error.to_string()),
        };
        let wanted = wanted.map_err(|error| {
            let allowed = format!("directives such as `info,orders=debug` ({error})");
            EnvError::new("MESHWISE_TRACES_SPAN_FILTER", directives, allowed)
        })?;
        Ok(Self {
            wanted: Arc::new(wanted),
            by_span: all.contains('['),
            seen: None,
            asks_again: Arc::default(),
        })
    }

    /// Gives the spans a context that this filter, that of the log layer, lets through.
    #[must_use]
    pub fn with_log_filter(mut self, filter: impl Filter<S> + Send + Sync + 'static) -> Self {
        self.seen = Some(Box::new(filter));
        self
    }
}

impl<S> fmt::Debug for SpanFilter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanFilter")
            .field("wanted", &self.wanted.to_string())
            .field("seen", &self.seen.is_some())
            .finish()
    }
}

fn is_call(metadata: &Metadata<'_>) -> bool {
    metadata.target() == SPAN_TARGET
}

/// Tells whether an event would be kept, or the attributes of a span: to put them together costs some
/// allocations. Where no span is current, the event may name one, and a trace may begin.
///
/// `Filter::event_enabled` would be the place; with it, builds with debug assertions panic in
/// tracing-subscriber 0.3.23 (`FilterState::event_enabled`).
pub(crate) fn takes_events() -> bool {
    OtelContext::map_current(|cx| !cx.has_active_span() || cx.span().is_recording())
}

impl<S> Filter<S> for SpanFilter<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        if is_call(metadata) {
            return true;
        }
        let wanted = || Filter::<S>::enabled(&*self.wanted, metadata, cx);
        if metadata.is_span() {
            return wanted() || self.seen.as_ref().is_some_and(|seen| seen.enabled(metadata, cx));
        }
        takes_events() && wanted()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_call(metadata) {
            return Interest::always();
        }
        let wanted = Filter::<S>::callsite_enabled(&*self.wanted, metadata);
        if metadata.is_event() {
            let is_known = wanted.is_never() || self.asks_again.load(Relaxed);
            return if is_known { wanted } else { Interest::sometimes() };
        }
        let Some(seen) = &self.seen else { return wanted };
        let seen = seen.callsite_enabled(metadata);
        if wanted.is_always() || seen.is_always() {
            Interest::always()
        } else if wanted.is_never() && seen.is_never() {
            Interest::never()
        } else {
            Interest::sometimes()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let wanted = Filter::<S>::max_level_hint(&*self.wanted)?;
        let seen = match &self.seen {
            Some(seen) => seen.max_level_hint()?,
            None => LevelFilter::OFF,
        };
        // The call's own spans have the highest.
        Some(wanted.max(seen).max(LevelFilter::ERROR))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if self.by_span {
            Filter::<S>::on_new_span(&*self.wanted, attributes, id, cx);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if self.by_span {
            Filter::<S>::on_record(&*self.wanted, id, values, cx);
        }
    }

    fn on_enter(&self, id: &Id, cx: Context<'_, S>) {
        if self.by_span {
            Filter::<S>::on_enter(&*self.wanted, id, cx);
        }
    }

    fn on_exit(&self, id: &Id, cx: Context<'_, S>) {
        if self.by_span {
            Filter::<S>::on_exit(&*self.wanted, id, cx);
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        if self.by_span {
            Filter::<S>::on_close(&*self.wanted, id, cx);
        }
    }
}

struct Before {
    wanted: Arc<EnvFilter>,
    /// The subscriber that becomes the thread's while one of its spans is entered, unless it is the
    /// process's.
    scope: Option<Scope>,
    asks_again: Arc<AtomicBool>,
}

/// A subscriber that is not the process's. It belongs to one layer.
type Scope = OnceLock<(WeakDispatch, Option<usize>)>;

/// Tells subscribers apart: each has a registry of its own, within what makes spans on demand or not.
fn registry(of: &Dispatch) -> Option<usize> {
    let on_demand = of.downcast_ref::<Demanded>().map(|own| std::ptr::from_ref(own).addr());
    on_demand.or_else(|| {
        of.downcast_ref::<Registry>().map(|registry| std::ptr::from_ref(registry).addr())
    })
}

thread_local! {
    /// The spans that are entered on this thread, of subscribers that are not the process's, from the
    /// first on that made its subscriber the thread's.
    static SCOPES: RefCell<Vec<(Id, Option<DefaultGuard>)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a subscriber this thread's, unless it is already: one that is set for a thread makes all
/// threads look for theirs.
#[doc(hidden)]
#[must_use]
pub fn enter_dispatch(dispatch: &Dispatch) -> Option<DefaultGuard> {
    (!is_current(registry(dispatch))).then(|| dispatcher::set_default(dispatch))
}

fn is_current(own: Option<usize>) -> bool {
    own.is_some() && dispatcher::get_default(|current| registry(current) == own)
}

struct After;

impl<S> Layer<S> for Before
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // It hears of this before any call site does.
        self.asks_again.store(dispatch.downcast_ref::<Demanded>().is_some(), Relaxed);
        if let Some(scope) = &self.scope {
            // A subscriber belongs to one.
            let _again = scope.set((dispatch.downgrade(), registry(dispatch)));
        }
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        let Some((dispatch, own)) = self.scope.as_ref().and_then(Scope::get) else { return };
        let guard = match is_current(*own) {
            true => None,
            false => match dispatch.upgrade() {
                Some(dispatch) => Some(dispatcher::set_default(&dispatch)),
                None => return,
            },
        };
        // A thread that ends keeps what it has.
        let _ending = SCOPES.try_with(|scopes| {
            let mut scopes = scopes.borrow_mut();
            if guard.is_some() || !scopes.is_empty() {
                scopes.push((id.clone(), guard));
            }
        });
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if self.scope.is_none() {
            return;
        }
        let left = SCOPES.try_with(|scopes| {
            let mut scopes = scopes.borrow_mut();
            let last = scopes.iter().rposition(|(entered, _)| entered == id)?;
            Some(scopes.remove(last))
        });
        drop(left);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, cx: Context<'_, S>) {
        let metadata = attributes.metadata();
        let alias = if is_call(metadata) {
            Some(Alias { named: false })
        } else if !Filter::<S>::enabled(&*self.wanted, metadata, &cx) {
            // `tracing-opentelemetry` takes the name from this field, even before the span starts.
            Some(Alias { named: metadata.fields().field("otel.name").is_some() })
        } else {
            None
        };
        set_next(alias);
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        hush(true);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if is_event_of_call() {
            call_event::add(event);
        }
        hush(true);
    }
}

impl<S: Subscriber> Layer<S> for After {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        set_next(None);
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        hush(false);
    }

    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        hush(false);
    }
}

impl Tracing {
    /// Makes the layer for a `tracing` subscriber that turns its spans into OpenTelemetry spans,
    /// children of whatever span is current, and its events into events of them.
    ///
    /// Within it the spans of calls that `meshwise-http` makes (target `meshwise::call`) stand for the
    /// calls' own OpenTelemetry spans. There is one such layer in a subscriber.
    ///
    /// `tracing-opentelemetry` formats fields as `to_string` does: one whose `Display` or `Debug` returns an
    /// error panics, and has unsigned integers as texts. The front door's subscriber formats fields before
    /// any layer sees them, and hands integers on as such.
    pub fn layer<S>(&self, filter: SpanFilter<S>) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.layer_within(filter, None)
    }

    /// Makes the layer for a subscriber that is not the process's: while one of its spans is entered,
    /// it is the thread's. What is logged in a task that carries a span (`in_current_span`) then gets
    /// to it, whichever thread the task runs on.
    #[doc(hidden)]
    #[must_use]
    pub fn scoped_layer<S>(&self, filter: SpanFilter<S>) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.layer_within(filter, Some(Scope::new()))
    }

    fn layer_within<S>(
        &self,
        filter: SpanFilter<S>,
        scope: Option<Scope>,
    ) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer()
            .with_tracer::<MeshTracer>(self.tracer().clone())
            // Source positions, targets, threads and idle times on every span cost more than they tell.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        let (wanted, asks_again) = (Arc::clone(&filter.wanted), Arc::clone(&filter.asks_again));
        let before = Before { wanted, scope, asks_again };
        before.and_then(layer).and_then(After).with_filter(filter)
    }
}
