//! What of the environment no one else reads, and what is said of it at the start.

use meshwise_core::{Env, EnvError};
use meshwise_http::Tracing;
use meshwise_log::LogHandle;
use meshwise_metrics::Metrics;
use tracing::Dispatch;

/// Gathers what is to be said at the start.
///
/// # Errors
/// With `MESHWISE_STRICT`, if a variable is set and nothing reads it.
pub(crate) fn notices(
    env: &Env,
    logs: &LogHandle,
    metrics: &Metrics,
    tracing: &Tracing,
) -> Result<Vec<String>, EnvError> {
    let mut notices: Vec<String> =
        env.findings().iter().map(|finding| format!("ignored: {finding}")).collect();
    let hints = logs.hints().iter().chain(metrics.hints()).chain(tracing.hints());
    notices.extend(hints.cloned());
    let mut unused = env.unused();
    // What is not known of ours is an error by now; the rest is for tools, and not for the service.
    unused.retain(|name| !name.starts_with("MESHWISE_"));
    let Some(first) = unused.first() else { return Ok(notices) };
    if env.is_strict()? {
        let mut problem = "is set and not used".to_owned();
        if unused.len() > 1 {
            problem += &format!(", nor is {}", unused[1..].join(", "));
        }
        return Err(EnvError::other(first, problem).and("unset it, or MESHWISE_STRICT"));
    }
    // Values may be credentials: they are not shown.
    notices.push(format!("environment variables are set and not used: {}", unused.join(", ")));
    Ok(notices)
}

/// Says it, once.
pub(crate) fn announce(notices: &[String], dispatch: &Dispatch) {
    tracing::dispatcher::with_default(dispatch, || {
        for notice in notices {
            tracing::warn!(target: "meshwise", "{notice}");
        }
    });
}
