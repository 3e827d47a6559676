//! OTLP's metrics as readings of series.

use crate::store::{
    Store, cut,
    series::{Description, Exemplar, Reading, Shape},
    trace_id,
};
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{
        Exemplar as Otlp, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
        NumberDataPoint, SummaryDataPoint, exemplar, metric::Data, number_data_point,
    },
};

/// OTLP's number for values that count from the reading before.
const DELTA: i32 = 1;
/// The flag of a point that says only that there is no value.
const NO_VALUE: u32 = 1;
/// Texts of labels are cut here, in bytes, and more labels left out.
const LABEL: usize = 256;
const LABELS: usize = 32;

/// Takes a metric's points, which `source` has counted; how many were refused.
pub(super) fn take(store: &mut Store, now: u64, service: u16, source: u64, metric: &Metric) -> u64 {
    let (shape, delta) = match &metric.data {
        Some(Data::Sum(sum)) => {
            let shape = if sum.is_monotonic { Shape::Counter } else { Shape::Gauge };
            (shape, sum.aggregation_temporality == DELTA)
        }
        Some(Data::Histogram(histogram)) => {
            (Shape::Histogram, histogram.aggregation_temporality == DELTA)
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            (Shape::Histogram, histogram.aggregation_temporality == DELTA)
        }
        Some(Data::Summary(_)) => (Shape::Histogram, false),
        Some(Data::Gauge(_)) | None => (Shape::Gauge, false),
    };
    let description = Description {
        name: cut(&metric.name, LABEL),
        shape,
        unit: cut(&metric.unit, 64),
        help: cut(&metric.description, 1000),
    };
    let mut refused = 0;
    let mut add = |attributes: &[KeyValue], flags: u32, reading: Reading, exemplars: &[Otlp]| {
        if flags & NO_VALUE != 0 {
            return;
        }
        let exemplars = exemplars.iter().filter_map(|found| exemplar_of(now, found));
        let labels = labels(attributes);
        let reading = Reading { source, ..reading };
        let kept = store.reading(now, service, description, labels, reading, exemplars);
        refused += u64::from(!kept);
    };
    match &metric.data {
        Some(Data::Gauge(gauge)) => {
            for point in &gauge.data_points {
                let Some(reading) = number(point, false) else { continue };
                add(&point.attributes, point.flags, reading, &point.exemplars);
            }
        }
        Some(Data::Sum(sum)) => {
            for point in &sum.data_points {
                let Some(reading) = number(point, delta) else { continue };
                add(&point.attributes, point.flags, reading, &point.exemplars);
            }
        }
        Some(Data::Histogram(histogram)) => {
            for point in &histogram.data_points {
                add(&point.attributes, point.flags, explicit(point, delta), &point.exemplars);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for point in &histogram.data_points {
                add(&point.attributes, point.flags, exponential(point, delta), &point.exemplars);
            }
        }
        Some(Data::Summary(summary)) => {
            for point in &summary.data_points {
                add(&point.attributes, point.flags, quantiles(point), &[]);
            }
        }
        None => {}
    }
    refused
}

#[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
fn number(point: &NumberDataPoint, delta: bool) -> Option<Reading> {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => return None,
    };
    Some(Reading { value, delta, ..Reading::default() })
}

#[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
fn explicit(point: &HistogramDataPoint, delta: bool) -> Reading {
    let whole = point.bucket_counts.len() == point.explicit_bounds.len() + 1;
    Reading {
        value: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        bounds: if whole { point.explicit_bounds.clone() } else { Vec::new() },
        counts: if whole { point.bucket_counts.clone() } else { Vec::new() },
        delta,
        ..Reading::default()
    }
}

/// Halves the resolution until the buckets are few enough, and makes explicit ones of them.
#[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
fn exponential(point: &ExponentialHistogramDataPoint, delta: bool) -> Reading {
    let (mut offset, mut counts) = point
        .positive
        .as_ref()
        .map(|buckets| (i64::from(buckets.offset), buckets.bucket_counts.clone()))
        .unwrap_or_default();
    let mut scale = point.scale.clamp(-10, 20);
    while counts.len() > 60 {
        if offset.rem_euclid(2) == 1 {
            counts.insert(0, 0);
            offset -= 1;
        }
        counts = counts
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |a: u64, b| a.saturating_add(*b)))
            .collect();
        (offset, scale) = (offset / 2, scale - 1);
    }
    let base = 2_f64.powf(2_f64.powi(-scale));
    // A bucket's lower bound is base^offset; what is zero or below lies under the first.
    let mut bounds: Vec<f64> =
        (0..=counts.len()).map(|at| base.powf((offset + at as i64) as f64)).collect();
    let below = point.negative.iter().flat_map(|buckets| &buckets.bucket_counts);
    let below = below.fold(point.zero_count, |a, b| a.saturating_add(*b));
    counts.insert(0, below);
    counts.push(0);
    if bounds.iter().any(|bound| !bound.is_finite()) {
        (bounds, counts) = (Vec::new(), Vec::new());
    }
    let (value, sum) = (point.count as f64, point.sum.unwrap_or(0.0));
    Reading { value, sum, bounds, counts, delta, ..Reading::default() }
}

#[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
fn quantiles(point: &SummaryDataPoint) -> Reading {
    Reading { value: point.count as f64, sum: point.sum, ..Reading::default() }
}

fn exemplar_of(now: u64, exemplar: &Otlp) -> Option<Exemplar> {
    #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
    let value = match exemplar.value.as_ref()? {
        exemplar::Value::AsDouble(value) => *value,
        exemplar::Value::AsInt(value) => *value as f64,
    };
    Some(Exemplar { trace: trace_id(&exemplar.trace_id)?, value, time: now })
}

/// Writes attributes as labels, in the order of their names.
fn labels(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|v| v.value.as_ref())
    {
        Some(Value::StringValue(text)) => cut(text, LABEL).to_owned(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        _ => String::new(),
    };
    let mut labels: Vec<_> = attributes
        .iter()
        .take(LABELS)
        .map(|attribute| (cut(&attribute.key, LABEL).to_owned(), text(attribute)))
        .collect();
    labels.sort();
    labels
}
