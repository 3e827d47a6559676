//! Moments in UTC, to the second.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{date::Date, text::shorten};

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Names a moment, in seconds since 1970-01-01T00:00:00Z; years 0000 to 9999.
///
/// Written as RFC 3339 with `Z`: `2026-11-21T08:00:00Z`. Read in just this form, so that one moment
/// has one text and one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Names the moment, if its year is 0 to 9999.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        Date::from_unix_seconds(seconds).map(|_| Self(seconds))
    }

    /// Returns the seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn to_unix_seconds(self) -> i64 {
        self.0
    }

    /// Returns the day, in UTC.
    #[must_use]
    pub fn date(self) -> Date {
        // In range since it was made.
        Date::from_unix_seconds(self.0).unwrap_or(Date::MIN)
    }
}

impl From<Date> for Timestamp {
    /// The first moment of the day.
    fn from(date: Date) -> Self {
        Self(date.to_unix_seconds())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.rem_euclid(DAY);
        write!(
            f,
            "{}T{:02}:{:02}:{:02}Z",
            self.date(),
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError(shorten(text));
        let (date, time) = text.split_once('T').ok_or_else(error)?;
        let date: Date = date.parse().map_err(|_| error())?;
        let time = time.strip_suffix('Z').ok_or_else(error)?;
        let mut seconds = date.to_unix_seconds();
        let mut parts = time.split(':');
        for (limit, unit) in [(24, 3600), (60, 60), (60, 1)] {
            let part = parts
                .next()
                .filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
            let number: i64 = part.ok_or_else(error)?.parse().map_err(|_| error())?;
            if number >= limit {
                return Err(error());
            }
            seconds += number * unit;
        }
        match parts.next() {
            None => Ok(Self(seconds)),
            Some(_) => Err(error()),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Says that a text names no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a moment, write it in UTC as 2026-11-21T08:00:00Z")]
pub struct TimestampError(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_moment_has_one_text() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_688_169_599, "2023-06-30T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            let moment = Timestamp::from_unix_seconds(seconds).expect("in range");
            assert_eq!(moment.to_string(), text);
            assert_eq!(text.parse(), Ok(moment));
        }
        for text in [
            "",
            "2023-06-30",
            "2023-06-30T23:59:59",
            "2023-06-30T23:59:59+00:00",
            "2023-06-30T24:00:00Z",
            "2023-06-30T23:60:00Z",
            "2023-06-30T23:59:59.0Z",
            "2023-06-30t23:59:59z",
            "2023-02-29T00:00:00Z",
            "2023-06-30T23:59:59:00Z",
            "2023-06-30T+3:59:59Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!(Timestamp::from_unix_seconds(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn texts_go_there_and_back(seconds in -62_167_219_200..253_402_300_800i64) {
            let moment = Timestamp::from_unix_seconds(seconds).expect("in range");
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }
}
