//! Keeping errors and slow calls: the decision at the end of the local root.
//!
//! Spans of a trace that is not sampled are recorded all the same, and held back here, by trace,
//! while any of its local roots (a span whose parent is remote or none) is open in this process.
//! The first span that fails, or the first local root that lasted too long, decides it: the trace
//! is kept, all of it goes out, and so does what still ends. If the last local root ends without,
//! the trace is forgotten.

mod config;
mod shard;

pub(crate) use config::TailConfig;
pub use config::TailLimits;

use crate::spare::{self, SpanBox};
use meshwise_core::{DropReason, Signal, SignalReport, internal::LossCounters};
use opentelemetry::trace::{SpanContext, SpanId, Status};
use opentelemetry_sdk::trace::SpanData;
use shard::Shard;
use std::{
    array,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

const SHARDS: usize = 16;

/// Says why a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepReason {
    Error,
    Slow,
}

impl KeepReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Slow => "slow",
        }
    }
}

/// Holds back what is undecided.
#[derive(Debug)]
pub(crate) struct Tail {
    config: TailConfig,
    shards: [Mutex<Shard>; SHARDS],
    /// The memory of all spans held back, over all shards.
    bytes: AtomicUsize,
    counters: LossCounters,
}

impl Tail {
    pub(crate) fn new(config: TailConfig) -> Self {
        let traces = (config.limits.traces / SHARDS).max(1);
        Self {
            config,
            shards: array::from_fn(|_| Mutex::new(Shard::new(traces))),
            bytes: AtomicUsize::new(0),
            counters: LossCounters::new(Signal::Traces),
        }
    }

    /// Tells what was thrown out undecided.
    pub(crate) fn report(&self) -> SignalReport {
        self.counters.report()
    }

    /// Takes note of a local root that is not sampled.
    #[inline(never)]
    pub(crate) fn started(&self, context: &SpanContext, parent: &SpanContext) {
        if context.is_sampled() {
            return;
        }
        if parent.is_valid() && !parent.is_remote() {
            return;
        }
        let trace_id = u128::from_be_bytes(context.trace_id().to_bytes());
        let evicted = self.shard(trace_id).open_root(trace_id);
        self.forget(&evicted);
    }

    /// Holds back a span that is not sampled, or hands it to `keep`, and with it, marked as
    /// sampled, what was held back of its trace.
    pub(crate) fn ended(&self, span: SpanBox, mut keep: impl FnMut(SpanBox)) {
        let trace_id = u128::from_be_bytes(span.span_context.trace_id().to_bytes());
        let is_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        let reason = self.judge(&span, is_root);
        let limits = &self.config.limits;
        let mut shard = self.shard(trace_id);
        let mut ended = shard.end_span(trace_id, span, is_root, reason, limits.spans_per_trace);
        let held = self.bytes.fetch_add(ended.held, Relaxed) + ended.held;
        if held > limits.bytes {
            // Only this shard's: another's lock might be waiting for this one's.
            let evicted = shard.make_room(held - limits.bytes);
            ended.freed += evicted.bytes;
            ended.lost += evicted.spans;
        }
        drop(shard);
        self.bytes.fetch_sub(ended.freed, Relaxed);
        self.counters.dropped(DropReason::QueueFull, ended.lost);
        ended.kept.into_iter().for_each(&mut keep);
        ended.forgotten.into_iter().for_each(spare::keep);
    }

    fn judge(&self, span: &SpanData, is_root: bool) -> Option<KeepReason> {
        if matches!(span.status, Status::Error { .. }) {
            return Some(KeepReason::Error);
        }
        let elapsed = span.end_time.duration_since(span.start_time).unwrap_or_default();
        (is_root && elapsed >= self.config.slow()).then_some(KeepReason::Slow)
    }

    fn forget(&self, evicted: &shard::Evicted) {
        self.bytes.fetch_sub(evicted.bytes, Relaxed);
        self.counters.dropped(DropReason::QueueFull, evicted.spans);
    }

    fn shard(&self, trace_id: u128) -> MutexGuard<'_, Shard> {
        // The lowest bits are random in every format of trace ids.
        let shard = &self.shards[trace_id as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
