//! The `Sunset` header.

use super::{format_http_date, parse_http_date};
use http::{HeaderMap, HeaderValue};
use meshwise_api::{Date, names};

/// Says when a resource is expected to stop working (RFC 8594), in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a name for one value")]
pub struct Sunset(pub i64);

impl Sunset {
    /// Ends with the first moment of a day, UTC.
    #[must_use]
    pub const fn on(day: Date) -> Self {
        Self(day.to_unix_seconds())
    }

    /// Reads the first of the `Sunset` headers that can be read. `now`, in seconds since 1970,
    /// completes years of two digits.
    #[must_use]
    pub fn read(headers: &HeaderMap, now: i64) -> Option<Self> {
        headers.get_all(names::SUNSET).iter().find_map(|value| Self::parse(value, now))
    }

    /// Reads a value: an HTTP-date in any of its forms. `now` as in [`read`](Self::read).
    #[must_use]
    pub fn parse(value: &HeaderValue, now: i64) -> Option<Self> {
        parse_http_date(value.to_str().ok()?, now).map(Self)
    }

    /// Writes the value as IMF-fixdate; `None` if its year has no four digits.
    #[must_use]
    pub fn to_header(self) -> Option<HeaderValue> {
        HeaderValue::try_from(format_http_date(self.0)?).ok()
    }

    /// Returns the day, UTC, if its year has four digits.
    #[must_use]
    pub const fn day(self) -> Option<Date> {
        Date::from_unix_seconds(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_ends_it_at_midnight() {
        let sunset = Sunset::on(Date::new(2027, 3, 1).unwrap());
        let value = sunset.to_header().unwrap();
        assert_eq!(value, "Mon, 01 Mar 2027 00:00:00 GMT");
        assert_eq!(Sunset::parse(&value, 0), Some(sunset));
        assert_eq!(sunset.day(), Date::new(2027, 3, 1));
        assert_eq!(Sunset(i64::MAX).to_header(), None);
    }

    #[test]
    fn the_first_value_that_can_be_read_counts() {
        let mut headers = HeaderMap::new();
        headers.append(names::SUNSET, HeaderValue::from_static("2027-03-01"));
        headers.append(names::SUNSET, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:09 GMT"));
        assert_eq!(Sunset::read(&headers, 0), Some(Sunset(9)));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, now: i64) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = Sunset::parse(&value, now);
            }
        }
    }
}
