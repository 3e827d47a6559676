//! What observing a call may cost, in counts that no machine changes: the one table of them.
//!
//! `tests/tests/costs.rs` holds the allocations to it in `cargo test`; `cargo bench -p benches --
//! --test`, which CI runs, the instructions of an optimised build too, where valgrind is present.
//! A change that makes something cheaper lowers its number here, so that it stays so.

/// Bounds what one stack adds to a call.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What is done: the name of the contest.
    pub what: &'static str,
    /// Allocations, on the thread that calls.
    pub allocations: i64,
    /// Instructions of an optimised build, on that thread, with room for a tenth more than was
    /// measured: compilers and standard libraries differ. `None` where no one counts them.
    pub instructions: Option<i64>,
}

/// What exporting a span may take of what the SDK's batch processor and `opentelemetry-otlp` take for it, in
/// instructions.
pub const EXPORT_SHARE: f64 = 0.5;

const fn budget(what: &'static str, allocations: i64, instructions: Option<i64>) -> Budget {
    Budget { what, allocations, instructions }
}

/// All budgets. A server's allocations come on top of those that axum makes for any layer.
///
/// Calls have their `tracing` span unless the row says otherwise; it is made once it is asked for, which
/// takes four allocations. A log line of a sampled call is an event of its OpenTelemetry span, and takes none.
pub const BUDGETS: &[Budget] = &[
    budget("server, sampled, one log line", 3, Some(12_130)),
    budget("server, sampled, no log line", 3, Some(8_350)),
    budget("server, unsampled, one log line", 2, Some(9_020)),
    budget("server, unsampled, no log line", 2, Some(6_030)),
    budget("server, sampled, no log line, no tracing span", 3, None),
    budget("server, unsampled, no log line, no tracing span", 2, None),
    budget("server, sampled but not exported, no log line", 2, None),
    budget("server, metrics only", 1, Some(4_060)),
    // 400 is the aim. A hundred calls a second are metered, which under callgrind is one of some twenty, and on
    // a busy machine one of ten: 347 and 441 were seen of the same program.
    budget("server, map, register and capacity", 0, Some(500)),
    budget("client, map and register", 0, Some(480)),
    // Its user agent is looked through for secrets, as any text from outside.
    budget("server, access log only", 4, Some(13_410)),
    budget("server, a caller's trace, sampled, access log", 13, None),
    budget("server, a caller's trace, unsampled, access log", 5, None),
    budget("gRPC server, sampled", 5, Some(10_090)),
    budget("gRPC server, unsampled", 1, Some(7_370)),
    budget("client, sampled", 4, Some(9_560)),
    budget("client, unsampled", 3, Some(7_460)),
    // Ten spans of its own, three lines, two HTTP calls and a gRPC call.
    budget("a real handler, sampled", 130, Some(218_900)),
    budget("a real handler, unsampled", 106, Some(192_400)),
    // A header that names the caller, which goes out with tracing off, too.
    budget("client, sampled, no tracing span", 4, None),
    budget("client, unsampled, no tracing span", 3, None),
    budget("client, metrics only", 2, Some(4_740)),
    budget("one JSON log line", 0, Some(2_810)),
    budget("metric update: histogram, handle held", 0, Some(160)),
    budget("metric update: native histogram, handle held", 0, Some(225)),
    budget("metric update: histogram, by name and labels", 0, None),
    // The tracer and the record are ours, for the idioms of `tracing`.
    budget("span, sampled, start to end", 0, Some(1_700)),
    budget("span, unsampled, start to end", 0, Some(820)),
    budget("#[instrument], sampled, no fields", 4, None),
    budget("#[instrument], sampled, two fields", 8, None),
    budget("#[instrument], unsampled, no fields", 4, None),
    budget("#[instrument], unsampled, two fields", 8, None),
    budget("propagation, read traceparent", 0, Some(1_760)),
    budget("propagation, write traceparent", 0, Some(1_830)),
    budget("redaction, 64 KiB of plain text", 0, Some(3_360_000)),
    // Any other: 2.8 times what plain text costs (3,000,000), where three are promised.
    budget(REDACTION, 2, Some(8_800_000)),
    // Beyond the two headers that are written.
    budget("messages, send, unsampled", 0, Some(2_130)),
    budget("messages, process, unsampled", 0, Some(2_090)),
    // The ids in the context that the handler runs in: OpenTelemetry keeps them in a box of their own.
    budget("messages, process with a handler, unsampled", 1, Some(3_290)),
    // One engine carries a call's limits, and what it holds, through each guard, and nothing of one that
    // the layer has not; the fused stack of a peer does so once.
    budget("resilience, breaker", 0, Some(295)),
    budget("resilience, bulkhead", 0, Some(290)),
    budget("resilience, retry", 0, Some(246)),
    budget("resilience, timeout", 0, Some(163)),
    budget("resilience, retry, timeout, breaker, bulkhead", 0, Some(990)),
    budget("resilience, all guards of a peer over HTTP", 0, Some(1_645)),
];

/// What all rows of redaction begin with; those without a budget of their own have one together.
const REDACTION: &str = "redaction, 64 KiB of ";

/// Finds the budget of what is done, if it has one.
#[must_use]
pub fn of(what: &str) -> Option<Budget> {
    let named = |name: &str| BUDGETS.iter().find(|budget| budget.what == name).copied();
    named(what).or_else(|| what.starts_with(REDACTION).then(|| named(REDACTION)).flatten())
}
