//! Queueing finished spans and exporting them in batches, with every loss accounted for.

use crate::{
    error::TraceError,
    export::{SpanExport, SpanSink},
    names,
    scrub::Scrub,
};
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, Redaction, Signal, SignalReport};
use meshwise_otlp::{
    BatchConfig,
    internal::{
        Batcher, Destination, Exported, Sink, Sizes, Terms, is_exporting, moment_after,
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
    batcher: Batcher<Vec<SpanData>>,
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

impl Sink<Vec<SpanData>> for ScrubbingSink {
    fn destination(&self) -> Option<Destination> {
        self.sink.destination()
    }

    fn export<'a>(
        &'a mut self,
        mut batch: Vec<SpanData>,
        terms: Terms<'a>,
    ) -> BoxFuture<'a, Exported> {
        // Set before any span ends.
        let resource = self.resource.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(resource) = resource {
            self.sink.set_resource(&resource);
        }
        batch.iter_mut().for_each(|span| self.scrub.apply(span));
        self.sink.export(batch, terms)
    }

    fn close(&mut self, left: Duration) {
        self.sink.close(left);
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

    pub(crate) fn batcher(&self) -> &Batcher<Vec<SpanData>> {
        &self.batcher
    }

    /// Queues a span, sampled or not.
    #[inline]
    pub(crate) fn push(&self, span: SpanData) {
        self.batcher.push(|block| block.push(span));
    }
}

impl SpanProcessor for BatchProcessor {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !is_exporting() {
            self.push(span);
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
