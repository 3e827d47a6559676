//! The routes for those who operate the service.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use meshwise_http::{Health, HealthReport};
use meshwise_log::LogHandle;
use meshwise_metrics::Metrics;
use serde::Serialize;

/// The longest filter that `/log-level` takes, in bytes.
const MAX_FILTER: usize = 4096;

/// Builds the ops routes.
///
/// | route | answers |
/// |---|---|
/// | `GET /metrics` | all metrics, as Prometheus text (gzip when asked for) |
/// | `GET /livez` | `200 ok`, as long as the process answers at all |
/// | `GET /readyz` | 200 or 503, and JSON that says which check failed, and why |
/// | `GET /log-level` | the log filter in force (only if enabled) |
/// | `PUT /log-level` | sets the log filter to the request's body, such as `info,orders=debug` |
///
/// Merge it into the service's router, or serve it on an address of its own, which strangers can't
/// reach.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OpsRouter {
    metrics: Option<Metrics>,
    health: Health,
    log_level: Option<LogHandle>,
}

impl OpsRouter {
    /// Starts with `/livez` and `/readyz`, ready at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `/metrics`.
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Answers `/readyz` by these checks.
    pub fn with_health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Serves `/log-level`. Whoever reaches the router can then change the log filter.
    pub fn with_log_level(mut self, logs: LogHandle) -> Self {
        self.log_level = Some(logs);
        self
    }

    /// Makes the router, for any state.
    pub fn build<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let mut router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz).with_state(self.health));
        if let Some(metrics) = self.metrics {
            router = router.route("/metrics", get(metrics_text).with_state(metrics));
        }
        if let Some(logs) = self.log_level {
            router = router.route("/log-level", get(log_level).put(set_log_level).with_state(logs));
        }
        router
    }
}

async fn metrics_text(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    // Rendering is a walk over all series and some files of /proc: not on a worker thread.
    match tokio::task::spawn_blocking(move || metrics.render(&headers)).await {
        Ok(exposition) => {
            let mut response = Response::new(Body::from(exposition.body));
            let headers = response.headers_mut();
            if let Ok(content_type) = exposition.content_type.try_into() {
                headers.insert(header::CONTENT_TYPE, content_type);
            }
            if let Some(Ok(encoding)) = exposition.content_encoding.map(TryInto::try_into) {
                headers.insert(header::CONTENT_ENCODING, encoding);
            }
            response
        }
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "a metrics collector panicked\n").into_response()
        }
    }
}

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
    took_ms: u128,
}

async fn readyz(State(health): State<Health>) -> Response {
    let report = health.check().await;
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness(&report))).into_response()
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
                took_ms: check.took.as_millis(),
            })
            .collect(),
    }
}

async fn log_level(State(logs): State<LogHandle>) -> String {
    logs.filter() + "\n"
}

async fn set_log_level(State(logs): State<LogHandle>, body: String) -> Response {
    let filter = body.trim();
    if filter.is_empty() || filter.len() > MAX_FILTER {
        return (
            StatusCode::BAD_REQUEST,
            format!("send a filter of 1 to {MAX_FILTER} bytes, such as `info,orders=debug`\n"),
        )
            .into_response();
    }
    match logs.set_filter(filter) {
        Ok(()) => (StatusCode::OK, logs.filter() + "\n").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
