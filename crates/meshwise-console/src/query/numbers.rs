//! Ids and numbers as answers have them.

/// Writes a trace's id.
pub(super) fn hex_trace(id: u128) -> String {
    format!("{id:032x}")
}

/// Writes a span's id.
pub(super) fn hex_span(id: u64) -> String {
    format!("{id:016x}")
}

/// Writes nanoseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "to a quarter of a microsecond")]
pub(super) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Writes nanoseconds as microseconds.
#[expect(clippy::cast_precision_loss, reason = "shown")]
pub(super) fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// Writes calls in so many milliseconds as calls a second.
#[expect(clippy::cast_precision_loss, reason = "shown")]
pub(super) fn rate(calls: u64, window: u64) -> f64 {
    round(calls as f64 / (window as f64 / 1e3))
}

/// Rounds to four digits.
pub(super) fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
