//! The `Deprecation` header.

use super::parse_http_date;
use http::{HeaderMap, HeaderValue};
use meshwise_api::{Date, names};

/// Says since when, or from when on, a resource is deprecated (RFC 9745).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deprecation {
    /// At this moment, in seconds since 1970; it may lie in the future.
    At(i64),
    /// At a moment that no one told: the legacy value `true`.
    Now,
}

impl Deprecation {
    /// Deprecates from the first moment of a day, UTC.
    #[must_use]
    pub const fn on(day: Date) -> Self {
        Self::At(day.to_unix_seconds())
    }

    /// Reads the first of the `Deprecation` headers that can be read. `now`, in seconds since 1970,
    /// completes years of two digits.
    #[must_use]
    pub fn read(headers: &HeaderMap, now: i64) -> Option<Self> {
        headers.get_all(names::DEPRECATION).iter().find_map(|value| Self::parse(value, now))
    }

    /// Reads a value: a structured-field Date (RFC 9651, section 3.3.7) with any parameters, an
    /// HTTP-date, or `true`. `now` as in [`read`](Self::read).
    #[must_use]
    pub fn parse(value: &HeaderValue, now: i64) -> Option<Self> {
        let text = value.to_str().ok()?.trim_matches([' ', '\t']);
        if let Some(date) = text.strip_prefix('@') {
            return structured(date).map(Self::At);
        }
        if text.eq_ignore_ascii_case("true") || text == "?1" {
            return Some(Self::Now);
        }
        parse_http_date(text, now).map(Self::At)
    }

    /// Writes the value: `@` and the seconds since 1970.
    ///
    /// `None` for [`Deprecation::Now`], which the standard cannot say, and for a moment of more than
    /// 15 digits.
    #[must_use]
    pub fn to_header(self) -> Option<HeaderValue> {
        match self {
            Self::At(seconds) if seconds.unsigned_abs() < 1_000_000_000_000_000 => {
                HeaderValue::try_from(format!("@{seconds}")).ok()
            }
            Self::At(_) | Self::Now => None,
        }
    }

    /// Returns the moment in seconds since 1970, if it was told.
    #[must_use]
    pub const fn seconds(self) -> Option<i64> {
        match self {
            Self::At(seconds) => Some(seconds),
            Self::Now => None,
        }
    }

    /// Returns the day, UTC, if the moment was told and has a year of four digits.
    #[must_use]
    pub fn day(self) -> Option<Date> {
        Date::from_unix_seconds(self.seconds()?)
    }
}

/// Reads what follows the `@`: an sf-integer of at most 15 digits, then perhaps parameters.
fn structured(text: &str) -> Option<i64> {
    let (number, parameters) = text.split_once(';').unwrap_or((text, ""));
    if !parameters.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
        return None;
    }
    let digits = number.strip_prefix('-').unwrap_or(number);
    let fine = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_219_200;

    fn parse(text: &str) -> Option<Deprecation> {
        Deprecation::parse(&HeaderValue::from_str(text).unwrap(), NOW)
    }

    #[test]
    fn structured_dates_are_read() {
        for (text, seconds) in [
            ("@0", 0),
            ("@1659578233", 1_659_578_233),
            ("@-1659578233", -1_659_578_233),
            ("@1688169599", 1_688_169_599),
            ("@999999999999999", 999_999_999_999_999),
            ("@1659578233;note=\"x\"", 1_659_578_233),
            (" @1659578233 ", 1_659_578_233),
        ] {
            assert_eq!(parse(text), Some(Deprecation::At(seconds)), "{text}");
        }
        for text in [
            "@1659578233.12",
            "@",
            "@-",
            "@ 12345678",
            "@abc",
            "@1000000000000000",
            "@-1000000000000000",
            "@+1",
            "@--1",
            "@1 2",
            "@@1",
            "1659578233",
            "false",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("@1688169599").and_then(Deprecation::day), Date::new(2023, 6, 30));
        assert_eq!(parse("@999999999999999").and_then(Deprecation::day), None);
    }

    #[test]
    fn what_came_before_the_standard_is_read_too() {
        assert_eq!(parse("true"), Some(Deprecation::Now));
        assert_eq!(parse("True"), Some(Deprecation::Now));
        assert_eq!(parse("?1"), Some(Deprecation::Now));
        for text in ["Sun, 11 Nov 2018 23:59:59 GMT", "Sun, 11 Nov 2018 23:59:59 UTC"] {
            assert_eq!(parse(text), Some(Deprecation::At(1_541_980_799)), "{text}");
        }
    }

    #[test]
    fn the_first_value_that_can_be_read_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(Deprecation::read(&headers, NOW), None);
        headers.append(names::DEPRECATION, HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append(names::DEPRECATION, HeaderValue::from_static("@x"));
        headers.append(names::DEPRECATION, HeaderValue::from_static("@7"));
        headers.append(names::DEPRECATION, HeaderValue::from_static("@8"));
        assert_eq!(Deprecation::read(&headers, NOW), Some(Deprecation::At(7)));
    }

    #[test]
    fn only_what_the_standard_has_is_written() {
        assert_eq!(
            Deprecation::on(Date::new(2026, 9, 1).unwrap()).to_header().unwrap(),
            "@1788220800"
        );
        assert_eq!(Deprecation::At(-5).to_header().unwrap(), "@-5");
        assert_eq!(Deprecation::At(i64::MIN).to_header(), None);
        assert_eq!(Deprecation::Now.to_header(), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, now: i64) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = Deprecation::parse(&value, now);
            }
        }

        #[test]
        fn what_is_written_is_read_again(seconds: i64) {
            let written = Deprecation::At(seconds).to_header();
            let read = written.and_then(|value| Deprecation::parse(&value, NOW));
            prop_assert!(read.is_none_or(|read| read == Deprecation::At(seconds)));
        }
    }
}
