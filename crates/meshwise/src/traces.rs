//! What the front door does about spans, with the feature `traces` and without.

#[cfg(not(feature = "traces"))]
mod nowhere;
#[cfg(feature = "traces")]
mod pipeline;

#[cfg(not(feature = "traces"))]
pub(crate) use nowhere::{TraceChanges, TracePlan, check_filter, enter_dispatch, subscriber};
#[cfg(feature = "traces")]
pub(crate) use pipeline::{TraceChanges, TracePlan, check_filter, enter_dispatch, subscriber};

use meshwise_core::{Env, Redaction, Resource, settings::TracesSettings};

/// What spans are planned with.
pub(crate) struct TraceInputs<'a> {
    pub(crate) preset: crate::preset::Preset,
    pub(crate) resource: &'a Resource,
    pub(crate) redaction: &'a Redaction,
    /// What the operator says.
    pub(crate) said: &'a TracesSettings,
    /// What the operator says in variables that others have named.
    pub(crate) standard: &'a TracesSettings,
    pub(crate) env: &'a Env,
}
