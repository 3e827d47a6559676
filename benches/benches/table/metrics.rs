//! Metrics: writing to them, showing them, and what they take while no one looks.

use benches::{Bench, Contestant, Effort, Row};
use http::{HeaderMap, HeaderValue, header::ACCEPT};
use meshwise::{
    core::Service,
    metrics::{
        Metrics, MetricsConfig,
        internal::{BodySizes, HttpClientMetrics, HttpClientSeries, HttpClientTarget},
    },
};
use metrics::{Key, Label, Level, Metadata, Recorder, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use prometheus_client::{encoding::EncodeLabelSet, metrics::family::Family};
use std::{cell::Cell, hint::black_box, time::Duration};

/// OpenTelemetry's for calls, in seconds.
pub(crate) const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const NAME: &str = "call_seconds";
/// What Prometheus asks for when it takes native histograms.
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                        encoding=delimited";
pub(crate) static METADATA: Metadata<'static> = Metadata::new("benches", Level::INFO, None);

fn config(series: usize) -> MetricsConfig {
    MetricsConfig::new(Service::new("bench", "0.0.0"))
        .with_max_label_sets(series.max(2000))
        .with_process_metrics(false)
        .with_buckets(NAME, &BOUNDS)
}

pub(crate) fn ours(series: usize) -> Metrics {
    config(series).build().expect("metrics")
}

/// With native buckets beside the classic ones.
fn ours_native(series: usize) -> Metrics {
    config(series).with_native_histogram(NAME).build().expect("metrics")
}

pub(crate) fn exporter() -> PrometheusRecorder {
    PrometheusBuilder::new().set_buckets(&BOUNDS).expect("buckets").build_recorder()
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: String,
    status: String,
}

type Histograms = Family<Labels, Histogram, fn() -> Histogram>;
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};

fn client_family() -> Histograms {
    Family::new_with_constructor(|| Histogram::new(BOUNDS))
}

/// With classic buckets and native ones, as many and as fine as ours.
fn client_native() -> Histogram {
    let native = NativeHistogramConfig::with_schema(3).max_buckets(160);
    Histogram::new_classic_and_native(BOUNDS, native)
}

fn route(i: usize) -> String {
    format!("/orders/{{id}}/parts/{i}")
}

pub(crate) fn key(i: usize) -> Key {
    let labels = vec![Label::new("route", route(i)), Label::from_static_parts("status", "200")];
    Key::from_parts(NAME, labels)
}

pub(crate) fn handle(recorder: &dyn Recorder, i: usize) -> metrics::Histogram {
    recorder.register_histogram(&key(i), &METADATA)
}

/// Values that fall into many buckets.
pub(crate) fn value(i: usize) -> f64 {
    0.003 * (i % 97 + 1) as f64
}

pub(crate) fn prometheus_vec() -> prometheus::HistogramVec {
    let options = prometheus::HistogramOpts::new(NAME, "Calls").buckets(BOUNDS.to_vec());
    prometheus::HistogramVec::new(options, &["route", "status"]).expect("a histogram")
}

/// Calls with 0, 1, 2, ...
fn counting(mut call: impl FnMut(usize) + 'static) -> Contestant {
    let next = Cell::new(0_usize);
    Contestant::new(move || call(next.replace(next.get().wrapping_add(1))))
}

pub(crate) fn run(bench: &mut Bench) {
    held(bench);
    by_labels(bench);
    series(bench);
    peers(bench);
    scrape(bench);
    scrape_protobuf(bench);
    unscraped(bench);
}

fn held(bench: &mut Bench) {
    bench.contest("metric update: histogram, handle held", |contest| {
        contest.ours("meshwise-metrics", || {
            let recorder = ours(10).recorder();
            let histogram = handle(&recorder, 0);
            counting(move |i| histogram.record(value(i)))
        });
        contest.peer("metrics-exporter-prometheus", || {
            let recorder = exporter();
            let histogram = handle(&recorder, 0);
            counting(move |i| histogram.record(value(i)))
                .with_settle(move || recorder.handle().run_upkeep())
        });
        contest.peer("prometheus-client", || {
            let histogram = Histogram::new(BOUNDS);
            counting(move |i| histogram.observe(value(i)))
        });
        contest.peer("prometheus", || {
            let histogram = prometheus_vec().with_label_values(&["/", "200"]);
            counting(move |i| histogram.observe(value(i)))
        });
    });
    bench.contest("metric update: native histogram, handle held", |contest| {
        contest.ours("meshwise-metrics", || {
            let recorder = ours_native(10).recorder();
            let histogram = handle(&recorder, 0);
            counting(move |i| histogram.record(value(i)))
        });
        contest.peer("prometheus-client", || {
            let histogram = client_native();
            counting(move |i| histogram.observe(value(i)))
        });
    });
    bench.contest("metric update: counter, handle held", |contest| {
        contest.ours("meshwise-metrics", || {
            let recorder = ours(10).recorder();
            let counter = recorder.register_counter(&Key::from_static_name("calls"), &METADATA);
            Contestant::new(move || counter.increment(1))
        });
        contest.peer("metrics-exporter-prometheus", || {
            let counter = exporter().register_counter(&Key::from_static_name("calls"), &METADATA);
            Contestant::new(move || counter.increment(1))
        });
        contest.peer("prometheus-client", || {
            let counter: prometheus_client::metrics::counter::Counter = Default::default();
            Contestant::new(move || {
                counter.inc();
            })
        });
        contest.peer("prometheus", || {
            let counter = prometheus::IntCounter::new("calls", "Calls").expect("a counter");
            Contestant::new(move || counter.inc())
        });
    });
}

fn by_labels(bench: &mut Bench) {
    fn update(i: usize) {
        metrics::histogram!(NAME, "route" => "/orders/{id}", "status" => "200").record(value(i));
    }
    bench.contest("metric update: histogram, by name and labels", |contest| {
        contest.ours("metrics macro, meshwise-metrics", || {
            let recorder = ours(10).recorder();
            counting(move |i| with_local_recorder(&recorder, || update(i)))
        });
        contest.peer("metrics macro, metrics-exporter-prometheus", || {
            let recorder = exporter();
            let handle = recorder.handle();
            counting(move |i| with_local_recorder(&recorder, || update(i)))
                .with_settle(move || handle.run_upkeep())
        });
        contest.peer("prometheus-client Family", || {
            let family = client_family();
            counting(move |i| {
                let labels = Labels { route: "/orders/{id}".to_owned(), status: "200".to_owned() };
                family.get_or_create(&labels).observe(value(i));
            })
        });
        contest.peer("prometheus HistogramVec", || {
            let vec = prometheus_vec();
            counting(move |i| vec.with_label_values(&["/orders/{id}", "200"]).observe(value(i)))
        });
    });
}

/// Looks a series up among many, each in turn.
fn series(bench: &mut Bench) {
    for series in [10, 1_000, 100_000] {
        if bench.effort() == Effort::Quick && series > 1_000 {
            continue;
        }
        let name = format!("metric update: histogram, by key, {series} series in turn");
        bench.contest(&name, |contest| {
            contest.batch(series.max(20_000));
            contest.skip_instructions();
            let keys = move || (0..series).map(key).collect::<Vec<Key>>();
            contest.ours("meshwise-metrics", move || {
                let (recorder, keys) = (ours(series).recorder(), keys());
                counting(move |i| {
                    recorder.register_histogram(&keys[i % series], &METADATA).record(value(i));
                })
            });
            contest.peer("metrics-exporter-prometheus", move || {
                let (recorder, keys) = (exporter(), keys());
                let handle = recorder.handle();
                counting(move |i| {
                    recorder.register_histogram(&keys[i % series], &METADATA).record(value(i));
                })
                .with_settle(move || handle.run_upkeep())
            });
            contest.peer("prometheus HistogramVec", move || {
                let vec = prometheus_vec();
                let routes: Vec<String> = (0..series).map(route).collect();
                counting(move |i| {
                    vec.with_label_values(&[routes[i % series].as_str(), "200"]).observe(value(i));
                })
            });
        });
    }
}

/// Calls to so many peers in turn, as client layers count them.
fn peers(bench: &mut Bench) {
    for peers in [1, 100, 10_000] {
        let name = format!("metric update: outgoing call, {peers} peers in turn");
        bench.contest(&name, |contest| {
            contest.batch(20_000);
            contest.skip_instructions();
            let names = move || (0..peers).map(|i| format!("stock-{i}")).collect::<Vec<_>>();
            contest.ours("meshwise HttpClientMetrics", move || {
                let (client, names) = (HttpClientMetrics::new(&ours(10)), names());
                let target = |peer| HttpClientTarget { address: peer, port: Some(80), peer };
                let series: Vec<HttpClientSeries> =
                    names.iter().map(|peer| client.series(&target(peer))).collect();
                counting(move |i| {
                    let peer = &series[i % peers];
                    peer.inc_active();
                    let taken = Duration::from_secs_f64(value(i));
                    peer.finished("GET", Some(200), None, taken, BodySizes::default());
                    peer.dec_active();
                })
            });
            contest.peer("metrics macros, metrics-exporter-prometheus", move || {
                let (recorder, names) = (exporter(), names());
                let handle = recorder.handle();
                counting(move |i| {
                    let peer = &names[i % peers];
                    with_local_recorder(&recorder, || {
                        let active = metrics::gauge!("active", "peer" => peer.clone());
                        active.increment(1.0);
                        metrics::histogram!(
                            NAME, "method" => "GET", "peer" => peer.clone(), "status" => "200"
                        )
                        .record(value(i));
                        active.decrement(1.0);
                    });
                })
                .with_settle(move || handle.run_upkeep())
            });
            contest.peer("prometheus, two vectors", move || {
                let options = prometheus::Opts::new("active", "Calls in flight");
                let active = prometheus::IntGaugeVec::new(options, &["peer"]).expect("a gauge");
                let (calls, names) = (prometheus_vec(), names());
                counting(move |i| {
                    let peer = names[i % peers].as_str();
                    let active = active.with_label_values(&[peer]);
                    active.inc();
                    calls.with_label_values(&[peer, "200"]).observe(value(i));
                    active.dec();
                })
            });
        });
    }
}

fn fill(recorder: &dyn Recorder, series: usize) {
    for i in 0..series {
        let histogram = handle(recorder, i);
        (0..20).for_each(|n| histogram.record(value(i + n)));
    }
}

fn client_filled(family: Histograms, series: usize) -> Histograms {
    for i in 0..series {
        let labels = Labels { route: route(i), status: "200".to_owned() };
        let histogram = family.get_or_create_owned(&labels);
        (0..20).for_each(|n| histogram.observe(value(i + n)));
    }
    family
}

/// Answers a scrape.
fn scrape(bench: &mut Bench) {
    for series in [10, 100, 1_000, 10_000, 100_000] {
        if bench.effort() == Effort::Quick && series > 100 {
            continue;
        }
        let filled = move |recorder: &dyn Recorder| fill(recorder, series);
        bench.contest(&format!("/metrics, {series} histograms"), |contest| {
            contest.batch(200);
            contest.ours("meshwise-metrics, streamed", move || {
                let metrics = ours(series);
                filled(&metrics.recorder());
                Contestant::new(move || {
                    metrics.stream(&HeaderMap::new()).for_each(|piece| drop(black_box(piece)));
                })
            });
            contest.peer("metrics-exporter-prometheus", move || {
                let recorder = exporter();
                filled(&recorder);
                let handle = recorder.handle();
                Contestant::new(move || drop(black_box(handle.render())))
            });
            contest.peer("prometheus-client", move || {
                let family = client_filled(client_family(), series);
                let mut registry = prometheus_client::registry::Registry::default();
                registry.register(NAME, "Calls", family);
                Contestant::new(move || {
                    let mut text = String::new();
                    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
                    drop(black_box(text));
                })
            });
            contest.peer("prometheus", move || {
                let vec = prometheus_vec();
                for i in 0..series {
                    let histogram = vec.with_label_values(&[route(i).as_str(), "200"]);
                    (0..20).for_each(|n| histogram.observe(value(i + n)));
                }
                let registry = prometheus::Registry::new();
                registry.register(Box::new(vec)).expect("a registry");
                Contestant::new(move || {
                    let encoder = prometheus::TextEncoder::new();
                    drop(black_box(encoder.encode_to_string(&registry.gather()).expect("text")));
                })
            });
        });
    }
}

/// Answers a scrape that asks for native histograms.
fn scrape_protobuf(bench: &mut Bench) {
    for series in [100, 10_000] {
        if bench.effort() == Effort::Quick && series > 100 {
            continue;
        }
        let name = format!("/metrics as protobuf, {series} native histograms");
        bench.contest(&name, |contest| {
            contest.batch(200);
            contest.ours("meshwise-metrics, streamed", move || {
                let metrics = ours_native(series);
                fill(&metrics.recorder(), series);
                let mut request = HeaderMap::new();
                request.insert(ACCEPT, HeaderValue::from_static(PROTOBUF));
                Contestant::new(move || {
                    metrics.stream(&request).for_each(|piece| drop(black_box(piece)));
                })
            });
            contest.peer("prometheus-client", move || {
                let family: Histograms = Family::new_with_constructor(client_native);
                let mut registry = prometheus_client::registry::Registry::default();
                registry.register(NAME, "Calls", client_filled(family, series));
                Contestant::new(move || {
                    let bytes =
                        prometheus_client::encoding::prometheus_protobuf::encode_to_vec(&registry);
                    drop(black_box(bytes.expect("bytes")));
                })
            });
        });
    }
}

/// Records for hours while no one scrapes; the bytes are those that are still held at the end.
fn unscraped(bench: &mut Bench) {
    let what = "10^7 records that no one scrapes";
    if !bench.wants(what) {
        return;
    }
    let records = bench.effort().pick(1_000, 10_000_000);
    let measure = |histogram: &metrics::Histogram, records: usize| {
        let started = std::time::Instant::now();
        let held = allocation_counter::measure(|| {
            (0..records).for_each(|i| histogram.record(value(i)));
        });
        (started.elapsed().as_secs_f64() * 1e9 / records as f64, held.bytes_current)
    };
    let recorder = ours(10).recorder();
    let (time, held) = measure(&handle(&recorder, 0), records * 10);
    let (peer_time, peer_held) = measure(&handle(&exporter(), 0), records);
    let row = |who: &str, ratio: f64, time: f64, held: i64| Row {
        what: what.to_owned(),
        who: who.to_owned(),
        time: format!("{time:.1} ns"),
        ratio: format!("{ratio:.2}"),
        bytes: format!("{held} held"),
        ..Row::default()
    };
    bench.add(row("meshwise-metrics (10^8)", 1.0, time, held));
    bench.add(row("metrics-exporter-prometheus", peer_time / time, peer_time, peer_held));
}
