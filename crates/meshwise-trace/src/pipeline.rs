//! The pipeline in use.

use crate::{
    batch::EndedSpans,
    decision::MeshIds,
    error::FlushError,
    export::Output,
    names,
    processor::Processor,
    record::Recorder,
    room::Room,
    sampler::MeshSampler,
    start::{self, Started},
    tracer::{MeshTracer, Mode},
};
use meshwise_core::{Signal, SignalReport, TraceId, internal::LossCounters};
use meshwise_otlp::internal as wait;
use opentelemetry::{
    Context, InstrumentationScope,
    trace::{SpanBuilder, SpanContext, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, SpanLimits},
};
use std::{fmt, sync::Arc, time::Duration};

/// Holds a running trace pipeline. Cloning is cheap; clones share everything.
///
/// Shut it down before the program ends: what is queued would be lost with it, uncounted. If all
/// clones, tracers and providers of the pipeline are dropped without, the SDK shuts it down
/// itself, which blocks the thread for up to five seconds.
#[derive(Clone)]
pub struct Tracing {
    inner: Arc<Inner>,
}

struct Inner {
    provider: SdkTracerProvider,
    tracer: MeshTracer,
    resource: Resource,
    enabled: bool,
    /// `None` for a provider that was made elsewhere.
    processor: Option<Processor>,
    hints: Vec<String>,
}

/// The parts that [`TraceConfig`](crate::TraceConfig) makes.
pub(crate) struct Parts {
    pub(crate) provider: SdkTracerProvider,
    pub(crate) sampler: Option<MeshSampler>,
    pub(crate) resource: Resource,
    pub(crate) enabled: bool,
    pub(crate) processor: Option<Processor>,
    pub(crate) limits: SpanLimits,
    pub(crate) hints: Vec<String>,
}

impl Tracing {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { provider, sampler, resource, enabled, processor, limits, hints } = parts;
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(meshwise_otlp::SCHEMA_URL)
            .build();
        let mode = match &processor {
            _ if !enabled => Mode::Off,
            Some(processor) if processor.outputs().is_empty() => Mode::Unseen,
            // Where the spans of a provider that was made elsewhere go is not known.
            Some(_) | None => Mode::Exported,
        };
        let recorder =
            processor.clone().map(|processor| Recorder::new(processor, limits, scope.clone()));
        let tracer = provider.tracer_with_scope(scope);
        let tracer = MeshTracer::new(tracer, sampler, mode, recorder);
        let inner = Inner { provider, tracer, resource, enabled, processor, hints };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn new_tracer(&self, scope: InstrumentationScope) -> MeshTracer {
        let Inner { provider, tracer, .. } = &*self.inner;
        tracer.with_scope(provider.tracer_with_scope(scope.clone()), scope)
    }

    /// Uses a provider that was made elsewhere.
    ///
    /// Its processors, sampler and resource stay its own, out of sight: [`Self::report`] counts
    /// nothing, [`Self::resource`] is empty, and [`Self::decide_root`] says yes, which leaves the
    /// decision to the provider's sampler. To have spans accounted for, add a
    /// [`BatchProcessor`](crate::BatchProcessor) to the provider, and ask that.
    #[must_use]
    pub fn from_provider(provider: SdkTracerProvider) -> Self {
        Self::new(Parts {
            provider,
            sampler: None,
            resource: Resource::builder_empty().build(),
            enabled: true,
            processor: None,
            limits: SpanLimits::default(),
            hints: Vec::new(),
        })
    }

    /// Makes ids and records nothing, whatever features there are: what the caller samples is sampled, and
    /// so are traces that begin here. Off, it only hands a caller's on.
    #[doc(hidden)]
    #[must_use]
    pub fn ids(enabled: bool) -> Self {
        let sampler = MeshSampler::by_parent(enabled);
        let provider = SdkTracerProvider::builder().with_id_generator(MeshIds);
        Self::new(Parts {
            provider: provider.with_sampler(sampler.clone()).build(),
            sampler: Some(sampler),
            resource: Resource::builder_empty().build(),
            enabled,
            processor: Some(Processor::new(Vec::new(), None)),
            limits: SpanLimits::default(),
            hints: Vec::new(),
        })
    }

    /// Returns the SDK's provider. To make it the global one take the `Tracing` itself, whose tracers
    /// say that the ids of new traces are random.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.inner.provider
    }

    /// Returns the tracer that meshwise's layers start spans with (scope `meshwise`).
    #[must_use]
    pub fn tracer(&self) -> &MeshTracer {
        &self.inner.tracer
    }

    /// Starts a span of meshwise's layers, below `parent`; `build` makes its name and attributes,
    /// these in the room that it is given, and is only called if the span records.
    ///
    /// The sampler decides before anything is made; a custom one sees what `build` makes. `parent` is
    /// the span in the context that `context` makes, which is asked for where the SDK needs one;
    /// neither may suppress telemetry. With a provider that was made elsewhere, `build` is called for
    /// every span.
    #[doc(hidden)]
    pub fn start(
        &self,
        parent: &SpanContext,
        context: impl Fn() -> Context,
        build: impl FnOnce(&mut Room) -> SpanBuilder,
    ) -> Started {
        start::start(&self.inner.tracer, parent, context, build)
    }

    /// Tells whether a span below a caller's is certain to be only its ids, as [`start`](Self::start) would
    /// have it: then they can be [made](Started::ids_below) once they are asked for.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn sees_none_below(&self, parent: &SpanContext) -> bool {
        self.inner.tracer.sampler().is_some_and(|sampler| sampler.drops_below(parent))
    }

    /// Tells whether tracing is on: `false` if `OTEL_SDK_DISABLED` is `true`.
    ///
    /// A layer need not start spans then, and hands the caller's context on as it came.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner.enabled
    }

    /// Says what the root sampler decides for a trace whose caller left the decision to this
    /// service (`Sampling::Deferred`): whether to treat it as sampled.
    ///
    /// The answer becomes the `sampled` flag of the remote parent. Ask once for each call: a
    /// rate-limited sampler takes a token.
    #[doc(hidden)]
    #[must_use]
    pub fn decide_root(&self, trace_id: TraceId) -> bool {
        self.inner.tracer.sampler().is_none_or(|sampler| sampler.decide_root(trace_id))
    }

    /// Lists what looks like a mistake in the settings and is none for certain, in sentences to be
    /// logged: an exporter that is told to speak HTTP to gRPC's usual port, for one.
    #[must_use]
    #[doc(hidden)]
    pub fn hints(&self) -> &[String] {
        &self.inner.hints
    }

    /// Returns what describes this process on every span.
    #[must_use]
    #[doc(hidden)]
    pub fn resource(&self) -> &Resource {
        &self.inner.resource
    }

    /// Tells how many sampled spans were delivered and dropped up to now. With several exporters,
    /// each counts every span.
    pub fn report(&self) -> SignalReport {
        let nothing = LossCounters::new(Signal::Traces).report();
        self.inner.processor.as_ref().map_or(nothing, Processor::report)
    }

    /// Waits until the spans that have ended are exported, or lost for good.
    ///
    /// Never blocks the calling thread, and works on any executor.
    ///
    /// # Errors
    /// If that takes longer than `timeout`. Nothing is lost by it: the export goes on.
    pub async fn flush(&self, timeout: Duration) -> Result<SignalReport, FlushError> {
        let done = match &self.inner.processor {
            Some(processor) => wait::flush(processor.batches(), timeout).await,
            None => {
                let provider = self.inner.provider.clone();
                wait::elsewhere(timeout, move || drop(provider.force_flush())).await
            }
        };
        if done { Ok(self.report()) } else { Err(FlushError::Timeout(timeout)) }
    }

    /// Exports what is queued and stops: after `timeout` at the latest, whatever the exporters
    /// do, and never blocking the calling thread.
    ///
    /// What ends from now on, and what was not sent in time, is counted as dropped (`shutdown`).
    /// A batch in transit at the end counts as dropped, too, though it may have arrived. Spans
    /// can still be started, and have ids as before. A second call returns the final counts; if
    /// it overlaps the first, the shorter time holds.
    pub async fn shutdown(&self, timeout: Duration) -> SignalReport {
        match &self.inner.processor {
            Some(processor) => {
                processor.close();
                wait::shutdown(processor.batches(), timeout).await;
            }
            None => {
                let provider = self.inner.provider.clone();
                let stop = move || drop(provider.shutdown_with_timeout(timeout));
                wait::elsewhere(timeout, stop).await;
            }
        }
        self.report()
    }
}

/// Makes tracers of this pipeline, to be OpenTelemetry's global provider:
/// `opentelemetry::global::set_tracer_provider(tracing.clone())`.
impl TracerProvider for Tracing {
    type Tracer = MeshTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> MeshTracer {
        self.new_tracer(scope)
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing")
            .field("enabled", &self.inner.enabled)
            .field("processor", &self.inner.processor)
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

impl Processor {
    fn batches(&self) -> Vec<wait::Batcher<EndedSpans>> {
        let batches = self.outputs().iter().filter_map(|output| match output {
            Output::Batch(batch) => Some(batch.batcher().clone()),
            Output::Memory(..) => None,
        });
        batches.collect()
    }
}
