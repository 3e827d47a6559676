//! What a control group shows.

use std::time::Duration;

/// What a control group shows; `None` for what its kernel or version does not.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(super) cpu: Option<Throttling>,
    /// How many processors' time it may take.
    pub(super) cpu_limit: Option<f64>,
    pub(super) memory: Option<u64>,
    pub(super) working_set: Option<u64>,
    pub(super) memory_limit: Option<u64>,
    /// Times that memory ran out.
    pub(super) ooms: Option<u64>,
    /// Processes killed for that.
    pub(super) oom_kills: Option<u64>,
}

/// How often the scheduler stopped the group because the limit was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Throttling {
    pub(super) periods: u64,
    pub(super) throttled: u64,
    pub(super) time: Duration,
}
