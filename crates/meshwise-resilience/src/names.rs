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
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!(BREAKER_STATE, "State of a circuit breaker: 0 closed, 1 half-open, 2 open.");
    describe_counter!(BREAKER_TRANSITIONS, "Changes of a circuit breaker's state, by the new one.");
    describe_counter!(CALLS_REFUSED, "Calls that a guard refused or broke off, by its rule.");
    describe_counter!(RETRIES, "Calls that were, or were not, tried again, by how that went.");
    describe_counter!(HEDGES, "Second attempts beside slow ones, by which answered first.");
    describe_gauge!(BULKHEAD_IN_USE, "Calls to a peer that are in flight.");
}

/// The `tracing` target of the guards' events.
pub(crate) const TARGET: &str = "meshwise::resilience";

/// OpenTelemetry's name of what went wrong, for events.
pub(crate) const ERROR_TYPE: &str = "error.type";

/// The peer's name.
pub(crate) const PEER: &str = "peer";
/// Why a call was refused.
pub(crate) const REASON: &str = "reason";
/// The state that a breaker went to.
pub(crate) const TO: &str = "to";
/// How a retry went.
pub(crate) const RESULT: &str = "result";
