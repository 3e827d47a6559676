//! Time stamps as RFC 3339 has them, in UTC, to the microsecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time stamp, and the second it belongs to: within one second only the fraction changes.
pub(crate) struct Stamp {
    second: u64,
    text: [u8; 27],
}

impl Stamp {
    pub(crate) const fn new() -> Self {
        Self { second: u64::MAX, text: [0; 27] }
    }

    /// Writes [`rfc3339`] of the moment so long after 1970.
    pub(crate) fn at(&mut self, since: Duration) -> &[u8; 27] {
        if since.as_secs() == self.second {
            let micros = since.subsec_micros();
            // Two digits at a time: the rest of this is cheap.
            for (at, pair) in [(20, micros / 10_000), (22, micros / 100 % 100), (24, micros % 100)]
            {
                self.text[at] = b'0' + (pair / 10) as u8;
                self.text[at + 1] = b'0' + (pair % 10) as u8;
            }
        } else {
            *self = Self { second: since.as_secs(), text: rfc3339(since) };
        }
        &self.text
    }
}

/// Returns how long after 1970 a moment is; zero for those before.
pub(crate) fn since_1970(moment: SystemTime) -> Duration {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Writes `2026-11-21T04:31:00.123456Z`, from the time since 1970; what is after the year 9999 is
/// cut to it.
pub(crate) fn rfc3339(since: Duration) -> [u8; 27] {
    const LAST: u64 = 253_402_300_799;
    let seconds = since.as_secs().min(LAST);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut out = *b"0000-00-00T00:00:00.000000Z";
    put(&mut out[..4], year);
    put(&mut out[5..7], month);
    put(&mut out[8..10], day);
    put(&mut out[11..13], second / 3600);
    put(&mut out[14..16], second / 60 % 60);
    put(&mut out[17..19], second % 60);
    put(&mut out[20..26], u64::from(since.subsec_micros()));
    out
}

/// Writes a number in decimal digits, zeros in front.
fn put(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Turns days since 1970-01-01 into year, month and day (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_688_169_599, "2023-06-30T23:59:59.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (u64::MAX / 4, "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(str::from_utf8(&rfc3339(Duration::from_secs(seconds))).unwrap(), text);
        }
        assert_eq!(&rfc3339(Duration::from_micros(1_234_567))[17..], b"01.234567Z");
        assert_eq!(since_1970(UNIX_EPOCH - Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn a_kept_stamp_is_never_an_old_one() {
        let mut stamp = Stamp::new();
        for micros in [1_234_567, 1_234_568, 1_999_999, 2_000_000, 1_000_000, 90_061_000_001] {
            let since = Duration::from_micros(micros);
            assert_eq!(*stamp.at(since), rfc3339(since));
        }
    }

    #[test]
    fn each_digit_of_the_fraction_has_its_place() {
        let mut stamp = Stamp::new();
        for micros in (0..1_000_000).step_by(37).chain([999_999]) {
            let text = format!("1970-01-01T00:00:05.{micros:06}Z");
            let since = Duration::from_micros(5_000_000 + micros);
            assert_eq!(str::from_utf8(stamp.at(since)).unwrap(), text);
        }
    }
}
