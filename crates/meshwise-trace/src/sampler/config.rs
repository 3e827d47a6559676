//! How a sampler is described before it is built.

use super::{MeshSampler, root::Root};
use crate::{
    error::TraceError,
    tail::{TailConfig, TailLimits},
};
use meshwise_core::{
    EnvError,
    settings::{Size, TracesSettings},
};
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
    /// The ratio is not told: no `ot=th:` is written to `tracestate`, so a backend cannot weigh the spans by
    /// it. Metrics count every call.
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

    /// Puts what is set over what is here.
    pub(crate) fn with_settings(mut self, said: &TracesSettings) -> Result<Self, TraceError> {
        let (ratio, rate) = (said.ratio.get().copied(), said.rate.get().copied());
        if let Some(word) = said.sampler.get() {
            let kind = word.strip_prefix("parentbased_").unwrap_or(word);
            self.parent_based = kind != word;
            self.tail = (kind == "keep_errors").then(|| self.tail.unwrap_or_default());
            self.root = match kind {
                "always_on" => RootConfig::AlwaysOn,
                "traceidratio" => RootConfig::Ratio(ratio.unwrap_or(1.0)),
                "ratelimited" => RootConfig::RateLimited(rate.ok_or_else(|| lacks_rate(said))?),
                "keep_errors" => ratio.map_or(RootConfig::AlwaysOff, RootConfig::Ratio),
                _ => RootConfig::AlwaysOff,
            };
        }
        match (&mut self.root, ratio, rate) {
            (RootConfig::Ratio(own), Some(ratio), _) => *own = ratio,
            (RootConfig::RateLimited(own), _, Some(rate)) => *own = rate,
            _ => {}
        }
        if let Some(tail) = &mut self.tail {
            tail.slow = said.slow.get().copied().or(tail.slow);
            let number = |number: &i64| usize::try_from(*number).unwrap_or(usize::MAX);
            let limits = &mut tail.limits;
            limits.traces = said.held.traces.get().map_or(limits.traces, number);
            limits.spans_per_trace =
                said.held.spans_per_trace.get().map_or(limits.spans_per_trace, number);
            limits.bytes = said.held.memory.get().map_or(limits.bytes, |size| size.bytes());
        }
        Ok(self)
    }

    /// Shows what is set here; a sampler of one's own has no word.
    pub(crate) fn show(&self, all: &mut TracesSettings) {
        let word = match (&self.root, self.tail.is_some()) {
            (RootConfig::Custom(_), _) => return,
            (_, true) => "keep_errors",
            (RootConfig::AlwaysOn, _) => "always_on",
            (RootConfig::AlwaysOff, _) => "always_off",
            (RootConfig::Ratio(_), _) => "traceidratio",
            (RootConfig::RateLimited(_), _) => "ratelimited",
        };
        let parent = if self.parent_based { "parentbased_" } else { "" };
        all.sampler.set(format!("{parent}{word}"));
        match self.root {
            RootConfig::Ratio(ratio) => all.ratio.set(ratio),
            RootConfig::RateLimited(rate) => all.rate.set(rate),
            _ => {}
        }
        let Some(tail) = &self.tail else { return };
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        all.slow.set(tail.slow());
        all.held.traces.set(whole(tail.limits.traces));
        all.held.spans_per_trace.set(whole(tail.limits.spans_per_trace));
        all.held.memory.set(Size(tail.limits.bytes as u64));
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

/// Says that a sampler lacks what it needs.
fn lacks_rate(said: &TracesSettings) -> TraceError {
    let source = said.sampler.source();
    let problem = "is `ratelimited`, which needs a number of traces a second in traces.rate";
    EnvError::other(format!("{source}: traces.sampler"), problem).into()
}

impl Default for SamplerConfig {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self::parent_based(Self::always_on())
    }
}
