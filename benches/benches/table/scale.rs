//! Two threads beside one: what gets in each other's way.
//!
//! The first contestant shares nothing, and so shows what the machine itself makes of two threads.

use crate::{log, metrics, resilience, span, stacks};
use benches::{Bench, Row, Shared};
use opentelemetry::trace::TracerProvider as _;
use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

fn spin() -> Shared {
    Shared::new("nothing shared", || {
        let mut value = black_box(1_u64);
        (0..64).for_each(|_| value = black_box(value.wrapping_mul(0x9e37_79b9)));
    })
}

fn compare(bench: &mut Bench, what: &str, calls: usize, make: impl FnOnce() -> Vec<Shared>) {
    let what = format!("two threads: {what}");
    if !bench.wants(&what) {
        return;
    }
    eprintln!("{what} ...");
    let mut all = vec![spin()];
    all.extend(make());
    let times = Shared::compare(bench.effort(), calls, &all);
    let ours = times.get(1).map_or(1.0, |(_, both)| *both);
    for (i, (one, (alone, both))) in all.iter().zip(times).enumerate() {
        bench.add(Row {
            what: what.clone(),
            who: one.name().to_owned(),
            time: format!("{alone:.0} ns -> {both:.0} ns ({:.2}x)", both / alone),
            ratio: if i == 0 { String::new() } else { format!("{:.2}", both / ours) },
            ..Row::default()
        });
    }
}

pub(crate) fn run(bench: &mut Bench) {
    compare(bench, "histogram, one series", 200_000, || {
        let recorder = metrics::ours(10).recorder();
        let ours = metrics::handle(&recorder, 0);
        let exporter = metrics::exporter();
        let theirs = metrics::handle(&exporter, 0);
        let client = prometheus_client::metrics::histogram::Histogram::new(metrics::BOUNDS);
        let prometheus = metrics::prometheus_vec().with_label_values(&["/", "200"]);
        vec![
            Shared::new("meshwise-metrics", move || ours.record(black_box(0.03))),
            Shared::new("metrics-exporter-prometheus", move || theirs.record(black_box(0.03)))
                .with_settle(move || exporter.handle().run_upkeep()),
            Shared::new("prometheus-client", move || client.observe(black_box(0.03))),
            Shared::new("prometheus", move || prometheus.observe(black_box(0.03))),
        ]
    });
    compare(bench, "histogram, by key", 50_000, || {
        use ::metrics::Recorder;
        let (ours, exporter) = (metrics::ours(10).recorder(), metrics::exporter());
        let (key, vec) = (metrics::key(0), metrics::prometheus_vec());
        let (same, handle) = (key.clone(), exporter.handle());
        vec![
            Shared::new("meshwise-metrics", move || {
                ours.register_histogram(&key, &metrics::METADATA).record(black_box(0.03));
            }),
            Shared::new("metrics-exporter-prometheus", move || {
                exporter.register_histogram(&same, &metrics::METADATA).record(black_box(0.03));
            })
            .with_settle(move || handle.run_upkeep()),
            Shared::new("prometheus HistogramVec", move || {
                vec.with_label_values(&["/orders/{id}", "200"]).observe(black_box(0.03));
            }),
        ]
    });
    compare(bench, "counter, one series", 300_000, || {
        let key = ::metrics::Key::from_static_name("calls");
        use ::metrics::Recorder;
        let ours = metrics::ours(10).recorder().register_counter(&key, &metrics::METADATA);
        let theirs = metrics::exporter().register_counter(&key, &metrics::METADATA);
        let prometheus = prometheus::IntCounter::new("calls", "Calls").expect("a counter");
        vec![
            Shared::new("meshwise-metrics", move || ours.increment(1)),
            Shared::new("metrics-exporter-prometheus", move || theirs.increment(1)),
            Shared::new("prometheus", move || prometheus.inc()),
        ]
    });
    compare(bench, "resilience, one breaker", 100_000, resilience::shared_breakers);
    compare(bench, "resilience, one bulkhead", 100_000, resilience::shared_bulkheads);
    compare(
        bench,
        "resilience, retry, timeout, breaker, bulkhead",
        50_000,
        resilience::shared_stacks,
    );
    compare(bench, "log line", 8_000, || {
        let (dispatch, settle) = log::ours();
        vec![
            Shared::new("meshwise", log::line).with_dispatch(dispatch).with_settle(settle),
            Shared::new("tracing-subscriber JSON", log::line).with_dispatch(log::fmt()),
        ]
    });
    compare(bench, "span, sampled", 5_000, || {
        let mesh = stacks::mesh(true);
        let ours = mesh.tracing().tracer().clone();
        let provider = stacks::sdk(true);
        let theirs = provider.tracer("bench");
        vec![
            Shared::new("meshwise-trace", move || span::span(&ours))
                .with_settle(stacks::settle(mesh)),
            Shared::new("opentelemetry_sdk", move || span::span(&theirs))
                .with_settle(stacks::settle_sdk(provider)),
        ]
    });
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        compare(bench, &format!("server, {word}, one log line"), 1_000, move || {
            let all = stacks::Ours {
                sampled: Some(sampled),
                metrics: true,
                logs: true,
                access: false,
                span: true,
            };
            let shared = |name: &str, stack: stacks::Stack| {
                let stacks::Stack { app, dispatch, settle } = stack;
                let app = stacks::served(app);
                // A router is not to be shared; each call takes the next of two.
                let apps = [std::sync::Mutex::new(app.clone()), std::sync::Mutex::new(app)];
                let next = AtomicUsize::new(0);
                thread_local! {
                    static MINE: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
                }
                let shared = Shared::new(name, move || {
                    let mine = match MINE.get() {
                        usize::MAX => {
                            MINE.set(next.fetch_add(1, Relaxed) % 2);
                            MINE.get()
                        }
                        mine => mine,
                    };
                    let app = apps[mine].lock().expect("nobody panics");
                    stacks::call(&app, "/orders/7");
                })
                .with_settle(settle);
                match dispatch {
                    Some(dispatch) => shared.with_dispatch(dispatch),
                    None => shared,
                }
            };
            vec![
                shared("meshwise", stacks::ours(all)),
                shared(
                    "axum-tracing-opentelemetry, axum-prometheus, JSON fmt",
                    stacks::usual(sampled, true),
                ),
            ]
        });
    }
}
