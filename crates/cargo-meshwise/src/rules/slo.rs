//! Objectives in `OpenSLO`'s form: <https://github.com/OpenSLO/OpenSLO>, openslo/v1, kind SLO.
//!
//! Of the indicator's forms we read `ratioMetric` with `good` or `bad` beside `total`. A
//! `metricSource` is either of type `prometheus`, whose `query` is a selector of a counter (we put
//! `rate` and the windows around it), or of type `meshwise`, whose `route` and `within` say which
//! calls of the service are good without a query.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use meshwise_core::internal::catalogue::HTTP_SERVER_REQUEST_DURATION as HTTP;
use serde::Deserialize;
use serde_json::Value;

/// How large a file of objectives may be.
const MAX_BYTES: u64 = 1 << 20;

/// Holds one objective of one service.
#[derive(Debug)]
pub(super) struct Objective {
    pub(super) name: String,
    pub(super) service: String,
    /// The share of calls that must be good, more than 0 and less than 1.
    pub(super) target: f64,
    pub(super) period_hours: f64,
    pub(super) indicator: Indicator,
}

/// Says which calls are good.
#[derive(Debug)]
pub(super) enum Indicator {
    /// Those that fail, or take longer than `within` seconds, are bad.
    Route { route: Option<String>, within: Option<String> },
    /// Selectors of counters.
    Good { good: String, total: String },
    /// Selectors of counters.
    Bad { bad: String, total: String },
}

impl Objective {
    /// Writes the expression for the share of bad calls in a window.
    pub(super) fn error_ratio(&self, window: &str) -> String {
        let sum = |selector: &str| format!("sum(rate({selector}[{window}]))");
        match &self.indicator {
            Indicator::Good { good, total } => format!("1 - {} / {}", sum(good), sum(total)),
            Indicator::Bad { bad, total } => {
                format!("({} or vector(0)) / {}", sum(bad), sum(total))
            }
            Indicator::Route { route, within } => {
                let route = route.as_ref().map(|route| format!(",http_route={}", quoted(route)));
                let chosen = format!("job={}{}", quoted(&self.service), route.unwrap_or_default());
                let total = sum(&format!("{HTTP}_count{{{chosen}}}"));
                let good = match within {
                    Some(within) => {
                        format!("{HTTP}_bucket{{{chosen},error_type=\"\",le=\"{within}\"}}")
                    }
                    None => format!("{HTTP}_count{{{chosen},error_type=\"\"}}"),
                };
                format!("1 - ({} or 0 * {total}) / {total}", sum(&good))
            }
        }
    }
}

/// Writes a string of `PromQL`.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    service: String,
    #[serde(default)]
    indicator: Option<IndicatorFile>,
    #[serde(default)]
    time_window: Vec<TimeWindow>,
    objectives: Vec<TargetFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeWindow {
    duration: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetFile {
    #[serde(default)]
    target: Option<f64>,
    #[serde(default)]
    target_percent: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct IndicatorFile {
    spec: IndicatorSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndicatorSpec {
    ratio_metric: Ratio,
}

#[derive(Debug, Deserialize)]
struct Ratio {
    #[serde(default)]
    good: Option<Metric>,
    #[serde(default)]
    bad: Option<Metric>,
    #[serde(default)]
    total: Option<Metric>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    metric_source: MetricSource,
}

#[derive(Debug, Deserialize)]
struct MetricSource {
    #[serde(rename = "type")]
    kind: String,
    spec: SourceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceSpec {
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    route: Option<String>,
    #[serde(default)]
    within: Option<String>,
}

/// Reads the objectives of a file, which may hold several documents.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Objective>> {
    let shown = path.display();
    let size = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    ensure!(size <= MAX_BYTES, "{shown} is larger than {MAX_BYTES} bytes; split it");
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    parse(&text).with_context(|| format!("{shown} holds no objectives that can be used"))
}

fn parse(text: &str) -> anyhow::Result<Vec<Objective>> {
    let files: Vec<File> = serde_saphyr::from_multiple(text)?;
    ensure!(!files.is_empty(), "it is empty");
    files.into_iter().map(objective).collect()
}

fn objective(file: File) -> anyhow::Result<Objective> {
    let File { api_version, kind, metadata, spec } = file;
    ensure!(
        api_version == "openslo/v1" && kind == "SLO",
        "{api_version} {kind} is not openslo/v1 SLO"
    );
    let name = metadata.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ensure!(
        !name.is_empty() && name.len() <= 63 && name.chars().all(plain),
        "metadata.name {name:?} is no name; use letters, digits and `-`, at most 63"
    );
    let within = |what: &str| format!("in the objective {name}: {what}");
    let [target] = spec.objectives.as_slice() else {
        bail!(within("give exactly one of objectives"));
    };
    let target = match (target.target, target.target_percent) {
        (Some(target), None) => target,
        (None, Some(percent)) => percent / 100.0,
        _ => bail!(within("give target or targetPercent")),
    };
    ensure!(target > 0.0 && target < 1.0, within("the target is not between 0 and 1"));
    let period_hours = match spec.time_window.as_slice() {
        [] => 30.0 * 24.0,
        [window] => hours(&window.duration)
            .with_context(|| within("timeWindow's duration is none; write such as 30d or 4w"))?,
        _ => bail!(within("give one timeWindow")),
    };
    ensure!(period_hours >= 72.0, within("a timeWindow below 3d has no room for its alerts"));
    let indicator = spec.indicator.with_context(|| within("write its indicator inline"))?;
    let indicator =
        indicator_of(indicator.spec.ratio_metric).with_context(|| within("indicator"))?;
    Ok(Objective { service: spec.service, name, target, period_hours, indicator })
}

fn indicator_of(ratio: Ratio) -> anyhow::Result<Indicator> {
    match (ratio.good, ratio.bad, ratio.total) {
        (Some(good), None, None) if good.metric_source.kind.eq_ignore_ascii_case("meshwise") => {
            let SourceSpec { query, route, within } = good.metric_source.spec;
            ensure!(query.is_none(), "a metricSource of type meshwise takes no query");
            let within = within.map(|text| bucket(&text)).transpose()?;
            Ok(Indicator::Route { route, within })
        }
        (Some(good), None, Some(total)) => {
            Ok(Indicator::Good { good: selector(good)?, total: selector(total)? })
        }
        (None, Some(bad), Some(total)) => {
            Ok(Indicator::Bad { bad: selector(bad)?, total: selector(total)? })
        }
        _ => bail!("give good and total, bad and total, or good of type meshwise alone"),
    }
}

/// Takes a selector of a counter, and nothing that has a range or functions of its own: the
/// windows are ours to choose.
fn selector(metric: Metric) -> anyhow::Result<String> {
    let source = metric.metric_source;
    ensure!(
        source.kind.eq_ignore_ascii_case("prometheus"),
        "metricSource {} is not known; use prometheus or meshwise",
        source.kind
    );
    let query = source.spec.query.context("metricSource has no query")?;
    let query = query.trim();
    let name = query.split('{').next().unwrap_or_default();
    let named = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    let matchers = &query[name.len()..];
    let closed = matchers.is_empty() || (matchers.starts_with('{') && matchers.ends_with('}'));
    let inner = matchers.get(1..matchers.len().saturating_sub(1)).unwrap_or_default();
    ensure!(
        named && closed && !inner.contains(['{', '}', '[', '\n']),
        "{query:?} is not the selector of one counter, such as http_requests_total{{job=\"a\"}}"
    );
    Ok(query.to_owned())
}

/// Reads a time such as `250ms`, and takes it only if it is the bound of a bucket.
fn bucket(text: &str) -> anyhow::Result<String> {
    /// The bounds of durations' buckets, as `le` has them.
    const BOUNDS: [&str; 14] = [
        "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5",
        "5.0", "7.5", "10.0",
    ];
    let seconds = match text.strip_suffix("ms") {
        Some(ms) => ms.trim().parse::<f64>().map(|ms| ms / 1000.0),
        None => text.trim_end_matches('s').trim().parse::<f64>(),
    };
    let seconds = seconds.with_context(|| format!("{text:?} is no time; write such as 250ms"))?;
    let same = |bound: &&&str| bound.parse::<f64>().is_ok_and(|b| (b - seconds).abs() < 1e-9);
    let bound = BOUNDS.iter().find(same);
    let bound = bound.with_context(|| {
        format!("{text} is no bucket's bound; use one of {} s", BOUNDS.join(", "))
    })?;
    Ok((*bound).to_owned())
}

fn hours(text: &str) -> Option<f64> {
    let unit = text.chars().next_back()?;
    let number: f64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let hours = match unit {
        'h' => 1.0,
        'd' => 24.0,
        'w' => 168.0,
        _ => return None,
    };
    Some(number * hours).filter(|hours| hours.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(indicator: &str) -> String {
        format!(
            "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: orders}}\nspec:\n  \
             service: orders\n  timeWindow: [{{duration: 30d, isRolling: true}}]\n  \
             budgetingMethod: Occurrences\n  objectives: [{{target: 0.99}}]\n  \
             indicator: {{spec: {{ratioMetric: {indicator}}}}}\n"
        )
    }

    #[test]
    fn a_route_needs_no_query() {
        let text = file(
            "{counter: true, good: {metricSource: {type: meshwise, \
             spec: {route: /orders, within: 250ms}}}}",
        );
        let read = parse(&text).expect("an objective");
        let expression = read[0].error_ratio("5m");
        assert!(expression.contains(r#"job="orders",http_route="/orders""#), "{expression}");
        assert!(expression.contains(r#"le="0.25""#), "{expression}");
        assert_eq!(read[0].period_hours, 720.0);
    }

    #[test]
    fn selectors_get_their_windows() {
        let text = file(
            "{bad: {metricSource: {type: Prometheus, spec: {query: 'a_total{e=\"1\"}'}}}, \
             total: {metricSource: {type: Prometheus, spec: {query: a_total}}}}",
        );
        let expression = parse(&text).expect("an objective")[0].error_ratio("1h");
        assert_eq!(
            expression,
            "(sum(rate(a_total{e=\"1\"}[1h])) or vector(0)) / sum(rate(a_total[1h]))"
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        let good = |source: &str| file(&format!("{{good: {{metricSource: {source}}}}}"));
        for (text, reason) in [
            (String::new(), "empty"),
            ("a: [".to_owned(), ""),
            ("apiVersion: openslo/v2\n".to_owned(), ""),
            (file("{}"), "give good and total"),
            (good("{type: meshwise, spec: {within: 260ms}}"), "no bucket's bound"),
            (good("{type: meshwise, spec: {within: soon}}"), "no time"),
            (good("{type: meshwise, spec: {rout: /a}}"), ""),
            (
                file("{good: {metricSource: {type: meshwise, spec: {}}}}").replace("0.99", "99"),
                "between 0 and 1",
            ),
            (
                file("{good: {metricSource: {type: meshwise, spec: {}}}}").replace("30d", "1d"),
                "below 3d",
            ),
            (
                file("{good: {metricSource: {type: meshwise, spec: {}}}}")
                    .replace("name: orders", "name: ../a"),
                "no name",
            ),
            (
                file(
                    "{good: {metricSource: {type: prometheus, spec: {query: 'sum(rate(a[5m]))'}}}, \
                     total: {metricSource: {type: prometheus, spec: {query: a}}}}",
                ),
                "not the selector of one counter",
            ),
        ] {
            let error = parse(&text).expect_err(&text);
            let error = format!("{error:#}");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
