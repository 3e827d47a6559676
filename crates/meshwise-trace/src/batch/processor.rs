//! The side of the queue on which spans end.

use super::{
    backlog,
    config::{BatchConfig, Sizes},
    losses::LossLog,
    shutdown_signal::ShutdownSignal,
    worker::{Control, Worker},
};
use crate::{
    error::TraceError,
    export::{Sink, SpanExport},
    export_thread, names,
    scrub::Scrub,
};
use meshwise_core::{
    DropReason, Redaction, Signal, SignalReport,
    internal::{
        LossCounters,
        queue::{self, Entry, Queue},
        threads::thread_index,
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
    num::NonZero,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc as control};

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
/// let spans = MemorySpans::new(); // or SpanExport::otlp_grpc(), ...
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
    handle: Arc<Handle>,
}

/// What only the side that ends spans holds: once it is gone, the worker ends.
struct Handle {
    shared: Arc<Shared>,
    control: control::UnboundedSender<Control>,
    sizes: Sizes,
}

/// What both sides hold.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue<Vec<SpanData>>,
    pub(super) counters: LossCounters,
    pub(super) wake: Notify,
    pub(super) shutdown: ShutdownSignal,
    pub(super) losses: LossLog,
}

impl Shared {
    #[cold]
    fn heed(&self, entry: Entry) {
        match entry {
            Entry::Queued => {}
            Entry::Notify => self.wake.notify_one(),
            Entry::Full => self.counters.dropped(DropReason::QueueFull, 1),
            Entry::Closed => self.counters.dropped(DropReason::Shutdown, 1),
        }
    }

    /// Counts all that is still open as lost.
    pub(super) fn write_off(&self, reason: DropReason) {
        self.counters.dropped(reason, self.queue.discard());
    }
}

/// Waits for the worker's answer.
#[derive(Debug)]
pub(crate) struct Answer(mpsc::Receiver<()>);

impl Answer {
    /// Blocks until the worker has answered or is gone, `deadline` at most; `false` if it is
    /// still at work.
    pub(crate) fn wait(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.0.recv_timeout(left) != Err(mpsc::RecvTimeoutError::Timeout)
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
    pub fn start_with_redaction(
        export: SpanExport,
        config: BatchConfig,
        redaction: Redaction,
    ) -> Result<Self, TraceError> {
        let sizes = config.sizes()?;
        Self::with_sink(export.into_sink()?, sizes, Scrub { redaction, value_limit: None })
    }

    pub(crate) fn with_sink(
        sink: Box<dyn Sink>,
        sizes: Sizes,
        scrub: Scrub,
    ) -> Result<Self, TraceError> {
        let shards = queue::shards(thread::available_parallelism().map_or(1, NonZero::get));
        let shape = backlog::shape(sizes.queue, sizes.batch, shards);
        let shared = Arc::new(Shared {
            queue: Queue::new(shape, backlog::empty_block),
            counters: LossCounters::new(Signal::Traces),
            wake: Notify::new(),
            shutdown: ShutdownSignal::default(),
            losses: LossLog::new(sink.destination()),
        });
        let (control, orders) = control::unbounded_channel();
        // Made here, so that a failure is an error of `build()`.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(names::EXPORT_THREAD)
            .build()
            .map_err(TraceError::Thread)?;
        let worker = Worker::new(Arc::clone(&shared), orders, sink, sizes, scrub);
        thread::Builder::new()
            .name(names::EXPORT_THREAD.to_owned())
            .spawn(move || {
                let _untraced = export_thread::enter();
                runtime.block_on(worker.run());
                // A name look-up that hangs must not keep the thread.
                runtime.shutdown_background();
            })
            .map_err(TraceError::Thread)?;
        Ok(Self { handle: Arc::new(Handle { shared, control, sizes }) })
    }

    /// Tells how many spans were delivered and dropped up to now.
    pub fn report(&self) -> SignalReport {
        self.handle.shared.counters.report()
    }

    /// Asks for all that has ended to be exported; the answer comes once it is.
    pub(crate) fn begin_flush(&self) -> Answer {
        let (done, answer) = mpsc::channel();
        // If the worker is gone, `done` is dropped with the order, which is an answer, too.
        let _ = self.handle.control.send(Control::Flush { done });
        Answer(answer)
    }

    /// Accepts no more spans and asks for the rest to be exported until `deadline`.
    pub(crate) fn begin_shutdown(&self, deadline: Instant) -> Answer {
        let shared = &self.handle.shared;
        shared.queue.close();
        shared.shutdown.begin();
        let (done, answer) = mpsc::channel();
        let _ = self.handle.control.send(Control::Shutdown { deadline, done });
        Answer(answer)
    }

    /// Counts as lost what a shutdown has not delivered.
    pub(crate) fn end_shutdown(&self) {
        self.handle.shared.write_off(DropReason::Shutdown);
    }

    /// Queues a span, sampled or not.
    #[inline]
    pub(crate) fn push(&self, span: SpanData) {
        let shared = &self.handle.shared;
        let entry = shared.queue.push(thread_index(), 1, |block| block.push(span));
        if entry != Entry::Queued {
            shared.heed(entry);
        }
    }
}

impl SpanProcessor for BatchProcessor {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !export_thread::is_current() {
            self.push(span);
        }
    }

    /// Blocks until what has ended is exported, for the export timeout at most. From async code,
    /// use [`Tracing::flush`](crate::Tracing::flush).
    fn force_flush(&self) -> OTelSdkResult {
        let timeout = self.handle.sizes.timeout;
        if self.begin_flush().wait(moment_after(timeout)) {
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
        self.begin_shutdown(worker_deadline(timeout)).wait(deadline);
        self.end_shutdown();
        if cut_off() == before { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }

    fn set_resource(&mut self, resource: &Resource) {
        let _ = self.handle.control.send(Control::Resource(resource.clone()));
    }
}

/// Returns the moment `timeout` from now; one too far off to be told is thirty years away.
pub(crate) fn moment_after(timeout: Duration) -> Instant {
    meshwise_core::Deadline::after(Instant::now(), timeout).moment()
}

/// Returns when the worker has to give up, a little before the caller that waits for it does: so it is
/// the worker that says how it went.
pub(crate) fn worker_deadline(timeout: Duration) -> Instant {
    moment_after(timeout.saturating_sub((timeout / 10).min(Duration::from_millis(50))))
}

impl fmt::Debug for BatchProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessor")
            .field("report", &self.report())
            .field("open", &self.handle.shared.queue.open())
            .finish_non_exhaustive()
    }
}
