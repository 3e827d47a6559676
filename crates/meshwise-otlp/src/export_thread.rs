//! Knowing the threads that export, so that they are never traced, and what they log is not exported
//! again.

use opentelemetry::{Context, ContextGuard};
use std::{cell::Cell, io, thread};

thread_local! {
    static EXPORTS: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one that exports, for as long as the guard lives.
///
/// OpenTelemetry's own suppression is not enough: it travels with the `Context`, and a `tracing`
/// span made with `parent: None`, as h2 does for each connection, starts from a fresh one. With a
/// layer that turns all of them into spans, each export would make spans to be exported.
#[must_use = "it marks the thread for as long as it lives"]
pub fn enter() -> impl Drop {
    EXPORTS.set(true);
    Guard { _suppressed: Context::enter_telemetry_suppressed_scope() }
}

/// Runs a future on a thread of its own that exports.
pub(crate) fn spawn(
    name: &str,
    future: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Made here, so that a failure is an error of the caller's.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().thread_name(name).build()?;
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _untraced = enter();
        runtime.block_on(future);
        // A name look-up that hangs must not keep the thread.
        runtime.shutdown_background();
    })?;
    Ok(())
}

/// Tells whether this thread exports.
#[must_use]
pub fn is_current() -> bool {
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
