//! The layer: turns events into lines and gives them to the writer.

use crate::{
    call_sites::CallSites,
    export::Export,
    filter::LogFilter,
    format::{Buffers, Fields, Line, Style, since_1970},
    private::PrivateLines,
    rate::{Limiter, RateLimit},
    recent::RecentLines,
    spans::{LayerId, SpanState},
    writer::Writer,
};
use meshwise_core::{DropReason, internal::told};
use opentelemetry::Context as Otel;
use std::{cell::RefCell, fmt, sync::Arc, time::Duration};
use tracing::{
    Event, Level, Subscriber,
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{Layer, filter::Filtered, layer::Context, registry::LookupSpan};

/// The layer that `LogConfig::build` makes: a [`LogFormatter`] behind a [`LogFilter`].
///
/// Add it to any registry with `.with(layer)`; its filter concerns no other layer.
pub type LogLayer<S> = Filtered<LogFormatter, LogFilter, S>;

/// Buffers larger than this are not kept for the next line.
const KEEP_CAPACITY: usize = 16 << 10;

thread_local! {
    /// The line being made on this thread: kept, so that a line allocates nothing.
    ///
    /// OpenTelemetry's context is made before them, so that it is there for as long as they are (the
    /// last made is dropped first): it panics where it is gone.
    static BUFFERS: RefCell<Buffers> = {
        Otel::map_current(|_| ());
        RefCell::new(Buffers::new())
    };
}

/// Turns events into lines. Made by [`LogConfig::build`](crate::LogConfig::build).
#[doc(hidden)]
pub struct LogFormatter {
    style: Arc<Style>,
    /// All get the same lines.
    writers: Arc<[Arc<Writer>]>,
    export: Option<Export>,
    limiter: Option<Limiter>,
    recent: Arc<RecentLines>,
    call_sites: CallSites,
    /// Under this, its spans' fields are kept.
    id: LayerId,
    private: Option<Box<PrivateLines>>,
}

impl LogFormatter {
    pub(crate) fn new(
        style: Arc<Style>,
        writers: Arc<[Arc<Writer>]>,
        export: Option<Export>,
        recent: Arc<RecentLines>,
        limit: Option<RateLimit>,
    ) -> Self {
        Self {
            style,
            writers,
            export,
            recent,
            limiter: limit.map(Limiter::new),
            call_sites: CallSites::new(),
            id: LayerId::next(),
            private: None,
        }
    }

    pub(crate) fn with_private(self, private: Option<PrivateLines>) -> Self {
        Self { private: private.map(Box::new), ..self }
    }

    /// Writes a line; tells whether the limit let it pass.
    fn write<S>(&self, event: &Event<'_>, cx: &Context<'_, S>, buffers: &mut Buffers) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let now = (self.style.clock)();
        // All records of the `log` facade have this name: cheaper than to look at the call site. They
        // have few call sites between them, and level, target and place of their own.
        let is_record = event.metadata().name() == "log event";
        let normalized = is_record.then(|| event.normalized_metadata()).flatten();
        let metadata = normalized.as_ref().unwrap_or(event.metadata());
        let suppressed = match &self.limiter {
            Some(limiter) => match limiter.pass(metadata, normalized.is_some(), now) {
                Some(suppressed) => suppressed,
                None => {
                    self.drop_limited();
                    return false;
                }
            },
            None => 0,
        };
        let since_1970 = since_1970(now);
        // What an exporter's own thread logs is not exported: it would never end.
        buffers.record.begin(self.export.is_some() && !Export::is_exporting());
        let site = self.call_sites.get(event.metadata(), &self.style, normalized.is_some());
        let mut visitor = Fields::of_event(&self.style, &site, buffers);
        let fields = event.metadata().fields();
        let is_told = told::told(event, |values| visitor.take(values, fields)).is_some();
        if is_told {
            told::set_time(now);
        } else {
            event.record(&mut visitor);
        }
        if suppressed > 0 {
            visitor.suppressed(suppressed);
        }
        let site = normalized.is_none().then_some(&*site);
        let nanoseconds = nanoseconds(since_1970);
        // What layers read has no span around it.
        let spans = (!is_told).then_some((event, cx));
        Line { metadata, site, spans, layer: self.id, since_1970, nanoseconds }
            .write(&self.style, buffers);
        if let (Some(export), Some(record)) = (&self.export, buffers.record.made()) {
            export.push(record);
        }
        if *metadata.level() <= Level::WARN {
            self.recent.push(&buffers.line);
        }
        for writer in &*self.writers {
            let queued = writer.push(&buffers.line, nanoseconds);
            if queued && *metadata.level() == Level::ERROR {
                writer.wait_until_written();
            }
        }
        true
    }

    fn drop_limited(&self) {
        for writer in &*self.writers {
            writer.counters().dropped(DropReason::RateLimited, 1);
        }
        if let Some(export) = self.export.as_ref().filter(|_| !Export::is_exporting()) {
            export.dropped(DropReason::RateLimited);
        }
    }

    /// Lends this thread's buffers; fresh ones to a value whose formatting logs, and to what logs
    /// while the thread's own are gone already, at its end.
    fn with_buffers(&self, then: impl FnOnce(&Self, &mut Buffers)) {
        let mut then = Some(then);
        let lent = BUFFERS.try_with(|buffers| {
            if let Ok(mut buffers) = buffers.try_borrow_mut()
                && let Some(then) = then.take()
            {
                buffers.clear();
                then(self, &mut buffers);
                if buffers.capacity() > KEEP_CAPACITY {
                    *buffers = Buffers::new();
                }
            }
        });
        if let Some(then) = then {
            then(self, &mut Buffers { thread_ends: lent.is_err(), ..Buffers::new() });
        }
    }

    /// Visits fields of a span, and keeps them.
    pub(crate) fn keep<S>(&self, id: &Id, cx: &Context<'_, S>, visit: impl FnOnce(&mut dyn Visit))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = cx.span(id) else { return };
        self.with_buffers(|layer, buffers| {
            let style = &*layer.style;
            let site = layer.call_sites.get(span.metadata(), style, false);
            let Buffers { span: fields, scratch, .. } = buffers;
            // Formatting a value may log, and so look at the span: nothing is locked meanwhile.
            visit(&mut Fields::of_span(style, &site, fields, scratch));
            let mut extensions = span.extensions_mut();
            if let Some(state) = extensions.get_mut::<SpanState>() {
                state.merge(layer.id, fields);
            } else {
                let mut state = SpanState::default();
                state.merge(layer.id, fields);
                extensions.insert(state);
            }
        });
    }
}

/// Orders moments, until the year 2554.
fn nanoseconds(since_1970: Duration) -> u64 {
    let seconds = since_1970.as_secs().wrapping_mul(1_000_000_000);
    seconds.wrapping_add(since_1970.subsec_nanos().into())
}

impl<S> Layer<S> for LogFormatter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if self.style.span_fields && !attributes.values().is_empty() {
            self.keep(id, &cx, |visitor| attributes.record(visitor));
            if let Some(private) = &self.private {
                private.keep(id, &cx, |visitor| attributes.record(visitor));
            }
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if self.style.span_fields {
            self.keep(id, &cx, |visitor| values.record(visitor));
            if let Some(private) = &self.private {
                private.keep(id, &cx, |visitor| values.record(visitor));
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut passed = false;
        self.with_buffers(|layer, buffers| passed = layer.write(event, &cx, buffers));
        if let Some(private) = self.private.as_ref().filter(|_| passed)
            && private.concerns(event, &cx)
        {
            private.lines.on_event(event, cx);
        }
    }
}

impl fmt::Debug for LogFormatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFormatter")
            .field("style", &self.style)
            .field("writers", &self.writers)
            .finish_non_exhaustive()
    }
}
