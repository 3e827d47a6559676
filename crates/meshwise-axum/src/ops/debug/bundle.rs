//! `/debug/bundle`: one JSON file for a bug report or the review after an incident.

use super::calls;
use crate::ops::{
    config::Shown,
    json::{table, text, written},
    readyz::readiness,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
#[cfg(feature = "api")]
use meshwise_api_http::ApiPages;
use meshwise_core::settings::Value;
use meshwise_http::{Health, Telemetry};
use meshwise_log::LogHandle;
use meshwise_metrics::Metrics;
#[cfg(feature = "resilience")]
use meshwise_resilience::Guards;
use std::time::SystemTime;

/// The longest page of metrics that is put in, in bytes.
const MAX_METRICS: usize = 8 << 20;

/// What a bundle is made of.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) calls: calls::ShownCalls,
    pub(crate) health: Health,
    pub(crate) metrics: Option<Metrics>,
    #[cfg(feature = "resilience")]
    pub(crate) guards: Option<Guards>,
    pub(crate) config: Option<Shown>,
    #[cfg(feature = "api")]
    pub(crate) apis: Option<ApiPages>,
    pub(crate) logs: Option<LogHandle>,
}

/// Puts parts together that are JSON already.
struct Parts(String);

impl Parts {
    fn add(&mut self, name: &str, json: &str) {
        self.0.push_str(if self.0.is_empty() { "{\n" } else { ",\n" });
        self.0.push_str(&written(&text(name)));
        self.0.push_str(": ");
        self.0.push_str(json.trim_end());
    }

    fn value(&mut self, name: &str, value: &Value) {
        self.add(name, &written(value));
    }
}

pub(crate) async fn get(State(bundle): State<Bundle>) -> Response {
    let mut parts = Parts(String::new());
    parts.value("made_unix_seconds", &calls::unix(SystemTime::now()));
    parts.value("service", &service(&bundle.calls.telemetry));
    parts.value("meshwise", &text(env!("CARGO_PKG_VERSION")));
    parts.value("os", &text(std::env::consts::OS));
    parts.value("arch", &text(std::env::consts::ARCH));
    parts.value("readiness", &readiness(&bundle.health.check().await));
    parts.value("calls", &calls::all(&bundle.calls));
    #[cfg(feature = "resilience")]
    if let Some(guards) = &bundle.guards {
        parts.add("resilience", &crate::ops::resilience::written(guards));
    }
    if let Some(Shown(config)) = &bundle.config {
        parts.add("config", &config());
    }
    #[cfg(feature = "api")]
    if let Some(apis) = bundle.apis.as_ref().and_then(apis) {
        parts.add("apis", &apis);
    }
    if let Some(logs) = &bundle.logs {
        parts.value("logs", &recent(logs));
    }
    if let Some(metrics) = bundle.metrics {
        let page = page(metrics).await;
        let edges = page.lines().filter(|line| is_edge(line));
        parts.value("map", &Value::List(edges.map(text).collect()));
        parts.value("metrics", &text(page));
    }
    let head = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, r#"attachment; filename="meshwise-bundle.json""#),
    ];
    (head, parts.0 + "\n}\n").into_response()
}

fn service(telemetry: &Telemetry) -> Value {
    let service = telemetry.service();
    table([
        ("name", Some(text(service.name()))),
        ("version", Some(text(service.version()))),
        ("namespace", service.namespace().map(text)),
        ("instance", service.instance().map(text)),
    ])
}

/// The filter, and the last lines at `WARN` and `ERROR`, the oldest first.
fn recent(logs: &LogHandle) -> Value {
    let lines = logs.recent().into_iter().map(text).collect();
    table([("filter", Some(text(logs.filter()))), ("recent", Some(Value::List(lines)))])
}

#[cfg(feature = "api")]
fn apis(pages: &ApiPages) -> Option<String> {
    let request = http::Request::get("/apis").body(()).ok()?;
    String::from_utf8(pages.respond(&request)?.into_body().into()).ok()
}

/// Renders all metrics as text, and cuts what is too long at the end of a line: not on a worker thread,
/// for it reads files of `/proc` and walks over all series.
async fn page(metrics: Metrics) -> String {
    let rendered = tokio::task::spawn_blocking(move || metrics.render_text()).await;
    let mut page = rendered.unwrap_or_else(|_| "# a metrics collector panicked\n".to_owned());
    if page.len() > MAX_METRICS {
        let end = page.as_bytes()[..MAX_METRICS].iter().rposition(|byte| *byte == b'\n');
        page.truncate(end.map_or(0, |end| end + 1));
        page.push_str("# the rest is left out\n");
    }
    page
}

fn is_edge(line: &str) -> bool {
    let counter = line.strip_prefix("traces_service_graph_request_");
    counter.is_some_and(|c| c.starts_with("total{") || c.starts_with("failed_total{"))
}
