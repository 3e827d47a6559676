//! Spans kept in memory, for tests.

use super::sink::{SpanSink, Terms};
use crate::spare::SpanBox;
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, Signal, internal::LossCounters};
use meshwise_otlp::internal::Exported;
use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Holds finished spans in memory. Clones share them.
///
/// A span is there as soon as it has ended: nothing is queued in between. At most
/// [`MemorySpans::LIMIT`] are kept; what comes after is counted as dropped (`queue_full`).
///
/// ```
/// use meshwise_core::Service;
/// use meshwise_trace::{MemorySpans, SpanExport, TraceConfig};
/// use opentelemetry::trace::Tracer as _;
///
/// let spans = MemorySpans::new();
/// let tracing = TraceConfig::new(Service::new("orders", "1.0.0"))
///     .with_exporter(SpanExport::memory(&spans))
///     .build()?;
/// drop(tracing.tracer().start("work"));
/// assert_eq!(spans.spans()[0].name, "work");
/// # Ok::<(), meshwise_trace::TraceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemorySpans {
    shared: Arc<MemoryState>,
}

#[derive(Debug)]
struct MemoryState {
    spans: Mutex<Vec<SpanData>>,
    arrived: Condvar,
    closed: AtomicBool,
    counters: LossCounters,
}

impl Default for MemorySpans {
    fn default() -> Self {
        Self::new()
    }
}

impl MemorySpans {
    /// How many spans are kept at most.
    #[doc(hidden)]
    pub const LIMIT: usize = 1 << 16;

    /// Starts without spans.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(MemoryState {
                spans: Mutex::default(),
                arrived: Condvar::new(),
                closed: AtomicBool::new(false),
                counters: LossCounters::new(Signal::Traces),
            }),
        }
    }

    /// Returns the finished spans, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanData> {
        self.lock().clone()
    }

    /// Forgets all spans.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Waits until there are at least `n` spans, or `timeout` has passed, and returns those that
    /// are there: fewer than `n` after a timeout.
    ///
    /// This blocks the thread. Spans that end on this very thread are there without waiting.
    #[must_use]
    pub fn wait_for(&self, n: usize, timeout: Duration) -> Vec<SpanData> {
        let (spans, _) = self
            .shared
            .arrived
            .wait_timeout_while(self.lock(), timeout, |spans| spans.len() < n)
            .unwrap_or_else(PoisonError::into_inner);
        spans.clone()
    }

    pub(crate) fn counters(&self) -> &LossCounters {
        &self.shared.counters
    }

    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Relaxed);
    }

    /// Keeps a span.
    pub(crate) fn push(&self, span: SpanData) {
        let counters = &self.shared.counters;
        if self.shared.closed.load(Relaxed) {
            return counters.dropped(DropReason::Shutdown, 1);
        }
        let mut spans = self.lock();
        if spans.len() >= Self::LIMIT {
            return counters.dropped(DropReason::QueueFull, 1);
        }
        spans.push(span);
        drop(spans);
        counters.delivered(1);
        self.shared.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SpanData>> {
        self.shared.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for MemorySpans {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.close();
        Ok(())
    }
}

impl SpanSink for MemorySpans {
    fn export<'a>(&'a mut self, batch: Vec<SpanBox>, _: Terms<'a>) -> BoxFuture<'a, Exported> {
        let mut spans = self.lock();
        let room = Self::LIMIT.saturating_sub(spans.len());
        let refused = batch.len().saturating_sub(room);
        spans.extend(batch.into_iter().take(room).map(|span| span.into_data()));
        drop(spans);
        self.shared.arrived.notify_all();
        Box::pin(std::future::ready(if refused == 0 {
            Exported::Delivered
        } else {
            Exported::Partly {
                refused: refused as u64,
                reason: DropReason::QueueFull,
                error: format!("{} spans are kept in memory already", Self::LIMIT),
            }
        }))
    }
}
