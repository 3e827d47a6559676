//! Names of metrics and their labels.

/// Gauge `{peer}`: 0 closed, 1 half-open, 2 open.
pub(crate) const BREAKER_STATE: &str = "meshwise_breaker_state";
/// Counter `{peer,to}`.
pub(crate) const BREAKER_TRANSITIONS: &str = "meshwise_breaker_transitions_total";
/// Counter `{peer,reason}`.
pub(crate) const CALLS_REFUSED: &str = "meshwise_calls_refused_total";
/// Counter `{peer,result}`.
pub(crate) const RETRIES: &str = "meshwise_retries_total";
/// Counter `{peer,result}`: second attempts beside slow ones, `won` or `lost`.
pub(crate) const HEDGES: &str = "meshwise_hedges_total";
/// Gauge `{peer}`.
pub(crate) const BULKHEAD_IN_USE: &str = "meshwise_bulkhead_in_use";

/// Tells the recorder in place what the metrics are: `# HELP` and `# TYPE` on `/metrics`.
pub(crate) fn describe() {
    use meshwise_core::internal::catalogue::{self, Kind};
    for metric in catalogue::ALL.iter().filter(|metric| metric.source == "meshwise-resilience") {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

pub(crate) const TARGET: &str = "meshwise::resilience";

/// OpenTelemetry's name of what went wrong, for events.
pub(crate) const ERROR_TYPE: &str = "error.type";

pub(crate) const PEER: &str = "peer";
pub(crate) const REASON: &str = "reason";
pub(crate) const TO: &str = "to";
pub(crate) const RESULT: &str = "result";
