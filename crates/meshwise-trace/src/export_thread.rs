//! Knowing the threads that export, so that they are never traced.

use opentelemetry::{Context, ContextGuard};
use std::cell::Cell;

thread_local! {
    static EXPORTS: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one that exports, for as long as the guard lives.
///
/// OpenTelemetry's own suppression is not enough: it travels with the `Context`, and a `tracing`
/// span made with `parent: None`, as h2 does for each connection, starts from a fresh one. With a
/// layer that turns all of them into spans, each export would make spans to be exported.
pub(crate) fn enter() -> impl Drop {
    EXPORTS.set(true);
    Guard { _suppressed: Context::enter_telemetry_suppressed_scope() }
}

/// Tells whether this thread exports.
pub(crate) fn is_current() -> bool {
    EXPORTS.get()
}

struct Guard {
    _suppressed: ContextGuard,
}

impl Drop for Guard {
    fn drop(&mut self) {
        EXPORTS.set(false);
    }
}
