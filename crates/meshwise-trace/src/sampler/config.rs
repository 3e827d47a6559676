//! How a sampler is described before it is built.

use super::{MeshSampler, root::Root};
use crate::{TailLimits, TraceError, tail::TailConfig};
use meshwise_core::{Env, EnvError};
use opentelemetry_sdk::trace::ShouldSample;
use std::time::Duration;

pub(super) const RATIO_ALLOWED: &str = "a number from 0 to 1";
pub(super) const RATE_ALLOWED: &str = "a positive number of traces per second";

/// Describes which traces are recorded and exported.
///
/// The default, as OpenTelemetry's, is `parent_based(always_on())`. The [crate docs](crate#samplers)
/// have a table of all samplers and their names in `OTEL_TRACES_SAMPLER`.
///
/// ```
/// use meshwise_trace::SamplerConfig;
/// // What callers sample, a tenth of what starts here, and whatever fails or takes over 500 ms.
/// let sampler = SamplerConfig::parent_based(SamplerConfig::keep_errors(SamplerConfig::ratio(0.1)))
///     .with_slow_threshold(std::time::Duration::from_millis(500));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SamplerConfig {
    pub(super) root: RootConfig,
    pub(super) parent_based: bool,
    pub(super) tail: Option<TailConfig>,
}

/// Describes how a trace that starts here is decided.
#[derive(Clone, Debug)]
pub(super) enum RootConfig {
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
    RateLimited(f64),
    Custom(Box<dyn ShouldSample>),
}

impl SamplerConfig {
    const fn of(root: RootConfig) -> Self {
        Self { root, parent_based: false, tail: None }
    }

    /// Samples every span, whatever the caller says.
    pub const fn always_on() -> Self {
        Self::of(RootConfig::AlwaysOn)
    }

    /// Samples no span, whatever the caller says.
    pub const fn always_off() -> Self {
        Self::of(RootConfig::AlwaysOff)
    }

    /// Samples this share of all traces, 0 to 1, decided by the trace id's right-most 63 bits:
    /// services with the same ratio agree without asking each other.
    ///
    /// A ratio out of range is an error from [`TraceConfig::build`](crate::TraceConfig::build).
    pub const fn ratio(ratio: f64) -> Self {
        Self::of(RootConfig::Ratio(ratio))
    }

    /// Samples up to `rate` traces per second that start here, with bursts of one second's worth
    /// (at least one); `0.1` is one trace in ten seconds. Spans below a local one follow it.
    ///
    /// A rate that is not positive is an error from
    /// [`TraceConfig::build`](crate::TraceConfig::build).
    pub const fn rate_limited(rate: f64) -> Self {
        Self::of(RootConfig::RateLimited(rate))
    }

    /// Samples what `head` samples, and keeps every trace of which a local span fails or whose
    /// local root takes longer than the [slow threshold](Self::with_slow_threshold) (1 s).
    ///
    /// The decision falls at the end of the local root, within this process. The
    /// [crate docs](crate#keeping-errors-and-slow-calls) say what this can and cannot do.
    pub fn keep_errors(head: Self) -> Self {
        let tail = head.tail.unwrap_or_default();
        Self { tail: Some(tail), ..head }
    }

    /// Uses a sampler of your own; under [`Self::parent_based`] it is asked for roots only.
    ///
    /// meshwise's layers add attributes only once a span records, so the sampler sees none.
    pub fn custom(sampler: impl ShouldSample + 'static) -> Self {
        Self::of(RootConfig::Custom(Box::new(sampler)))
    }

    /// Does as the caller does; traces that start here, and callers that leave the decision to
    /// this service, are decided by `root`.
    pub fn parent_based(root: Self) -> Self {
        Self { parent_based: true, ..root }
    }

    /// Sets how long a local root may take before [`Self::keep_errors`] keeps it as slow, unless
    /// `MESHWISE_TRACES_SLOW` does; 1 s by default. Turns [`Self::keep_errors`] on.
    pub fn with_slow_threshold(mut self, threshold: Duration) -> Self {
        self.tail.get_or_insert_default().slow = Some(threshold);
        self
    }

    /// Bounds what [`Self::keep_errors`] holds back while a call is undecided. Turns
    /// [`Self::keep_errors`] on.
    pub fn with_tail_limits(mut self, limits: TailLimits) -> Self {
        self.tail.get_or_insert_default().limits = limits;
        self
    }

    /// Reads `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; `None` if no sampler is named. What
    /// is unknown, not supported or out of range is ignored, and [`Env::findings`] tells.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for each of these.
    pub fn from_env(env: &Env) -> Result<Option<Self>, EnvError> {
        super::env::parse(env)
    }

    /// Returns the slow threshold, if it was set.
    pub(crate) fn slow_threshold(&self) -> Option<Duration> {
        self.tail.and_then(|tail| tail.slow)
    }

    /// Checks the numbers and makes the sampler. If nothing is exported, nothing is recorded for
    /// a decision at the end either.
    pub(crate) fn build(
        &self,
        exported: bool,
    ) -> Result<(MeshSampler, Option<TailConfig>), TraceError> {
        let tail = self.tail.filter(|_| exported);
        let root = match &self.root {
            RootConfig::AlwaysOn => Root::On,
            RootConfig::AlwaysOff => Root::Off,
            RootConfig::Ratio(ratio) if (0.0..=1.0).contains(ratio) => Root::ratio(*ratio),
            RootConfig::Ratio(ratio) => {
                return Err(
                    EnvError::new("the sampler's ratio", ratio.to_string(), RATIO_ALLOWED).into()
                );
            }
            RootConfig::RateLimited(rate) if *rate > 0.0 && rate.is_finite() => {
                Root::rate_limited(*rate)
            }
            RootConfig::RateLimited(rate) => {
                return Err(
                    EnvError::new("the sampler's rate", rate.to_string(), RATE_ALLOWED).into()
                );
            }
            RootConfig::Custom(sampler) => Root::Custom(sampler.clone()),
        };
        Ok((MeshSampler::new(root, self.parent_based, tail.is_some()), tail))
    }
}

impl Default for SamplerConfig {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self::parent_based(Self::always_on())
    }
}
