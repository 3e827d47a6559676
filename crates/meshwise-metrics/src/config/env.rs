//! OpenTelemetry's variables, and what of them cannot be followed.

use crate::names;
use meshwise_core::{Env, EnvError};

/// Looks at OpenTelemetry's variables, so that what cannot be followed is told.
///
/// # Errors
/// With `MESHWISE_STRICT`, for what is ignored otherwise.
pub(super) fn read(env: &Env) -> Result<(), EnvError> {
    env.is_disabled()?;
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
