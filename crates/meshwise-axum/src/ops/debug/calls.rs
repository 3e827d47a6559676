//! `/debug/calls`: the calls in flight and in queues, the messages in hand, the last calls that failed, the
//! slowest.

use crate::ops::json::{json, table, text, whole};
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use meshwise_core::{Protocol, outcome::Side, settings::Value};
use meshwise_http::{CallFacts, CallInFlight, CallInQueue, EndedCall, Telemetry, WaitsFor};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How many calls in flight are shown if the query does not say, and at most.
const LIMIT: usize = 500;
const MAX_LIMIT: usize = 16_384;

/// What is shown.
#[derive(Clone, Debug)]
pub(crate) struct ShownCalls {
    pub(crate) telemetry: Telemetry,
    pub(crate) messages: Option<ShownMessages>,
}

/// Lists messages in hand, so many at most.
#[derive(Clone)]
pub(crate) struct ShownMessages(pub(crate) Arc<dyn Fn(usize) -> Value + Send + Sync>);

impl fmt::Debug for ShownMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownMessages").finish_non_exhaustive()
    }
}

pub(crate) async fn get(State(calls): State<ShownCalls>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
    match limit.map(str::parse::<usize>) {
        None => json(&shown(&calls, LIMIT)),
        Some(Ok(limit)) if limit <= MAX_LIMIT => json(&shown(&calls, limit)),
        Some(_) => {
            let said = format!("limit is a whole number of calls, {MAX_LIMIT} at most\n");
            (StatusCode::BAD_REQUEST, said).into_response()
        }
    }
}

/// As many calls as a bundle holds.
pub(super) fn all(calls: &ShownCalls) -> Value {
    shown(calls, LIMIT)
}

/// Turns calls into JSON's form; of those in flight the oldest are shown, and so of messages.
fn shown(ShownCalls { telemetry, messages }: &ShownCalls, limit: usize) -> Value {
    let calls = telemetry.calls();
    let ended = |calls: &[EndedCall]| Some(Value::List(calls.iter().map(ended).collect()));
    let first = calls.in_flight.iter().take(limit);
    let queued = calls.queued.iter().take(limit);
    table([
        ("total", Some(whole(calls.in_flight.len()))),
        ("unlisted", Some(whole(calls.unlisted))),
        ("in_flight", Some(Value::List(first.map(in_flight).collect()))),
        ("queued", Some(Value::List(queued.map(in_queue).collect()))),
        ("messages", messages.as_ref().map(|ShownMessages(shown)| shown(limit))),
        ("failed", ended(&calls.failed)),
        ("slowest", ended(&calls.slowest)),
    ])
}

fn in_queue(call: &CallInQueue) -> Value {
    let within = call.within.as_ref();
    table([
        ("guard", Some(text(call.guard))),
        ("side", Some(text(side(call.side)))),
        ("peer", Some(text(&*call.peer))),
        ("age_ms", Some(millis(call.age))),
        ("within", within.map(facts)),
    ])
}

fn in_flight(call: &CallInFlight) -> Value {
    let peers = match &call.waits_for {
        WaitsFor::Peers(peers) | WaitsFor::Queue(peers) => {
            Some(peers.iter().map(|peer| text(&**peer)).collect())
        }
        _ => None,
    };
    let waits_for = match &call.waits_for {
        WaitsFor::Peers(_) => "peers",
        WaitsFor::Queue(_) => "queue",
        WaitsFor::Peer => "peer",
        WaitsFor::Handler => "handler",
        WaitsFor::Body => "body",
        _ => "unknown",
    };
    let own = table([
        ("age_ms", Some(millis(call.age))),
        ("left_ms", call.left.map(millis)),
        ("waits_for", Some(text(waits_for))),
        ("peers", peers.map(Value::List)),
        ("status", call.status.map(whole)),
    ]);
    joined(facts(&call.call), own)
}

fn ended(call: &EndedCall) -> Value {
    let own = table([
        ("duration_ms", Some(millis(call.duration))),
        ("status", call.status.map(whole)),
        ("code", call.code.map(|code| text(code.as_str()))),
        ("error_type", call.error_type.map(|error| text(error.as_str()))),
        ("ended_by", Some(text(call.ended_by.as_str()))),
    ]);
    joined(facts(&call.call), own)
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Server => "server",
        Side::Client => "client",
    }
}

fn facts(call: &CallFacts) -> Value {
    let protocol = match call.protocol {
        Protocol::Http => "http",
        Protocol::Grpc => "grpc",
        _ => "unknown",
    };
    table([
        ("side", Some(text(side(call.side)))),
        ("protocol", Some(text(protocol))),
        ("method", Some(text(call.method))),
        ("route", call.route.as_deref().map(text)),
        ("rpc_method", call.rpc_method.as_deref().map(text)),
        ("caller", call.caller.as_deref().map(text)),
        ("peer", call.peer.as_deref().map(text)),
        ("address", call.address.as_deref().map(text)),
        ("trace_id", call.trace_id.map(|id| text(id.to_string()))),
        ("span_id", call.span_id.map(|id| text(id.to_string()))),
        ("request_id", call.request_id.as_ref().map(|id| text(id.as_str()))),
        ("attempt", Some(whole(call.attempt))),
        ("started_unix_seconds", Some(unix(call.started))),
    ])
}

fn joined(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Table(mut one), Value::Table(other)) => {
            one.extend(other);
            Value::Table(one)
        }
        (one, _) => one,
    }
}

/// Whole microseconds.
fn millis(duration: Duration) -> Value {
    Value::Number((duration.as_secs_f64() * 1e6).round() / 1e3)
}

pub(super) fn unix(moment: SystemTime) -> Value {
    Value::Number(moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}
