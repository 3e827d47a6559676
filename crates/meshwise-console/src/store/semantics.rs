//! What a span says of its call, by OpenTelemetry's semantic conventions, old names included.

use super::{
    edges::{Edges, Half, Kind},
    ids::{cut, span_id, trace_id},
    pack::text_of,
    red::Call,
};
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use std::sync::Arc;

pub(super) const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
pub(super) const CONSUMER: i32 = 5;

/// Where a client's span has the status of the answer.
const STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];

/// More links of a batch are no calls on the map.
const LINKS: usize = 128;

/// Puts a span's call on the map, if it is one.
pub(super) fn place_on_map(
    edges: &mut Edges,
    now: u64,
    service: Arc<str>,
    call: Call,
    key: (u128, u64),
    span: &Span,
) {
    let attributes = &span.attributes;
    match span.kind {
        CLIENT | PRODUCER => {
            let (kind, other) = callee(span.kind, attributes);
            let call = Call { failed: call.failed && !is_refused(span), ..call };
            edges.client(now, key, Half { service, other, kind, call });
        }
        SERVER => {
            let other = text_of(attributes, "client.service.name").map(short);
            let half = Half { service, other, kind: Kind::Call, call };
            match span_id(&span.parent_span_id) {
                Some(parent) => edges.server(now, (key.0, parent), half),
                None => edges.entry(now, &half),
            }
        }
        CONSUMER => {
            let other =
                text_of(attributes, "client.service.name").or_else(|| destination(attributes));
            let half = Half { service, other: other.map(short), kind: Kind::Messaging, call };
            let mut producers: Vec<_> = span
                .links
                .iter()
                .take(LINKS)
                .filter_map(|link| Some((trace_id(&link.trace_id)?, span_id(&link.span_id)?)))
                .collect();
            if producers.is_empty() {
                producers.extend(span_id(&span.parent_span_id).map(|parent| (key.0, parent)));
            }
            if producers.is_empty() && half.other.is_some() {
                edges.entry(now, &half);
            }
            for producer in producers {
                edges.server(now, producer, half.clone());
            }
        }
        _ => {}
    }
}

/// Tells whether a client's span has an answer of 4xx. The conventions call that an error of its span; it is none
/// of the peer's.
pub(super) fn is_refused(span: &Span) -> bool {
    let status = || STATUS.iter().find_map(|name| number_of(&span.attributes, name));
    span.kind == CLIENT && status().is_some_and(|status| (400..500).contains(&status))
}

/// Says whom a client's or producer's span calls.
fn callee(kind: i32, attributes: &[KeyValue]) -> (Kind, Option<Arc<str>>) {
    if kind == PRODUCER || text_of(attributes, "messaging.system").is_some() {
        return (Kind::Messaging, destination(attributes).map(short));
    }
    let named = ["server.service.name", "peer.service", "service.peer.name"];
    let named = named.iter().find_map(|name| text_of(attributes, name));
    let database =
        text_of(attributes, "db.system.name").or_else(|| text_of(attributes, "db.system"));
    let kind = if database.is_some() { Kind::Database } else { Kind::Call };
    if let Some(name) = named.or(database) {
        return (kind, Some(short(name)));
    }
    let address = ["server.address", "net.peer.name", "net.sock.peer.addr", "http.host"];
    let Some(address) = address.iter().find_map(|name| text_of(attributes, name)) else {
        return (kind, None);
    };
    let port = ["server.port", "net.peer.port"].iter().find_map(|name| number_of(attributes, name));
    let name = port.map_or_else(|| address.to_owned(), |port| format!("{address}:{port}"));
    (kind, Some(short(&name)))
}

fn destination(attributes: &[KeyValue]) -> Option<&str> {
    let names =
        ["messaging.destination.template", "messaging.destination.name", "messaging.destination"];
    names.iter().find_map(|name| text_of(attributes, name))
}

fn number_of(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

fn short(name: &str) -> Arc<str> {
    Arc::from(cut(name, 200))
}
