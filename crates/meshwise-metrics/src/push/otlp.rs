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
        Collect, Encode, EncodedBatch, Origin, Periodic, Rounds, flush, join, shutdown,
        write_resource, write_scope,
    },
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{Metric, metric::Data},
};
use prost::Message as _;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The exporter's thread.
const THREAD: &str = "meshwise-points";
/// A larger metric, in bytes, is written in several messages.
const LARGE: usize = 1 << 20;
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

/// Writes metrics.
#[derive(Debug)]
struct PointEncoder {
    resource: Resource,
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
    type Request = ExportMetricsServiceRequest;

    fn encode(&mut self, batch: Vec<Metric>, into: &mut EncodedBatch) {
        into.begin(|out| write_resource(out, &self.resource), SCHEMA_URL);
        let scope = into.add_scope(write_scope, SCHEMA_URL);
        batch.into_iter().for_each(|metric| write(metric, LARGE, scope, into));
    }
}

/// Writes a metric or, if it is larger than `limit` bytes, its points in several: a message is split between
/// metrics.
fn write(mut metric: Metric, limit: usize, scope: usize, into: &mut EncodedBatch) {
    let points = points(&metric);
    if points > 1 && metric.encoded_len() > limit {
        let rest = split(&mut metric, points / 2);
        write(metric, limit, scope, into);
        write(rest, limit, scope, into);
    } else {
        into.add_several(scope, points, |out| {
            // A vector takes whatever is written.
            let _never_fails = metric.encode(out);
        });
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
    fn a_large_metric_is_split_between_points() {
        for limit in [0, 20, 40, LARGE] {
            let service = meshwise_core::Service::new("orders", "1");
            let mut encoder = PointEncoder { resource: service.into() };
            let mut encoded = EncodedBatch::default();
            encoder.encode(Vec::new(), &mut encoded);
            for metric in [gauge("a", 3), gauge("b", 1), gauge("c", 7)] {
                write(metric, limit, 0, &mut encoded);
            }
            let mut seen = Vec::new();
            for part in requests(&mut encoded, limit) {
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

    /// Returns all requests, of so many bytes.
    fn requests(encoded: &mut EncodedBatch, limit: usize) -> Vec<ExportMetricsServiceRequest> {
        let mut requests = Vec::new();
        loop {
            let mut request = Vec::new();
            let points = encoded.write_request(limit, &mut request);
            if points == 0 {
                return requests;
            }
            let request = ExportMetricsServiceRequest::decode(&*request).unwrap();
            let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
            assert_eq!(metrics.iter().map(super::points).sum::<usize>(), points);
            requests.push(request);
        }
    }
}
