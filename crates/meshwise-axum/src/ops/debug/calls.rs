//! `/debug/calls`: the calls in flight, the last ones that failed, the slowest.

use crate::ops::json::{json, table, text, whole};
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use meshwise_core::{Protocol, outcome::Side, settings::Value};
use meshwise_http::{CallFacts, CallInFlight, CallsSnapshot, EndedCall, Telemetry, WaitsFor};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many calls in flight are shown if the query does not say, and at most.
const LIMIT: usize = 500;
const MAX_LIMIT: usize = 16_384;

pub(crate) async fn get(State(telemetry): State<Telemetry>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
    match limit.map(str::parse::<usize>) {
        None => json(&shown(&telemetry.calls(), LIMIT)),
        Some(Ok(limit)) if limit <= MAX_LIMIT => json(&shown(&telemetry.calls(), limit)),
        Some(_) => {
            let said = format!("limit is a whole number of calls, {MAX_LIMIT} at most\n");
            (StatusCode::BAD_REQUEST, said).into_response()
        }
    }
}

/// As many calls as a bundle holds.
pub(super) fn all(telemetry: &Telemetry) -> Value {
    shown(&telemetry.calls(), LIMIT)
}

/// Turns calls into JSON's form; of those in flight the oldest are shown.
fn shown(calls: &CallsSnapshot, limit: usize) -> Value {
    let ended = |calls: &[EndedCall]| Some(Value::List(calls.iter().map(ended).collect()));
    let first = calls.in_flight.iter().take(limit);
    table([
        ("total", Some(whole(calls.in_flight.len()))),
        ("unlisted", Some(whole(calls.unlisted))),
        ("in_flight", Some(Value::List(first.map(in_flight).collect()))),
        ("failed", ended(&calls.failed)),
        ("slowest", ended(&calls.slowest)),
    ])
}

fn in_flight(call: &CallInFlight) -> Value {
    let peers = match &call.waits_for {
        WaitsFor::Peers(peers) => Some(peers.iter().map(|peer| text(&**peer)).collect()),
        _ => None,
    };
    let waits_for = match &call.waits_for {
        WaitsFor::Peers(_) => "peers",
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

fn facts(call: &CallFacts) -> Value {
    let side = match call.side {
        Side::Server => "server",
        Side::Client => "client",
    };
    let protocol = match call.protocol {
        Protocol::Http => "http",
        Protocol::Grpc => "grpc",
        _ => "unknown",
    };
    table([
        ("side", Some(text(side))),
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
