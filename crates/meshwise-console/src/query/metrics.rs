//! Rate, errors and duration of services and their operations, and metrics as they were sent.

use super::{
    map::Figures,
    numbers::{hex_trace, millis, round},
};
use crate::store::{
    Store,
    red::{Red, STEP, STEPS, bounds},
    series::{Line, Metric},
};
use serde::Serialize;

/// More series of one metric are not shown.
const LINES: usize = 100;

/// Is a service with its operations.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceView<'a> {
    name: &'a str,
    version: Option<&'a str>,
    #[serde(flatten)]
    figures: Figures,
    spark: Spark,
    operations: Vec<OperationView<'a>>,
    /// How many metrics it sent.
    metrics: usize,
}

/// Is an operation.
#[derive(Debug, Serialize)]
pub(crate) struct OperationView<'a> {
    name: &'a str,
    #[serde(flatten)]
    figures: Figures,
    spark: Spark,
}

/// Holds one value for each of the last steps of 5 s.
#[derive(Debug, Serialize)]
pub(crate) struct Spark {
    calls: Vec<u64>,
    failed: Vec<u64>,
    p99: Vec<Option<f64>>,
}

/// Lists services, those with the most failed calls first, then by calls.
pub(crate) fn services(store: &Store, now: u64, window: u64) -> Vec<ServiceView<'_>> {
    let heard = store.heard(now, window);
    let mut list: Vec<_> = store
        .services
        .iter()
        .map(|(_, service)| {
            let mut operations: Vec<_> = service
                .operations
                .iter()
                .map(|(name, red)| OperationView {
                    name,
                    figures: figures(red, now, window, heard),
                    spark: spark(red, now, window),
                })
                .filter(|operation| operation.figures.calls > 0)
                .collect();
            operations.sort_by(|a, b| rank(&a.figures, a.name).cmp(&rank(&b.figures, b.name)));
            ServiceView {
                name: &service.name,
                version: service.version.as_deref(),
                figures: figures(&service.red, now, window, heard),
                spark: spark(&service.red, now, window),
                operations,
                metrics: service.series.metrics.len(),
            }
        })
        .filter(|service| service.figures.calls > 0 || service.metrics > 0)
        .collect();
    list.sort_by(|a, b| rank(&a.figures, a.name).cmp(&rank(&b.figures, b.name)));
    list
}

fn rank<'a>(figures: &Figures, name: &'a str) -> (std::cmp::Reverse<(u64, u64)>, &'a str) {
    (std::cmp::Reverse((figures.failed, figures.calls)), name)
}

fn figures(red: &Red, now: u64, window: u64, heard: u64) -> Figures {
    Figures::of(&red.sum(now, window), heard)
}

fn spark(red: &Red, now: u64, window: u64) -> Spark {
    let steps = red.steps(now, steps(window));
    Spark {
        calls: steps.iter().map(|sum| sum.calls).collect(),
        failed: steps.iter().map(|sum| sum.failed).collect(),
        p99: steps.iter().map(|sum| sum.quantile(0.99).map(round)).collect(),
    }
}

fn steps(window: u64) -> usize {
    usize::try_from(window / STEP).unwrap_or(STEPS).clamp(12, STEPS)
}

/// Is a heat map: how many calls were so long, over time.
#[derive(Debug, Serialize)]
pub(crate) struct Heat {
    /// Upper bounds of the rows, in milliseconds.
    bounds: Vec<f64>,
    /// The time of the first column in milliseconds of Unix time, and a column's width.
    from: u64,
    step: u64,
    columns: Vec<Vec<u64>>,
    /// The slowest call of each column, a failed one first: column, milliseconds, trace, failed.
    worst: Vec<(usize, f64, String, bool)>,
    #[serde(flatten)]
    figures: Figures,
}

/// Draws the heat map of a service, or of one operation.
pub(crate) fn heat(
    store: &Store,
    now: u64,
    window: u64,
    service: &str,
    operation: Option<&str>,
) -> Option<Heat> {
    let service = store.services.get(store.services.find(service)?)?;
    let red = match operation {
        Some(name) => service.operations.get(name)?,
        None => &service.red,
    };
    let columns = steps(window);
    let first = (now / STEP + 1).saturating_sub(columns as u64);
    let mut counts = vec![Vec::new(); columns];
    let mut worst = Vec::new();
    for bucket in red.recent(now, window) {
        let Some(at) = bucket.step.checked_sub(first).and_then(|at| usize::try_from(at).ok())
        else {
            continue;
        };
        let Some(column) = counts.get_mut(at) else { continue };
        *column = bucket.classes.iter().map(|&count| u64::from(count)).collect();
        let call = bucket.worst;
        worst.push((at, round(millis(call.duration)), hex_trace(call.trace), call.failed));
    }
    Some(Heat {
        bounds: (0..crate::store::red::CLASSES).map(|class| round(bounds(class).1 / 1e6)).collect(),
        from: first * STEP,
        step: STEP,
        columns: counts,
        worst,
        figures: figures(red, now, window, store.heard(now, window)),
    })
}

/// Is a metric in the list of a service's metrics.
#[derive(Debug, Serialize)]
pub(crate) struct MetricView<'a> {
    name: &'a str,
    shape: &'static str,
    unit: &'a str,
    help: &'a str,
    series: usize,
    lines: Vec<LineView<'a>>,
}

/// Is a series.
#[derive(Debug, Serialize)]
pub(crate) struct LineView<'a> {
    labels: &'a [(String, String)],
    /// Milliseconds of Unix time and the value; of a histogram, the mean since the point before.
    points: Vec<(u64, f64)>,
    /// The newest value; of a histogram, the mean of all that it counted.
    last: Option<f64>,
    exemplars: Vec<(u64, f64, String)>,
}

/// Lists a service's metrics; one alone with all its points, all of them with a line's last ones.
pub(crate) fn metrics<'a>(
    store: &'a Store,
    service: &str,
    one: Option<&str>,
) -> Vec<MetricView<'a>> {
    let Some(service) = store.services.find(service).and_then(|at| store.services.get(at)) else {
        return Vec::new();
    };
    let wanted =
        service.series.metrics.iter().filter(|(name, _)| one.is_none_or(|one| one == *name));
    wanted.map(|(name, metric)| metric_view(name, metric, one.is_some())).collect()
}

fn metric_view<'a>(name: &'a str, metric: &'a Metric, whole: bool) -> MetricView<'a> {
    let mut lines: Vec<&Line> = metric.lines.values().collect();
    lines.sort_by(|a, b| {
        let last = |line: &Line| line.value().unwrap_or(0.0);
        last(b).total_cmp(&last(a)).then_with(|| a.labels.cmp(&b.labels))
    });
    let (most, points) = if whole { (LINES, usize::MAX) } else { (1, 40) };
    MetricView {
        name,
        shape: metric.shape.name(),
        unit: &metric.unit,
        help: &metric.help,
        series: metric.lines.len(),
        lines: lines.into_iter().take(most).map(|line| line_view(metric, line, points)).collect(),
    }
}

fn line_view<'a>(metric: &Metric, line: &'a Line, most: usize) -> LineView<'a> {
    use crate::store::series::Shape;
    let skip = line.points.len().saturating_sub(most);
    let recent = || line.points.iter().skip(skip);
    let pairs = recent().zip(recent().skip(1));
    #[expect(clippy::cast_precision_loss, reason = "shown")]
    let points = match metric.shape {
        Shape::Gauge => recent().map(|point| (point.time, point.value)).collect(),
        Shape::Counter => pairs
            .map(|(a, b)| {
                let seconds = (b.time.saturating_sub(a.time)).max(1) as f64 / 1e3;
                (b.time, round((b.grown - a.grown) / seconds))
            })
            .collect(),
        Shape::Histogram => pairs
            .filter(|(a, b)| b.value > a.value)
            .map(|(a, b)| (b.time, (b.sum - a.sum) / (b.value - a.value)))
            .collect(),
    };
    let exemplars = line.exemplars.iter().map(|e| (e.time, e.value, hex_trace(e.trace))).collect();
    let last = line.points.back().and_then(|point| match metric.shape {
        Shape::Gauge | Shape::Counter => Some(point.value),
        Shape::Histogram => (point.value > 0.0).then(|| point.sum / point.value),
    });
    LineView { labels: &line.labels, points, last, exemplars }
}
