//! A panic is logged, and the log flushed, before anything else happens.

use crate::handle::LogHandle;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic,
    time::Duration,
};

/// How long a panicking thread waits for its last lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// Installs a panic hook that logs the panic (`ERROR`, target `panic`, with message, place, thread
/// and, if `RUST_BACKTRACE` is set, backtrace), flushes the log for 1 s at most, and then calls the
/// hook that was there before.
pub fn flush_on_panic(logs: &LogHandle) {
    let logs = logs.clone();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("(no message)");
        let place = info.location().map(ToString::to_string);
        let thread = std::thread::current();
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::event!(
            target: "panic",
            tracing::Level::ERROR,
            {
                panic.location = place,
                panic.thread = thread.name(),
                panic.backtrace = backtrace,
            },
            "panicked: {message}"
        );
        let _ = logs.flush_lines(PATIENCE);
        before(info);
    }));
}
