//! A reader of Prometheus' protobuf messages that forgives nothing: it panics at what is wrong.
//!
//! The messages are declared as `prometheus/client_model` has them, apart from what we never write.

use super::strict::{Exposed, Family, Labels, Sample};
use prost::Message as _;
use std::collections::{BTreeMap, HashSet};

#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub help: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub metric: Vec<Metric>,
    #[prost(string, optional, tag = "5")]
    pub unit: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub gauge: Option<Value>,
    #[prost(message, optional, tag = "3")]
    pub counter: Option<Value>,
    #[prost(message, optional, tag = "7")]
    pub histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct LabelPair {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// A `Gauge` or a `Counter`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Value {
    #[prost(double, optional, tag = "1")]
    pub value: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    pub schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    pub negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "10")]
    pub negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    pub positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    pub positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub upper_bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub exemplar: Option<Exemplar>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    pub offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub length: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    pub value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// Reads all families, each after its length.
pub fn read(mut bytes: &[u8]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut bytes).expect("a family"));
    }
    families
}

/// Reads all families, checks all that Prometheus does, and shows what text would say.
pub fn parse(bytes: &[u8]) -> Exposed {
    let families: Vec<Family> = read(bytes).iter().map(family).collect();
    let names: HashSet<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names.len(), families.len(), "a family comes twice");
    Exposed { families }
}

fn family(family: &MetricFamily) -> Family {
    let name = family.name.clone().expect("a name");
    let kind = match family.kind.expect("a type") {
        0 => "counter",
        1 => "gauge",
        4 => "histogram",
        other => panic!("{name} is of type {other}"),
    };
    assert!(!family.metric.is_empty(), "{name} has no series");
    let mut samples = Vec::new();
    for metric in &family.metric {
        let labels = labels(&metric.label);
        let sample =
            |value| Sample { name: name.clone(), labels: labels.clone(), value, exemplar: None };
        match (kind, &metric.counter, &metric.gauge, &metric.histogram) {
            ("counter", Some(counter), None, None) => {
                samples.push(sample(counter.value.expect("a value")));
            }
            ("gauge", None, Some(gauge), None) => {
                samples.push(sample(gauge.value.expect("a value")));
            }
            ("histogram", None, None, Some(histogram)) => {
                samples.extend(flat(&name, &labels, histogram));
            }
            _ => panic!("{name} is a {kind}, and this is not: {metric:?}"),
        }
    }
    let help = family.help.clone().expect("help");
    assert!(!help.is_empty());
    Family { name, kind: kind.to_owned(), help, unit: family.unit.clone(), samples }
}

fn labels(pairs: &[LabelPair]) -> Labels {
    let labels: Labels = pairs
        .iter()
        .map(|pair| (pair.name.clone().expect("a name"), pair.value.clone().expect("a value")))
        .collect();
    assert_eq!(labels.len(), pairs.len(), "a label comes twice");
    labels
}

/// Lists the samples that Prometheus makes of classic buckets.
fn flat(name: &str, labels: &Labels, histogram: &Histogram) -> Vec<Sample> {
    let count = histogram.sample_count.expect("a count");
    let mut samples = Vec::new();
    let mut last = (f64::NEG_INFINITY, 0);
    for bucket in &histogram.bucket {
        let bound = bucket.upper_bound.expect("a bound");
        let value = bucket.cumulative_count.expect("a count");
        assert!(last.0 < bound && last.1 <= value && value <= count, "{name}: {histogram:?}");
        last = (bound, value);
        let mut labels = labels.clone();
        let le = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
        labels.insert("le".to_owned(), le);
        let exemplar = bucket.exemplar.as_ref().map(|exemplar| {
            let at = exemplar.timestamp.expect("a time");
            let at = at.seconds as f64 + f64::from(at.nanos) / 1e9;
            (self::labels(&exemplar.label), exemplar.value.expect("a value"), at)
        });
        samples.push(Sample {
            name: format!("{name}_bucket"),
            labels,
            value: value as f64,
            exemplar,
        });
    }
    assert_eq!(last, (f64::INFINITY, count), "{name}: the last bucket");
    if histogram.schema.is_some() {
        let native = native(histogram);
        assert_eq!(native.count(), count, "{name}: the native buckets");
    }
    let sum = histogram.sample_sum.expect("a sum");
    for (suffix, value) in [("_sum", sum), ("_count", count as f64)] {
        let name = format!("{name}{suffix}");
        samples.push(Sample { name, labels: labels.clone(), value, exemplar: None });
    }
    samples
}

/// Native buckets as they are meant: the count of each index.
#[derive(Debug, PartialEq)]
pub struct Native {
    pub schema: i32,
    pub zero: u64,
    pub positive: BTreeMap<i32, u64>,
    pub negative: BTreeMap<i32, u64>,
}

impl Native {
    pub fn count(&self) -> u64 {
        self.zero + self.positive.values().chain(self.negative.values()).sum::<u64>()
    }
}

pub fn native(histogram: &Histogram) -> Native {
    let schema = histogram.schema.expect("a schema");
    assert!((-4..=8).contains(&schema));
    assert!(
        histogram.zero_threshold.expect("a threshold") > 0.0,
        "Prometheus takes it for classic"
    );
    Native {
        schema,
        zero: histogram.zero_count.expect("a zero count"),
        positive: side(&histogram.positive_span, &histogram.positive_delta),
        negative: side(&histogram.negative_span, &histogram.negative_delta),
    }
}

fn side(spans: &[BucketSpan], deltas: &[i64]) -> BTreeMap<i32, u64> {
    let mut buckets = BTreeMap::new();
    let (mut index, mut count, mut deltas) = (0, 0, deltas.iter());
    for (i, span) in spans.iter().enumerate() {
        let offset = span.offset.expect("an offset");
        assert!(i == 0 || offset >= 0, "spans out of order");
        index += offset;
        for _ in 0..span.length.expect("a length") {
            count += deltas.next().expect("a delta for each bucket");
            buckets.insert(index, u64::try_from(count).expect("no negative count"));
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None, "more deltas than buckets");
    assert!(buckets.len() <= 160);
    buckets.retain(|_, count| *count > 0);
    buckets
}
