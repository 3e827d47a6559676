//! What the provider hands finished spans to: one processor for all exporters.

use crate::{
    batch::BatchProcessor,
    decision::say_random,
    export::Output,
    logged::Logged,
    spare::SpanBox,
    tail::{Tail, TailConfig},
};
use meshwise_core::SignalReport;
use meshwise_otlp::internal::moment_after;
use opentelemetry::{
    Context,
    trace::{Span as _, SpanContext, SpanId, TraceContextExt as _},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Hands sampled spans to every exporter, and those not sampled to the decision at the end of
/// the local root, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Processor {
    outputs: Arc<[Output]>,
    tail: Option<Arc<Tail>>,
    /// The provider was shut down.
    stopped: Arc<AtomicBool>,
}

impl Processor {
    pub(crate) fn new(outputs: Vec<Output>, tail: Option<TailConfig>) -> Self {
        let tail = tail.map(|config| Arc::new(Tail::new(config)));
        Self { outputs: outputs.into(), tail, stopped: Arc::default() }
    }

    /// Tells whether the provider was shut down.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Takes note of a span that records.
    #[inline]
    pub(crate) fn started(&self, span: &SpanContext, parent: &SpanContext) {
        if let Some(tail) = &self.tail {
            tail.started(span, parent);
        }
    }

    /// Takes a finished span, with events that are still to be made.
    #[inline]
    pub(crate) fn ended(&self, span: SpanBox, logged: Option<&mut Logged>) {
        match &*self.outputs {
            [Output::Batch(batch)] if span.span_context.is_sampled() => batch.push(span, logged),
            _ => self.ended_otherwise(span, logged),
        }
    }

    pub(crate) fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    pub(crate) fn report(&self) -> SignalReport {
        let reports = self.outputs.iter().map(Output::report);
        let reports = reports.chain(self.tail.iter().map(|tail| tail.report()));
        let empty =
            meshwise_core::internal::LossCounters::new(meshwise_core::Signal::Traces).report();
        reports.fold(empty, |mut sum, report| {
            sum.add(&report);
            sum
        })
    }

    /// Stops what takes spans at once; queues are closed by their own shutdown.
    pub(crate) fn close(&self) {
        for output in &*self.outputs {
            if let Output::Memory(spans, _) = output {
                spans.close();
            }
        }
    }

    #[inline(never)]
    fn ended_otherwise(&self, mut span: SpanBox, logged: Option<&mut Logged>) {
        span.complete();
        if let Some(logged) = logged {
            logged.make_all(&mut span.events.events);
        }
        if span.span_context.is_sampled() {
            self.export_to_all(span);
        } else if let Some(tail) = &self.tail {
            tail.ended(span, |kept| self.export_to_all(kept));
        }
    }

    #[inline(never)]
    fn export_to_all(&self, span: SpanBox) {
        let Some((last, others)) = self.outputs.split_last() else { return };
        for output in others {
            output.push(span.clone());
        }
        last.push(span);
    }

    fn each_batch(&self, mut work: impl FnMut(&BatchProcessor) -> OTelSdkResult) -> OTelSdkResult {
        let mut result = Ok(());
        for output in &*self.outputs {
            if let Output::Batch(batch) = output {
                result = result.and(work(batch));
            }
        }
        result
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.started(span.span_context(), cx.span().span_context());
    }

    fn on_end(&self, mut span: SpanData) {
        if span.parent_span_id == SpanId::INVALID {
            span.span_context = say_random(&span.span_context);
        }
        self.ended(Box::new(span.into()), None);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.each_batch(SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.stopped.store(true, Relaxed);
        self.close();
        let deadline = moment_after(timeout);
        self.each_batch(|batch| {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            batch.shutdown_with_timeout(left)
        })
    }

    fn set_resource(&mut self, resource: &Resource) {
        // The outputs are shared with the pipeline, so each gets the message through its handle.
        for output in &*self.outputs {
            if let Output::Batch(batch) = output {
                batch.clone().set_resource(resource);
            }
        }
    }
}
