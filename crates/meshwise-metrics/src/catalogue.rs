//! What every metric of this crate is: its rows in the family's catalogue.

use meshwise_core::internal::catalogue::{self as rows, Kind, Metric, Unit};
use metrics::{KeyName, Recorder, SharedString};

pub(crate) const HTTP_SERVER: &[&Metric] = &[
    &rows::HTTP_SERVER_REQUEST_DURATION,
    &rows::HTTP_SERVER_ACTIVE_REQUESTS,
    &rows::HTTP_SERVER_REQUEST_BODY_SIZE,
    &rows::HTTP_SERVER_RESPONSE_BODY_SIZE,
];

pub(crate) const HTTP_CLIENT: &[&Metric] = &[
    &rows::HTTP_CLIENT_REQUEST_DURATION,
    &rows::HTTP_CLIENT_ACTIVE_REQUESTS,
    &rows::HTTP_CLIENT_REQUEST_BODY_SIZE,
    &rows::HTTP_CLIENT_RESPONSE_BODY_SIZE,
];

pub(crate) const RPC_SERVER: &[&Metric] = &[&rows::RPC_SERVER_CALL_DURATION];

pub(crate) const RPC_CLIENT: &[&Metric] = &[&rows::RPC_CLIENT_CALL_DURATION];

pub(crate) const MESSAGING: &[&Metric] = &[
    &rows::MESSAGING_CLIENT_OPERATION_DURATION,
    &rows::MESSAGING_PROCESS_DURATION,
    &rows::MESSAGING_CLIENT_SENT_MESSAGES,
    &rows::MESSAGING_CLIENT_CONSUMED_MESSAGES,
    &rows::CONSUMER_LAG,
    &rows::CONSUMER_AGE,
    &rows::MESSAGES_DUPLICATE,
    &rows::MESSAGES_SETTLED,
];

pub(crate) const OWN: &[&Metric] = &[
    &rows::TELEMETRY_DROPPED,
    &rows::TELEMETRY_EXPORTED,
    &rows::LABEL_OVERFLOW,
    &rows::SCRAPE_HOOK_PANICS,
    &rows::BUILD_INFO,
    &rows::TARGET_INFO,
];

#[cfg(feature = "tokio")]
pub(crate) const RUNTIME: &[&Metric] = &[
    &rows::TOKIO_WORKERS,
    &rows::TOKIO_ALIVE_TASKS,
    &rows::TOKIO_GLOBAL_QUEUE_DEPTH,
    &rows::TOKIO_WORKER_BUSY,
    &rows::TOKIO_WORKER_PARKS,
];

pub(crate) const PROCESS: &[&Metric] = &[
    &rows::PROCESS_CPU,
    &rows::PROCESS_RESIDENT_MEMORY,
    &rows::PROCESS_VIRTUAL_MEMORY,
    &rows::PROCESS_OPEN_FDS,
    &rows::PROCESS_MAX_FDS,
    &rows::PROCESS_START_TIME,
    &rows::PROCESS_THREADS,
    &rows::CGROUP_CPU_PERIODS,
    &rows::CGROUP_CPU_THROTTLED_PERIODS,
    &rows::CGROUP_CPU_THROTTLED,
    &rows::CGROUP_CPU_LIMIT,
    &rows::CGROUP_MEMORY_USAGE,
    &rows::CGROUP_MEMORY_WORKING_SET,
    &rows::CGROUP_MEMORY_LIMIT,
    &rows::CGROUP_OOM_EVENTS,
    &rows::CGROUP_OOM_KILLS,
    &rows::CAPACITY_HEADROOM,
];

pub(crate) const MAP: &[&Metric] = &[
    &rows::SERVICE_GRAPH_REQUESTS,
    &rows::SERVICE_GRAPH_FAILED,
    &rows::SERVICE_GRAPH_SERVER_SECONDS,
];

pub(crate) const ROUTE_COSTS: &[&Metric] = &[&rows::ROUTE_BUSY, &rows::ROUTE_CPU];

pub(crate) const ISTIO: &[&Metric] = &[&rows::ISTIO_REQUESTS, &rows::ISTIO_DURATION];

/// Tells a recorder what these families are.
pub(crate) fn describe(recorder: &dyn Recorder, metrics: &[&Metric]) {
    for metric in metrics {
        let name = KeyName::from_const_str(metric.name);
        let help = SharedString::const_str(metric.help);
        let unit = match metric.unit {
            Unit::Seconds => Some(metrics::Unit::Seconds),
            Unit::Milliseconds => Some(metrics::Unit::Milliseconds),
            Unit::Bytes => Some(metrics::Unit::Bytes),
            Unit::Count => Some(metrics::Unit::Count),
            _ => None,
        };
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, unit, help),
            Kind::Gauge => recorder.describe_gauge(name, unit, help),
            Kind::Histogram => recorder.describe_histogram(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Reads the names and types in the tables of the documentation.
    fn documented() -> BTreeMap<&'static str, &'static str> {
        let lines = include_str!("catalogue.md").lines();
        let rows = lines.filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split_once("` | ")).collect()
    }

    #[test]
    fn every_metric_is_documented_and_no_other() {
        let mut documented = documented();
        let all = [
            HTTP_SERVER,
            HTTP_CLIENT,
            RPC_SERVER,
            RPC_CLIENT,
            MAP,
            ISTIO,
            ROUTE_COSTS,
            MESSAGING,
            OWN,
            PROCESS,
            #[cfg(feature = "tokio")]
            RUNTIME,
        ];
        for entry in all.into_iter().flatten() {
            let row = documented.remove(entry.name);
            let row = row.unwrap_or_else(|| panic!("{} is not documented", entry.name));
            assert!(row.starts_with(entry.kind.as_str()), "{}: {row}", entry.name);
            let unit = match entry.unit {
                Unit::Seconds => row.contains(", s"),
                Unit::Bytes => row.contains(", By"),
                Unit::Milliseconds => row.contains(", ms"),
                _ => !row.contains(", s ") && !row.contains(", By"),
            };
            assert!(unit, "{}: {:?}, {row}", entry.name, entry.unit);
        }
        documented.retain(|name, _| cfg!(feature = "tokio") || !name.starts_with("tokio"));
        assert!(documented.is_empty(), "documented but not there: {documented:?}");
    }
}
