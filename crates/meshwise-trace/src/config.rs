//! Describing and building the pipeline.

use crate::{
    BatchConfig, BatchProcessor, OtlpConfig, SamplerConfig, SpanExport, TraceError, Tracing,
    export::{Kind, Output},
    limits::EnvLimits,
    names::{OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER},
    pipeline::Parts,
    processor::Processor,
    resource::{EnvAttributes, Machine, ResourceConfig},
    sampler::slow_from_env,
    scrub::Scrub,
    start::MeshIds,
};
use meshwise_core::{Env, EnvError, Redaction, Service};
use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanLimits};
use std::time::Duration;

/// Describes a trace pipeline. What is said here beats the environment, which beats the defaults.
///
/// ```
/// use meshwise_core::{Env, Service};
/// use meshwise_trace::{SamplerConfig, TraceConfig};
///
/// let env = Env::new(|name| std::env::var(name).ok());
/// let tracing = TraceConfig::new(Service::new("orders", "1.4.2"))
///     .with_env(&env)?
///     .with_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(0.1)))
///     .build()?;
/// # Ok::<(), meshwise_trace::TraceError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct TraceConfig {
    service: Service,
    sampler: Option<SamplerConfig>,
    default_sampler: SamplerConfig,
    exports: Vec<SpanExport>,
    batch: BatchConfig,
    limits: Option<SpanLimits>,
    attributes: Vec<KeyValue>,
    detect: bool,
    machine: Machine,
    redaction: Redaction,
    env: EnvSettings,
}

/// What the environment says.
#[derive(Debug, Default)]
struct EnvSettings {
    disabled: bool,
    sampler: Option<SamplerConfig>,
    slow: Option<Duration>,
    exporters: Option<Vec<Named>>,
    otlp: OtlpConfig,
    batch: BatchConfig,
    limits: EnvLimits,
    attributes: EnvAttributes,
}

/// An exporter by its name in `OTEL_TRACES_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Otlp,
    Console,
}

impl TraceConfig {
    /// Describes the pipeline of a service: `parentbased_always_on`, and no exporter.
    ///
    /// An empty name or version counts as not given: then the environment has its say.
    pub fn new(service: Service) -> Self {
        Self {
            service,
            sampler: None,
            default_sampler: SamplerConfig::default(),
            exports: Vec::new(),
            batch: BatchConfig::new(),
            limits: None,
            attributes: Vec::new(),
            detect: true,
            machine: Machine::real(),
            redaction: Redaction::default(),
            env: EnvSettings::default(),
        }
    }

    /// Reads OpenTelemetry's variables and meshwise's own; the [crate docs](crate#environment)
    /// list them.
    ///
    /// # Errors
    /// If a variable has a value that is not allowed; the message names the variable, the value,
    /// and what is allowed.
    pub fn with_env(mut self, env: &Env) -> Result<Self, TraceError> {
        self.env = EnvSettings {
            disabled: env.bool(OTEL_SDK_DISABLED)?.unwrap_or(false),
            sampler: SamplerConfig::from_env(env)?,
            slow: slow_from_env(env)?,
            exporters: parse_exporters(env)?,
            otlp: OtlpConfig::from_env(env)?,
            batch: BatchConfig::from_env(env)?,
            limits: EnvLimits::from_env(env)?,
            attributes: EnvAttributes::from_env(env, &self.machine)?,
        };
        Ok(self)
    }

    /// Sets which traces are recorded; `parentbased_always_on` by default.
    pub fn with_sampler(mut self, sampler: SamplerConfig) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Sets which traces are recorded if neither [`Self::with_sampler`] nor the environment says.
    pub fn with_default_sampler(mut self, sampler: SamplerConfig) -> Self {
        self.default_sampler = sampler;
        self
    }

    /// Adds a place where spans go; the environment's exporters are not used then.
    ///
    /// Without any, spans go where the environment says, or else nowhere: nothing connects to
    /// `localhost` unasked.
    pub fn with_exporter(mut self, export: SpanExport) -> Self {
        self.exports.push(export);
        self
    }

    /// Sets sizes and times of the queue before each exporter.
    pub fn with_batch(mut self, batch: BatchConfig) -> Self {
        self.batch = batch;
        self
    }

    /// Sets how much one span holds; 128 attributes, events and links, and 128 attributes on each
    /// event and link, by default.
    pub fn with_span_limits(mut self, limits: SpanLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets what of names, attributes, events and descriptions is hidden before any exporter gets a
    /// span; the default [`Redaction`] unless set.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Adds an attribute that describes this process on every span.
    pub fn with_resource_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Sets whether host, process, container and pod are described; they are by default.
    pub const fn with_resource_detection(mut self, detect: bool) -> Self {
        self.detect = detect;
        self
    }

    /// Builds the pipeline and starts its exporters' threads. No connection is made yet.
    ///
    /// # Errors
    /// If a number is out of range, an endpoint is malformed, what was asked for is not compiled
    /// in, a certificate can't be used, or a thread can't be started.
    pub fn build(self) -> Result<Tracing, TraceError> {
        let Self {
            service,
            sampler,
            default_sampler,
            exports,
            batch,
            limits,
            attributes,
            detect,
            machine,
            redaction,
            env,
        } = self;
        let scrub = Scrub { redaction, value_limit: env.limits.value_length };
        let limits = limits.unwrap_or_else(|| env.limits.span_limits());
        let enabled = !env.disabled;
        let resource =
            ResourceConfig { service, attributes, detect, env: env.attributes }.build(&machine);

        let sampler = if enabled {
            sampler.or(env.sampler).unwrap_or(default_sampler)
        } else {
            // Nothing starts here, but a caller's trace is not cut off.
            SamplerConfig::parent_based(SamplerConfig::always_off())
        };
        let exports = if !enabled {
            Vec::new()
        } else if exports.is_empty() {
            default_exports(env.exporters, &env.otlp)
        } else {
            exports
        };
        let batch = batch.or(env.batch);
        let outputs: Vec<Output> = exports
            .into_iter()
            .filter_map(|export| output(export, &env.otlp, batch, &scrub).transpose())
            .collect::<Result<_, _>>()?;

        let (sampler, tail) = sampler.build(!outputs.is_empty())?;
        let mut provider = SdkTracerProvider::builder()
            .with_id_generator(MeshIds)
            .with_resource(resource.clone())
            .with_sampler(sampler.clone())
            .with_span_limits(limits);
        let processor = Processor::new(outputs, tail.map(|tail| tail.or_slow(env.slow)));
        if !processor.outputs().is_empty() {
            provider = provider.with_span_processor(processor.clone());
        }
        let processor = Some(processor);
        let provider = provider.build();
        Ok(Tracing::new(Parts { provider, sampler: Some(sampler), resource, enabled, processor }))
    }
}

/// Starts an exporter; `None` if spans go nowhere.
fn output(
    export: SpanExport,
    env: &OtlpConfig,
    batch: BatchConfig,
    scrub: &Scrub,
) -> Result<Option<Output>, TraceError> {
    let batch = match export.0 {
        Kind::None => return Ok(None),
        Kind::Memory(spans) => return Ok(Some(Output::Memory(spans, scrub.clone()))),
        Kind::Otlp(config) => {
            let export = SpanExport::otlp(config.or(env.clone()));
            BatchProcessor::with_sink(export.into_sink()?, batch.sizes()?, scrub.clone())?
        }
        kind @ (Kind::Console | Kind::Custom(_)) => {
            let batch = match kind {
                // People look on: they see a span when it ends, not five seconds later.
                Kind::Console => batch.or(BatchConfig::new().with_delay(CONSOLE_DELAY)),
                _ => batch,
            };
            BatchProcessor::with_sink(SpanExport(kind).into_sink()?, batch.sizes()?, scrub.clone())?
        }
    };
    Ok(Some(Output::Batch(batch)))
}

const CONSOLE_DELAY: Duration = Duration::from_millis(100);

fn default_exports(named: Option<Vec<Named>>, otlp: &OtlpConfig) -> Vec<SpanExport> {
    let named =
        named.unwrap_or_else(|| if otlp.has_endpoint() { vec![Named::Otlp] } else { Vec::new() });
    let export = |named| match named {
        Named::Otlp => SpanExport::otlp(OtlpConfig::new()),
        Named::Console => SpanExport::console(),
    };
    named.into_iter().map(export).collect()
}

fn parse_exporters(env: &Env) -> Result<Option<Vec<Named>>, EnvError> {
    let allowed = "otlp, console, both with a comma between, or none";
    env.parse_with(OTEL_TRACES_EXPORTER, allowed, |text| {
        if text == "none" {
            return Some(Vec::new());
        }
        let mut exporters = Vec::new();
        for name in text.split(',') {
            let named = match name.trim() {
                "otlp" => Named::Otlp,
                "console" => Named::Console,
                _ => return None,
            };
            if !exporters.contains(&named) {
                exporters.push(named);
            }
        }
        Some(exporters)
    })
}

#[cfg(test)]
mod tests;
