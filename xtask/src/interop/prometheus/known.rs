//! A service whose figures are known: what Prometheus computes from them must be right.

use super::server::Prometheus;
use crate::interop::process::wait_for;
use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderName, HeaderValue};
use meshwise_core::Service;
use meshwise_metrics::{Metrics, MetricsConfig};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

const METRIC: &str = "known_wait_seconds";

pub(super) struct Known {
    address: SocketAddr,
    metrics: Metrics,
}

impl Known {
    /// Serves a histogram of 1000 values, 1 ms to 1 s.
    pub(super) fn start() -> anyhow::Result<Self> {
        let metrics = MetricsConfig::new(Service::new("known", "1"))
            .with_native_histogram(METRIC)
            .with_native_schema(8)
            .build()?;
        let known = Self { address: serve(&metrics)?, metrics };
        known.record_a_thousand();
        Ok(known)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn record(&self, values: impl Iterator<Item = f64>) {
        metrics::with_local_recorder(&self.metrics.recorder(), || {
            let histogram = metrics::histogram!(METRIC);
            values.for_each(|value| histogram.record(value));
        });
    }

    fn record_a_thousand(&self) {
        self.record((1..=1000).map(|ms| f64::from(ms) / 1000.0));
    }

    /// Asks Prometheus for what was recorded.
    pub(super) fn check(&self, prometheus: &Prometheus) -> anyhow::Result<()> {
        let ask = |expression: &str| {
            prometheus.query(expression)?.with_context(|| format!("no value of {expression}"))
        };
        let count = format!("histogram_count({METRIC})");
        let wait_for_count = |expected: f64| {
            let what = format!("Prometheus to count {expected} values");
            wait_for(&what, || {
                Ok(prometheus.query(&count)?.filter(|count| *count == expected).map(drop))
            })
        };
        wait_for_count(1000.0)?;
        near("the sum", ask(&format!("histogram_sum({METRIC})"))?, 500.5)?;
        near("the median", ask(&format!("histogram_quantile(0.5, {METRIC})"))?, 0.5)?;
        near("the 99th percentile", ask(&format!("histogram_quantile(0.99, {METRIC})"))?, 0.99)?;
        near("those below 0.25 s", ask(&format!("histogram_fraction(0, 0.25, {METRIC})"))?, 0.25)?;

        // As many again, and a few so large that the resolution has to halve: what Prometheus has
        // of before is finer than what it gets from now on.
        self.record_a_thousand();
        self.record([1e6; 5].into_iter());
        wait_for_count(2005.0)?;
        near("the new sum", ask(&format!("histogram_sum({METRIC})"))?, 5_001_001.0)?;
        let rate = format!("histogram_quantile(0.9, rate({METRIC}[1h]))");
        // Of 1005 new values 900 are below 0.9 s.
        near("the 90th percentile of the new", ask(&rate)?, 0.9045)?;
        println!("prometheus computes known counts, sums and quantiles from native histograms");
        Ok(())
    }
}

fn near(what: &str, found: f64, expected: f64) -> anyhow::Result<()> {
    let fine = (found - expected).abs() <= expected * 0.01;
    ensure!(fine, "{what} is {found}, and should be {expected}");
    Ok(())
}

/// Shows these metrics on a port of their own, for as long as the process lives.
pub(in crate::interop) fn serve(metrics: &Metrics) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let metrics = metrics.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A scrape that breaks off is Prometheus's to tell.
            let _ = answer(&stream, &metrics);
        }
    });
    Ok(address)
}

fn answer(mut stream: &TcpStream, metrics: &Metrics) -> anyhow::Result<()> {
    let mut request = HeaderMap::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            request.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
    }
    let answer = metrics.render(&request);
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: {}\r\n", answer.content_type)?;
    if let Some(encoding) = answer.content_encoding {
        write!(stream, "Content-Encoding: {encoding}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    Ok(stream.write_all(&answer.body)?)
}
