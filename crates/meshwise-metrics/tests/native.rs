//! Native histograms and the protobuf messages that carry them.

mod support;

use allocation_counter::measure;
use meshwise_core::{Env, Service, SpanId, TraceId};
use meshwise_metrics::{Exemplar, Format, Metrics, MetricsConfig, MetricsError, with_exemplar};
use metrics::{Unit, counter, describe_histogram, gauge, histogram};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};
use support::{
    config, exposed,
    messages::{self, Histogram, MetricFamily, Native, native},
    protobuf, protobuf_bytes, record, scrape,
};

const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                      encoding=delimited";

fn families(metrics: &Metrics) -> BTreeMap<String, MetricFamily> {
    let families = messages::read(&protobuf_bytes(metrics)).into_iter();
    families.map(|family| (family.name.clone().expect("a name"), family)).collect()
}

fn one(metrics: &Metrics, name: &str) -> Histogram {
    let family = families(metrics).remove(name).expect("the family");
    assert_eq!(family.metric.len(), 1);
    family.metric[0].histogram.clone().expect("a histogram")
}

fn exemplar(id: u64) -> Exemplar {
    Exemplar::new(TraceId::from_int(u128::from(id)), SpanId::from_int(id + 1))
}

#[test]
fn values_are_where_prometheus_looks_for_them() {
    let metrics = config().with_native_histogram("wait").build().expect("metrics");
    record(&metrics, || {
        let wait = histogram!("wait");
        // Powers of two end a bucket: 2^0 bucket 0, 2^1 bucket 8, 2^-1 bucket -8.
        for value in [1.0, 1.0, 1.001, 2.0, 0.5, 1024.0, 0.0, 1e-300, -1.0, -3.0] {
            wait.record(value);
        }
        wait.record_many(2.0, 5);
    });
    let expected = Native {
        schema: 3,
        zero: 2,
        positive: [(-8, 1), (0, 2), (1, 1), (8, 6), (80, 1)].into(),
        negative: [(0, 1), (13, 1)].into(),
    };
    let found = one(&metrics, "wait");
    assert_eq!(native(&found), expected);
    assert_eq!(found.sample_count, Some(15));
    assert_eq!(found.zero_threshold, Some(2.0_f64.powi(-128)));
    // Small gaps are filled up, large ones are not.
    let spans: Vec<_> = found.positive_span.iter().map(|s| (s.offset(), s.length())).collect();
    assert_eq!(spans, [(-8, 1), (7, 2), (6, 1), (71, 1)]);
}

#[test]
fn what_a_program_names_is_native_and_classic_in_one() {
    let metrics = config()
        .with_native_histogram("http.*")
        .with_buckets("http.wait", &[0.1, 1.0])
        .build()
        .expect("metrics");
    record(&metrics, || {
        for name in ["http.wait", "queue.wait"] {
            histogram!(name).record(0.5);
            histogram!(name).record(0.05);
        }
    });
    let found = one(&metrics, "http_wait");
    assert_eq!(native(&found).count(), 2);
    let bounds: Vec<_> =
        found.bucket.iter().map(|b| (b.upper_bound(), b.cumulative_count())).collect();
    assert_eq!(bounds, [(0.1, 1), (1.0, 2), (f64::INFINITY, 2)]);
    let other = one(&metrics, "queue_wait");
    assert_eq!((other.schema, other.zero_threshold, other.bucket.len()), (None, None, 15));
    // Text has no place for native buckets; it shows the others as ever.
    assert_eq!(exposed(&metrics).value("http_wait_bucket", &[("le", "0.1")]), 1.0);
}

#[test]
fn all_formats_say_the_same() {
    let metrics =
        config().with_process_metrics(true).with_native_histogram("*").build().expect("metrics");
    record(&metrics, || {
        describe_histogram!("wait_seconds", Unit::Seconds, "Time that jobs wait.");
        histogram!("wait_seconds", "queue" => "a\"b\\c\nd", "empty" => "").record(3.0);
        counter!("jobs").increment(u64::MAX);
        gauge!("jobs").set(f64::NAN);
    });
    let (text, binary) = (exposed(&metrics), protobuf(&metrics));
    assert_eq!(text.names(), binary.names());
    for (text, binary) in text.families.iter().zip(&binary.families) {
        assert_eq!((&text.kind, &text.help), (&binary.kind, &binary.help));
        let parts = |f: &support::strict::Family| -> Vec<_> {
            let samples = f.samples.iter();
            samples.map(|s| (s.name.clone(), s.labels.get("queue").cloned())).collect()
        };
        assert_eq!(parts(text), parts(binary));
    }
    assert_eq!(binary.family("wait_seconds").unit.as_deref(), Some("seconds"));
    assert_eq!(binary.value("wait_seconds_sum", &[("queue", "a\"b\\c\nd")]), 3.0);
    assert!(binary.value("jobs", &[]).is_nan());
    #[cfg(target_os = "linux")]
    assert!(binary.value("process_cpu_seconds_total", &[]) < 3600.0);
}

#[test]
fn a_range_too_wide_halves_the_resolution() {
    let metrics =
        config().with_native_histogram("wait").with_native_schema(8).build().expect("metrics");
    record(&metrics, || {
        for exponent in -10..10 {
            histogram!("wait").record(f64::from(exponent).exp2());
        }
    });
    // 19 powers of two: 153 buckets at schema 3, twice as many at 4.
    let found = native(&one(&metrics, "wait"));
    assert_eq!((found.schema, found.count()), (3, 20));
}

#[test]
fn exemplars_are_with_their_buckets() {
    for pattern in ["wait", "none"] {
        let metrics = config()
            .with_native_histogram(pattern)
            .with_buckets("wait", &[0.1, 1.0])
            .build()
            .expect("metrics");
        record(&metrics, || {
            let wait = histogram!("wait");
            with_exemplar(Some(exemplar(7)), || wait.record(0.5));
            with_exemplar(Some(exemplar(9)), || wait.record(5.0));
            wait.record(0.01);
        });
        let found = protobuf(&metrics);
        let exemplars: Vec<_> = found
            .family("wait")
            .samples
            .iter()
            .filter_map(|sample| {
                Some((sample.labels.get("le")?.as_str(), sample.exemplar.as_ref()?))
            })
            .map(|(le, (labels, value, at))| {
                assert!(*at > 1.6e9, "{at}");
                (le, labels["trace_id"].as_str(), labels["span_id"].as_str(), *value)
            })
            .collect();
        assert_eq!(
            exemplars,
            [
                ("1", "00000000000000000000000000000007", "0000000000000008", 0.5),
                ("+Inf", "00000000000000000000000000000009", "000000000000000a", 5.0),
            ]
        );
    }
}

/// Sets a flag when it goes, also because an assertion failed: who waits for it shall end then.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The length of a family is told before it is written; meanwhile calls go on.
#[test]
fn what_is_recorded_meanwhile_breaks_no_message() {
    let metrics = config().with_native_histogram("native*").build().expect("metrics");
    let series: u32 = 200;
    let fill = |round: u32| {
        record(&metrics, || {
            for i in 0..series {
                for name in ["native_wait", "wait"] {
                    let histogram = histogram!(name, "id" => i.to_string());
                    with_exemplar(Some(exemplar(u64::from(round + i + 1))), || {
                        histogram.record(f64::from(round * 31 % 1000).mul_add(0.01, -0.1));
                        histogram.record_many(0.001, 1 << (round % 40));
                    });
                }
                counter!("jobs", "id" => i.to_string()).increment(1 << (round % 40));
                // More families and series than there were.
                if round < 200 {
                    gauge!("depth", "id" => round.to_string()).set(1.0);
                }
            }
        });
    };
    fill(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Relaxed) {
                round += 1;
                fill(round);
            }
        });
        let _at_end = AtEnd(&done);
        let mut counts = BTreeMap::new();
        for _ in 0..10 {
            let mut bytes = Vec::new();
            for piece in metrics.stream(&scrape(ACCEPT, "")) {
                // Between two pieces anything may happen; let some of it.
                thread::yield_now();
                bytes.extend_from_slice(&piece);
            }
            for family in messages::parse(&bytes).families {
                for sample in family
                    .samples
                    .iter()
                    .filter(|s| family.kind == "histogram" || s.name == "jobs_total")
                {
                    if sample.name.ends_with("_sum") {
                        continue;
                    }
                    let key = (sample.name.clone(), format!("{:?}", sample.labels));
                    let before = counts.insert(key, sample.value).unwrap_or_default();
                    assert!(before <= sample.value, "{sample:?} went back from {before}");
                }
            }
        }
    });
}

#[test]
fn a_large_family_is_never_whole_in_memory() {
    for (pattern, most) in [("none", 800_000), ("*", 3_000_000)] {
        let metrics = config()
            .with_max_label_sets(5000)
            .with_native_histogram(pattern)
            .build()
            .expect("metrics");
        record(&metrics, || {
            for i in 0..5000 {
                let wait = histogram!("wait_seconds", "id" => i.to_string());
                (0..50).for_each(|n| wait.record(0.001 * f64::from(n * n)));
            }
        });
        let whole = protobuf_bytes(&metrics);
        assert!(whole.len() > 1_500_000, "{}", whole.len());
        for encoding in ["", "gzip"] {
            let info = measure(|| {
                for piece in metrics.stream(&scrape(ACCEPT, encoding)) {
                    assert!(piece.len() < 80 * 1024, "a piece of {}", piece.len());
                }
            });
            assert!(info.bytes_max < most, "{} bytes at once", info.bytes_max);
        }
        let streamed: Vec<u8> = metrics.stream(&scrape(ACCEPT, "")).flatten().collect();
        assert!(streamed == whole);
    }
}

#[test]
fn native_values_take_no_memory() {
    let metrics = config().with_native_histogram("wait_seconds").build().expect("metrics");
    record(&metrics, || {
        let wait = histogram!("wait_seconds");
        let info = measure(|| {
            for i in 0..1_000_000 {
                wait.record(f64::from(i + 1) * 1e-5);
            }
        });
        // 10 microseconds to 10 seconds fit into 160 buckets.
        assert_eq!(info.count_total, 0);
        let info = measure(|| {
            for i in 0..1_000_000 {
                wait.record(f64::from(i).exp2());
                wait.record(-f64::from(i).exp2().recip());
            }
        });
        assert!(info.count_total < 20, "{}", info.count_total);
        assert!(info.bytes_total < 30_000, "{}", info.bytes_total);
    });
}

#[test]
fn a_scraper_that_prefers_protobuf_gets_it() {
    let metrics = config().with_native_histogram("*").build().expect("metrics");
    record(&metrics, || histogram!("wait").record(1.0));
    let answer = metrics.render(&scrape(ACCEPT, ""));
    assert_eq!(answer.content_type, Format::Protobuf.content_type());
    assert_eq!(messages::parse(&answer.body).value("wait_count", &[]), 1.0);
    #[cfg(feature = "exporter-prometheus")]
    {
        // It knows text only, and no native histograms.
        let metrics =
            config().with_native_histogram("*").with_exporter_prometheus().build().expect("one");
        let answer = metrics.render(&scrape(ACCEPT, ""));
        assert_eq!(answer.content_type, Format::Text.content_type());
    }
}

#[test]
fn the_environment_switches_native_histograms_on() {
    let config = |value: &str| {
        let env = Env::from_pairs([("MESHWISE_METRICS_NATIVE_HISTOGRAMS", value)]);
        MetricsConfig::new(Service::new("orders", "1")).with_env(&env)
    };
    let is_native = |config: MetricsConfig, name: &'static str| {
        let metrics = config.build().expect("metrics");
        record(&metrics, || histogram!(name).record(1.0));
        one(&metrics, name).schema
    };
    let on = config("a*, wait").expect("a setting");
    assert_eq!(is_native(on.clone(), "wait"), Some(3));
    assert_eq!(is_native(on.clone(), "ab"), Some(3));
    assert_eq!(is_native(on.clone(), "b"), None);
    // It beats what the program sets, but for what it does not set.
    assert_eq!(is_native(on.clone().with_native_schema(5), "wait"), Some(5));
    let both = on.with_native_histogram("b");
    assert_eq!(is_native(both.clone(), "b"), None);
    assert_eq!(is_native(both, "wait"), Some(3));
    let error = config("a,,b").expect_err("an empty name").to_string();
    assert!(error.contains("MESHWISE_METRICS_NATIVE_HISTOGRAMS"), "{error}");
}

#[test]
fn a_schema_that_is_not_there_is_refused() {
    for (schema, fine) in [(-5, false), (-4, true), (8, true), (9, false), (i8::MIN, false)] {
        let built = config().with_native_schema(schema).build();
        match built {
            Ok(_) => assert!(fine, "{schema}"),
            Err(MetricsError::NativeSchema { schema: said }) => assert!(!fine && said == schema),
            Err(error) => panic!("{error}"),
        }
    }
}
