//! Calendar dates: days in UTC, and nothing finer.
//!
//! A promise about an API ("until 2027-03-01") is made in days. [`Date`] is such a day of the
//! proleptic Gregorian calendar, years 0000 to 9999, and can only be built for a day that exists.
//!
//! ```
//! use meshwise_api::Date;
//!
//! const SUNSET: Option<Date> = Date::new(2028, 2, 29);
//! let sunset = SUNSET.expect("2028 is a leap year");
//! assert_eq!(sunset.to_string(), "2028-02-29");
//! assert_eq!(sunset.days_since("2028-01-31".parse()?), 29);
//! assert!("2027-02-29".parse::<Date>().is_err());
//! # Ok::<(), meshwise_api::DateError>(())
//! ```

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds in a day; UTC days have no leap seconds in Unix time.
const DAY: i64 = 86_400;

/// Names a day of the calendar, in UTC.
///
/// Ordered by time. Where a moment is needed (a header, a comparison with a clock) it is the first
/// one of the day: 00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    // The order of the fields is the order of time.
    year: i32,
    month: u8,
    day: u8,
}

impl Date {
    /// The first day that can be named: 0000-01-01.
    #[doc(hidden)]
    pub const MIN: Self = Self { year: 0, month: 1, day: 1 };

    /// The last day that can be named: 9999-12-31.
    #[doc(hidden)]
    pub const MAX: Self = Self { year: 9999, month: 12, day: 31 };

    /// Names a day, if the calendar has it; years reach from 0 to 9999.
    #[must_use]
    pub const fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        if year < 0 || year > 9999 || month < 1 || month > 12 {
            return None;
        }
        if day < 1 || day > days_in_month(year, month) {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// Returns the year, 0 to 9999.
    #[doc(hidden)]
    #[must_use]
    pub const fn year(self) -> i32 {
        self.year
    }

    /// Returns the month, 1 to 12.
    #[doc(hidden)]
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// Returns the day of the month, from 1.
    #[doc(hidden)]
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Counts the days since 1970-01-01; negative before it.
    #[doc(hidden)]
    #[must_use]
    pub const fn to_epoch_days(self) -> i32 {
        // Years that start in March end with the leap day, so that it never shifts a month
        // (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = (self.month as i32 + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + self.day as i32 - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// Names the day that lies `days` after 1970-01-01, if its year is 0 to 9999.
    #[doc(hidden)]
    #[must_use]
    pub const fn from_epoch_days(days: i32) -> Option<Self> {
        if days < Self::MIN.to_epoch_days() || days > Self::MAX.to_epoch_days() {
            return None;
        }
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as i32;
        // In range by construction: month is 1 to 12 and day 1 to 31.
        Some(Self { year, month: month as u8, day: day as u8 })
    }

    /// Returns the first moment of the day, 00:00:00 UTC, in seconds since 1970-01-01.
    #[doc(hidden)]
    #[must_use]
    pub const fn to_unix_seconds(self) -> i64 {
        self.to_epoch_days() as i64 * DAY
    }

    /// Names the day in which a moment lies, given in seconds since 1970-01-01 UTC, if its year is
    /// 0 to 9999.
    #[doc(hidden)]
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let days = seconds.div_euclid(DAY);
        if days < i32::MIN as i64 || days > i32::MAX as i64 {
            return None;
        }
        Self::from_epoch_days(days as i32)
    }

    /// Counts the days from `earlier` to this day; negative if `earlier` is later.
    #[doc(hidden)]
    #[must_use]
    pub const fn days_since(self, earlier: Self) -> i32 {
        self.to_epoch_days() - earlier.to_epoch_days()
    }

    /// Names the day that lies `days` later (earlier, if negative), if its year is 0 to 9999.
    #[doc(hidden)]
    #[must_use]
    pub const fn plus_days(self, days: i32) -> Option<Self> {
        match self.to_epoch_days().checked_add(days) {
            Some(days) => Self::from_epoch_days(days),
            None => None,
        }
    }

    /// Reads a day from eight digits, `YYYYMMDD`, as version names carry it.
    ///
    /// # Errors
    /// If the text is anything else, or the calendar has no such day.
    #[doc(hidden)]
    pub fn parse_compact(text: &str) -> Result<Self, DateError> {
        let (8, true) = (text.len(), text.bytes().all(|b| b.is_ascii_digit())) else {
            return Err(DateError::new(text, Flaw::Form));
        };
        Self::from_parts(text, &text[..4], &text[4..6], &text[6..])
    }

    /// Builds a day from three runs of ASCII digits.
    fn from_parts(whole: &str, year: &str, month: &str, day: &str) -> Result<Self, DateError> {
        let number =
            |text: &str| text.parse::<u16>().map_err(|_| DateError::new(whole, Flaw::Form));
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        let no_day = || DateError::new(whole, Flaw::NoSuchDay);
        let (Ok(month), Ok(day)) = (u8::try_from(month), u8::try_from(day)) else {
            return Err(no_day());
        };
        Self::new(i32::from(year), month, day).ok_or_else(no_day)
    }
}

const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = DateError;

    /// Reads `YYYY-MM-DD` (RFC 3339 `full-date`), and nothing around it.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let bytes = text.as_bytes();
        let well_formed = bytes.len() == 10
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !well_formed {
            return Err(DateError::new(text, Flaw::Form));
        }
        Self::from_parts(text, &text[..4], &text[5..7], &text[8..])
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Says why a text names no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {flaw}")]
pub struct DateError {
    text: String,
    flaw: Flaw,
}

impl DateError {
    fn new(text: &str, flaw: Flaw) -> Self {
        Self { text: crate::text::shorten(text), flaw }
    }

    /// Tells whether the text has the form of a date, but the calendar lacks the day.
    #[doc(hidden)]
    #[must_use]
    pub fn is_missing_day(&self) -> bool {
        self.flaw == Flaw::NoSuchDay
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Form,
    NoSuchDay,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "is not a date, write it as YYYY-MM-DD",
            Self::NoSuchDay => "is not a day of the calendar",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect(text)
    }

    #[test]
    fn known_days_have_known_numbers() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2023-06-30", 19_538),
            ("0000-01-01", -719_528),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(date(text).to_epoch_days(), days, "{text}");
            assert_eq!(Date::from_epoch_days(days), Some(date(text)), "{text}");
        }
        // RFC 9745's own example: @1688169599 is the last second of this day.
        assert_eq!(Date::from_unix_seconds(1_688_169_599), Some(date("2023-06-30")));
        assert_eq!(Date::from_unix_seconds(1_688_169_600), Some(date("2023-07-01")));
        assert_eq!(date("2023-07-01").to_unix_seconds(), 1_688_169_600);
        assert_eq!(Date::from_unix_seconds(-1), Some(date("1969-12-31")));
    }

    #[test]
    fn only_days_of_the_calendar_exist() {
        for text in ["2024-02-29", "2000-02-29", "2026-12-31", "0000-02-29"] {
            assert_eq!(date(text).to_string(), text);
        }
        for text in
            ["2023-02-29", "1900-02-29", "2026-04-31", "2026-00-01", "2026-13-01", "2026-01-00"]
        {
            let error = text.parse::<Date>().expect_err(text);
            assert!(error.is_missing_day(), "{error}");
        }
    }

    #[test]
    fn what_has_another_form_is_no_date() {
        for text in [
            "",
            "2026",
            "2026-1-1",
            "26-01-01",
            "2026/01/01",
            "2026-01-01 ",
            "+026-01-01",
            "2026-01-01T00:00:00Z",
            "２０２６-01-01",
            "-2026-01-01",
            "12026-01-01",
        ] {
            let error = text.parse::<Date>().expect_err(text);
            assert!(!error.is_missing_day(), "{error}");
        }
        assert!(Date::parse_compact("20170229").expect_err("no leap year").is_missing_day());
        assert!(Date::parse_compact("2017０1").is_err());
        assert_eq!(Date::parse_compact("20171001"), Ok(date("2017-10-01")));
    }

    #[test]
    fn beyond_the_range_there_is_nothing() {
        assert_eq!(Date::from_epoch_days(i32::MAX), None);
        assert_eq!(Date::from_epoch_days(i32::MIN), None);
        assert_eq!(Date::from_unix_seconds(i64::MAX), None);
        assert_eq!(Date::from_unix_seconds(i64::MIN), None);
        assert_eq!(Date::MAX.plus_days(1), None);
        assert_eq!(Date::MIN.plus_days(-1), None);
        assert_eq!(Date::MAX.plus_days(i32::MAX), None);
    }

    proptest! {
        #[test]
        fn days_and_dates_are_one_to_one(days in -719_528..=2_932_896i32) {
            let date = Date::from_epoch_days(days).expect("in range");
            prop_assert_eq!(date.to_epoch_days(), days);
            prop_assert_eq!(date.to_string().parse::<Date>(), Ok(date));
            prop_assert_eq!(Date::new(date.year(), date.month(), date.day()), Some(date));
            if let Some(next) = date.plus_days(1) {
                prop_assert!(next > date);
                prop_assert_eq!(next.days_since(date), 1);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = text.parse::<Date>();
            let _ = Date::parse_compact(&text);
        }
    }
}
