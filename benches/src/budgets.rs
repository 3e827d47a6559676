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
    /// Instructions, all threads taken together, with room for a tenth more than was measured:
    /// compilers and standard libraries differ. `None` where nobody counts them.
    pub instructions: Option<i64>,
}

const fn budget(what: &'static str, allocations: i64, instructions: Option<i64>) -> Budget {
    Budget { what, allocations, instructions }
}

/// All budgets. A server's allocations come on top of those that axum makes for any layer.
pub const BUDGETS: &[Budget] = &[
    budget("server, sampled, one log line", 17, None),
    budget("server, sampled, no log line", 17, None),
    budget("server, unsampled, one log line", 7, None),
    budget("server, unsampled, no log line", 7, None),
    budget("server, metrics only", 2, None),
    budget("server, access log only", 6, None),
    budget("server, a caller's trace, sampled, access log", 18, None),
    budget("server, a caller's trace, unsampled, access log", 8, None),
    budget("gRPC server, sampled", 12, None),
    budget("gRPC server, unsampled", 5, None),
    budget("client, sampled", 11, None),
    budget("client, unsampled", 5, None),
    budget("client, metrics only", 0, None),
    budget("one JSON log line", 0, None),
    budget("metric update: histogram, handle held", 0, None),
    budget("metric update: histogram, by name and labels", 0, None),
    budget("span, sampled, start to end", 1, None),
    budget("span, unsampled, start to end", 0, None),
    budget("propagation, read traceparent", 0, None),
    budget("propagation, write traceparent", 1, None),
];

/// Finds the budget of what is done, if it has one.
#[must_use]
pub fn of(what: &str) -> Option<Budget> {
    BUDGETS.iter().find(|budget| budget.what == what).copied()
}
