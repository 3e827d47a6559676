//! Settings from the environment.

use crate::{
    buckets::{self, native::NativeHistograms},
    names,
};
use meshwise_core::{Env, EnvError};
use std::time::Duration;

/// An exporter by its name in `OTEL_METRICS_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exporter {
    Prometheus,
    Otlp,
}

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(super) struct EnvSettings {
    pub(super) off: bool,
    pub(super) no_exemplars: bool,
    pub(super) seconds: Option<Vec<f64>>,
    pub(super) native: Option<NativeHistograms>,
    pub(super) max_label_sets: Option<usize>,
    pub(super) idle_timeout: Option<Option<Duration>>,
}

impl EnvSettings {
    pub(super) fn read(env: &Env) -> Result<Self, EnvError> {
        let disabled = env.is_disabled()?;
        let exporters = env.list(
            names::OTEL_METRICS_EXPORTER,
            "prometheus, otlp, both with a comma between, or none",
            |word| match word {
                "prometheus" => Some(Exporter::Prometheus),
                "otlp" => Some(Exporter::Otlp),
                _ => None,
            },
        )?;
        let no_exporter = exporters.as_ref().is_some_and(Vec::is_empty);
        if exporters.is_some_and(|exporters| exporters.contains(&Exporter::Otlp)) {
            env.refuse(EnvError::other(
                names::OTEL_METRICS_EXPORTER,
                "asks for `otlp`, which metrics cannot be sent by; they stay on /metrics, to be scraped",
            ))?;
        }
        let no_exemplars = env.parse_with(
            names::OTEL_METRICS_EXEMPLAR_FILTER,
            "always_on, always_off or trace_based",
            |text| match text.to_ascii_lowercase().as_str() {
                // Only sampled traces are worth a link, so both of these mean them.
                "always_on" | "trace_based" => Some(false),
                "always_off" => Some(true),
                _ => None,
            },
        )?;
        let seconds = env.parse_with(
            names::MESHWISE_METRICS_BUCKETS,
            "1 to 200 ascending numbers of seconds, separated by commas",
            |text| {
                let bounds: Option<Vec<f64>> =
                    text.split(',').map(|bound| bound.trim().parse().ok()).collect();
                bounds.filter(|bounds| buckets::problem(bounds).is_none())
            },
        )?;
        let native = env.parse_with(
            names::MESHWISE_METRICS_NATIVE_HISTOGRAMS,
            "1 to 100 names of histograms, in which * stands for anything, separated by commas",
            NativeHistograms::parse,
        )?;
        let max_label_sets = env.parse_with(
            names::MESHWISE_METRICS_MAX_LABEL_SETS,
            "a whole number above 0",
            |text| text.parse().ok().filter(|max| *max > 0),
        )?;
        let idle_timeout = env.millis(names::MESHWISE_METRICS_IDLE_TIMEOUT)?;
        Ok(Self {
            off: disabled || no_exporter,
            no_exemplars: no_exemplars.unwrap_or(false),
            seconds,
            native,
            max_label_sets,
            idle_timeout: idle_timeout.map(|timeout| (!timeout.is_zero()).then_some(timeout)),
        })
    }
}
