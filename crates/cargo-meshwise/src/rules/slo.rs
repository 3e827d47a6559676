//! Objectives in `OpenSLO`'s form: <https://github.com/OpenSLO/OpenSLO>, openslo/v1, kind SLO.
//!
//! Of the indicator's forms we read `ratioMetric` with `good` or `bad` beside `total`. A
//! `metricSource` is either of type `prometheus`, whose `query` is a selector of a counter (we put
//! `rate` and the windows around it), or of type `meshwise`, whose `route` and `within` say which
//! calls of the service are good without a query. A `route` is that of HTTP (`/orders/{id}`), or a gRPC
//! method (`auth.v1.Auth/Check`); without one all calls of the service count.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use meshwise_core::internal::catalogue::{
    HTTP_SERVER_REQUEST_DURATION as HTTP, RPC_SERVER_CALL_DURATION as RPC,
};
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
    Calls { which: Calls, within: Option<String> },
    /// Selectors of counters.
    Good { good: String, total: String },
    /// Selectors of counters.
    Bad { bad: String, total: String },
}

/// Says which calls of a service count.
#[derive(Debug)]
pub(super) enum Calls {
    /// Those by HTTP and those by gRPC.
    All,
    /// Those of a route's template.
    Route(String),
    /// Those of `package.Service/Method`.
    Method(String),
}

impl Objective {
    /// Writes the expression for the share of bad calls in a window.
    pub(super) fn error_ratio(&self, window: &str) -> String {
        let sum = |selector: &str| format!("sum(rate({selector}[{window}]))");
        // What has not happened yet has no series: none of the calls is good, or bad.
        match &self.indicator {
            Indicator::Good { good, total } => {
                let (good, total) = (sum(good), sum(total));
                format!("1 - ({good} or 0 * {total}) / {total}")
            }
            Indicator::Bad { bad, total } => {
                let (bad, total) = (sum(bad), sum(total));
                format!("({bad} or 0 * {total}) / {total}")
            }
            Indicator::Calls { which, within } => {
                let chosen = which.chosen(&self.service);
                let each = |end: &str, and: &str| which.each(end, &format!("{chosen}{and}"));
                let total = sum_of(&each("count", ""), window);
                let good = match within {
                    Some(within) => each("bucket", &format!(",error_type=\"\",le=\"{within}\"")),
                    None => each("count", ",error_type=\"\""),
                };
                format!("1 - ({} or 0 * {total}) / {total}", sum_of(&good, window))
            }
        }
    }

    /// Finds the log lines of the bad calls.
    pub(super) fn logs(&self) -> String {
        let mut query = format!("{{service_name={}}} | json", quoted(&self.service));
        let Indicator::Calls { which, within } = &self.indicator else { return query };
        query.push_str(" | target=\"meshwise::access\"");
        match which {
            Calls::All => {}
            Calls::Route(route) => query.push_str(&format!(" | http_route={}", quoted(route))),
            Calls::Method(method) => query.push_str(&format!(" | rpc_method={}", quoted(method))),
        }
        query.push_str(" | outcome=\"failure\"");
        let seconds = within.as_ref().and_then(|within| within.parse::<f64>().ok());
        if let Some(seconds) = seconds {
            query.push_str(&format!(" or duration_ms>{}", seconds * 1000.0));
        }
        query
    }

    /// Finds the exemplars of the bad calls.
    pub(super) fn exemplars(&self) -> Option<String> {
        let Indicator::Calls { which, within } = &self.indicator else { return None };
        let chosen = which.chosen(&self.service);
        let mut bad = which.each("bucket", &format!("{chosen},error_type!=\"\""));
        if let Some(within) = within {
            let fast = BOUNDS.iter().position(|bound| bound == within).map_or(0, |at| at + 1);
            let fast = BOUNDS[..fast].join("|").replace('.', "[.]");
            bad.extend(which.each("bucket", &format!("{chosen},le!~\"{fast}\"")));
        }
        Some(bad.join(" or "))
    }
}

impl Calls {
    /// Writes the matchers of the calls.
    fn chosen(&self, service: &str) -> String {
        let job = format!("job={}", quoted(service));
        match self {
            Self::All => job,
            Self::Route(route) => format!("{job},http_route={}", quoted(route)),
            Self::Method(method) => format!("{job},rpc_method={}", quoted(method)),
        }
    }

    /// Writes the selectors of the histograms that have the calls.
    fn each(&self, end: &str, matchers: &str) -> Vec<String> {
        let of = match self {
            Self::All => &[HTTP, RPC][..],
            Self::Route(_) => &[HTTP],
            Self::Method(_) => &[RPC],
        };
        of.iter().map(|name| format!("{name}_{end}{{{matchers}}}")).collect()
    }
}

fn sum_of(selectors: &[String], window: &str) -> String {
    let rates: Vec<_> = selectors.iter().map(|of| format!("rate({of}[{window}])")).collect();
    format!("sum({})", rates.join(" or "))
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
    #[serde(default)]
    budgeting_method: Option<String>,
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
    ensure!(
        !spec.service.is_empty() && spec.service.chars().all(|c| plain(c) || c == '/'),
        within(
            "service is none; write the name of its job, of letters, digits, `-`, `_`, `.` and `/`"
        )
    );
    let method = spec.budgeting_method.as_deref().unwrap_or("Occurrences");
    ensure!(
        method == "Occurrences",
        within("budgetingMethod is not Occurrences: calls are counted here, not slices of time")
    );
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
            let which = match route {
                None => Calls::All,
                Some(route) if route.starts_with('/') => Calls::Route(route),
                Some(method) if method.contains('/') => Calls::Method(method),
                Some(route) => bail!(
                    "route {route:?} is none; write such as /orders/{{id}}, or auth.v1.Auth/Check"
                ),
            };
            Ok(Indicator::Calls { which, within })
        }
        (Some(good), None, Some(_)) if good.metric_source.kind.eq_ignore_ascii_case("meshwise") => {
            bail!("good of type meshwise knows its total; leave total out")
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
    ensure!(
        named && (matchers.is_empty() || is_one_list(matchers)),
        "{query:?} is not the selector of one counter, such as http_requests_total{{job=\"a\"}}"
    );
    Ok(query.to_owned())
}

/// Tells whether a text is `{..}` and no more; what stands in quotes may hold braces, as routes do.
fn is_one_list(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return false;
    };
    let (mut quote, mut escaped) = (None, false);
    for c in inner.chars() {
        match quote {
            _ if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if matches!(c, '{' | '}' | '[' | '(' | '\n') => return false,
            None => {}
        }
    }
    quote.is_none() && !escaped
}

/// The bounds of durations' buckets, as `le` has them.
const BOUNDS: [&str; 14] = [
    "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0",
    "7.5", "10.0",
];

/// Reads a time such as `250ms`, and takes it only if it is the bound of a bucket.
fn bucket(text: &str) -> anyhow::Result<String> {
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
mod tests;
