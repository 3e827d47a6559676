//! One suite for every backend: what is bounded and refused, and what many threads do.

#[macro_use]
mod support;

use meshwise_core::DropReason;
use meshwise_metrics::{Metrics, names};
use metrics::{counter, describe_counter, gauge, histogram};
use std::{
    collections::BTreeMap,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};
use support::{Choose, config, exposed, record};

fn lost(metrics: &Metrics) -> f64 {
    exposed(metrics)
        .value(names::TELEMETRY_DROPPED, &[("signal", "metrics"), ("reason", "refused")])
}

for_every_backend![
    label_sets_are_bounded,
    what_tells_of_overflow_does_not_overflow,
    samples_that_would_mix_are_refused,
    a_gauge_may_share_a_counter_s_name,
    values_that_spoil_a_sum_are_refused,
    names_are_bounded,
    threads_lose_nothing,
    a_scrape_under_load_is_whole_and_never_goes_back,
];

fn label_sets_are_bounded(choose: Choose) {
    let metrics = choose(config()).with_max_label_sets(50).build().unwrap();
    let keys = 100_000;
    record(&metrics, || {
        for key in 0..keys {
            counter!("x", "id" => key.to_string(), "kind" => "k").increment(1);
        }
        for key in 0..60 {
            histogram!("h", "id" => key.to_string()).record(0.1);
            gauge!("g", "id" => key.to_string()).increment(1.0);
        }
        // A key that is known stays known.
        counter!("x", "id" => "7", "kind" => "k").increment(1);
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.series("x_total"), 51);
    assert_eq!(exposed.value("x_total", &[("id", "7")]), 2.0);
    let other = [("id", "_other"), ("kind", "_other")];
    assert_eq!(exposed.value("x_total", &other), f64::from(keys - 50));
    assert_eq!(exposed.value("h_count", &[("id", "_other")]), 10.0);
    assert_eq!(exposed.value("g", &[("id", "_other")]), 10.0);
    let overflow = |metric, label| {
        exposed.value(names::LABEL_OVERFLOW, &[("metric", metric), ("label", label)])
    };
    assert_eq!(overflow("x_total", "*"), f64::from(keys - 50));
    assert_eq!(overflow("h", "*"), 10.0);
}

fn what_tells_of_overflow_does_not_overflow(choose: Choose) {
    let metrics = choose(config()).with_max_label_sets(2).build().unwrap();
    record(&metrics, || {
        for metric in 0..10 {
            for key in 0..5 {
                counter!(format!("x{metric}"), "id" => key.to_string()).increment(1);
            }
        }
    });
    let exposed = exposed(&metrics);
    for metric in 0..10 {
        let metric = format!("x{metric}_total");
        assert_eq!(exposed.series(&metric), 3);
        assert_eq!(exposed.value(names::LABEL_OVERFLOW, &[("metric", &metric)]), 3.0);
    }
    assert_eq!(exposed.series(names::TELEMETRY_DROPPED), DropReason::ALL.len());
}

fn samples_that_would_mix_are_refused(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        histogram!("wait").record(1.0);
        gauge!("wait_sum").set(1.0);
        gauge!("wait_bucket").increment(1.0);
        counter!("wait").increment(1);
        gauge!("wait").set(1.0);
        counter!("jobs").increment(1);
        gauge!("jobs_total").set(1.0);
        gauge!("depth_count").set(1.0);
        histogram!("depth").record_many(1.0, 5);
    });
    let exposed = exposed(&metrics);
    let refused: Vec<String> = metrics.refused().iter().map(ToString::to_string).collect();
    assert_eq!(
        refused,
        [
            "the gauge `jobs_total` is not recorded: its samples would mix with those of \
             `jobs_total`; rename one of them",
            "the gauge `wait` is not recorded: its samples would mix with those of `wait`; \
             rename one of them",
            "the gauge `wait_bucket` is not recorded: its samples would mix with those of `wait`; \
             rename one of them",
            "the gauge `wait_sum` is not recorded: its samples would mix with those of `wait`; \
             rename one of them",
            "the histogram `depth` is not recorded: its samples would mix with those of \
             `depth_count`; rename one of them",
        ]
    );
    assert_eq!(exposed.value("wait_count", &[]), 1.0);
    assert_eq!(exposed.value("wait_total", &[]), 1.0);
    assert_eq!(lost(&metrics), 9.0);
}

fn a_gauge_may_share_a_counter_s_name(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        gauge!("connections").set(3.0);
        counter!("connections").increment(7);
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("connections", &[]), 3.0);
    assert_eq!(exposed.value("connections_total", &[]), 7.0);
}

fn values_that_spoil_a_sum_are_refused(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        let histogram = histogram!("wait");
        for value in [f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY] {
            histogram.record(value);
        }
        histogram.record_many(f64::NAN, 4);
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("wait_sum", &[]), 1.0);
    assert_eq!(exposed.value("wait_count", &[]), 1.0);
    assert_eq!(lost(&metrics), 7.0);
}

fn names_are_bounded(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        describe_counter!("described", "What is described has its place.");
        for i in 0..5000 {
            counter!(format!("x{i}")).increment(1);
        }
        gauge!("y".repeat(10_000)).set(1.0);
        counter!("described").increment(1);
    });
    let refused = metrics.refused();
    assert_eq!(refused.len(), 100);
    assert!(refused.iter().all(|metric| metric.name().chars().count() <= 200));
    assert!(refused[0].to_string().contains("too many metric names"), "{}", refused[0]);
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("x1_total", &[]), 1.0);
    assert_eq!(exposed.value("described_total", &[]), 1.0);
    let taken = exposed.families.iter().filter(|family| family.name.starts_with('x')).count();
    assert!((1990..=2000).contains(&taken), "{taken}");
    assert_eq!(lost(&metrics), 5001.0 - f64::from(u32::try_from(taken).unwrap()));
}

fn threads_lose_nothing(choose: Choose) {
    const THREADS: u32 = 4;
    const EACH: u32 = 20_000;
    let metrics = choose(config()).build().unwrap();
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (metrics, start) = (&metrics, &start);
            scope.spawn(move || {
                start.wait();
                record(metrics, || {
                    let shared = histogram!("shared");
                    for i in 0..EACH {
                        counter!("x", "id" => (i % 100).to_string()).increment(1);
                        gauge!("g").increment(1.0);
                        shared.record(f64::from(i % 3));
                        histogram!("h", "thread" => thread.to_string()).record(0.001);
                    }
                });
            });
        }
    });
    let exposed = exposed(&metrics);
    for id in 0..100 {
        let value = exposed.value("x_total", &[("id", &id.to_string())]);
        assert_eq!(value, f64::from(THREADS * EACH / 100));
    }
    let all = f64::from(THREADS * EACH);
    assert_eq!(exposed.value("g", &[]), all);
    assert_eq!(exposed.value("shared_count", &[]), all);
    let sum: u32 = (0..EACH).map(|i| i % 3).sum();
    assert_eq!(exposed.value("shared_sum", &[]), f64::from(THREADS * sum));
    for thread in 0..THREADS {
        let value = exposed.value("h_count", &[("thread", &thread.to_string())]);
        assert_eq!(value, f64::from(EACH));
    }
}

fn a_scrape_under_load_is_whole_and_never_goes_back(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    let done = AtomicBool::new(false);
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    thread::scope(|scope| {
        for thread in 0..2 {
            let (metrics, done) = (&metrics, &done);
            scope.spawn(move || {
                record(metrics, || {
                    let mut i = 0;
                    while !done.load(Relaxed) {
                        i += 1;
                        histogram!("wait", "n" => (i % 7).to_string()).record(f64::from(i % 11));
                        counter!("x", "n" => (i % 500).to_string(), "t" => thread.to_string())
                            .increment(1);
                    }
                });
            });
        }
        for _ in 0..20 {
            // The parser checks that buckets, count and sum agree.
            for sample in exposed(&metrics).families.into_iter().flat_map(|f| f.samples) {
                let key = format!("{}{:?}", sample.name, sample.labels);
                let before = last.insert(key, sample.value).unwrap_or(0.0);
                assert!(before <= sample.value, "{sample:?} was {before}");
            }
        }
        done.store(true, Relaxed);
    });
}
