//! What the tests of this crate share.

#![allow(dead_code, unreachable_pub, unused_macros, reason = "each test file uses its part")]

pub mod messages;
pub mod strict;

use http::{HeaderMap, header};
use meshwise_core::Service;
use meshwise_metrics::{Format, Metrics, MetricsConfig};
use strict::Exposed;

/// Makes a module of tests for one backend.
macro_rules! suite {
    ($backend:ident, $choose:expr, [$($test:ident,)*]) => {
        mod $backend {
            $(
                #[test]
                fn $test() {
                    super::$test($choose);
                }
            )*
        }
    };
}

/// Runs functions that take a [`Choose`] as tests of every backend.
macro_rules! for_every_backend {
    ($($test:ident,)*) => {
        suite!(own, |config| config, [$($test,)*]);
        suite!(own_native, |config| config.with_native_histogram("*"), [$($test,)*]);
        #[cfg(feature = "exporter-prometheus")]
        suite!(
            exporter,
            meshwise_metrics::MetricsConfig::with_exporter_prometheus,
            [$($test,)*]
        );
    };
}

/// Records with the macros, as a program does.
pub fn record(metrics: &Metrics, f: impl FnOnce()) {
    metrics::with_local_recorder(&metrics.recorder(), f);
}

/// Chooses a backend.
pub type Choose = fn(MetricsConfig) -> MetricsConfig;

/// Starts with nothing of the process in it, so that a test sees what it made.
pub fn config() -> MetricsConfig {
    MetricsConfig::new(Service::new("orders", "1.0.0")).with_process_metrics(false)
}

pub fn metrics() -> Metrics {
    config().build().expect("metrics")
}

/// Reads metrics as a strict scraper does.
pub fn exposed(metrics: &Metrics) -> Exposed {
    strict::parse(&metrics.render_text(), Format::Text)
}

/// The same as `OpenMetrics`.
pub fn open_metrics(metrics: &Metrics) -> Exposed {
    let mut out = Vec::new();
    metrics.write_to(Format::OpenMetrics, &mut out).expect("written");
    strict::parse(&String::from_utf8(out).expect("UTF-8"), Format::OpenMetrics)
}

/// The same as protobuf.
pub fn protobuf(metrics: &Metrics) -> Exposed {
    messages::parse(&protobuf_bytes(metrics))
}

pub fn protobuf_bytes(metrics: &Metrics) -> Vec<u8> {
    let mut out = Vec::new();
    metrics.write_to(Format::Protobuf, &mut out).expect("written");
    out
}

pub fn scrape(accept: &str, encoding: &str) -> HeaderMap {
    let mut request = HeaderMap::new();
    for (name, value) in [(header::ACCEPT, accept), (header::ACCEPT_ENCODING, encoding)] {
        if !value.is_empty() {
            request.insert(name, value.parse().expect("a header"));
        }
    }
    request
}
