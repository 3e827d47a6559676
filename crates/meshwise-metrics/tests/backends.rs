//! One suite for every backend: what one shows the other shows. Values, names, labels, hooks.

#[macro_use]
mod support;

use meshwise_core::{DropReason, Signal, internal::LossCounters};
use meshwise_metrics::names;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge, histogram};
use std::sync::Arc;
use support::{Choose, config, exposed, record};

for_every_backend![
    counters_add_up_and_follow_others,
    gauges_are_set_and_stepped,
    histograms_fall_into_buckets,
    buckets_go_by_name,
    a_histogram_s_name_may_end_like_a_suffix,
    what_was_described_says_so,
    names_become_valid,
    label_values_come_back_as_they_were,
    labels_that_become_one_are_one_series,
    constant_labels_are_on_all_series,
    losses_are_shown,
    hooks_run_before_each_scrape,
    a_hook_that_panics_spoils_nothing,
    shutting_down_keeps_what_was_recorded,
];

fn counters_add_up_and_follow_others(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        for _ in 0..3 {
            counter!("jobs_total", "queue" => "mail").increment(2);
        }
        counter!("jobs_total", "queue" => "print").increment(u64::from(u32::MAX));
        let kept_elsewhere = counter!("reads_total");
        for value in [10, 30, 20] {
            kept_elsewhere.absolute(value);
        }
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("jobs_total", &[("queue", "mail")]), 6.0);
    assert_eq!(exposed.value("jobs_total", &[("queue", "print")]), f64::from(u32::MAX));
    assert_eq!(exposed.value("reads_total", &[]), 30.0);
    assert_eq!(exposed.family("jobs_total").kind, "counter");
}

fn gauges_are_set_and_stepped(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        let gauge = gauge!("depth");
        gauge.set(2.5);
        gauge.increment(3.0);
        gauge.decrement(1.0);
        gauge!("nothing").set(f64::NAN);
        gauge!("much").set(f64::INFINITY);
        gauge!("little").set(f64::NEG_INFINITY);
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("depth", &[]), 4.5);
    assert_eq!(exposed.family("depth").kind, "gauge");
    // A gauge may show anything; some programs say "unknown" with NaN.
    assert!(exposed.value("nothing", &[]).is_nan());
}

fn histograms_fall_into_buckets(choose: Choose) {
    let metrics = choose(config()).with_buckets("wait", &[-1.0, 0.0, 2.5]).build().unwrap();
    record(&metrics, || {
        let histogram = histogram!("wait", "a" => "b");
        for value in [-2.0, -1.0, 0.0, 0.5, 2.5, 2.500_001, 1e300, -1e300] {
            histogram.record(value);
        }
        histogram.record_many(1.0, 10);
    });
    let exposed = exposed(&metrics);
    let family = exposed.family("wait");
    let buckets: Vec<f64> = family
        .samples
        .iter()
        .filter(|sample| sample.name == "wait_bucket")
        .map(|sample| sample.value)
        .collect();
    assert_eq!(buckets, [3.0, 4.0, 16.0, 18.0]);
    assert_eq!(exposed.value("wait_count", &[("a", "b")]), 18.0);
    assert_eq!(family.kind, "histogram");
}

fn buckets_go_by_name(choose: Choose) {
    let metrics = choose(config())
        .with_duration_buckets(&[1.0])
        .with_size_buckets(&[10.0, 20.0])
        .with_buckets("my.special", &[1.0, 2.0, 3.0])
        .build()
        .unwrap();
    record(&metrics, || {
        for name in ["a_seconds", "a", "a_bytes", "my.special"] {
            histogram!(name).record(1.5);
        }
    });
    let exposed = exposed(&metrics);
    let bounds = |name| exposed.family(name).samples.iter().filter(|s| s.labels.contains_key("le"));
    let counts = ["a_seconds", "a", "a_bytes", "my_special"].map(|name| bounds(name).count());
    assert_eq!(counts, [2, 2, 3, 4]);
}

fn a_histogram_s_name_may_end_like_a_suffix(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    let histograms = ["checksum", "account", "wait_sum", "big_bucket", "x_count"];
    record(&metrics, || {
        for name in histograms {
            histogram!(name).record(1.0);
            histogram!(name, "a" => "b").record(2.0);
        }
    });
    let exposed = exposed(&metrics);
    for name in histograms {
        assert_eq!(exposed.value(&format!("{name}_sum"), &[("a", "b")]), 2.0);
        assert_eq!(exposed.value(&format!("{name}_count"), &[("a", "b")]), 1.0);
    }
}

fn what_was_described_says_so(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        describe_counter!("before.hand", Unit::Count, "Said \\ \"first\"\nin two lines");
        describe_counter!("before.hand", "said again");
        describe_gauge!("after", "never seen: it is a counter");
        describe_gauge!("never_recorded", "nothing to see");
        counter!("before.hand").increment(1);
        counter!("after").increment(1);
        counter!("silent").increment(1);
    });
    assert_eq!(exposed(&metrics).family("silent_total").help, "(not described)");
    record(&metrics, || describe_counter!("after_total", "said last"));
    let exposed = exposed(&metrics);
    let help = |name| exposed.family(name).help.as_str();
    assert_eq!(help("before_hand_total"), "Said \\ \"first\"\nin two lines");
    assert_eq!(help("after_total"), "said last");
    assert!(exposed.find("never_recorded").is_none());
}

fn names_become_valid(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        counter!("jobs.done").increment(1);
        counter!("jobs-done").increment(1);
        gauge!("9 lives\n").set(1.0);
        gauge!("ключ", "имя" => "v", "a b" => "1", "__c" => "2", "le" => "3").set(1.0);
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("jobs_done_total", &[]), 2.0);
    assert_eq!(exposed.value("_9_lives_", &[]), 1.0);
    let labels = [("___", "v"), ("a_b", "1"), ("_c", "2"), ("exported_le", "3")];
    // `имя` becomes three underscores, of which one is left: more are reserved.
    let labels =
        labels.map(|(name, value)| if name == "___" { ("_", value) } else { (name, value) });
    assert_eq!(exposed.value("____", &labels), 1.0);
}

fn label_values_come_back_as_they_were(choose: Choose) {
    let values = [
        "",
        " ",
        "\\",
        "\\\\",
        "\\\\\\",
        "\\n",
        "\n",
        "\\\n",
        "\"",
        "\\\"",
        "\\\\\"",
        "a\\",
        "{}=,#",
        "\t\r\0",
        "ü 漢 🦀",
        "+Inf",
    ];
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        for (i, value) in values.iter().enumerate() {
            counter!("x_total", "n" => i.to_string(), "v" => *value).increment(1);
        }
    });
    let exposed = exposed(&metrics);
    for (i, value) in values.iter().enumerate() {
        assert_eq!(exposed.value("x_total", &[("n", &i.to_string()), ("v", value)]), 1.0);
    }
}

fn labels_that_become_one_are_one_series(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || {
        counter!("x", "a.b" => "1", "c" => "2").increment(1);
        counter!("x", "c" => "2", "a-b" => "1").increment(1);
        counter!("x", "c" => "2", "a_b" => "1", "empty" => "").increment(1);
        // Of two with one name the last stays.
        counter!("x", "c" => "3", "c" => "2", "a_b" => "1").increment(1);
        for i in 0..100 {
            counter!("x", "c" => "2", "a_b" => "1", format!("empty{i}") => "").increment(1);
        }
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("x_total", &[("a_b", "1"), ("c", "2")]), 104.0);
}

fn constant_labels_are_on_all_series(choose: Choose) {
    let metrics = choose(config())
        .with_constant_label("zone", "a\"")
        .with_constant_label("env.name", "test")
        .build()
        .unwrap();
    record(&metrics, || {
        gauge!("plain").set(1.0);
        gauge!("own", "zone" => "b").set(1.0);
        histogram!("h").record(1.0);
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("plain", &[("zone", "a\""), ("env_name", "test")]), 1.0);
    assert_eq!(exposed.value("own", &[("zone", "b"), ("env_name", "test")]), 1.0);
    for family in exposed.families {
        for sample in family.samples {
            assert!(sample.labels.contains_key("zone"), "{sample:?}");
        }
    }
}

fn losses_are_shown(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    let losses = Arc::new(LossCounters::new(Signal::Traces));
    metrics.track_losses({
        let losses = Arc::clone(&losses);
        move || losses.report()
    });
    losses.delivered(98);
    losses.dropped(DropReason::QueueFull, 2);
    let found = exposed(&metrics);
    assert_eq!(found.value(names::TELEMETRY_EXPORTED, &[("signal", "traces")]), 98.0);
    let dropped = |exposed: &support::strict::Exposed, reason| {
        exposed.value(names::TELEMETRY_DROPPED, &[("signal", "traces"), ("reason", reason)])
    };
    assert_eq!(dropped(&found, "queue_full"), 2.0);
    assert_eq!(dropped(&found, "shutdown"), 0.0);
    losses.dropped(DropReason::QueueFull, 1);
    assert_eq!(dropped(&exposed(&metrics), "queue_full"), 3.0);
}

fn hooks_run_before_each_scrape(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    // A hook may itself add one; it runs from the next scrape on.
    let again = metrics.clone();
    metrics.on_scrape(move |recorder| {
        metrics::with_local_recorder(recorder, || counter!("scrapes").increment(1));
        again.on_scrape(|recorder| {
            metrics::with_local_recorder(recorder, || counter!("inner").increment(1));
        });
    });
    assert!(exposed(&metrics).find("inner_total").is_none());
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("scrapes_total", &[]), 2.0);
    assert_eq!(exposed.value("inner_total", &[]), 1.0);
}

fn a_hook_that_panics_spoils_nothing(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    metrics.on_scrape(|_| panic!("on purpose"));
    metrics.on_scrape(|recorder| {
        metrics::with_local_recorder(recorder, || gauge!("after").set(1.0));
    });
    let exposed = exposed(&metrics);
    assert_eq!(exposed.value("after", &[]), 1.0);
    assert_eq!(exposed.value(names::SCRAPE_HOOK_PANICS, &[]), 1.0);
}

fn shutting_down_keeps_what_was_recorded(choose: Choose) {
    let metrics = choose(config()).build().unwrap();
    record(&metrics, || histogram!("wait").record(1.0));
    metrics.shutdown();
    metrics.shutdown();
    record(&metrics, || histogram!("wait").record(1.0));
    assert_eq!(exposed(&metrics).value("wait_count", &[]), 2.0);
}
