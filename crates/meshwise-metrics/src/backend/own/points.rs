//! Numbers as OTLP's points.

use super::{
    Cell, Own,
    histogram::{HistogramCell, RecordedExemplar},
    native::{Reading, Side, ZERO_THRESHOLD},
};
use crate::{
    backend::proto,
    collect::whole,
    kind::Kind,
    names,
    registry::{Family, Registry, Series},
    rename,
};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint,
        Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    },
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
    vec,
};

/// The most points that are read at once: some hundred bytes each.
const BATCH: usize = 2000;

/// Says what sums and histograms count from (complete by nature).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// From the start of each series.
    Cumulative,
    /// From the round before.
    Delta,
}

/// Reads all points, round by round.
pub(crate) struct PointReader {
    registry: Arc<Registry<Own>>,
    temporality: Temporality,
    round: Round,
    /// What delta points count from, by the address of the series, which is kept for that long.
    last: HashMap<usize, Last>,
    counts: Vec<u64>,
    reading: Reading,
}

/// One round: what of it is still to be read.
struct Round {
    number: u64,
    /// When it began, and the one before it.
    now: SystemTime,
    before: SystemTime,
    families: vec::IntoIter<Arc<Family<Cell>>>,
    current: Option<Current>,
}

/// A family, and its series that are still to be read.
type Current = (Arc<Family<Cell>>, vec::IntoIter<Arc<Series<Cell>>>);

/// What a series came to in the last round that read it.
struct Last {
    /// Keeps the address from being used again.
    _series: Arc<Series<Cell>>,
    round: u64,
    at: SystemTime,
    count: u64,
    sum: f64,
    counts: Vec<u64>,
    reading: Option<Reading>,
}

impl PointReader {
    pub(crate) fn new(registry: Arc<Registry<Own>>, temporality: Temporality) -> Self {
        let round = Round {
            number: 0,
            now: UNIX_EPOCH,
            before: UNIX_EPOCH,
            families: Vec::new().into_iter(),
            current: None,
        };
        let last = HashMap::new();
        let (counts, reading) = (Vec::new(), Reading::default());
        Self { registry, temporality, round, last, counts, reading }
    }

    /// Begins a round; all of its points are of this moment.
    pub(crate) fn begin(&mut self, now: SystemTime) {
        self.registry.sweep(Instant::now());
        let Round { number, now: before, .. } = self.round;
        // Series that were not read any more are forgotten.
        self.last.retain(|_, last| last.round == number);
        let mut families = self.registry.families();
        // The resource says that.
        families.retain(|family| &*family.name != names::TARGET_INFO);
        let families = families.into_iter();
        self.round = Round { number: number + 1, now, before, families, current: None };
    }

    /// Returns the next points of the round, and how many they are; `None` at its end.
    pub(crate) fn next(&mut self) -> Option<(Vec<Metric>, u64)> {
        let (mut metrics, mut points) = (Vec::new(), 0);
        while points < BATCH {
            let Some((family, mut series)) = self.round.current.take() else {
                let family = self.round.families.next();
                let Some(family) = family else { break };
                let shown = family.shown().into_iter();
                self.round.current = Some((family, shown));
                continue;
            };
            let some = series.by_ref().take(BATCH - points);
            let some: Vec<_> = some.collect();
            let left = !series.as_slice().is_empty();
            points += self.metrics(&family, &some, &mut metrics);
            if left {
                self.round.current = Some((family, series));
            }
        }
        (points > 0).then_some((metrics, points as u64))
    }

    /// Adds the points of some series of a family; returns how many there are.
    fn metrics(
        &mut self,
        family: &Family<Cell>,
        series: &[Arc<Series<Cell>>],
        into: &mut Vec<Metric>,
    ) -> usize {
        let (mut numbers, mut histograms, mut exponential) = (Vec::new(), Vec::new(), Vec::new());
        for series in series {
            match &series.cell {
                Cell::Counter(cell) => {
                    numbers.extend(self.counter(family, series, cell.value()));
                }
                Cell::Gauge(cell) => numbers.extend(self.gauge(series, cell.value())),
                Cell::Histogram(cell) if family.native.is_some() => {
                    exponential.extend(self.exponential(series, cell));
                }
                Cell::Histogram(cell) => {
                    histograms.extend(self.explicit(family, series, cell));
                }
            }
        }
        let points = numbers.len() + histograms.len() + exponential.len();
        if points == 0 {
            return 0;
        }
        let renamed = rename::metric(&family.name, family.kind);
        let temporality = match self.temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        };
        let aggregation_temporality = temporality.into();
        let data = match family.kind {
            Kind::Counter => {
                Data::Sum(Sum { data_points: numbers, aggregation_temporality, is_monotonic: true })
            }
            // It is what is there now, whatever the preference is (specification, "Temporality").
            Kind::Gauge if renamed.goes_up_and_down => Data::Sum(Sum {
                data_points: numbers,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: false,
            }),
            Kind::Gauge => Data::Gauge(Gauge { data_points: numbers }),
            Kind::Histogram if family.native.is_some() => {
                Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: exponential,
                    aggregation_temporality,
                })
            }
            Kind::Histogram => {
                Data::Histogram(Histogram { data_points: histograms, aggregation_temporality })
            }
        };
        let description = family.description.get();
        let unit = renamed.unit.or_else(|| rename::unit(description?.unit?));
        into.push(Metric {
            name: renamed.name.into_owned(),
            description: description.map(|about| about.help.clone()).unwrap_or_default(),
            unit: unit.unwrap_or_default().to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        });
        points
    }

    fn counter(
        &mut self,
        family: &Family<Cell>,
        series: &Arc<Series<Cell>>,
        value: u64,
    ) -> Option<NumberDataPoint> {
        let (mut counted, mut start) = (value, series.since);
        if self.temporality == Temporality::Delta {
            let last = self.last(series);
            start = last.at;
            counted = value.wrapping_sub(last.count);
            last.count = value;
            self.read(series);
            if counted == 0 {
                return None;
            }
        }
        let value = match i64::try_from(counted) {
            _ if family.microseconds => number_data_point::Value::AsDouble(whole(counted) / 1e6),
            Ok(int) => number_data_point::Value::AsInt(int),
            Err(_) => number_data_point::Value::AsDouble(whole(counted)),
        };
        Some(self.number(series, nanoseconds(start), value))
    }

    /// A gauge that is no number has no value.
    fn gauge(&self, series: &Series<Cell>, value: f64) -> Option<NumberDataPoint> {
        let value = (!value.is_nan()).then_some(number_data_point::Value::AsDouble(value))?;
        Some(self.number(series, nanoseconds(series.since), value))
    }

    fn number(
        &self,
        series: &Series<Cell>,
        start_time_unix_nano: u64,
        value: number_data_point::Value,
    ) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(&series.labels),
            start_time_unix_nano,
            time_unix_nano: nanoseconds(self.round.now),
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn explicit(
        &mut self,
        family: &Family<Cell>,
        series: &Arc<Series<Cell>>,
        cell: &HistogramCell,
    ) -> Option<HistogramDataPoint> {
        let mut counts = std::mem::take(&mut self.counts);
        let mut sum = cell.read(&mut counts);
        let mut start = series.since;
        let mut bucket_counts = counts.clone();
        if self.temporality == Temporality::Delta {
            let last = self.last(series);
            start = last.at;
            for (now, before) in bucket_counts.iter_mut().zip(&last.counts) {
                *now = now.wrapping_sub(*before);
            }
            std::mem::swap(&mut last.counts, &mut counts);
            sum -= std::mem::replace(&mut last.sum, sum);
            self.read(series);
        }
        self.counts = counts;
        let count = bucket_counts.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count));
        if count == 0 && self.temporality == Temporality::Delta {
            return None;
        }
        Some(HistogramDataPoint {
            attributes: attributes(&series.labels),
            start_time_unix_nano: nanoseconds(start),
            time_unix_nano: nanoseconds(self.round.now),
            count,
            sum: cell.sum_is_counter().then_some(sum),
            bucket_counts,
            explicit_bounds: family.bounds.values.to_vec(),
            exemplars: self.exemplars(family.bounds.values.len(), cell),
            ..HistogramDataPoint::default()
        })
    }

    fn exponential(
        &mut self,
        series: &Arc<Series<Cell>>,
        cell: &HistogramCell,
    ) -> Option<ExponentialHistogramDataPoint> {
        let mut reading = std::mem::take(&mut self.reading);
        let mut sum = cell.read_native(&mut reading).unwrap_or_default();
        let mut start = series.since;
        if self.temporality == Temporality::Delta {
            let last = self.last(series);
            start = last.at;
            let since = last.reading.as_ref().map(|before| reading.since(before));
            let since = since.unwrap_or_else(|| reading.clone());
            let now = std::mem::replace(&mut reading, since);
            last.reading = Some(now);
            sum -= std::mem::replace(&mut last.sum, sum);
            self.read(series);
        }
        let count = reading.count();
        let point = (count > 0 || self.temporality == Temporality::Cumulative).then(|| {
            ExponentialHistogramDataPoint {
                attributes: attributes(&series.labels),
                start_time_unix_nano: nanoseconds(start),
                time_unix_nano: nanoseconds(self.round.now),
                count,
                sum: cell.sum_is_counter().then_some(sum),
                scale: reading.schema().into(),
                zero_count: reading.zero,
                zero_threshold: ZERO_THRESHOLD,
                positive: buckets(&reading.positive),
                negative: buckets(&reading.negative),
                exemplars: self.exemplars(cell.bounds().len(), cell),
                ..ExponentialHistogramDataPoint::default()
            }
        });
        self.reading = reading;
        point
    }

    /// Returns the exemplars since the round before.
    fn exemplars(&self, bounds: usize, cell: &HistogramCell) -> Vec<Exemplar> {
        let before = nanoseconds(self.round.before) / 1_000_000;
        let all = (0..=bounds).filter_map(|index| cell.exemplar(index));
        all.filter(|exemplar| exemplar.millis() >= before).map(proto_exemplar).collect()
    }

    /// Returns what a series came to before; nothing, if it is new.
    fn last(&mut self, series: &Arc<Series<Cell>>) -> &mut Last {
        self.last.entry(Arc::as_ptr(series).addr()).or_insert_with(|| Last {
            _series: Arc::clone(series),
            round: 0,
            at: series.since,
            count: 0,
            sum: 0.0,
            counts: Vec::new(),
            reading: None,
        })
    }

    /// Takes note that a series was read in this round.
    fn read(&mut self, series: &Arc<Series<Cell>>) {
        let Round { number, now, .. } = self.round;
        let last = self.last(series);
        (last.round, last.at) = (number, now);
    }
}

/// Bucket `i` of ours ends where OTLP's bucket `i` begins ("Base2 Exponential Bucket Histogram").
fn buckets(side: &Side) -> Option<Buckets> {
    let offset = side.low.saturating_sub(1);
    let bucket_counts = side.counts.clone();
    (!bucket_counts.is_empty()).then_some(Buckets { offset, bucket_counts })
}

fn proto_exemplar(recorded: RecordedExemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: recorded.millis().saturating_mul(1_000_000),
        span_id: recorded.exemplar.span_id.to_bytes().to_vec(),
        trace_id: recorded.exemplar.trace_id.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(recorded.value)),
        ..Exemplar::default()
    }
}

/// An empty label is the same as none.
fn attributes(labels: &str) -> Vec<KeyValue> {
    let labels = proto::labels(labels).filter(|(_, value)| !value.is_empty());
    labels
        .map(|(label, value)| {
            let name = rename::label(label);
            let int = rename::is_whole(name).then(|| value.parse().ok()).flatten();
            let value = match int {
                Some(int) => Value::IntValue(int),
                None => Value::StringValue(value.into_owned()),
            };
            let value = Some(AnyValue { value: Some(value) });
            KeyValue { key: name.to_owned(), value, key_strindex: 0 }
        })
        .collect()
}

fn nanoseconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
