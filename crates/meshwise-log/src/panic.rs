//! A panic is logged, and the log flushed, before anything else happens.

use crate::handle::LogHandle;
use meshwise_core::Redaction;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write as _,
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

/// How long a panicking thread waits for its last lines.
const PATIENCE: Duration = Duration::from_secs(1);

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Installs a panic hook that logs the panic (`ERROR`, target `panic`, with message, place, thread
/// and, if `RUST_BACKTRACE` is set, backtrace), and flushes the log for 1 s at most.
///
/// Then it calls the hook that was there before, with all that it knows: what that one writes is not
/// looked through for secrets. The standard library's own is not called: standard error gets what it
/// would write, without the secrets.
pub fn flush_on_panic(logs: &LogHandle) {
    let logs = logs.clone();
    let before = panic::take_hook();
    // What is there once it is taken is the standard library's.
    let standard = panic::take_hook();
    let before = Some(before).filter(|before| !is_same(before, &standard));
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("(no message)");
        let place = info.location().map(ToString::to_string);
        let thread = thread::current();
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
        match &before {
            Some(before) => before(info),
            None => tell(logs.redaction(), message, place.as_deref(), backtrace.as_deref()),
        }
    }));
}

/// Tells whether two hooks are the same function. Two that have nothing of their own lie at the same
/// place, and what is called tells them apart; should it not, the former is called, as ever.
#[allow(
    ambiguous_wide_pointer_comparisons,
    reason = "both were made at one place of the standard library"
)]
fn is_same(one: &Hook, other: &Hook) -> bool {
    size_of_val(&**one) == 0 && std::ptr::eq(&raw const **one, &raw const **other)
}

/// Writes what the standard library would.
fn tell(redaction: &Redaction, message: &str, place: Option<&str>, backtrace: Option<&str>) {
    let thread = thread::current();
    let (name, place) = (thread.name().unwrap_or("<unnamed>"), place.unwrap_or("an unknown place"));
    let message = redaction.text(message);
    let mut text = format!("\nthread '{name}' panicked at {place}:\n{message}\n");
    text += backtrace.unwrap_or(
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
    );
    // There may be no one to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
