//! A part of the undecided traces, behind one lock.

use super::KeepReason;
use crate::{names::ATTRIBUTE_KEPT, spare::SpanBox};
use opentelemetry::{Array, KeyValue, Value, trace::SpanContext};
use opentelemetry_sdk::trace::SpanData;
use std::{
    collections::{HashMap, VecDeque},
    mem,
};

/// How many kept traces are remembered after their last local root has ended, so that spans that
/// end late follow them.
const REMEMBERED: usize = 64;

/// Holds traces with an open local root.
#[derive(Debug)]
pub(super) struct Shard {
    limit: usize,
    traces: HashMap<u128, Trace>,
    /// Trace ids by age, with those that are gone: `Trace::born` tells.
    order: VecDeque<(u128, u64)>,
    births: u64,
    kept_lately: VecDeque<u128>,
}

#[derive(Debug)]
struct Trace {
    born: u64,
    /// How many local roots are open.
    open: usize,
    kept: Option<KeepReason>,
    spans: Vec<SpanBox>,
    bytes: usize,
    /// Spans that found no room.
    lost: u64,
}

/// Says what was thrown out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) spans: u64,
    pub(super) bytes: usize,
}

/// Says what came of a span's end.
#[derive(Debug, Default)]
pub(super) struct SpanEnd {
    /// What goes out now, marked as sampled.
    pub(super) kept: Vec<SpanBox>,
    /// Those of a trace that is over, and not kept.
    pub(super) forgotten: Vec<SpanBox>,
    /// Spans that would have gone out, had there been room.
    pub(super) lost: u64,
    /// Memory taken, and memory released.
    pub(super) held: usize,
    pub(super) freed: usize,
}

impl Shard {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            traces: HashMap::new(),
            order: VecDeque::new(),
            births: 0,
            kept_lately: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Counts a local root of the trace; returns what had to go for it.
    pub(super) fn open_root(&mut self, trace_id: u128) -> Evicted {
        if let Some(trace) = self.traces.get_mut(&trace_id) {
            trace.open += 1;
            return Evicted::default();
        }
        let evicted =
            if self.traces.len() >= self.limit { self.evict_oldest() } else { Evicted::default() };
        self.births += 1;
        let born = self.births;
        let (spans, kept) = (Vec::new(), None);
        self.traces.insert(trace_id, Trace { born, open: 1, kept, spans, bytes: 0, lost: 0 });
        self.order.push_back((trace_id, born));
        // Traces end in any order; their places in `order` are cleared now and then.
        if self.order.len() > 2 * self.traces.len() + 64 {
            let traces = &self.traces;
            self.order.retain(|(id, born)| traces.get(id).is_some_and(|t| t.born == *born));
        }
        evicted
    }

    /// Decides about a span that has ended, and about its trace if that is due.
    pub(super) fn end_span(
        &mut self,
        trace_id: u128,
        mut span: SpanBox,
        is_root: bool,
        reason: Option<KeepReason>,
        spans_limit: usize,
    ) -> SpanEnd {
        let mut end = SpanEnd::default();
        let Some(trace) = self.traces.get_mut(&trace_id) else {
            // Late, or its trace was thrown out; a local root speaks for itself.
            let reason = if is_root { reason } else { None };
            if reason.is_some() || self.kept_lately.contains(&trace_id) {
                mark(&mut span, reason);
                end.kept.push(span);
            }
            return end;
        };
        if trace.kept.is_none() && reason.is_some() {
            trace.kept = reason;
            end.kept = mem::take(&mut trace.spans);
            for held in &mut end.kept {
                // Of several local roots, those that ended well before are told the reason, too.
                let was_root = held.parent_span_is_remote || !has_parent(held);
                mark(held, reason.filter(|_| was_root));
            }
            end.freed = mem::take(&mut trace.bytes);
            end.lost = mem::take(&mut trace.lost);
        }
        if trace.kept.is_some() {
            mark(&mut span, trace.kept.filter(|_| is_root));
            end.kept.push(span);
        } else if trace.spans.len() < spans_limit {
            end.held = footprint(&span);
            trace.bytes += end.held;
            trace.spans.push(span);
        } else {
            trace.lost += 1;
        }
        if is_root {
            trace.open = trace.open.saturating_sub(1);
            if trace.open == 0 {
                self.close(trace_id, &mut end);
            }
        }
        end
    }

    /// Throws out the oldest traces until `bytes` are free, or none is left.
    pub(super) fn make_room(&mut self, bytes: usize) -> Evicted {
        let mut total = Evicted::default();
        while total.bytes < bytes && !self.traces.is_empty() {
            let evicted = self.evict_oldest();
            total.spans += evicted.spans;
            total.bytes += evicted.bytes;
        }
        total
    }

    /// Returns the larger of what is kept by age and by trace id.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.traces.len().max(self.order.len().saturating_sub(64 + self.traces.len()))
    }

    /// Forgets a trace whose last local root has ended.
    fn close(&mut self, trace_id: u128, end: &mut SpanEnd) {
        let Some(trace) = self.traces.remove(&trace_id) else { return };
        if trace.kept.is_some() {
            if self.kept_lately.len() == REMEMBERED {
                self.kept_lately.pop_front();
            }
            self.kept_lately.push_back(trace_id);
        }
        end.freed += trace.bytes;
        end.forgotten = trace.spans;
    }

    fn evict_oldest(&mut self) -> Evicted {
        while let Some((trace_id, born)) = self.order.pop_front() {
            if self.traces.get(&trace_id).is_some_and(|trace| trace.born == born)
                && let Some(trace) = self.traces.remove(&trace_id)
            {
                let spans = trace.spans.len() as u64 + trace.lost;
                return Evicted { spans, bytes: trace.bytes };
            }
        }
        Evicted::default()
    }
}

fn has_parent(span: &SpanData) -> bool {
    span.parent_span_id != opentelemetry::trace::SpanId::INVALID
}

/// Sets the sampled flag, and says why on a local root.
fn mark(span: &mut SpanData, reason: Option<KeepReason>) {
    let context = &span.span_context;
    span.span_context = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags().with_sampled(true),
        context.is_remote(),
        context.trace_state().clone(),
    );
    if let Some(reason) = reason {
        span.attributes.push(KeyValue::new(ATTRIBUTE_KEPT, reason.as_str()));
    }
}

/// Estimates how much memory a span takes.
pub(super) fn footprint(span: &SpanData) -> usize {
    let attributes = |list: &[KeyValue]| -> usize {
        list.iter()
            .map(|kv| {
                let text = match &kv.value {
                    Value::String(text) => text.as_str().len(),
                    Value::Array(Array::String(list)) => {
                        list.iter().map(|text| text.as_str().len() + size_of::<usize>() * 3).sum()
                    }
                    Value::Array(Array::Bool(list)) => list.len(),
                    Value::Array(Array::I64(list)) => list.len() * 8,
                    Value::Array(Array::F64(list)) => list.len() * 8,
                    _ => 0,
                };
                size_of::<KeyValue>() + text
            })
            .sum()
    };
    let events: usize = span.events.iter().map(|event| 64 + attributes(&event.attributes)).sum();
    let links: usize = span.links.iter().map(|link| 96 + attributes(&link.attributes)).sum();
    size_of::<SpanData>() + span.name.len() + attributes(&span.attributes) + events + links
}
