//! One trace: its spans as a tree, what it waited for, and its log records.

use super::{
    numbers::{hex_span, hex_trace, micros, millis},
    span::{self, LogPart, SpanPart},
    traces,
};
use crate::store::{
    Store,
    segment::{FAILED, REFUSED, Segment, SpanRow},
};
use serde::Serialize;
use std::collections::HashMap;

/// A trace with more spans is shown without their details, which are asked for one by one.
const DETAILED: usize = 1000;
/// So many log records are shown.
const LOGS: usize = 2000;

/// Is a trace with its spans in the order of its tree.
#[derive(Debug, Serialize)]
pub(crate) struct TraceView<'a> {
    #[serde(flatten)]
    summary: traces::TraceSummary<'a>,
    tree: Vec<SpanPart<'a>>,
    records: Vec<LogPart<'a>>,
    /// Log records that are not shown.
    more_records: usize,
    /// Spans whose parent is not there.
    orphans: usize,
    /// The most that a span begins before its parent, in milliseconds: clocks that disagree.
    skew: f64,
}

struct Part<'a> {
    service: &'a str,
    segment: &'a Segment<SpanRow>,
    row: &'a SpanRow,
    children: Vec<usize>,
    depth: usize,
    critical: Vec<(u64, u64)>,
}

impl Part<'_> {
    fn end(&self) -> u64 {
        self.row.start.saturating_add(self.row.duration)
    }
}

/// Reads a trace; none if nothing of it is there.
pub(crate) fn view(store: &Store, id: u128) -> Option<TraceView<'_>> {
    let trace = store.traces.get(id)?;
    let summary = traces::summary(store, id, trace);
    let mut parts: Vec<Part<'_>> = trace
        .spans
        .iter()
        .filter_map(|&place| store.span_at(place))
        .map(|(service, segment, row)| Part {
            service: &service.name,
            segment,
            row,
            children: Vec::new(),
            depth: 0,
            critical: Vec::new(),
        })
        .collect();
    parts.sort_by_key(|part| (part.row.start, std::cmp::Reverse(part.row.duration)));
    let begin = parts.first().map_or(0, |part| part.row.start);
    let (order, orphans, skew) = arrange(&mut parts);
    if let Some(&root) = order.first() {
        find_critical(&mut parts, root);
    }
    let detailed = parts.len() <= DETAILED;
    let tree = order.iter().map(|&at| shown(&parts[at], begin, detailed)).collect();
    let mut records: Vec<_> = trace
        .logs
        .iter()
        .filter_map(|&place| store.log_at(place))
        .take(LOGS)
        .map(|(service, segment, row)| span::log(&service.name, segment, row))
        .collect();
    records.sort_by(|a, b| a.time.total_cmp(&b.time).then(a.sequence.cmp(&b.sequence)));
    let more_records = trace.logs.len() - records.len();
    // A trace of which only log records are there is shown too.
    let summary = summary.unwrap_or_else(|| traces::TraceSummary {
        id: hex_trace(id),
        start: records.first().map_or(0.0, |record| record.time),
        heard: trace.last,
        duration: 0.0,
        service: records.first().map_or("", |record| record.service),
        name: "",
        spans: 0,
        errors: 0,
        logs: trace.logs.len(),
        rooted: false,
        failed: false,
        services: Vec::new(),
    });
    Some(TraceView { summary, tree, records, more_records, orphans, skew: millis(skew) })
}

/// Reads one span's details.
pub(crate) fn details(store: &Store, id: u128, span: u64) -> Option<span::Details<'_>> {
    let trace = store.traces.get(id)?;
    let rows = || trace.spans.iter().filter_map(|&place| store.span_at(place));
    let begin = rows().map(|(_, _, row)| row.start).min()?;
    let (_, segment, row) = rows().find(|(_, _, row)| row.id == span)?;
    Some(span::details(segment, row, begin))
}

/// Finds parents, and the order of the tree, without recursion: a trace may be one long chain, and a
/// sender may say that two spans are each other's parents.
fn arrange(parts: &mut [Part<'_>]) -> (Vec<usize>, usize, u64) {
    let by_id: HashMap<u64, usize> =
        parts.iter().enumerate().map(|(at, p)| (p.row.id, at)).collect();
    let mut roots = Vec::new();
    let (mut orphans, mut skew) = (0, 0);
    for at in 0..parts.len() {
        let row = parts[at].row;
        match by_id.get(&row.parent) {
            Some(&parent) if row.parent != 0 && parent != at => {
                skew = skew.max(parts[parent].row.start.saturating_sub(row.start));
                parts[parent].children.push(at);
            }
            _ => {
                orphans += usize::from(row.parent != 0);
                roots.push(at);
            }
        }
    }
    // The whole first, then what has lost its parent.
    roots.sort_by_key(|&at| parts[at].row.parent != 0);
    let mut order = Vec::with_capacity(parts.len());
    let mut seen = vec![false; parts.len()];
    let mut descend = |parts: &mut [Part<'_>], root: usize, seen: &mut Vec<bool>| {
        let mut open = vec![(root, 0)];
        while let Some((at, depth)) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            parts[at].depth = depth;
            order.push(at);
            open.extend(parts[at].children.iter().rev().map(|&child| (child, depth + 1)));
        }
    };
    for root in roots {
        descend(parts, root, &mut seen);
    }
    // Circles have no root.
    for at in 0..parts.len() {
        if !seen[at] {
            descend(parts, at, &mut seen);
        }
    }
    (order, orphans, skew)
}

/// Marks what the root waited for: from its end back, always the child that ended last.
fn find_critical(parts: &mut [Part<'_>], root: usize) {
    let mut open = vec![(root, parts[root].end())];
    let mut seen = vec![false; parts.len()];
    while let Some((at, end)) = open.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let start = parts[at].row.start;
        let mut cursor = end;
        let mut children = parts[at].children.clone();
        children.sort_by_key(|&child| std::cmp::Reverse(parts[child].end()));
        let mut stretches = Vec::new();
        for (nth, child) in children.into_iter().enumerate() {
            let (from, mut to) = (parts[child].row.start.max(start), parts[child].end());
            // Only the last may end after its parent: what it does then no one waits for.
            if nth == 0 {
                to = to.min(cursor);
            }
            if from >= to || to > cursor {
                continue;
            }
            if to < cursor {
                stretches.push((to, cursor));
            }
            open.push((child, to));
            cursor = from;
        }
        if start < cursor {
            stretches.push((start, cursor));
        }
        stretches.reverse();
        parts[at].critical = stretches;
    }
}

fn shown<'a>(part: &Part<'a>, begin: u64, detailed: bool) -> SpanPart<'a> {
    let row = part.row;
    let since = |time: u64| micros(time.saturating_sub(begin));
    SpanPart {
        id: hex_span(row.id),
        parent: if row.parent == 0 { String::new() } else { hex_span(row.parent) },
        service: part.service,
        name: part.segment.text.get(row.name),
        kind: span::kind(row),
        start: since(row.start),
        duration: micros(row.duration),
        failed: row.status == FAILED,
        refused: row.status == REFUSED,
        message: span::message(part.segment, row),
        depth: part.depth,
        critical: part.critical.iter().map(|&(from, to)| (since(from), since(to))).collect(),
        more: detailed.then(|| span::details(part.segment, row, begin)),
    }
}
