//! A line costs no allocation, once its thread is warm.

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogOutput};
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn a_line_with_five_fields_allocates_nothing() {
    for format in
        [LogFormat::Json, LogFormat::Ecs, LogFormat::Gcp, LogFormat::Logfmt, LogFormat::Pretty]
    {
        let config = LogConfig::new(Service::new("orders", "1")).with_format(format);
        let config = config.with_output(LogOutput::writer(std::io::sink()));
        let (layer, logs) = config.build().expect("logs");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let line = |n: u64| {
                tracing::info!(n, user = "ada", ok = true, took = 1.5, item = ?Some(7), "a line {n}");
            };
            // Both of the writer's buffers, and the thread's own, grow to what they need.
            for n in 0..200 {
                line(n);
                assert!(logs.flush(Duration::from_secs(20)));
            }
            let least = (0..20)
                .map(|n| {
                    let taken = allocation_counter::measure(|| line(n)).count_total;
                    assert!(logs.flush(Duration::from_secs(20)));
                    taken
                })
                .min();
            assert_eq!(least, Some(0), "{format:?}");
        });
    }
}

#[test]
fn a_span_allocates_its_place_among_the_extensions_and_its_fields_at_once() {
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let config = config.with_output(LogOutput::writer(std::io::sink()));
    let (layer, _logs) = config.build().expect("logs");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = |n: u64| drop(tracing::info_span!("work", n, user = "ada", item = ?Some(7)));
        let bare = || drop(tracing::info_span!("work"));
        (0..200).for_each(span);
        let least =
            |work: &dyn Fn()| (0..20).map(|_| allocation_counter::measure(work).count_total).min();
        assert_eq!(least(&|| span(7)), Some(2));
        assert_eq!(least(&bare), Some(0));
    });
}
