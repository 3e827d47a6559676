//! A span and a log record with all that they say.

use super::{
    filter::{KINDS, level_name},
    numbers::{hex_span, hex_trace, micros, millis},
};
use crate::store::{
    segment::{LogRow, Segment, SpanRow},
    text::Text,
};
use serde::Serialize;
use serde_json::Value;

type Pairs<'a> = Vec<(&'a str, Value)>;

/// Is a span. Times are microseconds since the trace began.
#[derive(Debug, Serialize)]
pub(crate) struct SpanPart<'a> {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) parent: String,
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) start: f64,
    pub(crate) duration: f64,
    pub(crate) failed: bool,
    /// Whether the answer was a 4xx.
    pub(crate) refused: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) message: &'a str,
    pub(crate) depth: usize,
    /// Which stretches of it the whole trace waited for.
    pub(crate) critical: Vec<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) more: Option<Details<'a>>,
}

/// Is what a span says beyond its bar.
#[derive(Debug, Serialize)]
pub(crate) struct Details<'a> {
    pub(crate) attributes: Pairs<'a>,
    pub(crate) events: Vec<EventPart<'a>>,
    pub(crate) links: Vec<LinkPart<'a>>,
    /// Attributes, events and links that the sender left out.
    pub(crate) dropped: [u64; 3],
    pub(crate) resource: Pairs<'a>,
    pub(crate) scope: [&'a str; 2],
}

/// Is an event of a span.
#[derive(Debug, Serialize)]
pub(crate) struct EventPart<'a> {
    pub(crate) at: f64,
    pub(crate) name: &'a str,
    pub(crate) attributes: Pairs<'a>,
}

/// Is a link of a span.
#[derive(Debug, Serialize)]
pub(crate) struct LinkPart<'a> {
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) attributes: Pairs<'a>,
}

/// Is a log record.
#[derive(Debug, Serialize)]
pub(crate) struct LogPart<'a> {
    pub(crate) sequence: u64,
    /// Milliseconds of Unix time, by the sender's clock.
    pub(crate) time: f64,
    pub(crate) service: &'a str,
    pub(crate) level: &'static str,
    pub(crate) body: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) event: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) trace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) span: String,
    pub(crate) attributes: Pairs<'a>,
    pub(crate) scope: &'a str,
}

/// Returns the name of a span's kind.
pub(crate) fn kind(row: &SpanRow) -> &'static str {
    KINDS.get(usize::from(row.kind)).copied().unwrap_or_default()
}

/// Returns a failed span's message.
pub(crate) fn message<'a>(segment: &'a Segment<SpanRow>, row: &SpanRow) -> &'a str {
    segment.text.get(segment.unpack(row.at).sym())
}

/// Reads what a span says beyond its bar; `begin` is where the trace begins, in nanoseconds.
pub(crate) fn details<'a>(segment: &'a Segment<SpanRow>, row: &SpanRow, begin: u64) -> Details<'a> {
    let text = &segment.text;
    let mut unpacker = segment.unpack(row.at);
    let _ = (unpacker.sym(), unpacker.sym());
    let attributes = unpacker.attributes_json(text);
    let since = row.start.saturating_sub(begin);
    let mut events = Vec::new();
    for _ in 0..unpacker.number().min(1000) {
        let at = micros(since) + signed_micros(unpacker.signed());
        let name = text.get(unpacker.sym());
        events.push(EventPart { at, name, attributes: unpacker.attributes_json(text) });
    }
    let mut links = Vec::new();
    for _ in 0..unpacker.number().min(1000) {
        let trace = hex_trace(u128::from_be_bytes(unpacker.take()));
        let span = hex_span(u64::from_be_bytes(unpacker.take()));
        links.push(LinkPart { trace, span, attributes: unpacker.attributes_json(text) });
    }
    let dropped = [unpacker.number(), unpacker.number(), unpacker.number()];
    let (resource, scope) = context(segment.unpack_context(row.context), text);
    Details { attributes, events, links, dropped, resource, scope }
}

fn context<'a>(
    mut unpacker: crate::store::pack::Unpacker<'a>,
    text: &'a Text,
) -> (Pairs<'a>, [&'a str; 2]) {
    let resource = unpacker.attributes_json(text);
    (resource, [text.get(unpacker.sym()), text.get(unpacker.sym())])
}

#[expect(clippy::cast_precision_loss, reason = "shown")]
fn signed_micros(nanos: i64) -> f64 {
    nanos as f64 / 1e3
}

/// Counts a span's links.
pub(crate) fn links(segment: &Segment<SpanRow>, row: &SpanRow) -> u64 {
    let mut unpacker = segment.unpack(row.at);
    let _ = (unpacker.sym(), unpacker.sym());
    unpacker.attributes(|_, _| {});
    for _ in 0..unpacker.number().min(1000) {
        let _ = (unpacker.signed(), unpacker.sym());
        unpacker.attributes(|_, _| {});
    }
    unpacker.number()
}

/// Reads a log record.
pub(crate) fn log<'a>(service: &'a str, segment: &'a Segment<LogRow>, row: &LogRow) -> LogPart<'a> {
    let text = &segment.text;
    let mut unpacker = segment.unpack(row.at);
    let _ = unpacker.sym();
    let event = text.get(unpacker.sym());
    let (_, [scope, _]) = context(segment.unpack_context(row.context), text);
    LogPart {
        sequence: row.sequence,
        time: millis(row.time),
        service,
        level: level_name(row.severity),
        body: text.get(row.body),
        event,
        trace: if row.trace == 0 { String::new() } else { hex_trace(row.trace) },
        span: if row.span == 0 { String::new() } else { hex_span(row.span) },
        attributes: unpacker.attributes_json(text),
        scope,
    }
}
