//! `/readyz`: which check fails, and why.

use super::json::{json, table, text};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use meshwise_core::settings::Value;
use meshwise_http::{Health, HealthReport};

pub(super) async fn get(State(health): State<Health>) -> Response {
    let report = health.check().await;
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&readiness(&report))).into_response()
}

pub(super) fn readiness(report: &HealthReport) -> Value {
    let checks = report.checks.iter().map(|check| {
        table([
            ("name", Some(text(&*check.name))),
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
