//! A trace as a tree.

use meshwise::{
    opentelemetry::trace::{SpanId, SpanKind, Status},
    opentelemetry_sdk::trace::SpanData,
};
use std::time::SystemTime;

pub(crate) type Span = SpanData;

/// The server spans that the tour's first call must have, and the service whose client calls each.
const HOPS: [(&str, &str, Option<&str>); 5] = [
    ("gateway", "POST /shop/orders", None),
    ("orders", "POST /orders", Some("gateway")),
    ("auth", "auth.v1.Auth/Check", Some("orders")),
    ("auth", "auth.v1.Auth/Permissions", Some("orders")),
    ("stock", "POST /items/{item}/reserve", Some("orders")),
];

/// How many characters the bar of a trace is wide.
const WIDTH: f64 = 40.0;

/// Prints the spans of one trace, children below their parents, with a bar for their time.
pub(crate) fn print(spans: &[(&'static str, Span)]) {
    let Some(begin) = spans.iter().map(|(_, span)| span.start_time).min() else {
        return say!("  (no spans)");
    };
    let end = spans.iter().map(|(_, span)| span.end_time).max().unwrap_or(begin);
    let total = millis(begin, end).max(0.001);
    let mut roots: Vec<_> = spans
        .iter()
        .filter(|(_, span)| !spans.iter().any(|(_, s)| id(s) == span.parent_span_id))
        .collect();
    roots.sort_by_key(|(_, span)| span.start_time);
    for root in roots {
        branch(spans, root, 0, begin, total);
    }
}

fn branch(
    all: &[(&'static str, Span)],
    (service, span): &(&'static str, Span),
    depth: usize,
    begin: SystemTime,
    total: f64,
) {
    let kind = match span.span_kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "sends ",
        SpanKind::Consumer => "takes ",
        SpanKind::Internal => "      ",
    };
    let from = millis(begin, span.start_time);
    let took = millis(span.start_time, span.end_time);
    let lead = (from / total * WIDTH) as usize;
    let length = ((took / total * WIDTH).round() as usize).max(1);
    let bar = format!("{}{}", " ".repeat(lead), "=".repeat(length));
    let mark = if matches!(span.status, Status::Error { .. }) { " !" } else { "" };
    let name = format!("{}{}{mark}", "  ".repeat(depth), span.name);
    say!("  {name:38} {service:8} {kind} {took:7.2} ms |{bar:42}|");
    let mut children: Vec<_> =
        all.iter().filter(|(_, child)| child.parent_span_id == id(span)).collect();
    children.sort_by_key(|(_, child)| child.start_time);
    for child in children {
        branch(all, child, depth + 1, begin, total);
    }
}

/// Checks that every hop is there, that each server span is the child of its caller's client span,
/// and that there is one root.
pub(crate) fn check(spans: &[(&'static str, Span)]) -> Result<(), String> {
    let parent = |span: &Span| spans.iter().find(|(_, other)| id(other) == span.parent_span_id);
    let roots = spans.iter().filter(|(_, span)| parent(span).is_none()).count();
    if roots != 1 {
        return Err(format!("the trace has {roots} roots"));
    }
    for (service, name, caller) in HOPS {
        let (_, span) = spans
            .iter()
            .find(|(of, span)| {
                *of == service && span.span_kind == SpanKind::Server && span.name == name
            })
            .ok_or_else(|| format!("the trace has no server span `{name}` of {service}"))?;
        match (caller, parent(span)) {
            (None, _) => {}
            (Some(caller), Some((of, client)))
                if *of == caller && client.span_kind == SpanKind::Client => {}
            (Some(caller), _) => {
                return Err(format!("{service}'s span is not the child of {caller}'s call"));
            }
        }
    }
    let (_, sent) = spans
        .iter()
        .find(|(of, span)| *of == "orders" && span.span_kind == SpanKind::Producer)
        .ok_or("the trace has no message that orders sent")?;
    let taken = spans.iter().filter(|(of, span)| {
        *of == "mailer" && span.span_kind == SpanKind::Consumer && span.parent_span_id == id(sent)
    });
    match taken.count() {
        2 => Ok(()),
        n => Err(format!("the mailer had the message {n} times; it is delivered twice on purpose")),
    }
}

fn id(span: &Span) -> SpanId {
    span.span_context.span_id()
}

fn millis(from: SystemTime, to: SystemTime) -> f64 {
    to.duration_since(from).unwrap_or_default().as_secs_f64() * 1e3
}
