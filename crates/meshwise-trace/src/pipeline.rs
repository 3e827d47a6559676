//! The pipeline in use.

use crate::{FlushError, MemorySpans, export::Kind, names, sampler::RootSampler};
use meshwise_core::{Ledger, Signal, SignalReport, TraceId};
use opentelemetry::{InstrumentationScope, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use std::{fmt, sync::Arc, time::Duration};

/// Holds a running trace pipeline. Cloning is cheap; clones share everything.
#[derive(Clone)]
pub struct Tracing {
    inner: Arc<Inner>,
}

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    root: RootSampler,
    resource: Resource,
    memory: Option<MemorySpans>,
}

impl Tracing {
    pub(crate) fn new(
        provider: SdkTracerProvider,
        root: RootSampler,
        resource: Resource,
        kind: &Kind,
    ) -> Self {
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let tracer = provider.tracer_with_scope(scope);
        let memory = match kind {
            Kind::None => None,
            Kind::Memory(spans) => Some(spans.clone()),
        };
        Self { inner: Arc::new(Inner { provider, tracer, root, resource, memory }) }
    }

    /// Uses a provider that was made elsewhere.
    #[must_use]
    pub fn from_provider(provider: SdkTracerProvider) -> Self {
        let empty = Resource::builder_empty().build();
        Self::new(provider, RootSampler::ALWAYS_ON, empty, &Kind::None)
    }

    /// Returns the provider, for instance to make it the global one.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.inner.provider
    }

    /// Returns the tracer that meshwise's layers start spans with (scope `meshwise`).
    #[must_use]
    pub fn tracer(&self) -> &SdkTracer {
        &self.inner.tracer
    }

    /// Says what the root sampler decides for a trace whose caller left the decision to this
    /// service.
    #[must_use]
    pub fn decide_root(&self, trace_id: TraceId) -> bool {
        self.inner.root.decide(trace_id)
    }

    /// Returns what describes this process on every span.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.inner.resource
    }

    /// Tells how many spans were delivered and dropped up to now.
    pub fn report(&self) -> SignalReport {
        match &self.inner.memory {
            Some(spans) => spans.ledger().report(),
            None => Ledger::new(Signal::Traces).report(),
        }
    }

    /// Waits until what ended before is exported.
    ///
    /// # Errors
    /// If that takes longer than `timeout`.
    #[expect(clippy::unused_async, reason = "waits once there is a batch processor")]
    pub async fn flush(&self, _timeout: Duration) -> Result<SignalReport, FlushError> {
        Ok(self.report())
    }

    /// Stops the pipeline.
    #[expect(clippy::unused_async, reason = "waits once there is a batch processor")]
    pub async fn shutdown(&self, _timeout: Duration) -> SignalReport {
        if let Some(spans) = &self.inner.memory {
            spans.close();
        }
        self.report()
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("report", &self.report()).finish_non_exhaustive()
    }
}
