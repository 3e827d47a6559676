//! What every metric of this crate is: its kind, unit and meaning.

use crate::{kind::Kind, names};
use metrics::{KeyName, Recorder, SharedString, Unit};

/// Describes one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    kind: Kind,
    unit: Option<Unit>,
    help: &'static str,
}

const fn entry(name: &'static str, kind: Kind, unit: Option<Unit>, help: &'static str) -> Entry {
    Entry { name, kind, unit, help }
}

const SECONDS: Option<Unit> = Some(Unit::Seconds);
const BYTES: Option<Unit> = Some(Unit::Bytes);
const COUNT: Option<Unit> = Some(Unit::Count);

pub(crate) const HTTP_SERVER: &[Entry] = &[
    entry(
        names::HTTP_SERVER_REQUEST_DURATION,
        Kind::Histogram,
        SECONDS,
        "Duration of HTTP server requests.",
    ),
    entry(
        names::HTTP_SERVER_ACTIVE_REQUESTS,
        Kind::Gauge,
        COUNT,
        "Number of active HTTP server requests.",
    ),
    entry(
        names::HTTP_SERVER_REQUEST_BODY_SIZE,
        Kind::Histogram,
        BYTES,
        "Size of HTTP server request bodies.",
    ),
    entry(
        names::HTTP_SERVER_RESPONSE_BODY_SIZE,
        Kind::Histogram,
        BYTES,
        "Size of HTTP server response bodies.",
    ),
];

pub(crate) const HTTP_CLIENT: &[Entry] = &[
    entry(
        names::HTTP_CLIENT_REQUEST_DURATION,
        Kind::Histogram,
        SECONDS,
        "Duration of HTTP client requests.",
    ),
    entry(
        names::HTTP_CLIENT_ACTIVE_REQUESTS,
        Kind::Gauge,
        COUNT,
        "Number of active HTTP client requests.",
    ),
    entry(
        names::HTTP_CLIENT_REQUEST_BODY_SIZE,
        Kind::Histogram,
        BYTES,
        "Size of HTTP client request bodies.",
    ),
    entry(
        names::HTTP_CLIENT_RESPONSE_BODY_SIZE,
        Kind::Histogram,
        BYTES,
        "Size of HTTP client response bodies.",
    ),
];

pub(crate) const RPC_SERVER: &[Entry] = &[entry(
    names::RPC_SERVER_CALL_DURATION,
    Kind::Histogram,
    SECONDS,
    "Duration of incoming remote procedure calls.",
)];

pub(crate) const RPC_CLIENT: &[Entry] = &[entry(
    names::RPC_CLIENT_CALL_DURATION,
    Kind::Histogram,
    SECONDS,
    "Duration of outgoing remote procedure calls.",
)];

pub(crate) const MESSAGING: &[Entry] = &[
    entry(
        names::MESSAGING_CLIENT_OPERATION_DURATION,
        Kind::Histogram,
        SECONDS,
        "Duration of messaging operation initiated by a producer or consumer client.",
    ),
    entry(
        names::MESSAGING_PROCESS_DURATION,
        Kind::Histogram,
        SECONDS,
        "Duration of processing operation.",
    ),
    entry(
        names::MESSAGING_CLIENT_SENT_MESSAGES,
        Kind::Counter,
        COUNT,
        "Number of messages producer attempted to send to the broker.",
    ),
    entry(
        names::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        Kind::Counter,
        COUNT,
        "Number of messages that were delivered to the application.",
    ),
    entry(
        names::CONSUMER_LAG,
        Kind::Gauge,
        COUNT,
        "Messages that a consumer has still to be given, as the broker counts them.",
    ),
    entry(
        names::CONSUMER_AGE,
        Kind::Gauge,
        SECONDS,
        "Age of the oldest message that a consumer has in hand; 0 if there is none.",
    ),
    entry(
        names::MESSAGES_DUPLICATE,
        Kind::Counter,
        COUNT,
        "Messages that had been processed before.",
    ),
    entry(
        names::MESSAGES_SETTLED,
        Kind::Counter,
        COUNT,
        "Messages that a consumer has settled, by outcome.",
    ),
];

pub(crate) const OWN: &[Entry] = &[
    entry(
        names::TELEMETRY_DROPPED,
        Kind::Counter,
        COUNT,
        "Telemetry records lost, by signal and reason.",
    ),
    entry(
        names::TELEMETRY_EXPORTED,
        Kind::Counter,
        COUNT,
        "Telemetry records that reached their destination, by signal.",
    ),
    entry(
        names::LABEL_OVERFLOW,
        Kind::Counter,
        COUNT,
        "Uses of a label value or label set beyond its bound; they are recorded as _other.",
    ),
    entry(
        names::SCRAPE_HOOK_PANICS,
        Kind::Counter,
        COUNT,
        "Calls of scrape hooks that panicked; what they would show is missing.",
    ),
    entry(
        names::BUILD_INFO,
        Kind::Gauge,
        None,
        "The service and the version of meshwise in it, as labels.",
    ),
    entry(names::TARGET_INFO, Kind::Gauge, None, "Target metadata"),
];

#[cfg(feature = "tokio")]
pub(crate) const RUNTIME: &[Entry] = &[
    entry(names::TOKIO_WORKERS, Kind::Gauge, COUNT, "Worker threads of the tokio runtime."),
    entry(names::TOKIO_ALIVE_TASKS, Kind::Gauge, COUNT, "Tasks that have not ended."),
    entry(
        names::TOKIO_GLOBAL_QUEUE_DEPTH,
        Kind::Gauge,
        COUNT,
        "Tasks that wait in the queue of the whole runtime.",
    ),
    entry(names::TOKIO_WORKER_BUSY, Kind::Counter, SECONDS, "Time that a worker spent working."),
    entry(
        names::TOKIO_WORKER_PARKS,
        Kind::Counter,
        COUNT,
        "Times that a worker had nothing to do and went to sleep.",
    ),
];

pub(crate) const PROCESS: &[Entry] = &[
    entry(
        names::PROCESS_CPU,
        Kind::Counter,
        SECONDS,
        "Total user and system CPU time spent in seconds.",
    ),
    entry(names::PROCESS_RESIDENT_MEMORY, Kind::Gauge, BYTES, "Resident memory size in bytes."),
    entry(names::PROCESS_VIRTUAL_MEMORY, Kind::Gauge, BYTES, "Virtual memory size in bytes."),
    entry(names::PROCESS_OPEN_FDS, Kind::Gauge, COUNT, "Number of open file descriptors."),
    entry(names::PROCESS_MAX_FDS, Kind::Gauge, COUNT, "Maximum number of open file descriptors."),
    entry(
        names::PROCESS_START_TIME,
        Kind::Gauge,
        SECONDS,
        "Start time of the process since unix epoch in seconds.",
    ),
    entry(names::PROCESS_THREADS, Kind::Gauge, COUNT, "Number of threads in the process."),
    entry(
        names::CGROUP_CPU_PERIODS,
        Kind::Counter,
        COUNT,
        "Periods in which the cgroup used a processor while it had a CPU limit.",
    ),
    entry(
        names::CGROUP_CPU_THROTTLED_PERIODS,
        Kind::Counter,
        COUNT,
        "Periods in which the cgroup ran into its CPU limit.",
    ),
    entry(
        names::CGROUP_CPU_THROTTLED,
        Kind::Counter,
        SECONDS,
        "Time that threads of the cgroup waited because of its CPU limit.",
    ),
    entry(
        names::CGROUP_CPU_LIMIT,
        Kind::Gauge,
        None,
        "How many processors' time the cgroup may take.",
    ),
    entry(names::CGROUP_MEMORY_USAGE, Kind::Gauge, BYTES, "Memory of the cgroup, caches included."),
    entry(
        names::CGROUP_MEMORY_WORKING_SET,
        Kind::Gauge,
        BYTES,
        "Memory of the cgroup without inactive file pages.",
    ),
    entry(names::CGROUP_MEMORY_LIMIT, Kind::Gauge, BYTES, "How much memory the cgroup may use."),
    entry(
        names::CGROUP_OOM_EVENTS,
        Kind::Counter,
        COUNT,
        "Times that the cgroup ran out of memory.",
    ),
    entry(
        names::CGROUP_OOM_KILLS,
        Kind::Counter,
        COUNT,
        "Processes of the cgroup that were killed because it ran out of memory.",
    ),
];

/// Tells a recorder what these families are.
pub(crate) fn describe(recorder: &dyn Recorder, entries: &[Entry]) {
    for entry in entries {
        let name = KeyName::from_const_str(entry.name);
        let help = SharedString::const_str(entry.help);
        match entry.kind {
            Kind::Counter => recorder.describe_counter(name, entry.unit, help),
            Kind::Gauge => recorder.describe_gauge(name, entry.unit, help),
            Kind::Histogram => recorder.describe_histogram(name, entry.unit, help),
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
        #[cfg(feature = "tokio")]
        let all =
            [HTTP_SERVER, HTTP_CLIENT, RPC_SERVER, RPC_CLIENT, MESSAGING, OWN, PROCESS, RUNTIME];
        #[cfg(not(feature = "tokio"))]
        let all = [HTTP_SERVER, HTTP_CLIENT, RPC_SERVER, RPC_CLIENT, MESSAGING, OWN, PROCESS];
        for entry in all.into_iter().flatten() {
            let row = documented.remove(entry.name);
            let row = row.unwrap_or_else(|| panic!("{} is not documented", entry.name));
            assert!(row.starts_with(entry.kind.as_str()), "{}: {row}", entry.name);
            let unit = match entry.unit {
                Some(Unit::Seconds) => row.contains(", s"),
                Some(Unit::Bytes) => row.contains(", By"),
                _ => !row.contains(", s ") && !row.contains(", By"),
            };
            assert!(unit, "{}: {:?}, {row}", entry.name, entry.unit);
        }
        documented.retain(|name, _| cfg!(feature = "tokio") || !name.starts_with("tokio"));
        assert!(documented.is_empty(), "documented but not there: {documented:?}");
    }
}
