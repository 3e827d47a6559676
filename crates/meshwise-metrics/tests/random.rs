//! Whatever a program records: every backend shows it validly, and all show the same.

mod support;

use meshwise_core::{Env, Service};
use meshwise_metrics::{Metrics, MetricsConfig};
use metrics::{Label, counter, describe_counter, describe_histogram, gauge, histogram};
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    proptest,
    sample::select,
    test_runner::Config,
};
use std::collections::BTreeMap;
use support::{config, exposed, open_metrics, protobuf, strict::Exposed};

#[derive(Clone, Debug)]
struct Op {
    kind: Kind,
    name: String,
    labels: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Kind {
    Count(u32),
    Follow(u32),
    Set(f64),
    Step(f64),
    Record(f64),
    RecordMany(f64, u8),
    Describe(String),
}

const NAMES: &[&str] = &[
    "a",
    "a_total",
    "a_sum",
    "a.bucket",
    "a_created",
    "a_created_created",
    "b_bytes",
    "b",
    "b_created_total",
    "_total",
    "",
    "1",
    "c:d",
];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let kind = prop_oneof![
        any::<u32>().prop_map(Kind::Count),
        any::<u32>().prop_map(Kind::Follow),
        any::<f64>().prop_map(Kind::Set),
        select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY][..]).prop_map(Kind::Set),
        (-1e6..1e6).prop_map(Kind::Step),
        select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY][..]).prop_map(Kind::Step),
        (-10.0..100.0).prop_map(Kind::Record),
        select(&[0.0, -0.0, 0.005, 10.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE][..])
            .prop_map(Kind::Record),
        ((0.0..5.0), any::<u8>()).prop_map(|(value, times)| Kind::RecordMany(value, times)),
        any::<String>().prop_map(Kind::Describe),
    ];
    // Few names, so that they meet and clash; some that anything may stand in.
    let name = prop_oneof![
        5 => select(NAMES).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let label = prop_oneof![
        5 => select(&["x", "x.y", "x_y", "le", "__z", "zone", "quantile", ""][..])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        3 => select(&["", "1", "\\", "\\\\", "\n", "\"", "_other"][..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let op = (kind, name, vec((label, value), 0..4));
    vec(op.prop_map(|(kind, name, labels)| Op { kind, name, labels }), 0..60)
}

fn perform(metrics: &Metrics, ops: &[Op]) {
    metrics::with_local_recorder(&metrics.recorder(), || {
        for Op { kind, name, labels } in ops {
            let name = name.clone();
            let labels: Vec<Label> =
                labels.iter().map(|(k, v)| Label::new(k.clone(), v.clone())).collect();
            match kind {
                Kind::Count(by) => counter!(name, labels).increment(u64::from(*by)),
                Kind::Follow(value) => counter!(name, labels).absolute(u64::from(*value)),
                Kind::Set(value) => gauge!(name, labels).set(*value),
                Kind::Step(by) => gauge!(name, labels).increment(*by),
                Kind::Record(value) => histogram!(name, labels).record(*value),
                Kind::RecordMany(value, times) => {
                    histogram!(name, labels).record_many(*value, usize::from(*times));
                }
                Kind::Describe(help) => {
                    describe_counter!(name.clone(), help.clone());
                    describe_histogram!(name, help.clone());
                }
            }
        }
    });
}

/// Asserts that `OpenMetrics` has what the text format has, but for the sums and counts of
/// histograms that met a value below zero, and the types that it has no names for.
fn assert_open(text: &Exposed, open: &Exposed, negative: bool) {
    let samples = |exposed: &Exposed| -> BTreeMap<String, f64> {
        let all = exposed.families.iter().flat_map(|family| &family.samples);
        all.map(|sample| (format!("{}{:?}", sample.name, sample.labels), sample.value)).collect()
    };
    let (text_samples, open_samples) = (samples(text), samples(open));
    for (name, value) in &open_samples {
        let twin = text_samples[name];
        assert!(twin == *value || (twin.is_nan() && value.is_nan()), "{name}: {twin}, {value}");
    }
    for name in text_samples.keys().filter(|name| !open_samples.contains_key(*name)) {
        let name = name.split('{').next().unwrap_or_default();
        let histogram = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
        let histogram = histogram.unwrap_or_else(|| panic!("no {name}"));
        assert!(negative && text.family(histogram).kind == "histogram", "no {name}");
    }
    for family in open.families.iter().filter(|family| family.kind != "unknown") {
        let twin = text.family(&family.name);
        assert_eq!((&family.kind, &family.help), (&twin.kind, &twin.help));
    }
}

/// Asserts that two expositions say the same; sums may differ in their last digits.
fn assert_same(one: &Exposed, other: &Exposed) {
    assert_eq!(one.names().len(), other.names().len());
    for family in &one.families {
        let twin = other.family(&family.name);
        assert_eq!(family.help, twin.help);
        assert_eq!(family.kind, twin.kind, "{}", family.name);
        for sample in &family.samples {
            let found = twin.samples.iter().find(|twin| {
                let le = |text: Option<&String>| text.map(|le| le.parse::<f64>().ok());
                let others = |labels: &support::strict::Labels| {
                    labels
                        .iter()
                        .filter(|(k, _)| *k != "le")
                        .map(|(k, v)| format!("{k}={v:?}"))
                        .collect::<Vec<_>>()
                };
                twin.name == sample.name
                    && le(twin.labels.get("le")) == le(sample.labels.get("le"))
                    && others(&twin.labels) == others(&sample.labels)
            });
            let found = found.unwrap_or_else(|| panic!("no {sample:?} in {twin:#?}")).value;
            let near = (found - sample.value).abs() <= sample.value.abs() * 1e-9 + 1e-9;
            let same = near || found.to_bits() == sample.value.to_bits();
            assert!(same || (found.is_nan() && sample.value.is_nan()), "{found} for {sample:?}");
        }
        assert_eq!(family.samples.len(), twin.samples.len());
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn anything_recorded_is_shown_validly_and_alike(ops in ops()) {
        let config = || config().with_max_label_sets(5).with_constant_label("zone", "a\\");
        let own = config().build().unwrap();
        perform(&own, &ops);
        let negative = |op: &Op| match op.kind {
            Kind::Record(value) | Kind::RecordMany(value, _) => value < 0.0,
            _ => false,
        };
        assert_open(&exposed(&own), &open_metrics(&own), ops.iter().any(negative));
        assert_same(&exposed(&own), &protobuf(&own));
        let native = config().with_native_histogram("*").build().unwrap();
        perform(&native, &ops);
        assert_same(&exposed(&own), &exposed(&native));
        assert_same(&exposed(&own), &protobuf(&native));
        #[cfg(feature = "exporter-prometheus")]
        {
            let exporter = config().with_exporter_prometheus().build().unwrap();
            perform(&exporter, &ops);
            assert_same(&exposed(&own), &exposed(&exporter));
            assert_eq!(own.refused(), exporter.refused());
        }
    }

    #[test]
    fn no_value_in_the_environment_panics(name in select(VARIABLES), value in any::<String>()) {
        let env = Env::from_pairs([(name, value)]);
        if let Ok(config) = MetricsConfig::new(Service::new("a", "1")).with_env(&env) {
            config.build().unwrap();
        }
    }
}

const VARIABLES: &[&str] = &[
    "OTEL_SDK_DISABLED",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "MESHWISE_METRICS_BUCKETS",
    "MESHWISE_METRICS_IDLE_TIMEOUT",
    "MESHWISE_METRICS_MAX_LABEL_SETS",
    "MESHWISE_METRICS_NATIVE_HISTOGRAMS",
];
