//! What every metric of this crate is: its kind, unit and meaning.

use crate::names;
use metrics::{KeyName, Recorder, SharedString, Unit};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

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
