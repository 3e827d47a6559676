//! Metric points.

use super::{Collector, OUTCOMES, Outcome, mesh, nowhere, shutdown};
use crate::collector::Manner;
use meshwise::{
    Mesh,
    core::{DropReason, SpanId, TraceId},
    metrics::{Exemplar, with_exemplar},
};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    metrics::v1::{
        HistogramDataPoint, Metric, NumberDataPoint, metric::Data,
        number_data_point::Value as Number,
    },
};
use std::time::Duration;

const OTLP: (&str, &str) = ("OTEL_METRICS_EXPORTER", "otlp");
const NO_TRACES: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");
const LONG: Duration = Duration::from_secs(20);

/// Records to a mesh that is not the process's.
fn record(mesh: &Mesh, record: impl FnOnce()) {
    metrics::with_local_recorder(&mesh.metrics().recorder(), record);
}

fn flush(mesh: &Mesh) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert!(runtime.block_on(mesh.metrics().flush(LONG)));
}

/// Returns what came under this name, in the order in which it came.
fn named(collector: &Collector, name: &str) -> Vec<Metric> {
    let scopes = collector.metrics().into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).filter(|metric| metric.name == name).collect()
}

fn numbers(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        other => panic!("{other:?}"),
    }
}

fn histogram(metric: &Metric) -> &HistogramDataPoint {
    match &metric.data {
        Some(Data::Histogram(histogram)) => &histogram.data_points[0],
        other => panic!("{other:?}"),
    }
}

fn points(collector: &Collector) -> u64 {
    let scopes = collector.metrics().into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    let count = |metric: Metric| match metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        _ => numbers(&metric).len(),
    };
    metrics.map(count).sum::<usize>() as u64
}

#[test]
fn points_have_the_conventions_names_and_the_numbers_of_the_page() {
    let collector = Collector::start(Manner::Accepts);
    let (mesh, _) = mesh(&[OTLP, NO_TRACES, ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    let exemplar = Exemplar::new(TraceId::from_int(7), SpanId::from_int(8));
    record(&mesh, || {
        metrics::counter!("orders_total", "kind" => "gift").increment(3);
        metrics::gauge!("queue_depth").set(2.5);
        metrics::gauge!("nothing").set(f64::NAN);
        metrics::gauge!("http_server_active_requests", "url_scheme" => "http").increment(4.0);
        let duration = metrics::histogram!(
            "http_server_request_duration_seconds",
            "http_route" => "", "http_response_status_code" => "200", "http_request_method" => "GET"
        );
        duration.record(0.02);
        with_exemplar(Some(exemplar), || duration.record(20.0));
    });
    let report = shutdown(&mesh);
    assert_eq!(report.metrics.expect("sent").delivered, points(&collector));
    assert!(report.is_complete(), "{report}");

    let orders = &named(&collector, "orders")[0];
    let Some(Data::Sum(sum)) = &orders.data else { panic!("{orders:?}") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "cumulative");
    let point = &sum.data_points[0];
    assert_eq!(point.value, Some(Number::AsInt(3)));
    assert_eq!(point.attributes[0].key, "kind");
    assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);

    let depth = &named(&collector, "queue_depth")[0];
    assert!(matches!(depth.data, Some(Data::Gauge(_))));
    assert_eq!(numbers(depth)[0].value, Some(Number::AsDouble(2.5)));
    assert!(named(&collector, "nothing").is_empty(), "what is no number has no value");

    let active = &named(&collector, "http.server.active_requests")[0];
    let Some(Data::Sum(sum)) = &active.data else { panic!("{active:?}") };
    assert!(!sum.is_monotonic && sum.aggregation_temporality == 2);
    assert_eq!(
        (&*active.unit, sum.data_points[0].value),
        ("{request}", Some(Number::AsDouble(4.0)))
    );

    let duration = &named(&collector, "http.server.request.duration")[0];
    assert_eq!(duration.unit, "s");
    let point = histogram(duration);
    assert_eq!((point.count, point.sum), (2, Some(20.02)));
    assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
    assert_eq!((point.bucket_counts[2], point.bucket_counts.last()), (1, Some(&1)));
    let names: Vec<&str> = point.attributes.iter().map(|kv| kv.key.as_str()).collect();
    assert_eq!(names, ["http.request.method", "http.response.status_code"], "an empty one is none");
    let status = point.attributes[1].value.as_ref().and_then(|value| value.value.clone());
    assert_eq!(status, Some(Value::IntValue(200)));
    let [exemplar] = &point.exemplars[..] else { panic!("{:?}", point.exemplars) };
    assert_eq!(exemplar.trace_id, TraceId::from_int(7).to_bytes());
    assert_eq!(exemplar.span_id, SpanId::from_int(8).to_bytes());

    assert!(named(&collector, "target_info").is_empty(), "the resource says that");
    let resource = collector.metrics()[0].resource.clone().expect("a resource");
    assert_eq!(resource.attributes.len(), mesh.tracing().resource().len());
    for resource in collector.metrics() {
        let scopes = resource.scope_metrics.iter().map(|scope| &*scope.schema_url);
        let schemas: Vec<&str> = scopes.chain([&*resource.schema_url]).collect();
        assert!(schemas.len() > 1, "{resource:?}");
        assert!(schemas.iter().all(|url| *url == meshwise::trace::SCHEMA_URL), "{schemas:?}");
    }
}

#[test]
fn cumulative_counts_from_the_start_and_delta_from_the_last_time() {
    for (preference, wanted) in [("cumulative", [3, 8]), ("delta", [3, 5])] {
        let collector = Collector::start(Manner::Accepts);
        let (mesh, _) = mesh(&[
            OTLP,
            NO_TRACES,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference),
        ]);
        for by in [3_u64, 5] {
            record(&mesh, || {
                metrics::counter!("orders_total").increment(by);
                metrics::histogram!("wait_seconds").record_many(0.3, by as usize);
                metrics::gauge!("depth").set(by as f64);
            });
            flush(&mesh);
        }
        let _report = shutdown(&mesh);
        let orders = named(&collector, "orders");
        let came: Vec<_> = orders.iter().map(|metric| numbers(metric)[0].clone()).collect();
        let values: Vec<_> = came.iter().filter_map(|point| point.value).collect();
        assert_eq!(values[..2], wanted.map(Number::AsInt), "{preference}");
        let waits = named(&collector, "wait_seconds");
        let counts: Vec<_> = waits.iter().map(|metric| histogram(metric).count).collect();
        assert_eq!(counts[..2], wanted.map(|n| n as u64), "{preference}");
        for (metric, count) in waits.iter().zip(&counts) {
            let point = histogram(metric);
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), *count);
            assert!((point.sum.expect("a sum") - 0.3 * *count as f64).abs() < 1e-9, "{point:?}");
        }
        if preference == "delta" {
            // Each begins where the last ended, and what did not change is not told.
            assert_eq!((came.len(), counts.len()), (2, 2), "{came:?}");
            assert_eq!(came[1].start_time_unix_nano, came[0].time_unix_nano);
        } else {
            assert_eq!(came.len(), 3, "the last round tells all");
            assert_eq!(came[1].start_time_unix_nano, came[0].start_time_unix_nano);
        }
        assert_eq!(named(&collector, "depth").len(), 3, "a gauge is what it is");
    }
}

#[test]
fn exponential_histograms_are_asked_for_by_variable_or_by_name() {
    let all = (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "base2_exponential_bucket_histogram",
    );
    for variable in [all, ("MESHWISE_METRICS_NATIVE_HISTOGRAMS", "wait_*")] {
        for preference in ["cumulative", "delta"] {
            let collector = Collector::start(Manner::Accepts);
            let (mesh, _) = mesh(&[
                OTLP,
                NO_TRACES,
                variable,
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference),
            ]);
            let values = [[1.0, 1.0, 0.0], [4.0, 1.0, 1e9]];
            for values in values {
                record(&mesh, || {
                    let wait = metrics::histogram!("wait_seconds");
                    values.into_iter().for_each(|value| wait.record(value));
                });
                flush(&mesh);
            }
            let _report = shutdown(&mesh);
            let waits = named(&collector, "wait_seconds");
            let points: Vec<_> = waits
                .iter()
                .map(|metric| match &metric.data {
                    Some(Data::ExponentialHistogram(histogram)) => histogram.data_points[0].clone(),
                    other => panic!("{other:?}"),
                })
                .collect();
            let first = &points[0];
            assert_eq!((first.count, first.zero_count, first.sum), (3, 1, Some(2.0)));
            // Bucket `i` is above base^i and not above base^(i+1): 1 is the last of bucket -1.
            let positive = first.positive.as_ref().expect("buckets");
            assert_eq!((positive.offset, &positive.bucket_counts[..]), (-1, &[2][..]));
            let second = &points[1];
            let wanted = if preference == "delta" { (3, 0) } else { (6, 1) };
            assert_eq!((second.count, second.zero_count), wanted, "{preference}");
            let positive = second.positive.as_ref().expect("buckets");
            let counted: u64 = positive.bucket_counts.iter().sum();
            assert_eq!(counted, second.count - second.zero_count, "{positive:?}");
            // The largest is in the last bucket, whatever the scale had to become.
            let base = 2_f64.powf(2_f64.powi(-second.scale));
            let last = positive.offset + positive.bucket_counts.len() as i32;
            assert!(base.powi(last) >= 1e9 && base.powi(last - 1) < 1e9, "{second:?}");
        }
    }
}

#[test]
fn every_point_is_accounted_for_whatever_the_collector_does() {
    for outcome in &OUTCOMES {
        let collector = outcome.manner.map(Collector::start);
        let url = collector.as_ref().map_or_else(nowhere, |collector| collector.url.clone());
        let (mesh, _) = mesh(&[
            OTLP,
            NO_TRACES,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "1500"),
        ]);
        record(&mesh, || {
            // More than are read at once.
            for n in 0..5000 {
                metrics::gauge!("many", "n" => (n % 1900).to_string(), "m" => (n / 1900).to_string())
                    .set(1.0);
            }
        });
        flush(&mesh);
        let report = mesh.metrics().exported().expect("an exporter");
        let requests = collector.as_ref().map_or(0, Collector::requests);
        match &collector {
            // What it took is known.
            Some(collector) if points(collector) > 0 => {
                let Outcome { delivered, .. } = outcome;
                let came = points(collector);
                assert_eq!(report.delivered, delivered(came, requests), "{report}");
                outcome.check(&report, came, requests);
                assert!(came > 2000, "{came}");
            }
            _ => {
                assert!(report.total_dropped() > 2000, "{report}");
                outcome.check(&report, report.total_dropped(), requests);
            }
        }
        let _report = shutdown(&mesh);
    }
}

#[test]
fn points_are_sent_at_each_interval_and_counted_on_the_page() {
    let collector = Collector::start(Manner::Accepts);
    let (mesh, _) = mesh(&[
        NO_TRACES,
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &format!("{}/v1/metrics", collector.url)),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
    ]);
    let start = std::time::Instant::now();
    while collector.requests() < 3 {
        assert!(start.elapsed() < LONG, "no rounds");
        std::thread::yield_now();
    }
    let report = shutdown(&mesh);
    let points = report.metrics.expect("sent");
    assert_eq!(points.dropped_because(DropReason::ExportFailed), 0);
    let page = mesh.metrics().render_text();
    let counted =
        format!("meshwise_telemetry_exported_total{{signal=\"metrics\"}} {}", points.delivered);
    assert!(page.contains(&counted), "{counted}\n{page}");
}
