//! What an HTTP answer says about when to come back.

use http::{HeaderMap, HeaderValue, header};
use std::time::{Duration, SystemTime};

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
///
/// A date is read against the response's own `Date`, so that clocks which disagree do no harm; one
/// that has passed is no wait. What is neither (negative numbers too) was not said.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after_at(headers, SystemTime::now)
}

fn retry_after_at(headers: &HeaderMap, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than 19 digits are past all patience, too.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let until = httpdate::parse_http_date(value).ok()?;
    let sent = headers.get(header::DATE).and_then(date).unwrap_or_else(now);
    Some(until.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        // Sun, 06 Nov 1994 08:49:37 GMT.
        retry_after_at(&headers, || SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_an_hour_long_or_negative() {
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(read("0", None), secs(0));
        assert_eq!(read(" 120 ", None), secs(120));
        assert_eq!(read("3600", None), secs(3600));
        assert_eq!(read("99999999999999999999999", None), secs(u64::MAX));
        for bad in ["-1", "-3600", "1.5", "", "soon", "0x10", "+5", "1 s"] {
            assert_eq!(read(bad, None), None, "{bad}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:49:40 GMT", None), secs(3));
        assert_eq!(read("Sun, 06 Nov 1994 09:49:37 GMT", None), secs(3600));
        assert_eq!(read("Sunday, 06-Nov-94 08:49:40 GMT", None), secs(3));
        assert_eq!(read("Sun, 06 Nov 1994 07:49:37 GMT", None), secs(0), "an hour ago");
    }

    #[test]
    fn a_date_is_read_by_the_clock_that_wrote_it() {
        let (date, after) = ("Tue, 02 Jan 2035 10:00:00 GMT", "Tue, 02 Jan 2035 10:00:07 GMT");
        assert_eq!(read(after, Some(date)), Some(Duration::from_secs(7)));
        assert_eq!(read("5", Some(date)), Some(Duration::from_secs(5)));
        assert!(read(after, Some("never")).unwrap() > Duration::from_secs(1_000_000));
    }
}
