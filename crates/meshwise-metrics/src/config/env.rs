//! OpenTelemetry's variables, and what of them cannot be followed.

use crate::names;
use meshwise_core::{Env, EnvError};

/// An exporter by its name in `OTEL_METRICS_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExporterChoice {
    Prometheus,
    Otlp,
}

/// Looks at OpenTelemetry's variables, so that what cannot be followed is told.
///
/// # Errors
/// With `MESHWISE_STRICT`, for what is ignored otherwise.
pub(super) fn read(env: &Env) -> Result<(), EnvError> {
    env.is_disabled()?;
    let exporters = env.list(
        names::OTEL_METRICS_EXPORTER,
        "prometheus, otlp, both with a comma between, or none",
        |word| match word {
            "prometheus" => Some(ExporterChoice::Prometheus),
            "otlp" => Some(ExporterChoice::Otlp),
            _ => None,
        },
    )?;
    if exporters.is_some_and(|exporters| exporters.contains(&ExporterChoice::Otlp)) {
        env.refuse(EnvError::other(
            names::OTEL_METRICS_EXPORTER,
            "asks for `otlp`, which metrics cannot be sent by; they stay on /metrics, to be scraped",
        ))?;
    }
    env.parse_with(
        names::OTEL_METRICS_EXEMPLAR_FILTER,
        "always_on, always_off or trace_based",
        // Only sampled traces are worth a link, so the first and the last of these mean them.
        |text| match text.to_ascii_lowercase().as_str() {
            "always_on" | "trace_based" | "always_off" => Some(()),
            _ => None,
        },
    )?;
    Ok(())
}
