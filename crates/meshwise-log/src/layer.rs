//! The layer: turns events into lines and gives them to the writer.

use crate::{
    LogFilter, RateLimit,
    format::{Buffers, Fields, Line, Style, since_1970},
    rate::Limiter,
    spans::SpanFields,
    writer::Writer,
};
use meshwise_core::DropReason;
use std::{
    cell::RefCell,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{Layer, filter::Filtered, layer::Context, registry::LookupSpan};

/// The layer that `LogConfig::build` makes: a [`LogFormatter`] behind a [`LogFilter`].
///
/// Add it to any registry with `.with(layer)`; its filter concerns no other layer.
pub type LogLayer<S> = Filtered<LogFormatter, LogFilter, S>;

pub(crate) type Clock = fn() -> SystemTime;

/// Buffers larger than this are not kept for the next line.
const KEEP_CAPACITY: usize = 16 << 10;

thread_local! {
    /// The line being made on this thread: kept, so that a line allocates nothing.
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Buffers::new()) };
}

/// Turns events into lines. Made by [`LogConfig::build`](crate::LogConfig::build).
pub struct LogFormatter {
    style: Arc<Style>,
    writer: Arc<Writer>,
    limiter: Option<Limiter>,
}

impl LogFormatter {
    pub(crate) fn new(style: Arc<Style>, writer: Arc<Writer>, limit: Option<RateLimit>) -> Self {
        Self { style, writer, limiter: limit.map(Limiter::new) }
    }

    fn write<S>(&self, event: &Event<'_>, cx: &Context<'_, S>, buffers: &mut Buffers)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let now = (self.style.clock)();
        let suppressed = match &self.limiter {
            Some(limiter) => match limiter.pass(event.metadata(), now) {
                Some(suppressed) => suppressed,
                None => return self.writer.ledger().dropped(DropReason::RateLimited, 1),
            },
            None => 0,
        };
        let since_1970 = since_1970(now);
        let site = self.style.sites.get(event.metadata(), &self.style);
        let mut visitor = Fields::of_event(&self.style, site, buffers);
        event.record(&mut visitor);
        if suppressed > 0 {
            visitor.number("suppressed", suppressed);
        }
        // All records of the `log` facade have this name: cheaper than to look at the call site.
        let is_record = event.metadata().name() == "log event";
        let normalized = is_record.then(|| event.normalized_metadata()).flatten();
        // A record of the `log` facade has level and target of its own.
        let (metadata, site) = match &normalized {
            Some(metadata) => (metadata, None),
            None => (event.metadata(), site),
        };
        Line { metadata, site, event, cx, since_1970 }.write(&self.style, buffers);
        self.writer.push(&buffers.line, nanoseconds(since_1970));
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
        if !self.style.span_fields {
            return;
        }
        if let Some(span) = cx.span(id) {
            let fields = SpanFields::new(&self.style, attributes);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            fields.record(&self.style, span.metadata(), values);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        BUFFERS.with(|buffers| match buffers.try_borrow_mut() {
            Ok(mut buffers) => {
                buffers.clear();
                self.write(event, &cx, &mut buffers);
                if buffers.capacity() > KEEP_CAPACITY {
                    *buffers = Buffers::new();
                }
            }
            // A value whose formatting logs gets here.
            Err(_) => self.write(event, &cx, &mut Buffers::new()),
        });
    }
}

impl fmt::Debug for LogFormatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFormatter")
            .field("style", &self.style)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
