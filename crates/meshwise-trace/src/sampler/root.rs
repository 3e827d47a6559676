//! The sampler itself.

use super::rate::TokenBucket;
use meshwise_core::TraceId;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, SpanRef, TraceContextExt, TraceId as OtelTraceId},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use std::{sync::Arc, time::Instant};

/// Decides a trace that has no decision yet.
#[derive(Clone, Debug)]
pub(super) enum Root {
    On,
    Off,
    /// Samples trace ids whose right-most 64 bits, shifted by one, lie below the bound.
    Ratio(u64),
    RateLimited(Arc<RateLimit>),
    Custom(Box<dyn ShouldSample>),
}

#[derive(Debug)]
pub(super) struct RateLimit {
    bucket: TokenBucket,
    since: Instant,
}

impl Root {
    /// Takes a ratio from 0 to 1.
    pub(super) fn ratio(ratio: f64) -> Self {
        // The same arithmetic as the SDK's `TraceIdRatioBased` (and Go's and Java's), so that
        // mixed fleets agree.
        if ratio >= 1.0 { Self::On } else { Self::Ratio((ratio * (1_u64 << 63) as f64) as u64) }
    }

    /// Takes a positive, finite rate per second.
    pub(super) fn rate_limited(rate: f64) -> Self {
        Self::RateLimited(Arc::new(RateLimit {
            bucket: TokenBucket::new(rate),
            since: Instant::now(),
        }))
    }

    fn decide(&self, trace_id: u128) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Ratio(bound) => (trace_id as u64) >> 1 < *bound,
            Self::RateLimited(limit) => limit.bucket.try_take(limit.since.elapsed()),
            Self::Custom(sampler) => {
                let id = OtelTraceId::from(trace_id);
                let answer = sampler.should_sample(None, id, "", &SpanKind::Internal, &[], &[]);
                answer.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}

/// Samples as [`SamplerConfig`](super::SamplerConfig) says.
#[derive(Clone, Debug)]
pub(crate) struct MeshSampler {
    root: Root,
    parent_based: bool,
    /// Whether spans that are not sampled are recorded for a decision at the local root's end.
    tail: bool,
    /// Whether a span below a local one does as that one did: a decision that costs a token or
    /// is open until the end cannot be taken anew for each span.
    follows_local: bool,
}

/// Says where a span comes from.
enum ParentOrigin {
    Root,
    Remote { sampled: bool },
    Local { sampled: bool, recording: bool },
}

impl ParentOrigin {
    /// `recording` asks the parent, if it is a span of this process that is not sampled.
    fn of(parent: &SpanContext, recording: impl FnOnce() -> bool) -> Self {
        let sampled = parent.is_sampled();
        match (parent.is_valid(), parent.is_remote()) {
            (false, _) => Self::Root,
            (true, true) => Self::Remote { sampled },
            // It takes the span's lock, so it is asked only if it matters.
            (true, false) => Self::Local { sampled, recording: !sampled && recording() },
        }
    }
}

impl MeshSampler {
    pub(super) fn new(root: Root, parent_based: bool, tail: bool) -> Self {
        let follows_local = parent_based || tail || matches!(root, Root::RateLimited(_));
        Self { root, parent_based, tail, follows_local }
    }

    /// Does as the parent did; samples all traces that begin here, or none.
    pub(crate) fn by_parent(or_else: bool) -> Self {
        Self::new(if or_else { Root::On } else { Root::Off }, true, false)
    }

    /// Says what is decided for a trace that starts here, without starting a span.
    pub(crate) fn decide_root(&self, trace_id: TraceId) -> bool {
        self.root.decide(trace_id.to_int())
    }

    /// Tells whether no span below this caller's is recorded, whatever it is of.
    pub(crate) fn drops_below(&self, parent: &SpanContext) -> bool {
        let dropped = match self.parent_based {
            true => !parent.is_sampled(),
            false => matches!(self.root, Root::Off),
        };
        dropped && !self.tail && parent.is_remote() && parent.is_valid()
    }

    fn unsampled(&self) -> SamplingDecision {
        if self.tail { SamplingDecision::RecordOnly } else { SamplingDecision::Drop }
    }

    fn decision(&self, sampled: bool) -> SamplingDecision {
        if sampled { SamplingDecision::RecordAndSample } else { self.unsampled() }
    }

    fn inherited(&self, origin: &ParentOrigin) -> Option<SamplingDecision> {
        match *origin {
            ParentOrigin::Remote { sampled } if self.parent_based => Some(self.decision(sampled)),
            ParentOrigin::Local { sampled, recording } if self.follows_local => Some(if sampled {
                SamplingDecision::RecordAndSample
            } else if recording {
                self.unsampled()
            } else {
                // The parent has ended, or was never recorded: what started below it cannot be
                // told apart from a local root that no caller waits for, so it is let go.
                SamplingDecision::Drop
            }),
            ParentOrigin::Root | ParentOrigin::Remote { .. } | ParentOrigin::Local { .. } => None,
        }
    }
}

impl MeshSampler {
    /// Decides without a context at hand; `None` if that is up to a custom sampler, which wants to
    /// see one.
    pub(crate) fn decide(
        &self,
        parent: &SpanContext,
        recording: impl FnOnce() -> bool,
        trace_id: OtelTraceId,
    ) -> Option<SamplingDecision> {
        if meshwise_otlp::internal::is_exporting() {
            return Some(SamplingDecision::Drop);
        }
        if let Some(decision) = self.inherited(&ParentOrigin::of(parent, recording)) {
            return Some(decision);
        }
        if matches!(self.root, Root::Custom(_)) {
            return None;
        }
        Some(self.decision(self.root.decide(u128::from_be_bytes(trace_id.to_bytes()))))
    }
}

impl ShouldSample for MeshSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: OtelTraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let span = parent_context.filter(|cx| cx.has_active_span()).map(TraceContextExt::span);
        let parent = span.as_ref().map_or(&SpanContext::NONE, SpanRef::span_context);
        let recording = || span.as_ref().is_some_and(SpanRef::is_recording);
        let decision = self.decide(parent, recording, trace_id);
        match (decision, &self.root) {
            (None, Root::Custom(sampler)) => {
                let mut result = sampler.should_sample(
                    parent_context,
                    trace_id,
                    name,
                    span_kind,
                    attributes,
                    links,
                );
                if result.decision == SamplingDecision::Drop {
                    result.decision = self.unsampled();
                }
                result
            }
            (decision, _) => SamplingResult {
                decision: decision.unwrap_or(SamplingDecision::Drop),
                attributes: Vec::new(),
                trace_state: parent.trace_state().clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
