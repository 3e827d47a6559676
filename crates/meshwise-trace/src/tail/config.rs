//! Thresholds and bounds of the decision at the local root's end.

use std::time::Duration;

/// Describes what is kept, and how much is held back until then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TailConfig {
    /// `None` leaves it to the environment, and that to the default.
    pub(crate) slow: Option<Duration>,
    pub(crate) limits: TailLimits,
}

impl TailConfig {
    /// Returns from which duration on a local root is slow.
    pub(crate) fn slow(&self) -> Duration {
        self.slow.unwrap_or(Duration::from_secs(1))
    }

    /// Takes the environment's threshold, if it says one.
    pub(crate) fn with_slow(self, slow: Option<Duration>) -> Self {
        Self { slow: slow.or(self.slow), ..self }
    }
}

/// Bounds what [`SamplerConfig::keep_errors`](crate::SamplerConfig::keep_errors) holds back while
/// traces are undecided.
///
/// Past a bound the oldest undecided traces are thrown out, and their spans counted as dropped
/// (`queue_full`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct TailLimits {
    pub(crate) traces: usize,
    pub(crate) spans_per_trace: usize,
    pub(crate) bytes: usize,
}

impl TailLimits {
    /// Allows 10,000 undecided traces, 1,000 spans in each, and about 32 MiB in all.
    pub const fn new() -> Self {
        Self { traces: 10_000, spans_per_trace: 1_000, bytes: 32 << 20 }
    }

    /// Bounds the number of undecided traces; at least 16 (one for each shard).
    pub const fn with_traces(mut self, traces: usize) -> Self {
        self.traces = traces;
        self
    }

    /// Bounds the spans held back for one trace.
    pub const fn with_spans_per_trace(mut self, spans: usize) -> Self {
        self.spans_per_trace = spans;
        self
    }

    /// Bounds the memory of all spans held back, in bytes, as estimated from their attributes and
    /// events.
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

impl Default for TailLimits {
    fn default() -> Self {
        Self::new()
    }
}
