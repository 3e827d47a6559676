//! The list of traces.

use super::{
    filter::{Filter, Preparer, is_user},
    numbers::{hex_trace, millis},
};
use crate::store::{
    Store,
    ring::Place,
    segment::{FAILED, SpanRow},
    traces::Trace,
};
use serde::Serialize;
use std::collections::HashMap;

/// Is a trace as the list shows it.
#[derive(Debug, Serialize)]
pub(crate) struct TraceSummary<'a> {
    pub(crate) id: String,
    /// Milliseconds of Unix time, by the sender's clock.
    pub(crate) start: f64,
    /// When it was last heard of, by the console's clock.
    pub(crate) heard: u64,
    /// Milliseconds.
    pub(crate) duration: f64,
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) spans: usize,
    pub(crate) errors: usize,
    pub(crate) logs: usize,
    /// Whether the root is there, and failed.
    pub(crate) rooted: bool,
    pub(crate) failed: bool,
    /// Names, spans and failed spans.
    pub(crate) services: Vec<(&'a str, usize, usize)>,
}

/// Is the list.
#[derive(Debug, Serialize)]
pub(crate) struct TraceList<'a> {
    pub(crate) traces: Vec<TraceSummary<'a>>,
    /// How many traces there are, and how many were looked at.
    pub(crate) all: usize,
    pub(crate) looked_at: usize,
    /// Whether all were looked at.
    pub(crate) complete: bool,
    /// Words of the search that say nothing of traces.
    pub(crate) odd: Vec<String>,
}

/// Lists traces that match, the newest first.
pub(crate) fn list<'a>(
    store: &'a Store,
    filter: &Filter,
    since: u64,
    limit: usize,
) -> TraceList<'a> {
    list_those(store, filter, since, limit, |_| true)
}

/// Lists traces that match and are wanted, the newest first.
pub(crate) fn list_those<'a>(
    store: &'a Store,
    filter: &Filter,
    since: u64,
    limit: usize,
    wanted: impl Fn(&TraceSummary<'_>) -> bool,
) -> TraceList<'a> {
    let mut list = TraceList {
        traces: Vec::new(),
        all: store.traces.with_spans,
        looked_at: 0,
        complete: true,
        odd: filter.odd_of_traces(),
    };
    let mut preparer = Preparer::default();
    if let Some(id) = filter.trace {
        let found = store.traces.get(id).and_then(|trace| summary(store, id, trace));
        list.traces.extend(found);
        return list;
    }
    // A service that was never heard of has no traces.
    if filter.service.as_ref().is_some_and(|name| store.services.find(name).is_none()) {
        return list;
    }
    for (id, trace) in store.traces.newest() {
        if trace.spans.is_empty() || trace.last < since {
            continue;
        }
        if list.traces.len() >= limit {
            list.complete = false;
            break;
        }
        list.looked_at += 1;
        if filter.is_empty() || matches(store, filter, trace, &mut preparer) {
            list.traces.extend(summary(store, id, trace).filter(&wanted));
        }
    }
    list
}

fn matches(store: &Store, filter: &Filter, trace: &Trace, preparer: &mut Preparer) -> bool {
    let mut one = false;
    let mut words = vec![false; filter.texts()];
    for &place in &trace.spans {
        let Some((service, segment, row)) = store.span_at(place) else { continue };
        let prepared = preparer.get(filter, place.service, place.segment, segment);
        one = one || filter.span(&service.name, segment, row, prepared);
        Filter::mark(segment, row, prepared, &mut words);
        if one && words.iter().all(|found| *found) {
            break;
        }
    }
    one && words.into_iter().all(|found| found)
        && filter.edge.as_ref().is_none_or(|(client, server)| {
            passes(store, trace, client, server, filter.failed == Some(true))
        })
}

/// Tells whether a trace has a call over an edge; `failed` wants one that failed on either side.
fn passes(store: &Store, trace: &Trace, client: &str, server: &str, failed: bool) -> bool {
    let spans: HashMap<u64, (&str, &SpanRow)> = trace
        .spans
        .iter()
        .filter_map(|&place| store.span_at(place))
        .map(|(service, _, row)| (row.id, (&*service.name, row)))
        .collect();
    let fine = |rows: &[&SpanRow]| !failed || rows.iter().any(|row| row.status == FAILED);
    let served = spans.values().filter(|(service, _)| *service == server);
    let mut served = served.peekable();
    if served.peek().is_some() {
        return served.any(|(_, row)| match spans.get(&row.parent) {
            Some((caller, calling)) => *caller == client && fine(&[row, calling]),
            None => {
                let enters = row.kind == 2 || row.kind == 5;
                enters && (is_user(client) || linked(store, trace, row.id)) && fine(&[row])
            }
        });
    }
    // The far end sends nothing: the calling span names it.
    trace.spans.iter().filter_map(|&place| store.span_at(place)).any(|(service, segment, row)| {
        if &*service.name != client || !(row.kind == 3 || row.kind == 4) || !fine(&[row]) {
            return false;
        }
        let mut unpacker = segment.unpack(row.at);
        let _ = (unpacker.sym(), unpacker.sym());
        let mut named = false;
        let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
        unpacker.attributes(|_, value| {
            named |= value.reads(&segment.text, server) || value.reads(&segment.text, host);
        });
        named
    })
}

/// Tells whether a span links to another: a message's consumer to its producer.
fn linked(store: &Store, trace: &Trace, id: u64) -> bool {
    trace
        .spans
        .iter()
        .filter_map(|&place| store.span_at(place))
        .any(|(_, segment, row)| row.id == id && super::span::links(segment, row) > 0)
}

/// Sums a trace up; none if nothing of it is left.
pub(crate) fn summary<'a>(store: &'a Store, id: u128, trace: &Trace) -> Option<TraceSummary<'a>> {
    let (mut start, mut end, mut errors, mut spans) = (u64::MAX, 0, 0, 0);
    let mut services: Vec<(u16, usize, usize)> = Vec::new();
    let mut root: Option<(Place, &SpanRow)> = None;
    for &place in &trace.spans {
        let Some((_, _, row)) = store.span_at(place) else { continue };
        let failed = row.status == FAILED;
        spans += 1;
        errors += usize::from(failed);
        start = start.min(row.start);
        end = end.max(row.start.saturating_add(row.duration));
        match services.iter_mut().find(|(service, _, _)| *service == place.service) {
            Some((_, count, bad)) => (*count, *bad) = (*count + 1, *bad + usize::from(failed)),
            None => services.push((place.service, 1, usize::from(failed))),
        }
        let rank = |row: &SpanRow| (row.parent != 0, row.start);
        if root.is_none_or(|(_, found)| rank(row) < rank(found)) {
            root = Some((place, row));
        }
    }
    let (place, row) = root?;
    let (service, segment, _) = store.span_at(place)?;
    // In one order, so that traces of one kind look alike however their spans came in.
    services.sort_unstable();
    let named = services
        .into_iter()
        .filter_map(|(place, count, bad)| Some((&*store.services.get(place)?.name, count, bad)));
    Some(TraceSummary {
        id: hex_trace(id),
        start: millis(start),
        heard: trace.last,
        duration: millis(end.saturating_sub(start)),
        service: &service.name,
        name: segment.text.get(row.name),
        spans,
        errors,
        logs: trace.logs.len(),
        rooted: row.parent == 0,
        failed: row.status == FAILED,
        services: named.collect(),
    })
}
