//! Counts what the shop has no occasion to count, so that its panels can be asked for data.

use crate::interop::prometheus::known;
use anyhow::ensure;
use meshwise_core::{
    Service,
    internal::catalogue::{self, Kind},
};
use meshwise_metrics::MetricsConfig;
use metrics::{Key, Label, Level, Metadata, Recorder as _};
use std::{collections::BTreeSet, net::SocketAddr, thread, time::Duration};

/// The metrics that the shop does not have, and the reason.
const MISSING: [(&str, &str); 5] = [
    ("meshwise_hedges_total", "no client of the shop hedges"),
    ("meshwise_api_undeclared_calls_total", "the shop declares all that it calls"),
    ("meshwise_instances", "each service of the shop is one instance"),
    ("meshwise_ejections_total", "each service of the shop is one instance"),
    // Where there is no limit there is no throttling.
    ("cgroup_cpu_throttled_seconds_total", "the machine may have set no limit"),
];

static METADATA: Metadata<'static> = Metadata::new("xtask", Level::INFO, None);

/// Serves the missing metrics, which move, from here on.
pub(super) fn start(counted: &BTreeSet<&'static str>) -> anyhow::Result<SocketAddr> {
    for (name, reason) in MISSING {
        let may_be = name.starts_with("cgroup_");
        ensure!(may_be || !counted.contains(name), "the shop counts {name}, though {reason}");
        println!("stand-in for {name}: {reason}");
    }
    let metrics = MetricsConfig::new(Service::new("stand-in", "1")).build()?;
    let recorder = metrics.recorder();
    let rows =
        catalogue::ALL.iter().filter(|row| MISSING.iter().any(|(name, _)| *name == row.name));
    let rows: Vec<_> = rows.copied().collect();
    ensure!(rows.len() == MISSING.len(), "a missing metric is in no row of the catalogue");
    thread::spawn(move || {
        loop {
            for row in &rows {
                let labels: Vec<_> =
                    row.labels.iter().map(|label| Label::new(*label, "x")).collect();
                let key = Key::from_parts(row.name, labels);
                match row.kind {
                    Kind::Counter => recorder.register_counter(&key, &METADATA).increment(1),
                    Kind::Gauge => recorder.register_gauge(&key, &METADATA).set(1.0),
                    Kind::Histogram => recorder.register_histogram(&key, &METADATA).record(0.1),
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
    });
    known::serve(&metrics)
}
