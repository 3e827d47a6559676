//! Time stamps as RFC 3339 has them, in UTC, to the microsecond.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time stamp, and the second it belongs to: within one second only the fraction changes.
pub(crate) struct Stamp {
    second: u64,
    text: [u8; 27],
}

impl Stamp {
    pub(crate) const fn new() -> Self {
        Self { second: u64::MAX, text: [0; 27] }
    }

    /// Writes [`rfc3339`].
    pub(crate) fn at(&mut self, now: SystemTime) -> [u8; 27] {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() == self.second {
            put(&mut self.text[20..26], u64::from(since.subsec_micros()));
        } else {
            *self = Self { second: since.as_secs(), text: rfc3339(now) };
        }
        self.text
    }
}

/// Writes `2026-11-21T04:31:00.123456Z`; times outside the years 1970 to 9999 are cut to them.
pub(crate) fn rfc3339(now: SystemTime) -> [u8; 27] {
    const LAST: u64 = 253_402_300_799;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
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
    use std::time::Duration;

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
            if let Some(time) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
                assert_eq!(str::from_utf8(&rfc3339(time)).unwrap(), text);
            }
        }
        let time = UNIX_EPOCH + Duration::from_micros(1_234_567);
        assert_eq!(&rfc3339(time)[17..], b"01.234567Z");
        assert_eq!(&rfc3339(UNIX_EPOCH - Duration::from_secs(1))[..4], b"1970");
    }
    #[test]
    fn a_kept_stamp_is_never_an_old_one() {
        let mut stamp = Stamp::new();
        for micros in [1_234_567, 1_234_568, 1_999_999, 2_000_000, 1_000_000, 90_061_000_001] {
            let now = UNIX_EPOCH + Duration::from_micros(micros);
            assert_eq!(stamp.at(now), rfc3339(now));
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(stamp.at(before), rfc3339(before));
    }
}
