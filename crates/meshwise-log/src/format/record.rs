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
use tracing::Level;

/// Tags of `LogRecord`: the field's number and how it is written.
mod tag {
    pub(super) const TIME: u8 = 1 << 3 | 1;
    pub(super) const SEVERITY_NUMBER: u8 = 2 << 3;
    pub(super) const SEVERITY_TEXT: u8 = 3 << 3 | 2;
    pub(super) const BODY: u8 = 5 << 3 | 2;
    pub(super) const ATTRIBUTES: u8 = 6 << 3 | 2;
    pub(super) const FLAGS: u8 = 8 << 3 | 5;
    pub(super) const TRACE_ID: u8 = 9 << 3 | 2;
    pub(super) const SPAN_ID: u8 = 10 << 3 | 2;
    pub(super) const OBSERVED_TIME: u8 = 11 << 3 | 1;
    pub(super) const EVENT_NAME: u8 = 12 << 3 | 2;
    /// Of `KeyValue`.
    pub(super) const KEY: u8 = 1 << 3 | 2;
    pub(super) const VALUE: u8 = 2 << 3 | 2;
    /// Of `AnyValue`.
    pub(super) const TEXT: u8 = 1 << 3 | 2;
    pub(super) const FLAG: u8 = 2 << 3;
    pub(super) const WHOLE: u8 = 3 << 3;
    pub(super) const REAL: u8 = 4 << 3 | 1;
}

/// A value as `AnyValue` has it.
#[derive(Clone, Copy)]
pub(super) enum AnyValue<'a> {
    Text(&'a str),
    Flag(bool),
    Whole(i64),
    Real(f64),
}

impl AnyValue<'_> {
    fn len(self) -> usize {
        1 + match self {
            Self::Text(text) => varint_len(text.len() as u64) + text.len(),
            Self::Flag(_) => 1,
            Self::Whole(number) => varint_len(number.cast_unsigned()),
            Self::Real(_) => 8,
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => bytes(out, tag::TEXT, text.as_bytes()),
            Self::Flag(flag) => out.extend_from_slice(&[tag::FLAG, flag.into()]),
            Self::Whole(number) => {
                out.push(tag::WHOLE);
                varint(out, number.cast_unsigned());
            }
            Self::Real(number) => {
                out.push(tag::REAL);
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
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
            attribute(out, REQUEST_ID, AnyValue::Text(id));
        }
        for tag in [tag::TIME, tag::OBSERVED_TIME] {
            out.push(tag);
            out.extend_from_slice(&nanoseconds.to_le_bytes());
        }
        if !head.message.is_empty() {
            let body = AnyValue::Text(head.message);
            out.push(tag::BODY);
            varint(out, body.len() as u64);
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
    let value_len = value.len();
    let member = |len: usize| 1 + varint_len(len as u64) + len;
    out.push(tag::ATTRIBUTES);
    varint(out, (member(name.len()) + member(value_len)) as u64);
    bytes(out, tag::KEY, name.as_bytes());
    out.push(tag::VALUE);
    varint(out, value_len as u64);
    value.write(out);
}

fn bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX / 2, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out.len(), varint_len(number), "{number}");
        }
        for value in [
            AnyValue::Text("x"),
            AnyValue::Text(""),
            AnyValue::Flag(true),
            AnyValue::Whole(-1),
            AnyValue::Whole(300),
            AnyValue::Real(0.5),
        ] {
            let mut out = Vec::new();
            value.write(&mut out);
            assert_eq!(out.len(), value.len());
        }
    }
}
