//! `/readyz`: which check fails, and why.

use super::json::json;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use meshwise_http::{Health, HealthReport};
use serde::Serialize;

#[derive(Serialize)]
struct Readiness<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    checks: Vec<ReadinessCheck<'a>>,
}

#[derive(Serialize)]
struct ReadinessCheck<'a> {
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    elapsed_ms: u128,
}

pub(super) async fn get(State(health): State<Health>) -> Response {
    let report = health.check().await;
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&readiness(&report))).into_response()
}

fn readiness(report: &HealthReport) -> Readiness<'_> {
    Readiness {
        status: if report.is_ready() { "ready" } else { "not_ready" },
        reason: report.draining.then_some("shutting down"),
        checks: report
            .checks
            .iter()
            .map(|check| ReadinessCheck {
                name: &check.name,
                status: if check.error.is_none() { "ok" } else { "failed" },
                reason: check.error.as_deref(),
                elapsed_ms: check.elapsed.as_millis(),
            })
            .collect(),
    }
}
