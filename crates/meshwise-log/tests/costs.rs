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
