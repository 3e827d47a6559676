//! What code and the environment say of an exporter, joined.

use super::OtlpConfig;
use crate::{error::OtlpError, signal::SignalExt as _};
use meshwise_core::{Env, Signal};

/// Says who wants an exporter (complete by nature).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Origin {
    /// The author.
    Code,
    /// A variable.
    Env,
}

/// Makes the exporter of a signal with `make`, as code and the environment (`said`) have it. One that cannot be made as the environment has it is
/// made as the code has it, or not at all, but never stops the service; `hints` gets what looks like a
/// mistake and is none for certain.
///
/// # Errors
/// If what code says cannot be made, or, with `MESHWISE_STRICT`, what the environment says.
pub fn join<T>(
    code: &OtlpConfig,
    said: &OtlpConfig,
    origin: Origin,
    env: &Env,
    signal: Signal,
    make: impl Fn(OtlpConfig) -> Result<T, OtlpError>,
    hints: &mut Vec<String>,
) -> Result<Option<T>, OtlpError> {
    let merged = said.clone().or(code.clone());
    let told = merged.hints(signal);
    let error = match make(merged) {
        Ok(exporter) => {
            hints.extend(told);
            return Ok(Some(exporter));
        }
        Err(error) => error,
    };
    if origin == Origin::Code {
        // The author's own mistakes are the author's to mend.
        let exporter = make(code.clone());
        if exporter.is_err() {
            return exporter.map(Some);
        }
        env.refuse(error.into_refusal(said.source(signal)))?;
        hints.extend(code.hints(signal));
        return exporter.map(Some);
    }
    let consequence = format!("no {} are exported", signal.records());
    env.refuse(error.into_refusal(said.source(signal)).and(&consequence))?;
    Ok(None)
}
