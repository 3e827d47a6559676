//! Points by OTLP: collected from time to time, and their messages.

use super::config::{INTERVAL, PushConfig, TIMEOUT};
use crate::{
    backend::{Own, PointReader, Temporality},
    error::MetricsError,
    registry::Registry,
};
use meshwise_core::{Resource, Signal, SignalReport};
use meshwise_otlp::{
    OtlpConfig, SCHEMA_URL,
    internal::{
        Collect, Encode, Origin, Periodic, Rounds, flush, join, proto_resource, proto_scope,
        shutdown,
    },
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, metric::Data},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The exporter's thread.
const THREAD: &str = "meshwise-points";
/// Longer times are as good as this one, and cannot overflow the clock.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Sends points to a collector. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Push(Periodic);

impl Push {
    /// Starts an exporter, if one is wanted; `hints` gets what looks like a mistake.
    ///
    /// `collect` records what is kept elsewhere, as before a scrape; it returns `false` once nothing is
    /// left to collect from.
    pub(crate) fn start(
        config: &mut PushConfig,
        registry: Option<Arc<Registry<Own>>>,
        resource: &Resource,
        collect: impl FnMut() -> bool + Send + 'static,
        hints: &mut Vec<String>,
    ) -> Result<Option<Self>, MetricsError> {
        let (by_code, wanted) = config.wanted();
        // Looked at in any case, so that what is wrong there is told.
        let mut standard = config.standard.otlp.clone();
        let said = OtlpConfig::from_standard(standard.parts(), &config.env, Signal::Metrics)?;
        if !wanted || config.is_disabled() {
            return Ok(None);
        }
        let Some(registry) = registry else {
            hints.push(
                "metrics are kept by a recorder of another crate: they cannot be sent by OTLP"
                    .to_owned(),
            );
            return Ok(None);
        };
        let origin = if by_code { Origin::Code } else { Origin::Env };
        let code = OtlpConfig::from_settings(config.otlp.parts());
        let make = |config: OtlpConfig| {
            config.into_exporter(Signal::Metrics, PointEncoder { resource: resource.clone() })
        };
        let Some(exporter) = join(&code, &said, origin, &config.env, Signal::Metrics, make, hints)?
        else {
            return Ok(None);
        };
        let temporality = match config.temporality.as_deref() {
            Some("delta" | "lowmemory") => Temporality::Delta,
            _ => Temporality::Cumulative,
        };
        let points = Points { collect, reader: PointReader::new(registry, temporality) };
        let rounds = Rounds {
            interval: config.interval.unwrap_or(INTERVAL).min(LONGEST),
            timeout: match config.timeout.unwrap_or(TIMEOUT) {
                timeout if timeout.is_zero() => LONGEST,
                timeout => timeout.min(LONGEST),
            },
        };
        let (sink, points) = (Box::new(exporter), Box::new(points));
        let periodic = Periodic::start(Signal::Metrics, THREAD, sink, points, rounds);
        Ok(Some(Self(periodic.map_err(MetricsError::Thread)?)))
    }

    pub(crate) fn report(&self) -> SignalReport {
        self.0.report()
    }

    pub(crate) async fn flush(&self, timeout: Duration) -> bool {
        flush(vec![self.0.clone()], timeout).await
    }

    pub(crate) async fn shutdown(&self, timeout: Duration) {
        shutdown(vec![self.0.clone()], timeout).await;
    }
}

/// Collects as a scrape does.
struct Points<C> {
    collect: C,
    reader: PointReader,
}

impl<C: FnMut() -> bool + Send + 'static> Collect<Vec<Metric>> for Points<C> {
    fn begin(&mut self) -> bool {
        let collected = (self.collect)();
        self.reader.begin(SystemTime::now());
        collected
    }

    fn next(&mut self) -> Option<(Vec<Metric>, u64)> {
        self.reader.next()
    }
}

/// Puts points into messages.
#[derive(Debug)]
struct PointEncoder {
    resource: Resource,
}

fn request(resource: ResourceMetrics, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics =
        ScopeMetrics { scope: Some(proto_scope()), metrics, schema_url: SCHEMA_URL.to_owned() };
    let resource_metrics = ResourceMetrics { scope_metrics: vec![scope_metrics], ..resource };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

/// Keeps the first `n` points, and returns a metric with the others.
fn split(metric: &mut Metric, n: usize) -> Metric {
    let mut rest = metric.clone();
    macro_rules! split {
        ($($kind:ident),*) => {
            match (&mut metric.data, &mut rest.data) {
                $((Some(Data::$kind(kept)), Some(Data::$kind(rest))) => {
                    rest.data_points.drain(..n.min(rest.data_points.len()));
                    kept.data_points.truncate(n);
                })*
                _ => {}
            }
        };
    }
    split!(Gauge, Sum, Histogram, ExponentialHistogram, Summary);
    rest
}

impl Encode for PointEncoder {
    type Batch = Vec<Metric>;
    type Message = ExportMetricsServiceRequest;

    fn message(&self, batch: Vec<Metric>) -> ExportMetricsServiceRequest {
        let resource = ResourceMetrics {
            resource: Some(proto_resource(&self.resource)),
            scope_metrics: Vec::new(),
            schema_url: SCHEMA_URL.to_owned(),
        };
        request(resource, batch)
    }

    fn count(request: &ExportMetricsServiceRequest) -> usize {
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).map(points).sum()
    }

    fn split_off(
        message: &mut ExportMetricsServiceRequest,
        mut n: usize,
    ) -> ExportMetricsServiceRequest {
        let Some(resource) = message.resource_metrics.first_mut() else {
            return ExportMetricsServiceRequest::default();
        };
        let mut rest = Vec::new();
        if let Some(scope) = resource.scope_metrics.first_mut() {
            let whole = scope.metrics.iter().take_while(|metric| {
                let fits = points(metric) <= n;
                n -= if fits { points(metric) } else { 0 };
                fits
            });
            let whole = whole.count();
            rest = scope.metrics.split_off(whole);
            if n > 0
                && let Some(first) = rest.first_mut()
            {
                let later = split(first, n);
                scope.metrics.push(std::mem::replace(first, later));
            }
        }
        let (own, schema_url) = (resource.resource.clone(), resource.schema_url.clone());
        let resource = ResourceMetrics { resource: own, scope_metrics: Vec::new(), schema_url };
        request(resource, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint};

    fn gauge(name: &str, points: u64) -> Metric {
        let point = |n| NumberDataPoint { time_unix_nano: n, ..NumberDataPoint::default() };
        let data_points = (0..points).map(point).collect();
        Metric {
            name: name.to_owned(),
            data: Some(Data::Gauge(Gauge { data_points })),
            ..Metric::default()
        }
    }

    #[test]
    fn a_message_is_split_between_points_wherever_that_is() {
        for n in 0..=11 {
            let service = meshwise_core::Service::new("orders", "1");
            let encoder = PointEncoder { resource: service.into() };
            let batch = vec![gauge("a", 3), gauge("b", 1), gauge("c", 7)];
            let mut message = encoder.message(batch);
            let rest = PointEncoder::split_off(&mut message, n);
            assert_eq!(PointEncoder::count(&message), n);
            assert_eq!(PointEncoder::count(&rest), 11 - n);
            let mut seen = Vec::new();
            for part in [&message, &rest] {
                let resource = &part.resource_metrics[0];
                let attributes = &resource.resource.as_ref().unwrap().attributes;
                assert!(attributes.iter().any(|attribute| attribute.key == "service.name"));
                for metric in &resource.scope_metrics[0].metrics {
                    let Some(Data::Gauge(gauge)) = &metric.data else { panic!("{metric:?}") };
                    assert!(!gauge.data_points.is_empty());
                    let points = gauge.data_points.iter().map(|point| point.time_unix_nano);
                    seen.extend(points.map(|point| (metric.name.clone(), point)));
                }
            }
            let wanted = [("a", 3), ("b", 1), ("c", 7)].into_iter();
            let wanted = wanted.flat_map(|(name, n)| (0..n).map(move |i| (name.to_owned(), i)));
            assert_eq!(seen, wanted.collect::<Vec<_>>());
        }
    }
}
