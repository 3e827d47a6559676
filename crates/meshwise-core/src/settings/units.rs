//! Durations and sizes as people write them: a number and a unit, always.

use std::{fmt, time::Duration};

/// Units of time, in nanoseconds; the largest first.
const TIMES: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size, in bytes; the largest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What a duration looks like, for JSON Schema (ECMA 262).
pub(super) const DURATION_PATTERN: &str = "^[0-9]{1,20}(\\.[0-9]{1,9})?(ns|us|ms|s|m|h|d)$";
/// What a size looks like, for JSON Schema (ECMA 262).
pub(super) const SIZE_PATTERN: &str = "^[0-9]{1,20}(B|KiB|MiB|GiB)$";

/// Holds a number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "a number of bytes is all there is to it")]
pub struct Size(pub u64);

impl Size {
    /// Returns the number of bytes, or the largest `usize` if it is more.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, u64)| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = SIZES.iter().find(fits).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// Parses a size such as `64KiB`: a whole number and one of `B`, `KiB`, `MiB`, `GiB`.
///
/// ```
/// use meshwise_core::settings::{Size, parse_size};
/// assert_eq!(parse_size("64KiB"), Some(Size(65_536)));
/// assert_eq!(parse_size("65536"), None);
/// ```
#[must_use]
pub fn parse_size(text: &str) -> Option<Size> {
    let (number, unit) = split(text)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*bytes).map(Size)
}

/// Parses a duration such as `250ms`, `1.5s` or `5m`: a decimal number and one of `ns`, `us`, `ms`,
/// `s`, `m`, `h`, `d`.
///
/// ```
/// use meshwise_core::settings::parse_duration;
/// use std::time::Duration;
/// assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
/// assert_eq!(parse_duration("1500"), None);
/// ```
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, nanos) = TIMES.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || (fraction.is_empty() && number.contains('.')) {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?) * u128::from(*nanos);
    // Whole numbers throughout: 0.1 is no binary fraction.
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let parts = if fraction.is_empty() { 0 } else { u128::from(fraction.parse::<u64>().ok()?) };
    let nanos = whole + parts * u128::from(*nanos) / scale;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

/// Splits digits (and a point) from the unit that follows them.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    (at > 0 && at <= 28).then(|| text.split_at(at))
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that needs no fraction.
pub(super) fn write_duration(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return "0s".to_owned();
    }
    let fits = |(_, unit): &&(&str, u64)| nanos.is_multiple_of(*unit);
    let (unit, size) = TIMES.iter().find(fits).copied().unwrap_or(("ns", 1));
    format!("{}{unit}", nanos / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_units_always() {
        for (text, nanos) in [
            ("250ms", 250_000_000_u64),
            ("10s", 10_000_000_000),
            ("5m", 300_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.1s", 100_000_000),
            ("0s", 0),
            ("1h", 3_600_000_000_000),
            ("365d", 31_536_000_000_000_000),
            ("7ns", 7),
            ("1.000000001s", 1_000_000_001),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for text in [
            "",
            "5",
            "5 s",
            " 5s",
            "5s ",
            "s",
            "-1s",
            "+1s",
            "1e3s",
            "5S",
            "5sec",
            ".5s",
            "5.s",
            "1.2.3s",
            "1m30s",
            "99999999999999999999s",
            "999999999999d",
            "1.0000000001s",
            "５s",
            "1,5s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_units_always() {
        for (text, bytes) in
            [("0B", 0), ("1B", 1), ("64KiB", 65_536), ("8MiB", 8 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse_size(text), Some(Size(bytes)), "{text}");
        }
        for text in ["", "64", "64K", "64kib", "64 KiB", "1.5MiB", "-1B", "99999999999999GiB", "B"]
        {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(nanos in any::<u64>(), bytes in any::<u64>()) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&Size(bytes).to_string()), Some(Size(bytes)));
        }

        #[test]
        fn no_text_is_too_odd(text in ".{0,40}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
