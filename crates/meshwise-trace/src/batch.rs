//! Queueing finished spans and exporting them in batches, with every loss accounted for.

use crate::{
    error::TraceError,
    export::{SpanExport, SpanSink},
    logged::Logged,
    names,
    scrub::Scrub,
    spare::{self, SpanBox},
};
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, Redaction, Signal, SignalReport, internal::queue::Block};
use meshwise_otlp::{
    BatchConfig,
    internal::{
        Batcher, Destination, Exported, Items, Sink, Sizes, Terms, is_exporting, moment_after,
        worker_deadline,
    },
};
use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{Span, SpanData, SpanProcessor},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Queues finished spans and exports them in batches from a thread of its own.
///
/// Ending a span never waits for the exporter and never allocates: it moves the span into a bounded
/// queue, or drops and counts it if the queue is full. Threads that end spans at the same time have
/// a shard of the queue each, and so do not wait for each other. The exporter runs on a thread
/// (`meshwise-trace`) with a runtime of its own, so it works whatever runtime the app has, and a
/// slow or hanging collector holds up no caller. Every sampled span that ended is accounted for:
/// once [`Tracing::shutdown`](crate::Tracing::shutdown) or the provider's own has returned, those
/// delivered and those dropped add up to it.
///
/// [`TraceConfig`](crate::TraceConfig) makes one for each exporter; make one yourself to add it to
/// a provider of your own:
///
/// ```
/// # use meshwise_trace::{BatchConfig, BatchProcessor, MemorySpans, SpanExport};
/// # use opentelemetry::trace::{Tracer as _, TracerProvider as _};
/// let spans = MemorySpans::new(); // or SpanExport::otlp(..), ...
/// let batch = BatchProcessor::start(SpanExport::memory(&spans), BatchConfig::new())?;
/// let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
///     .with_span_processor(batch.clone())
///     .build();
/// drop(provider.tracer("mine").start("work"));
/// provider.shutdown().ok();
/// assert_eq!(batch.report().delivered, 1);
/// # Ok::<(), meshwise_trace::TraceError>(())
/// ```
#[derive(Clone)]
pub struct BatchProcessor {
    batcher: Batcher<EndedSpans>,
    resource: NewResource,
}

/// A resource that the exporter has not heard of yet.
type NewResource = Arc<Mutex<Option<Resource>>>;

/// Makes spans fit to leave the process, and exports them.
#[derive(Debug)]
struct ScrubbingSink {
    sink: Box<dyn SpanSink>,
    scrub: Scrub,
    resource: NewResource,
}

impl Sink<EndedSpans> for ScrubbingSink {
    fn destination(&self) -> Option<Destination> {
        self.sink.destination()
    }

    fn export<'a>(&'a mut self, batch: EndedSpans, terms: Terms<'a>) -> BoxFuture<'a, Exported> {
        // Set before any span ends.
        let resource = self.resource.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(resource) = resource {
            self.sink.set_resource(&resource);
        }
        let mut batch = batch.made();
        batch.iter_mut().for_each(|span| self.scrub.apply(span));
        self.sink.export(batch, terms)
    }

    fn close(&mut self, left: Duration) {
        self.sink.close(left);
    }
}

/// Spans that have ended, in their order, and events of theirs that are still to be made.
#[derive(Debug, Default)]
pub(crate) struct EndedSpans {
    spans: Vec<SpanBox>,
    logged: Logged,
}

impl EndedSpans {
    /// Makes the spans whole, with their events.
    fn made(self) -> Vec<SpanBox> {
        let Self { mut spans, logged } = self;
        spans.iter_mut().for_each(|span| span.complete());
        for (number, event) in logged.made() {
            if let Some(span) = spans.get_mut(number) {
                span.events.events.push(event);
            }
        }
        spans
    }
}

impl Block for EndedSpans {
    fn items(&self) -> usize {
        self.spans.len()
    }

    fn size(&self) -> usize {
        self.spans.len()
    }
}

impl Items for EndedSpans {
    fn with_capacity(spans: usize) -> Self {
        Self { spans: Vec::with_capacity(spans), logged: Logged::default() }
    }

    fn append(&mut self, later: &mut Self) {
        self.logged.append(&mut later.logged, self.spans.len());
        self.spans.append(&mut later.spans);
    }

    fn move_first(&mut self, n: usize, into: &mut Self) {
        let n = n.min(self.spans.len());
        self.logged.move_first(n, &mut into.logged, into.spans.len());
        into.spans.extend(self.spans.drain(..n));
    }
}

impl BatchProcessor {
    /// Starts the exporter's thread. The environment is not read: see
    /// [`OtlpConfig::from_env`](crate::OtlpConfig::from_env) and [`BatchConfig::from_env`].
    ///
    /// # Errors
    /// If a size is out of range, the exporter cannot be built (see [`SpanExport`]), or the thread
    /// cannot be started.
    pub fn start(export: SpanExport, config: BatchConfig) -> Result<Self, TraceError> {
        Self::start_with_redaction(export, config, Redaction::default())
    }

    /// Starts the exporter's thread like [`start`](Self::start), which hides what the default
    /// [`Redaction`] hides, with a redaction of one's own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[doc(hidden)]
    pub fn start_with_redaction(
        export: SpanExport,
        config: BatchConfig,
        redaction: Redaction,
    ) -> Result<Self, TraceError> {
        let sizes = config.sizes(Signal::Traces)?;
        Self::with_sink(export.into_sink()?, sizes, Scrub { redaction, value_limit: None })
    }

    pub(crate) fn with_sink(
        sink: Box<dyn SpanSink>,
        sizes: Sizes,
        scrub: Scrub,
    ) -> Result<Self, TraceError> {
        let resource = NewResource::default();
        let sink = ScrubbingSink { sink, scrub, resource: Arc::clone(&resource) };
        let batcher = Batcher::start(Signal::Traces, names::EXPORT_THREAD, Box::new(sink), sizes)
            .map_err(TraceError::Thread)?;
        Ok(Self { batcher, resource })
    }

    /// Tells how many spans were delivered and dropped up to now.
    pub fn report(&self) -> SignalReport {
        self.batcher.report()
    }

    pub(crate) fn batcher(&self) -> &Batcher<EndedSpans> {
        &self.batcher
    }

    /// Queues a span, sampled or not, with events that are still to be made.
    #[inline]
    pub(crate) fn push(&self, span: SpanBox, logged: Option<&mut Logged>) {
        let mut span = Some(span);
        self.batcher.push(|block| {
            block.spans.extend(span.take());
            if let Some(logged) = logged {
                block.logged.append(logged, block.spans.len() - 1);
            }
        });
        // One for which there was no room.
        if let Some(lost) = span {
            spare::keep(lost);
        }
    }
}

impl SpanProcessor for BatchProcessor {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !is_exporting() {
            self.push(Box::new(span.into()), None);
        }
    }

    /// Blocks until what has ended is exported, for the export timeout at most. From async code,
    /// use [`Tracing::flush`](crate::Tracing::flush).
    fn force_flush(&self) -> OTelSdkResult {
        let timeout = self.batcher.export_timeout();
        if self.batcher.begin_flush().wait(moment_after(timeout)) {
            Ok(())
        } else {
            Err(OTelSdkError::Timeout(timeout))
        }
    }

    /// Blocks until what is queued is exported or `timeout` has passed; what is left then is
    /// counted as dropped. From async code, use [`Tracing::shutdown`](crate::Tracing::shutdown).
    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let deadline = moment_after(timeout);
        let cut_off = || self.report().dropped_because(DropReason::Shutdown);
        let before = cut_off();
        let _ = self.batcher.begin_shutdown(worker_deadline(timeout)).wait(deadline);
        self.batcher.end_shutdown();
        if cut_off() == before { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }

    fn set_resource(&mut self, resource: &Resource) {
        *self.resource.lock().unwrap_or_else(PoisonError::into_inner) = Some(resource.clone());
    }
}

impl fmt::Debug for BatchProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessor")
            .field("report", &self.report())
            .field("open", &self.batcher.open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use meshwise_core::internal::told::{TextRange, ToldValue, ToldValues};
    use std::time::SystemTime;
    use tracing::{Metadata, callsite::DefaultCallsite, metadata::Kind};

    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
    static METADATA: Metadata<'static> = tracing::metadata! {
        name: "event",
        target: "tests",
        level: tracing::Level::INFO,
        fields: &["message", "n"],
        callsite: &CALLSITE,
        kind: Kind::EVENT
    };

    /// Makes spans, each of them with as many events as its number tells.
    fn spans(numbers: std::ops::Range<i64>) -> EndedSpans {
        let mut all = EndedSpans::default();
        for number in numbers {
            let mut logged = Logged::kept();
            for n in 0..number % 4 {
                let text = format!("{number}.{n}");
                let whole = ToldValue::Formatted(TextRange { from: 0, to: text.len() });
                let values = vec![(0, whole), (1, ToldValue::Signed(n))];
                let values = ToldValues { text, values, errors: Vec::new() };
                logged.push(&METADATA, SystemTime::UNIX_EPOCH, &values);
            }
            all.spans.push(Box::new(span_data(&number.to_string()).into()));
            all.logged.append(&mut logged, all.spans.len() - 1);
            assert_eq!(logged.len(), 0);
            logged.keep();
        }
        all
    }

    fn assert_whole(spans: &[SpanBox], numbers: std::ops::Range<i64>) {
        assert_eq!(spans.len() as i64, numbers.end - numbers.start);
        for (span, number) in spans.iter().zip(numbers) {
            assert_eq!(span.name, number.to_string());
            assert_eq!(span.events.events.len() as i64, number % 4);
            for (event, n) in span.events.events.iter().zip(0_i64..) {
                assert_eq!(event.name, format!("{number}.{n}"));
                assert_eq!(event.attributes[2], opentelemetry::KeyValue::new("n", n));
            }
        }
    }

    #[test]
    fn each_span_has_its_own_events_in_whatever_pieces_it_moves() {
        for cut in 0..=20 {
            for others in [0..0, 0..3, 0..7] {
                let start = others.end;
                let mut from = spans(start..start + 20);
                let mut into = spans(others);
                from.move_first(cut as usize, &mut into);
                assert_whole(&into.made(), 0..start + cut);
                let mut rest = spans(start + 20..start + 25);
                from.append(&mut rest);
                assert_eq!((rest.items(), rest.logged.len()), (0, 0));
                assert_whole(&from.made(), start + cut..start + 25);
            }
        }
    }
}
