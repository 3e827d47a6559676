//! Describing and building the pipeline.

mod settings;

use crate::{
    batch::BatchProcessor,
    decision::MeshIds,
    error::TraceError,
    export::{Kind, Output, SpanExport, otlp_sink},
    limits::EnvLimits,
    pipeline::{Parts, Tracing},
    processor::Processor,
    resource,
    sampler::SamplerConfig,
    scrub::Scrub,
};
use meshwise_core::{
    Env, Redaction, Resource, Signal,
    settings::{Settings, TracesSettings},
};
use meshwise_otlp::{
    BatchConfig, OtlpConfig,
    internal::{Origin, join},
};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanLimits};
use std::time::Duration;

/// Describes a trace pipeline. What the environment says beats what is said here, in whatever order,
/// and that beats the defaults.
///
/// ```
/// use meshwise_core::{Env, Resource, Service, Machine};
/// use meshwise_trace::{SamplerConfig, TraceConfig};
///
/// let env = Env::process();
/// let resource = Resource::builder(Service::new("orders", "1.4.2"))
///     .with_machine(Machine::real())
///     .with_env(&env)?
///     .build();
/// let tracing = TraceConfig::new(resource)
///     .with_env(&env)?
///     .with_sampler(SamplerConfig::parent_based(SamplerConfig::ratio(0.1)))
///     .build()?;
/// # Ok::<(), meshwise_trace::TraceError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct TraceConfig {
    resource: Resource,
    sampler: Option<SamplerConfig>,
    default_sampler: SamplerConfig,
    exports: Vec<SpanExport>,
    batch: BatchConfig,
    limits: SpanLimits,
    redaction: Redaction,
    /// What the operator says otherwise than in OpenTelemetry's variables.
    operator: TracesSettings,
    env: EnvSettings,
}

/// What the environment says.
#[derive(Debug)]
struct EnvSettings {
    /// Where it is told what cannot be followed.
    env: Env,
    /// `OTEL_SDK_DISABLED` says so, or that it is not.
    disabled: bool,
    enabled: bool,
    sampler: Option<SamplerConfig>,
    slow: Option<Duration>,
    exporters: Option<Vec<Named>>,
    batch: BatchConfig,
    limits: EnvLimits,
    otlp: OtlpConfig,
    is_endpoint_set: bool,
}

impl Default for EnvSettings {
    fn default() -> Self {
        Self {
            env: Env::empty(),
            disabled: false,
            enabled: false,
            sampler: None,
            slow: None,
            exporters: None,
            batch: BatchConfig::new(),
            limits: EnvLimits::default(),
            otlp: OtlpConfig::new(),
            is_endpoint_set: false,
        }
    }
}

/// An exporter by its name in `OTEL_TRACES_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Otlp,
    Console,
}

impl Named {
    fn all(words: &[String]) -> Vec<Self> {
        let known = |word: &String| match word.as_str() {
            "otlp" => Some(Self::Otlp),
            "console" => Some(Self::Console),
            _ => None,
        };
        words.iter().filter_map(known).collect()
    }
}

impl TraceConfig {
    /// Describes the pipeline of a service: `parentbased_always_on`, and no exporter.
    ///
    /// Give the same [`Resource`] to metrics and logs. A [`Service`](meshwise_core::Service) does,
    /// where nothing but its name and version is to be told.
    pub fn new(resource: impl Into<Resource>) -> Self {
        Self {
            resource: resource.into(),
            sampler: None,
            default_sampler: SamplerConfig::default(),
            exports: Vec::new(),
            batch: BatchConfig::new(),
            limits: SpanLimits::default(),
            redaction: Redaction::default(),
            operator: TracesSettings::default(),
            env: EnvSettings::default(),
        }
    }

    /// Reads OpenTelemetry's variables and meshwise's own; the [crate docs](crate#environment)
    /// list them. The resource is not among them: [`Resource::builder`] reads it, once for all
    /// signals.
    ///
    /// OpenTelemetry's are ignored where they are not allowed, and [`Env::findings`] tells; those of
    /// exporters are read by [`build`](Self::build).
    ///
    /// # Errors
    /// If a variable of meshwise's has a value that is not allowed, or one of OpenTelemetry's with
    /// `MESHWISE_STRICT`; the message names the variable, the value, and what is allowed.
    pub fn with_env(self, env: &Env) -> Result<Self, TraceError> {
        let said = Settings::from_standard_env_of(env, |path| path.is_in("traces"));
        let said = said.map_err(|error| error.first())?;
        self.with_standard(&said.traces, env)
    }

    /// Takes what the environment says from the tree of settings, which has read it. What cannot be
    /// followed is ignored, and [`Env::findings`] tells.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for what is ignored otherwise.
    #[doc(hidden)]
    pub fn with_standard(mut self, said: &TracesSettings, env: &Env) -> Result<Self, TraceError> {
        let mut said = said.clone();
        self.env = EnvSettings {
            disabled: said.enabled.get() == Some(&false),
            enabled: said.enabled.get() == Some(&true),
            sampler: match said.sampler.is_set() {
                true => Some(SamplerConfig::default().with_settings(&said)?),
                false => None,
            },
            slow: said.slow.get().copied(),
            exporters: said.exporters.get().map(|words| Named::all(words)),
            batch: BatchConfig::from_settings(said.batch.parts()),
            limits: EnvLimits::from_settings(&said.limits),
            otlp: OtlpConfig::from_standard(said.otlp.parts(), env, Signal::Traces)?,
            is_endpoint_set: said.otlp.endpoint.is_set() || said.otlp.traces_endpoint.is_set(),
            env: env.clone(),
        };
        Ok(self)
    }

    /// Sets which traces are recorded; `parentbased_always_on` by default.
    pub fn with_sampler(mut self, sampler: SamplerConfig) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Sets which traces are recorded if neither [`Self::with_sampler`] nor the environment says.
    #[doc(hidden)]
    pub fn with_default_sampler(mut self, sampler: SamplerConfig) -> Self {
        self.default_sampler = sampler;
        self
    }

    /// Adds a place where spans go.
    ///
    /// Without any, spans go where the environment says, or else nowhere: nothing connects to
    /// `localhost` unasked. `OTEL_TRACES_EXPORTER` decides over those that it has a name for
    /// ([`SpanExport::otlp`], [`SpanExport::console`]); others stay whatever it says.
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
        self.limits = limits;
        self
    }

    /// Sets what of names, attributes, events and descriptions is hidden before any exporter gets a
    /// span; the default [`Redaction`] unless set.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Builds the pipeline and starts its exporters' threads. No connection is made yet.
    ///
    /// # Errors
    /// If a number is out of range, an endpoint is malformed, what was asked for is not compiled
    /// in, a certificate cannot be used, or a thread cannot be started.
    pub fn build(self) -> Result<Tracing, TraceError> {
        let joined = self.joined()?;
        let Self { resource, sampler, default_sampler, exports, batch, limits, redaction, .. } =
            joined;
        let (env, operator) = (joined.env, joined.operator);
        let value_limit = env.limits.value_length;
        let value_limit =
            value_limit.or(operator.limits.value_length.get().map(|length| *length as usize));
        let scrub = Scrub { redaction, value_limit };
        let enabled = !env.disabled && (operator.enabled.or(true) || env.enabled);
        let (own, resource) = (&resource, resource::convert(&resource));

        // A sampler's own argument says more than the variable for all.
        let slow = env.sampler.as_ref().and_then(SamplerConfig::slow_threshold).or(env.slow);
        let slow = slow.or(operator.slow.get().copied());
        let sampler = if enabled {
            env.sampler.clone().or(sampler).unwrap_or(default_sampler)
        } else {
            // Nothing starts here, but a caller's trace is not cut off.
            SamplerConfig::parent_based(SamplerConfig::always_off())
        };
        let exports = match enabled {
            true => merge_exports(exports, env.exporters.as_deref(), env.is_endpoint_set),
            false => Vec::new(),
        };
        let batch = env.batch.over(batch, &env.env, Signal::Traces)?;
        let (mut outputs, mut hints) = (Vec::new(), Vec::new());
        for export in exports {
            outputs.extend(output(export, own, &env, batch, &scrub, &mut hints)?);
        }

        let limits = env.limits.over(limits);
        let (sampler, tail) = sampler.build(!outputs.is_empty())?;
        let mut provider = SdkTracerProvider::builder()
            .with_id_generator(MeshIds)
            .with_resource(resource.clone())
            .with_sampler(sampler.clone())
            .with_span_limits(limits);
        let processor = Processor::new(outputs, tail.map(|tail| tail.with_slow(slow)));
        if !processor.outputs().is_empty() {
            provider = provider.with_span_processor(processor.clone());
        }
        let (provider, sampler, processor) = (provider.build(), Some(sampler), Some(processor));
        let parts = Parts { provider, sampler, resource, enabled, processor, limits, hints };
        Ok(Tracing::new(parts))
    }
}

/// Says where spans go: as the environment names it, or as code does.
fn merge_exports(
    in_code: Vec<SpanExport>,
    named: Option<&[Named]>,
    is_endpoint_set: bool,
) -> Vec<(SpanExport, Origin)> {
    let coded = |export| (export, Origin::Code);
    let Some(named) = named else {
        // An endpoint alone is enough, where code says nothing.
        let otlp = in_code.is_empty() && is_endpoint_set;
        let otlp = otlp.then(|| (SpanExport::otlp(OtlpConfig::new()), Origin::Env));
        return in_code.into_iter().map(coded).chain(otlp).collect();
    };
    let mut exports: Vec<SpanExport> = in_code;
    exports.retain(|export| match export.0 {
        Kind::None => false,
        Kind::Otlp(_) => named.contains(&Named::Otlp),
        Kind::Console => named.contains(&Named::Console),
        // These have no name that an operator could give.
        Kind::Memory(_) | Kind::Custom(_) => true,
    });
    let has = |named| {
        exports.iter().any(|export| match named {
            Named::Otlp => matches!(export.0, Kind::Otlp(_)),
            Named::Console => matches!(export.0, Kind::Console),
        })
    };
    let missing: Vec<Named> = named.iter().copied().filter(|named| !has(*named)).collect();
    let missing = missing.into_iter().map(|named| match named {
        Named::Otlp => (SpanExport::otlp(OtlpConfig::new()), Origin::Env),
        Named::Console => (SpanExport::console(), Origin::Env),
    });
    exports.into_iter().map(coded).chain(missing).collect()
}

/// Starts an exporter; `None` if spans go nowhere.
fn output(
    (export, origin): (SpanExport, Origin),
    resource: &Resource,
    env: &EnvSettings,
    batch: BatchConfig,
    scrub: &Scrub,
    hints: &mut Vec<String>,
) -> Result<Option<Output>, TraceError> {
    let (sink, batch) = match export.0 {
        Kind::None => return Ok(None),
        Kind::Memory(spans) => return Ok(Some(Output::Memory(spans, scrub.clone()))),
        Kind::Otlp(config) => {
            let make = |config| otlp_sink(config, Some(resource));
            match join(&config, &env.otlp, origin, &env.env, Signal::Traces, make, hints)? {
                Some(sink) => (sink, batch),
                None => return Ok(None),
            }
        }
        // People look on: they see a span when it ends, not five seconds later.
        Kind::Console => {
            (export.into_sink()?, batch.or(BatchConfig::new().with_delay(CONSOLE_DELAY)))
        }
        Kind::Custom(_) => (export.into_sink()?, batch),
    };
    Ok(Some(Output::Batch(BatchProcessor::with_sink(
        sink,
        batch.sizes(Signal::Traces)?,
        scrub.clone(),
    )?)))
}

const CONSOLE_DELAY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
