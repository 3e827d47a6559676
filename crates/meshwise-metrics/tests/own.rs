//! What only our own recorder does: exemplars, `OpenMetrics`, streaming, constant memory.

mod support;

use allocation_counter::measure;
use flate2::read::GzDecoder;
use meshwise_core::{SpanId, TraceId};
use meshwise_metrics::{Exemplar, Format, Metrics, names, with_exemplar};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::{
    cell::Cell,
    collections::BTreeSet,
    io::Read as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{config, exposed, metrics, open_metrics, record, scrape, strict};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

fn exemplar(id: u64) -> Exemplar {
    Exemplar::new(TraceId::from_int(u128::from(id)), SpanId::from_int(id + 1))
}

/// Leaves out what this crate says about itself.
fn own_lines(text: &str) -> String {
    let own = ["meshwise_", "target_info"];
    let lines = text.lines().filter(|line| !own.iter().any(|own| line.contains(own)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Records one of each kind.
fn sample() -> Metrics {
    let metrics = config().with_buckets("wait_seconds", &[0.1, 1.0]).build().expect("metrics");
    record(&metrics, || {
        describe_counter!("jobs", "Jobs done, \"all\" of them.");
        describe_gauge!("depth", Unit::Count, "Jobs that wait.");
        describe_histogram!("wait_seconds", Unit::Seconds, "Time that jobs wait.");
        counter!("jobs", "queue" => "mail").increment(3);
        gauge!("depth").set(2.5);
        let wait = histogram!("wait_seconds", "queue" => "mail");
        wait.record(0.05);
        wait.record(0.5);
    });
    metrics
}

#[test]
fn text_looks_like_this() {
    let expected = r#"# HELP depth Jobs that wait.
# TYPE depth gauge
depth 2.5
# HELP jobs_total Jobs done, "all" of them.
# TYPE jobs_total counter
jobs_total{queue="mail"} 3
# HELP wait_seconds Time that jobs wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{queue="mail",le="0.1"} 1
wait_seconds_bucket{queue="mail",le="1.0"} 2
wait_seconds_bucket{queue="mail",le="+Inf"} 2
wait_seconds_sum{queue="mail"} 0.55
wait_seconds_count{queue="mail"} 2
"#;
    assert_eq!(own_lines(&sample().render_text()), expected);
}

#[test]
fn open_metrics_looks_like_this() {
    let expected = r#"# HELP depth Jobs that wait.
# TYPE depth gauge
depth 2.5
# HELP jobs Jobs done, \"all\" of them.
# TYPE jobs counter
jobs_total{queue="mail"} 3
# HELP wait_seconds Time that jobs wait.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{queue="mail",le="0.1"} 1
wait_seconds_bucket{queue="mail",le="1.0"} 2
wait_seconds_bucket{queue="mail",le="+Inf"} 2
wait_seconds_sum{queue="mail"} 0.55
wait_seconds_count{queue="mail"} 2
# EOF
"#;
    let mut text = Vec::new();
    sample().write_to(Format::OpenMetrics, &mut text).expect("written");
    assert_eq!(own_lines(&String::from_utf8(text).expect("UTF-8")), expected);
}

#[test]
fn all_that_is_shown_by_default_is_strict_in_both_formats() {
    let metrics = config().with_process_metrics(true).build().expect("metrics");
    record(&metrics, || {
        gauge!("connections").set(1.0);
        counter!("connections").increment(1);
    });
    let (text, open) = (exposed(&metrics), open_metrics(&metrics));
    assert_eq!(text.names(), open.names());
    for family in text.families.iter().filter(|family| !family.name.starts_with("connections")) {
        assert_ne!(family.help, "(not described)", "{}", family.name);
    }
    // Two families with one name would not do: the counter is said to be unknown.
    assert_eq!(text.family("connections_total").kind, "counter");
    assert_eq!(open.family("connections_total").kind, "unknown");
    assert_eq!(open.family(names::TELEMETRY_DROPPED).kind, "counter");
    #[cfg(target_os = "linux")]
    assert_eq!(open.family(names::PROCESS_CPU).unit.as_deref(), Some("seconds"));
}

#[test]
fn a_sum_that_may_fall_is_not_in_open_metrics() {
    let below = config().with_buckets("delta", &[-1.0, 1.0]).build().expect("metrics");
    record(&below, || histogram!("delta").record(5.0));
    let fell = metrics();
    record(&fell, || {
        histogram!("delta").record(-5.0);
        // Positive again, but it was less in between.
        histogram!("delta").record(20.0);
        histogram!("delta", "only" => "up").record(1.0);
        histogram!("zero").record(-0.0);
    });
    for (metrics, sum, count) in [(&below, 5.0, 1.0), (&fell, 15.0, 2.0)] {
        let plain = |sample: &&strict::Sample| !sample.labels.contains_key("only");
        let open = open_metrics(metrics);
        let samples = open.family("delta").samples.iter().filter(plain);
        let names: BTreeSet<&str> = samples.map(|sample| &*sample.name).collect();
        assert_eq!(names, BTreeSet::from(["delta_bucket"]));
        // The older format takes any sum.
        let text = exposed(metrics);
        let value = |name| {
            let mut samples = text.family("delta").samples.iter().filter(plain);
            samples.find(|sample| sample.name == name).expect(name).value
        };
        assert_eq!((value("delta_sum"), value("delta_count")), (sum, count));
    }
    let open = open_metrics(&fell);
    assert_eq!(open.value("delta_sum", &[("only", "up")]), 1.0);
    assert_eq!(open.value("delta_count", &[("only", "up")]), 1.0);
    assert_eq!(open.value("zero_sum", &[]), 0.0);
}

#[test]
fn two_metrics_never_keep_one_name_in_open_metrics() {
    let metrics = metrics();
    record(&metrics, || {
        counter!("orders_total").increment(1);
        counter!("orders_created_total").increment(2);
        // A histogram keeps `wait_created`, a gauge has to have it.
        histogram!("wait", "queue" => "a").record(1.0);
        histogram!("wait", "queue" => "b").record(-2.0);
        gauge!("wait_created").set(3.0);
        // A counter gives way to a histogram.
        histogram!("size").record(1.0);
        counter!("size_created").increment(4);
        gauge!("jobs_created").set(5.0);
        counter!("jobs").increment(6);
        counter!("_total").increment(7);
    });
    let (text, open) = (exposed(&metrics), open_metrics(&metrics));
    assert_eq!(metrics.refused(), [], "the text format has room for all of them");
    for (name, value, kind) in [
        ("orders_total", 1.0, "unknown"),
        ("orders_created_total", 2.0, "counter"),
        ("wait_created", 3.0, "gauge"),
        ("size_created_total", 4.0, "unknown"),
        ("jobs_created", 5.0, "gauge"),
        ("jobs_total", 6.0, "unknown"),
        ("_total", 7.0, "unknown"),
    ] {
        assert_eq!((open.value(name, &[]), &*open.family(name).kind), (value, kind), "{name}");
        assert_eq!(text.value(name, &[]), value);
    }
    assert_eq!(open.family("size").kind, "histogram");
    // Without its type, a histogram is three families.
    assert!(open.find("wait").is_none());
    for suffix in ["_bucket", "_sum", "_count"] {
        let name = format!("wait{suffix}");
        let family = open.family(&name);
        assert_eq!((&*family.kind, &*family.help), ("unknown", "(not described)"));
        let in_text = text.family("wait").samples.iter().filter(|sample| sample.name == name);
        assert!(family.samples.iter().eq(in_text), "{family:?}");
    }
}

#[test]
fn a_gauge_gets_over_what_is_no_number() {
    let metrics = metrics();
    let value = || {
        let text = exposed(&metrics);
        let refused = [("signal", "metrics"), ("reason", "refused")];
        (text.value("depth", &[]), text.value(names::TELEMETRY_DROPPED, &refused))
    };
    record(&metrics, || {
        let depth = gauge!("depth");
        depth.increment(2.0);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            depth.increment(bad);
            depth.decrement(bad);
        }
        assert_eq!(value(), (2.0, 6.0), "refused, and counted");
        // Said in so many words, there is no value; a step begins anew.
        depth.set(f64::NAN);
        assert!(value().0.is_nan());
        depth.increment(3.0);
        assert_eq!(value(), (3.0, 6.0));
        depth.set(f64::MAX);
        depth.increment(f64::MAX);
        assert_eq!(value(), (f64::MAX, 7.0), "a step past all numbers would stay for ever");
        depth.set(f64::INFINITY);
        depth.decrement(1.0);
        assert_eq!(value(), (f64::INFINITY, 7.0));
        depth.set(1.0);
        assert_eq!(value(), (1.0, 7.0));
    });
}

#[test]
fn each_bucket_shows_the_last_traced_value() {
    thread_local! {
        static CURRENT: Cell<Option<Exemplar>> = const { Cell::new(None) };
    }
    let metrics = config()
        .with_buckets("wait_seconds", &[0.1, 1.0])
        .with_exemplars(|| CURRENT.get())
        .build()
        .expect("metrics");
    record(&metrics, || {
        let wait = histogram!("wait_seconds");
        for (value, trace) in
            [(0.01, Some(1)), (0.02, Some(2)), (0.03, None), (0.5, None), (7.0, Some(3))]
        {
            CURRENT.set(trace.map(exemplar));
            wait.record(value);
        }
        CURRENT.set(None);
        // By hand, where no context is current.
        with_exemplar(Some(exemplar(9)), || wait.record(8.0));
    });
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
    let open = open_metrics(&metrics);
    let found: Vec<_> = open
        .family("wait_seconds")
        .samples
        .iter()
        .filter_map(|sample| Some((sample.labels.get("le")?.as_str(), sample.exemplar.as_ref()?)))
        .map(|(le, (labels, value, time))| {
            assert!((time - before).abs() < 60.0, "{time}");
            (le, labels["trace_id"].as_str(), labels["span_id"].as_str(), *value)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("0.1", "00000000000000000000000000000002", "0000000000000003", 0.02),
            ("+Inf", "00000000000000000000000000000009", "000000000000000a", 8.0),
        ]
    );
    // The older format has no place for them.
    assert!(!metrics.render_text().contains(" # "));
}

#[test]
fn a_scraper_gets_the_format_and_encoding_it_asks_for() {
    let metrics = sample();
    for (accept, format) in
        [("", Format::Text), ("*/*", Format::Text), (OPEN_METRICS, Format::OpenMetrics)]
    {
        for (encoding, gzip) in
            [("", false), ("gzip;q=0", false), ("deflate, gzip;q=0.5", cfg!(feature = "gzip"))]
        {
            let answer = metrics.render(&scrape(accept, encoding));
            assert_eq!(answer.content_type, format.content_type());
            assert_eq!(answer.content_encoding, gzip.then_some("gzip"));
            let mut text = String::new();
            if gzip {
                GzDecoder::new(&*answer.body).read_to_string(&mut text).expect("gzip");
            } else {
                text.push_str(std::str::from_utf8(&answer.body).expect("UTF-8"));
            }
            assert_eq!(strict::parse(&text, format).value("jobs_total", &[]), 3.0);
        }
    }
}

#[test]
fn a_large_exposition_is_never_whole_in_memory() {
    let metrics = config().with_max_label_sets(5000).build().expect("metrics");
    record(&metrics, || {
        for i in 0..5000 {
            histogram!("wait_seconds", "id" => i.to_string()).record(0.1);
        }
    });
    let whole = metrics.render_text();
    assert!(whole.len() > 3_000_000, "{}", whole.len());
    for encoding in ["", "gzip"] {
        let info = measure(|| {
            for piece in metrics.stream(&scrape("", encoding)) {
                assert!(piece.len() < 80 * 1024, "a piece of {}", piece.len());
            }
        });
        // The list of one metric's series, a piece, and what gzip works with.
        assert!(info.bytes_max < 800_000, "{} bytes at once", info.bytes_max);
    }
    let streamed: Vec<u8> = metrics.stream(&scrape("", "")).flatten().collect();
    assert_eq!(String::from_utf8(streamed).expect("UTF-8"), whole);
}

#[test]
fn values_take_no_memory() {
    let metrics = metrics();
    let current = Arc::new(());
    record(&metrics, || {
        let wait = histogram!("wait_seconds");
        let (jobs, depth) = (counter!("jobs"), gauge!("depth"));
        wait.record(0.1);
        let info = measure(|| {
            for i in 0..1_000_000 {
                wait.record(f64::from(i) * 1e-5);
                jobs.increment(1);
                depth.set(f64::from(i));
            }
        });
        assert_eq!(info.count_total, 0);
    });
    drop(current);
    assert_eq!(exposed(&metrics).value("wait_seconds_count", &[]), 1_000_001.0);
}

#[test]
fn macros_with_constant_labels_allocate_nothing() {
    let metrics = metrics();
    record(&metrics, || {
        let all = || {
            counter!("jobs", "queue" => "mail").increment(1);
            gauge!("depth", "queue" => "mail").set(1.0);
            histogram!("wait_seconds", "queue" => "mail").record(0.1);
        };
        all();
        assert_eq!(measure(|| (0..1000).for_each(|_| all())).count_total, 0);
    });
}

#[test]
fn a_writer_that_fails_ends_it() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = sample().write_to(Format::Text, &mut Full).expect_err("it is full");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn idle_series_go_by_themselves() {
    // With no time to be idle at all: what was not written to since the last look is gone.
    let metrics = config().with_idle_timeout(Some(Duration::ZERO)).build().expect("metrics");
    record(&metrics, || {
        counter!("jobs", "queue" => "mail").increment(1);
        histogram!("wait_seconds").record(1.0);
    });
    assert!(exposed(&metrics).find("jobs_total").is_some());
    let later = exposed(&metrics);
    assert!(later.find("jobs_total").is_none());
    assert!(later.find("wait_seconds").is_none());
    // What is set at each scrape stays.
    assert!(later.find(names::BUILD_INFO).is_some());
}
