//! Describing and building the pipeline.

use crate::{SamplerConfig, SpanExport, TraceError, Tracing, export::Kind};
use meshwise_core::{Env, Service};
use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

/// Describes a trace pipeline.
#[derive(Clone, Debug)]
#[must_use]
pub struct TraceConfig {
    service: Service,
    sampler: Option<SamplerConfig>,
    env_sampler: Option<SamplerConfig>,
    export: Option<SpanExport>,
}

impl TraceConfig {
    /// Describes the pipeline of a service.
    pub fn new(service: Service) -> Self {
        Self { service, sampler: None, env_sampler: None, export: None }
    }

    /// Reads OpenTelemetry's variables; what is set on the builder beats them.
    ///
    /// # Errors
    /// If a variable has a value that is not allowed.
    pub fn with_env(mut self, env: &Env) -> Result<Self, TraceError> {
        self.env_sampler = SamplerConfig::from_env(env)?;
        Ok(self)
    }

    /// Sets which traces are recorded; `parentbased_always_on` by default.
    pub fn with_sampler(mut self, sampler: SamplerConfig) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Sets where spans go.
    pub fn with_exporter(mut self, export: SpanExport) -> Self {
        self.export = Some(export);
        self
    }

    /// Builds the pipeline.
    ///
    /// # Errors
    /// If a setting is not allowed.
    pub fn build(self) -> Result<Tracing, TraceError> {
        let (sampler, _tail) = self.sampler.or(self.env_sampler).unwrap_or_default().build()?;
        let root = sampler.root();
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", self.service.name().to_owned()))
            .build();
        let kind = self.export.unwrap_or(SpanExport::none()).0;
        let mut provider =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_sampler(sampler);
        if let Kind::Memory(spans) = &kind {
            provider = provider.with_span_processor(spans.clone());
        }
        Ok(Tracing::new(provider.build(), root, resource, &kind))
    }
}
