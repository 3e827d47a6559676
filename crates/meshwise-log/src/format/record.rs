//! Events as OTLP's `LogRecord`s (opentelemetry-proto 1.9, `logs/v1/logs.proto`).
//!
//! A record is written while the event's fields are visited, beside the line: what is hidden in the
//! one is hidden in the other, as it is looked at once. It is written as it goes over the wire, so
//! that nothing but bytes moves to the exporter's thread, and nothing is allocated. Fields of a
//! message may come in any order: attributes come first.

use super::{
    head::Head,
    names::{CODE_FILE_PATH, CODE_LINE_NUMBER, REQUEST_ID, TARGET},
};
pub(super) use meshwise_core::internal::wire::AnyValue;
use meshwise_core::internal::wire::{self, bytes, varint};
use tracing::Level;

/// Tags of `LogRecord`.
mod tag {
    use meshwise_core::internal::wire::{BYTES, FIXED32, FIXED64, VARINT, tag};

    pub(super) const TIME: u8 = tag(1, FIXED64);
    pub(super) const SEVERITY_NUMBER: u8 = tag(2, VARINT);
    pub(super) const SEVERITY_TEXT: u8 = tag(3, BYTES);
    pub(super) const BODY: u8 = tag(5, BYTES);
    pub(super) const ATTRIBUTES: u8 = tag(6, BYTES);
    pub(super) const FLAGS: u8 = tag(8, FIXED32);
    pub(super) const TRACE_ID: u8 = tag(9, BYTES);
    pub(super) const SPAN_ID: u8 = tag(10, BYTES);
    pub(super) const OBSERVED_TIME: u8 = tag(11, FIXED64);
    pub(super) const EVENT_NAME: u8 = tag(12, BYTES);
}

/// The record that is being made; kept from event to event.
pub(crate) struct Record {
    bytes: Vec<u8>,
    /// Whether this event is to be exported.
    on: bool,
}

impl Record {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), on: false }
    }

    /// Begins the next one.
    pub(crate) fn begin(&mut self, on: bool) {
        self.bytes.clear();
        self.on = on;
    }

    /// Returns itself while there is a record to be made.
    pub(super) fn wanted(&mut self) -> Option<&mut Self> {
        self.on.then_some(self)
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns the record; `None` if the event is not to be exported.
    pub(crate) fn made(&self) -> Option<&[u8]> {
        self.on.then_some(&*self.bytes)
    }

    pub(super) fn attribute(&mut self, name: &str, value: AnyValue<'_>) {
        attribute(&mut self.bytes, name, value);
    }

    /// Adds what is no attribute of the event's own.
    pub(super) fn finish(&mut self, head: &Head<'_>, event: &str, nanoseconds: u64) {
        let out = &mut self.bytes;
        match head.site {
            Some(site) => out.extend_from_slice(&site.record),
            None => constant(out, head.level, head.target, head.place, event),
        }
        if let Some(id) = head.request_id {
            id.with(|id| attribute(out, REQUEST_ID, AnyValue::Text(id)));
        }
        for tag in [tag::TIME, tag::OBSERVED_TIME] {
            out.push(tag);
            out.extend_from_slice(&nanoseconds.to_le_bytes());
        }
        if !head.message.is_empty() {
            let body = AnyValue::Text(head.message);
            out.push(tag::BODY);
            varint(out, body.size() as u64);
            body.write(out);
        }
        if let Some(ids) = head.ids {
            bytes(out, tag::TRACE_ID, &ids.trace_id().to_bytes());
            bytes(out, tag::SPAN_ID, &ids.span_id().to_bytes());
            out.push(tag::FLAGS);
            out.extend_from_slice(&u32::from(ids.trace_flags().to_u8()).to_le_bytes());
        }
    }
}

/// Writes what is the same in all records of a call site.
pub(super) fn constant(
    out: &mut Vec<u8>,
    level: Level,
    target: &str,
    place: Option<(&str, u32)>,
    event: &str,
) {
    // Logs Data Model, "Field: `SeverityNumber`".
    let number = match level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        Level::ERROR => 17,
    };
    out.extend_from_slice(&[tag::SEVERITY_NUMBER, number]);
    bytes(out, tag::SEVERITY_TEXT, level.as_str().as_bytes());
    attribute(out, TARGET, AnyValue::Text(target));
    if let Some((file, line)) = place {
        attribute(out, CODE_FILE_PATH, AnyValue::Text(file));
        attribute(out, CODE_LINE_NUMBER, AnyValue::Whole(line.into()));
    }
    // Those that were given none have a name that `tracing` has made up of file and line.
    if !event.starts_with("event ") && event != "log event" {
        bytes(out, tag::EVENT_NAME, event.as_bytes());
    }
}

fn attribute(out: &mut Vec<u8>, name: &str, value: AnyValue<'_>) {
    wire::attribute(out, tag::ATTRIBUTES, name, value);
}
