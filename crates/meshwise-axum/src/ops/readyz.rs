//! `/readyz`: which check fails, and why.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use meshwise_core::settings::Value;
use meshwise_http::{Health, HealthReport};

pub(super) async fn get(State(health): State<Health>) -> Response {
    let report = health.check().await;
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = String::new();
    // Writing to memory does not fail.
    let _ = readiness(&report).write_json(&mut body);
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn readiness(report: &HealthReport) -> Value {
    let checks = report.checks.iter().map(|check| {
        table([
            ("name", Some(text(&check.name))),
            ("status", Some(text(if check.error.is_none() { "ok" } else { "failed" }))),
            ("reason", check.error.as_deref().map(text)),
            ("elapsed_ms", i64::try_from(check.elapsed.as_millis()).ok().map(Value::Whole)),
        ])
    });
    table([
        ("status", Some(text(if report.is_ready() { "ready" } else { "not_ready" }))),
        ("reason", report.draining.then(|| text("shutting down"))),
        ("checks", Some(Value::List(checks.collect()))),
    ])
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Leaves out what there is not.
fn table<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Table(there.collect())
}
