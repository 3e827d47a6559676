//! Which spans and log records belong to a trace.

use super::ring::Place;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};

/// More spans or log records of one trace are refused.
pub(crate) const TRACE_LIMIT: usize = 20_000;

/// Says where the parts of a trace lie.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Counts traces in the order in which they were first heard of.
    pub(crate) sequence: u64,
    /// When it was last heard of, in milliseconds of Unix time by the console's clock.
    pub(crate) last: u64,
    pub(crate) spans: Vec<Place>,
    pub(crate) logs: Vec<Place>,
}

/// Finds traces by id and by age.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    by_id: HashMap<u128, Trace, FixedState>,
    by_age: BTreeMap<u64, u128>,
    next: u64,
    places: usize,
    /// How many have spans.
    pub(crate) with_spans: usize,
}

impl Traces {
    /// Tells whether a trace has as many spans, or log records, as are kept.
    pub(crate) fn is_full(&self, id: u128) -> bool {
        self.by_id
            .get(&id)
            .is_some_and(|trace| trace.spans.len().max(trace.logs.len()) >= TRACE_LIMIT)
    }

    pub(crate) fn add_span(&mut self, now: u64, id: u128, place: Place) {
        let trace = self.entry(now, id);
        let first = trace.spans.is_empty();
        trace.spans.push(place);
        self.with_spans += usize::from(first);
    }

    pub(crate) fn add_log(&mut self, now: u64, id: u128, place: Place) {
        self.entry(now, id).logs.push(place);
    }

    fn entry(&mut self, now: u64, id: u128) -> &mut Trace {
        self.places += 1;
        let (next, by_age) = (&mut self.next, &mut self.by_age);
        let trace = self.by_id.entry(id).or_insert_with(|| {
            let sequence = *next;
            *next += 1;
            by_age.insert(sequence, id);
            Trace { sequence, ..Trace::default() }
        });
        trace.last = now;
        trace
    }

    /// Forgets that a span lies in a segment that was evicted.
    pub(crate) fn remove_span(&mut self, id: u128, service: u16, segment: u32) {
        let Some(trace) = self.by_id.get_mut(&id) else { return };
        let before = trace.spans.len();
        trace.spans.retain(|place| place.service != service || place.segment != segment);
        self.places -= before - trace.spans.len();
        self.with_spans -= usize::from(before > 0 && trace.spans.is_empty());
        self.remove_if_empty(id);
    }

    /// Forgets that a log record lies in a segment that was evicted.
    pub(crate) fn remove_log(&mut self, id: u128, service: u16, segment: u32) {
        let Some(trace) = self.by_id.get_mut(&id) else { return };
        let before = trace.logs.len();
        trace.logs.retain(|place| place.service != service || place.segment != segment);
        self.places -= before - trace.logs.len();
        self.remove_if_empty(id);
    }

    fn remove_if_empty(&mut self, id: u128) {
        if let Some(trace) = self.by_id.get(&id)
            && trace.spans.is_empty()
            && trace.logs.is_empty()
        {
            self.by_age.remove(&trace.sequence);
            self.by_id.remove(&id);
        }
    }

    pub(crate) fn get(&self, id: u128) -> Option<&Trace> {
        self.by_id.get(&id)
    }

    /// Lists traces, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (u128, &Trace)> {
        self.by_age.values().rev().filter_map(|&id| Some((id, self.by_id.get(&id)?)))
    }

    /// Estimates the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        // An entry of the table, its node of the tree, and lists that grow by doubling.
        self.by_id.capacity() * (size_of::<(u128, Trace)>() + 1)
            + self.by_age.len() * 40
            + self.places * 12
    }
}
