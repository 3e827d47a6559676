//! The moment past which the caller does not wait any more.

use crate::headers::HeaderFilter;
use http::{HeaderMap, HeaderName};
use std::time::{Duration, Instant};

/// Marks the moment past which the caller no longer waits.
///
/// A deadline travels as the time that remains (no two clocks agree), so each hop turns the
/// remaining time into a moment of its own clock on arrival, and back into remaining time when
/// it calls on.
///
/// ```
/// use std::time::{Duration, Instant};
/// use meshwise_core::Deadline;
/// let now = Instant::now();
/// let deadline = Deadline::after(now, Duration::from_millis(250));
/// assert_eq!(deadline.remaining(now), Some(Duration::from_millis(250)));
/// assert_eq!(deadline.remaining(now + Duration::from_secs(1)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// Sets the deadline to a moment.
    #[must_use]
    pub const fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// Sets the deadline `timeout` after `now`; one too far off to be told is thirty years away.
    #[must_use]
    pub fn after(now: Instant, timeout: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
        Self(now.checked_add(timeout).or_else(|| now.checked_add(FAR)).unwrap_or(now))
    }

    /// Returns the moment itself.
    #[must_use]
    pub const fn moment(self) -> Instant {
        self.0
    }

    /// Returns the time left, or `None` once it has passed.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Returns the earlier of two deadlines.
    #[must_use]
    #[doc(hidden)]
    pub fn earlier(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| self.min(other))
    }
}

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Reads the two timeouts that a request may carry: `grpc-timeout`, which counts if it is gRPC, and the header
/// of that name, whose value is in milliseconds.
#[must_use]
#[inline]
pub fn read_timeouts(
    headers: &HeaderMap,
    filter: HeaderFilter,
    millis: &HeaderName,
) -> (Option<Duration>, Option<Duration>) {
    let grpc = filter.get(headers, &GRPC_TIMEOUT);
    let millis = filter.get(headers, millis);
    (
        grpc.and_then(|value| parse_grpc_timeout(value.as_bytes())),
        millis.and_then(|value| parse_millis(value.as_bytes())),
    )
}

/// Parses the value of a `x-request-timeout-ms` header: digits only, at most nine of them
/// (eleven days).
///
/// Zero is a deadline that has passed already. Anything else is `None`, and ignored.
#[must_use]
pub fn parse_millis(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || value.len() > 9 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = value.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(Duration::from_millis(millis))
}

/// Parses the value of a `grpc-timeout` header: one to eight digits and a unit out of
/// `H`, `M`, `S`, `m`, `u`, `n` (gRPC over HTTP/2, "Requests").
#[must_use]
pub fn parse_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(n * 3600),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Writes a `grpc-timeout` value in the finest unit that fits eight digits, rounded down.
///
/// ```
/// use std::time::Duration;
/// use meshwise_core::internal::format_grpc_timeout;
/// assert_eq!(format_grpc_timeout(Duration::from_millis(250)), "250000u");
/// assert_eq!(format_grpc_timeout(Duration::from_secs(3600)), "3600000m");
/// ```
#[must_use]
pub fn format_grpc_timeout(timeout: Duration) -> String {
    const LIMIT: u128 = 99_999_999;
    let nanos = timeout.as_nanos();
    for (unit, size) in
        [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000), ("M", 60_000_000_000)]
    {
        let n = nanos / size;
        if n <= LIMIT {
            return format!("{n}{unit}");
        }
    }
    format!("{}H", (nanos / 3_600_000_000_000).min(LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millis_are_digits_only_and_bounded() {
        assert_eq!(parse_millis(b"1500"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_millis(b"0"), Some(Duration::ZERO));
        assert_eq!(parse_millis(b"999999999"), Some(Duration::from_millis(999_999_999)));
        for bad in [&b""[..], b"-1", b"1.5", b" 1", b"1s", b"1234567890", b"\xff"] {
            assert_eq!(parse_millis(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn grpc_timeouts_round_trip_in_every_unit() {
        for (text, duration) in [
            ("5n", Duration::from_nanos(5)),
            ("5u", Duration::from_micros(5)),
            ("5m", Duration::from_millis(5)),
            ("5S", Duration::from_secs(5)),
            ("5M", Duration::from_secs(300)),
            ("5H", Duration::from_secs(18_000)),
        ] {
            assert_eq!(parse_grpc_timeout(text.as_bytes()), Some(duration));
            let written = format_grpc_timeout(duration);
            assert_eq!(parse_grpc_timeout(written.as_bytes()), Some(duration), "{written}");
        }
        assert_eq!(parse_grpc_timeout(b"99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "5", "m", "123456789m", "5x", "-5m", "5 m"] {
            assert_eq!(parse_grpc_timeout(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(format_grpc_timeout(Duration::MAX), "99999999H");
    }

    #[test]
    fn a_deadline_too_far_off_is_still_one() {
        let now = Instant::now();
        let thirty_years = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        assert_eq!(Deadline::after(now, Duration::MAX).remaining(now), Some(thirty_years));
        assert_eq!(Deadline::at(now).remaining(now), None);
        assert_eq!(Deadline::at(now).moment(), now);
    }

    #[test]
    fn the_earlier_of_two_counts() {
        let now = Instant::now();
        let (soon, late) = (Deadline::at(now), Deadline::after(now, Duration::from_secs(1)));
        assert_eq!(late.earlier(Some(soon)), soon);
        assert_eq!(soon.earlier(Some(late)), soon);
        assert_eq!(late.earlier(None), late);
    }
}
