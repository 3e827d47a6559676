//! The sampler itself.

use super::rate::TokenBucket;
use crate::export_thread;
use meshwise_core::TraceId;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, SpanRef, TraceContextExt, TraceId as OtelTraceId, TraceState},
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

/// Says what the root sampler decides, without starting a span.
#[derive(Clone, Debug)]
pub(crate) struct RootSampler(Root);

impl RootSampler {
    /// Samples everything: for a provider that was made elsewhere, whose own sampler is not known
    /// and has its say anyway.
    pub(crate) const ALWAYS_ON: Self = Self(Root::On);

    pub(crate) fn decide(&self, trace_id: TraceId) -> bool {
        self.0.decide(trace_id.to_int())
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
    /// is open until the end can't be taken anew for each span.
    follows_local: bool,
}

/// Says where a span comes from.
enum Origin {
    Root,
    Remote { sampled: bool },
    Local { sampled: bool, recording: bool },
}

impl Origin {
    fn of(parent: &SpanRef<'_>) -> Self {
        let context = parent.span_context();
        let sampled = context.is_sampled();
        if !context.is_valid() {
            Self::Root
        } else if context.is_remote() {
            Self::Remote { sampled }
        } else {
            // `is_recording` takes the span's lock, so it is asked only if it matters.
            Self::Local { sampled, recording: !sampled && parent.is_recording() }
        }
    }
}

impl MeshSampler {
    pub(super) fn new(root: Root, parent_based: bool, tail: bool) -> Self {
        let follows_local = parent_based || tail || matches!(root, Root::RateLimited(_));
        Self { root, parent_based, tail, follows_local }
    }

    pub(crate) fn root(&self) -> RootSampler {
        RootSampler(self.root.clone())
    }

    fn unsampled(&self) -> SamplingDecision {
        if self.tail { SamplingDecision::RecordOnly } else { SamplingDecision::Drop }
    }

    fn decision(&self, sampled: bool) -> SamplingDecision {
        if sampled { SamplingDecision::RecordAndSample } else { self.unsampled() }
    }

    fn inherited(&self, origin: &Origin) -> Option<SamplingDecision> {
        match *origin {
            Origin::Remote { sampled } if self.parent_based => Some(self.decision(sampled)),
            Origin::Local { sampled, recording } if self.follows_local => Some(if sampled {
                SamplingDecision::RecordAndSample
            } else if recording {
                self.unsampled()
            } else {
                // The parent has ended, or was never recorded: what started below it can't be
                // told apart from a local root that nobody waits for, so it is let go.
                SamplingDecision::Drop
            }),
            Origin::Root | Origin::Remote { .. } | Origin::Local { .. } => None,
        }
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
        if export_thread::is_current() {
            return result(SamplingDecision::Drop, TraceState::NONE);
        }
        // Asked first, as it is the cheaper question.
        let mut trace_state = TraceState::NONE;
        if let Some(cx) = parent_context.filter(|cx| cx.has_active_span()) {
            let parent = cx.span();
            let origin = Origin::of(&parent);
            if !matches!(origin, Origin::Root) {
                trace_state = parent.span_context().trace_state().clone();
            }
            if let Some(decision) = self.inherited(&origin) {
                return result(decision, trace_state);
            }
        }
        let sampled = match &self.root {
            Root::On => true,
            Root::Off => false,
            Root::Custom(sampler) => {
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
                return result;
            }
            root => root.decide(u128::from_be_bytes(trace_id.to_bytes())),
        };
        result(self.decision(sampled), trace_state)
    }
}

fn result(decision: SamplingDecision, trace_state: TraceState) -> SamplingResult {
    SamplingResult { decision, attributes: Vec::new(), trace_state }
}

#[cfg(test)]
mod tests;
