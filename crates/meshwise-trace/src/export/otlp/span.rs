//! One span as `Span` (opentelemetry-proto 1.9, `trace/v1/trace.proto`), straight from what the SDK has.

use meshwise_core::internal::wire::{self, AnyValue, BYTES, varint_len};
use opentelemetry::{
    Array, Key, KeyValue, SpanId, Value,
    trace::{Event, Link, SpanContext, SpanKind, Status},
};
use opentelemetry_sdk::trace::SpanData;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tags of `Span`.
mod tag {
    use meshwise_core::internal::wire::{BYTES, FIXED64, VARINT, tag};

    pub(super) const TRACE_ID: u8 = tag(1, BYTES);
    pub(super) const SPAN_ID: u8 = tag(2, BYTES);
    pub(super) const TRACE_STATE: u8 = tag(3, BYTES);
    pub(super) const PARENT_SPAN_ID: u8 = tag(4, BYTES);
    pub(super) const NAME: u8 = tag(5, BYTES);
    pub(super) const KIND: u8 = tag(6, VARINT);
    pub(super) const START: u8 = tag(7, FIXED64);
    pub(super) const END: u8 = tag(8, FIXED64);
    pub(super) const ATTRIBUTES: u8 = tag(9, BYTES);
    pub(super) const DROPPED_ATTRIBUTES: u8 = tag(10, VARINT);
    pub(super) const EVENTS: u8 = tag(11, BYTES);
    pub(super) const DROPPED_EVENTS: u8 = tag(12, VARINT);
    pub(super) const LINKS: u8 = tag(13, BYTES);
    pub(super) const DROPPED_LINKS: u8 = tag(14, VARINT);
    pub(super) const STATUS: u8 = tag(15, BYTES);
    /// Number 16, four bytes.
    pub(super) const FLAGS: [u8; 2] = [0x85, 1];
}

/// Those of `Span.Event`.
mod event_tag {
    use meshwise_core::internal::wire::{BYTES, FIXED64, VARINT, tag};

    pub(super) const TIME: u8 = tag(1, FIXED64);
    pub(super) const NAME: u8 = tag(2, BYTES);
    pub(super) const ATTRIBUTES: u8 = tag(3, BYTES);
    pub(super) const DROPPED_ATTRIBUTES: u8 = tag(4, VARINT);
}

/// Those of `Span.Link`.
mod link_tag {
    use meshwise_core::internal::wire::{BYTES, FIXED32, VARINT, tag};

    pub(super) const TRACE_ID: u8 = tag(1, BYTES);
    pub(super) const SPAN_ID: u8 = tag(2, BYTES);
    pub(super) const TRACE_STATE: u8 = tag(3, BYTES);
    pub(super) const ATTRIBUTES: u8 = tag(4, BYTES);
    pub(super) const DROPPED_ATTRIBUTES: u8 = tag(5, VARINT);
    pub(super) const FLAGS: u8 = tag(6, FIXED32);
}

/// Those of `Status`.
const STATUS_MESSAGE: u8 = wire::tag(2, BYTES);
const STATUS_CODE: u8 = wire::tag(3, wire::VARINT);
/// Those of `AnyValue` and `ArrayValue` that the other kinds of values have no use for.
const ARRAY: u8 = wire::tag(5, BYTES);
const VALUES: u8 = wire::tag(1, BYTES);

/// Bits of the flags (`SpanFlags`): that it is known whether the parent, or what is linked, is remote; and
/// that it is.
const REMOTE_IS_KNOWN: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Writes a span's fields, in the order of their numbers.
pub(super) fn write(out: &mut Vec<u8>, span: &SpanData) {
    let SpanData { span_context, status, .. } = span;
    ids(out, [tag::TRACE_ID, tag::SPAN_ID, tag::TRACE_STATE], span_context);
    if span.parent_span_id != SpanId::INVALID {
        wire::bytes(out, tag::PARENT_SPAN_ID, &span.parent_span_id.to_bytes());
    }
    wire::text(out, tag::NAME, &span.name);
    out.extend_from_slice(&[tag::KIND, kind(&span.span_kind)]);
    time(out, tag::START, span.start_time);
    time(out, tag::END, span.end_time);
    attributes(out, tag::ATTRIBUTES, &span.attributes);
    wire::number(out, tag::DROPPED_ATTRIBUTES, span.dropped_attributes_count.into());
    for one in &span.events.events {
        wire::message(out, tag::EVENTS, |out| event(out, one));
    }
    wire::number(out, tag::DROPPED_EVENTS, span.events.dropped_count.into());
    for one in &span.links.links {
        wire::message(out, tag::LINKS, |out| link(out, one));
    }
    wire::number(out, tag::DROPPED_LINKS, span.links.dropped_count.into());
    match status {
        Status::Unset => out.extend_from_slice(&[tag::STATUS, 0]),
        Status::Ok => out.extend_from_slice(&[tag::STATUS, 2, STATUS_CODE, 1]),
        Status::Error { description } => wire::message(out, tag::STATUS, |out| {
            wire::text(out, STATUS_MESSAGE, description);
            out.extend_from_slice(&[STATUS_CODE, 2]);
        }),
    }
    out.extend_from_slice(&tag::FLAGS);
    flags(out, span_context, span.parent_span_is_remote);
}

fn kind(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn event(out: &mut Vec<u8>, event: &Event) {
    time(out, event_tag::TIME, event.timestamp);
    wire::text(out, event_tag::NAME, &event.name);
    attributes(out, event_tag::ATTRIBUTES, &event.attributes);
    wire::number(out, event_tag::DROPPED_ATTRIBUTES, event.dropped_attributes_count.into());
}

fn link(out: &mut Vec<u8>, link: &Link) {
    let Link { span_context, .. } = link;
    ids(out, [link_tag::TRACE_ID, link_tag::SPAN_ID, link_tag::TRACE_STATE], span_context);
    attributes(out, link_tag::ATTRIBUTES, &link.attributes);
    wire::number(out, link_tag::DROPPED_ATTRIBUTES, link.dropped_attributes_count.into());
    out.push(link_tag::FLAGS);
    flags(out, span_context, span_context.is_remote());
}

fn ids(out: &mut Vec<u8>, [trace_id, span_id, trace_state]: [u8; 3], context: &SpanContext) {
    wire::bytes(out, trace_id, &context.trace_id().to_bytes());
    wire::bytes(out, span_id, &context.span_id().to_bytes());
    wire::text(out, trace_state, &context.trace_state().header());
}

fn flags(out: &mut Vec<u8>, context: &SpanContext, is_remote: bool) {
    let flags = u32::from(context.trace_flags().to_u8()) | REMOTE_IS_KNOWN;
    let flags = if is_remote { flags | IS_REMOTE } else { flags };
    out.extend_from_slice(&flags.to_le_bytes());
}

/// Writes nanoseconds since 1970; what was before counts as then.
fn time(out: &mut Vec<u8>, tag: u8, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Enough until the year 2554.
    let nanoseconds = since.as_nanos() as u64;
    if nanoseconds != 0 {
        out.push(tag);
        out.extend_from_slice(&nanoseconds.to_le_bytes());
    }
}

/// Writes attributes, each as a field with this tag.
pub(super) fn attributes<'a>(
    out: &mut Vec<u8>,
    tag: u8,
    attributes: impl IntoIterator<Item = &'a KeyValue>,
) {
    for KeyValue { key, value, .. } in attributes {
        attribute(out, tag, key, value);
    }
}

pub(super) fn attribute(out: &mut Vec<u8>, tag: u8, key: &Key, value: &Value) {
    let key = key.as_str();
    let value = match value {
        Value::String(text) => AnyValue::Text(text.as_str()),
        Value::I64(number) => AnyValue::Whole(*number),
        Value::Bool(flag) => AnyValue::Flag(*flag),
        Value::F64(number) => AnyValue::Real(*number),
        Value::Array(values) => return array(out, tag, key, values),
        // OpenTelemetry may get more; how they look as a text is better than nothing.
        other => return wire::attribute(out, tag, key, AnyValue::Text(&other.as_str())),
    };
    wire::attribute(out, tag, key, value);
}

fn array(out: &mut Vec<u8>, tag: u8, key: &str, values: &Array) {
    match values {
        Array::Bool(flags) => elements(out, tag, key, flags, |flag| AnyValue::Flag(*flag)),
        Array::I64(numbers) => elements(out, tag, key, numbers, |number| AnyValue::Whole(*number)),
        Array::F64(numbers) => elements(out, tag, key, numbers, |number| AnyValue::Real(*number)),
        Array::String(texts) => {
            elements(out, tag, key, texts, |text| AnyValue::Text(text.as_str()));
        }
        other => wire::attribute(out, tag, key, AnyValue::Text(&other.to_string())),
    }
}

fn elements<T>(
    out: &mut Vec<u8>,
    tag: u8,
    key: &str,
    all: &[T],
    value: impl Fn(&T) -> AnyValue<'_>,
) {
    let field = |len: usize| 1 + varint_len(len as u64) + len;
    let len = all.iter().map(|one| field(value(one).size())).sum();
    wire::named(out, tag, key, field(len), |out| {
        out.push(ARRAY);
        wire::varint(out, len as u64);
        for value in all.iter().map(value) {
            out.push(VALUES);
            wire::varint(out, value.size() as u64);
            value.write(out);
        }
    });
}
