//! The outer levels of OTLP's requests, walked without building them.
//!
//! A request of 32 MiB can hold 16 million empty spans, which would be gigabytes once decoded. So
//! only one span, log record or metric is decoded at a time, and none that is too large. All three
//! signals have the same form: groups (1) of a resource (1) and scope groups (2) of a scope (1) and
//! items (2).

use super::{doubles, error::IngestError};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// A larger span, log record, metric, resource or scope is refused, in bytes as encoded.
pub(crate) const ITEM_LIMIT: usize = 4 * 1024 * 1024;

/// Names one of OTLP's signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    /// Returns the names of groups, scope groups and items in JSON.
    pub(crate) fn json_names(self) -> [&'static str; 3] {
        match self {
            Self::Traces => ["resourceSpans", "scopeSpans", "spans"],
            Self::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
            Self::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
        }
    }
}

/// Is a message that is not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    Protobuf(&'a [u8]),
    Json(&'a str),
}

impl<'a> Raw<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Protobuf(bytes) => bytes,
            Self::Json(text) => text.as_bytes(),
        }
    }

    /// Decodes a message, unless it is too large.
    pub(crate) fn decode<M>(self) -> Result<M, IngestError>
    where
        M: prost::Message + Default + for<'de> Deserialize<'de>,
    {
        if self.bytes().len() > ITEM_LIMIT {
            return Err(IngestError::ItemTooLarge);
        }
        match self {
            Self::Protobuf(bytes) => Ok(M::decode(bytes)?),
            Self::Json(text) => {
                let plain = serde_json::from_str(text);
                // If that fails too, it is the plain reading that knows line and column.
                Ok(plain.or_else(|error| doubles::decode(text).map_err(|_| error))?)
            }
        }
    }
}

impl Raw<'_> {
    /// Decodes a metric, unless it is too large.
    pub(crate) fn decode_metric(self) -> Result<Metric, IngestError> {
        match self {
            Self::Json(text) if text.len() <= ITEM_LIMIT => Ok(doubles::metric(text)?),
            _ => self.decode(),
        }
    }
}

/// Receives the parts of a request in order.
pub(crate) trait Visit {
    /// Begins a resource.
    fn resource(&mut self, resource: Option<Raw<'_>>);
    /// Begins a scope of the resource.
    fn scope(&mut self, scope: Option<Raw<'_>>);
    /// Takes an item of the scope.
    fn item(&mut self, item: Raw<'_>);
}

/// Walks a request.
pub(crate) fn walk(
    signal: Signal,
    body: Raw<'_>,
    visit: &mut dyn Visit,
) -> Result<(), IngestError> {
    match body {
        Raw::Protobuf(bytes) => walk_protobuf(bytes, visit),
        Raw::Json(text) => walk_json(signal, text, visit),
    }
}

const FIRST: u64 = 1;
const SECOND: u64 = 2;

fn walk_protobuf(request: &[u8], visit: &mut dyn Visit) -> Result<(), IngestError> {
    for group in Fields(request) {
        let (FIRST, group) = group? else { continue };
        visit.resource(find(group, FIRST)?.map(Raw::Protobuf));
        for scope in Fields(group) {
            let (SECOND, scope) = scope? else { continue };
            visit.scope(find(scope, FIRST)?.map(Raw::Protobuf));
            for item in Fields(scope) {
                if let (SECOND, item) = item? {
                    visit.item(Raw::Protobuf(item));
                }
            }
        }
    }
    Ok(())
}

fn find(message: &[u8], wanted: u64) -> Result<Option<&[u8]>, IngestError> {
    for field in Fields(message) {
        let (number, bytes) = field?;
        if number == wanted {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// Lists the length-delimited fields of a message; fields of other types have number 0.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn skip(&mut self, length: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(head)
    }

    fn field(&mut self) -> Option<(u64, &'a [u8])> {
        let tag = self.varint()?;
        match tag & 7 {
            0 => self.varint().map(|_| (0, &[][..])),
            1 => self.skip(8).map(|_| (0, &[][..])),
            2 => {
                let length = self.varint()?;
                Some((tag >> 3, self.skip(length)?))
            }
            5 => self.skip(4).map(|_| (0, &[][..])),
            _ => None, // groups are long gone
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(IngestError::Truncated))
    }
}

type Object<'a> = HashMap<String, &'a RawValue>;

fn walk_json(signal: Signal, text: &str, visit: &mut dyn Visit) -> Result<(), IngestError> {
    let [groups, scopes, items] = signal.json_names();
    for group in list(&object(text)?, groups)? {
        let group = object(group.get())?;
        visit.resource(part(&group, "resource"));
        for scope in list(&group, scopes)? {
            let scope = object(scope.get())?;
            visit.scope(part(&scope, "scope"));
            for item in list(&scope, items)? {
                visit.item(Raw::Json(item.get()));
            }
        }
    }
    Ok(())
}

/// Reads an object; keys that OTLP does not know may be anything.
fn object(text: &str) -> Result<Object<'_>, IngestError> {
    Ok(serde_json::from_str(text)?)
}

fn list<'a>(object: &Object<'a>, key: &str) -> Result<Vec<&'a RawValue>, IngestError> {
    let Some(found) = object.get(key) else { return Ok(Vec::new()) };
    Ok(serde_json::from_str::<Option<Vec<&RawValue>>>(found.get())?.unwrap_or_default())
}

fn part<'a>(object: &Object<'a>, key: &str) -> Option<Raw<'a>> {
    object.get(key).map(|part| part.get()).filter(|text| *text != "null").map(Raw::Json)
}
