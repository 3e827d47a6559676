//! HTTP-dates (RFC 9110, section 5.6.7).

use meshwise_api::Date;
use std::fmt::Write;

const DAY: i64 = 86_400;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes a moment, in seconds since 1970, as IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// `None` if its year has no four digits.
#[must_use]
pub fn format_http_date(seconds: i64) -> Option<String> {
    let date = Date::from_unix_seconds(seconds)?;
    let day = *DAYS.get(date.to_epoch_days().checked_add(3)?.rem_euclid(7) as usize)?;
    let month = *MONTHS.get(usize::from(date.month().checked_sub(1)?))?;
    let time = seconds.rem_euclid(DAY);
    let mut text = String::with_capacity(29);
    write!(
        text,
        "{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
        date.day(),
        date.year(),
        time / 3600,
        time / 60 % 60,
        time % 60
    )
    .ok()?;
    Some(text)
}

/// Reads any of the three forms of an HTTP-date as seconds since 1970.
///
/// - IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`
/// - RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`
/// - asctime: `Sun Nov  6 08:49:37 1994`
///
/// Names are read in any case, `UTC` in place of `GMT`, and the name of the day need not fit the
/// date. A year of two digits is taken for the one that lies less than 50 years after `now` (seconds
/// since 1970), as the RFC wants. `None` if it is none of these, or the calendar has no such day.
#[must_use]
pub fn parse_http_date(text: &str, now: i64) -> Option<i64> {
    // Longer than any of the three forms, and not worth a look.
    let text = text.trim_matches([' ', '\t']);
    if text.len() > 40 || !text.is_ascii() {
        return None;
    }
    match text.split_once(',') {
        Some((day, rest)) => {
            named(day, &DAYS).or_else(|| named(day, &LONG_DAYS))?;
            let rest = rest.strip_prefix(' ')?;
            if rest.contains('-') { rfc_850(rest, now) } else { imf_fixdate(rest) }
        }
        None => asctime(text),
    }
}

/// `06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &str) -> Option<i64> {
    let mut words = text.split(' ');
    let day = number(words.next()?, 2)?;
    let month = named(words.next()?, &MONTHS)?;
    let year = number(words.next()?, 4)?;
    let time = time_of_day(words.next()?)?;
    zone(words.next()?)?;
    words.next().is_none().then_some(())?;
    moment(year, month, day, time)
}

/// `06-Nov-94 08:49:37 GMT`
fn rfc_850(text: &str, now: i64) -> Option<i64> {
    let mut words = text.split(' ');
    let mut date = words.next()?.split('-');
    let time = time_of_day(words.next()?)?;
    zone(words.next()?)?;
    words.next().is_none().then_some(())?;
    let day = number(date.next()?, 2)?;
    let month = named(date.next()?, &MONTHS)?;
    let year = date.next()?;
    date.next().is_none().then_some(())?;
    if year.len() == 4 {
        // Not the RFC's, but plain to read.
        return moment(number(year, 4)?, month, day, time);
    }
    let year = number(year, 2)?;
    let this_year = Date::from_unix_seconds(now)?.year();
    // The last year with these digits that is not more than 50 years ahead.
    let latest = this_year.checked_add(50)?;
    moment(latest - (latest - year).rem_euclid(100), month, day, time)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<i64> {
    let mut words = text.split(' ');
    named(words.next()?, &DAYS)?;
    let month = named(words.next()?, &MONTHS)?;
    let day = match words.next()? {
        "" => number(words.next()?, 1)?,
        day => number(day, 2)?,
    };
    let time = time_of_day(words.next()?)?;
    let year = number(words.next()?, 4)?;
    words.next().is_none().then_some(())?;
    moment(year, month, day, time)
}

fn moment(year: i32, month: usize, day: i32, time: i64) -> Option<i64> {
    let month = u8::try_from(month).ok()?.checked_add(1)?;
    let date = Date::new(year, month, u8::try_from(day).ok()?)?;
    Some(date.to_unix_seconds() + time)
}

/// `08:49:37`, and `23:59:60` for a leap second, which Unix time counts as the next one.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hour = number(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let second = number(parts.next()?, 2).filter(|second| *second <= 60)?;
    parts.next().is_none().then(|| i64::from(hour * 3600 + minute * 60 + second))
}

fn zone(text: &str) -> Option<()> {
    (text.eq_ignore_ascii_case("GMT") || text.eq_ignore_ascii_case("UTC")).then_some(())
}

fn number(text: &str, digits: usize) -> Option<i32> {
    let fine = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| text.parse().ok()).flatten()
}

fn named(text: &str, names: &[&str]) -> Option<usize> {
    names.iter().position(|name| text.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_219_200; // 2026-11-21

    #[test]
    fn the_three_forms_name_one_moment() {
        // RFC 9110's own example.
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "\t Sun, 06 Nov 1994 08:49:37 GMT ",
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(text, NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW), Some(1_483_228_800));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            ",",
            "Sun, ",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Wed, 29 Feb 2017 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 199４ 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(parse_http_date(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn two_digits_of_a_year_are_at_most_50_years_ahead() {
        let year = |text: &str| {
            let seconds = parse_http_date(&format!("Sunday, 01-Jan-{text} 00:00:00 GMT"), NOW);
            Date::from_unix_seconds(seconds.unwrap()).unwrap().year()
        };
        assert_eq!((year("26"), year("27"), year("76")), (2026, 2027, 2076));
        assert_eq!((year("77"), year("94"), year("00")), (1977, 1994, 2000));
    }

    #[test]
    fn a_written_date_has_four_digits_of_year() {
        assert_eq!(format_http_date(0).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format_http_date(-1).unwrap(), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_eq!(format_http_date(1_688_169_599).unwrap(), "Fri, 30 Jun 2023 23:59:59 GMT");
        assert_eq!(format_http_date(1_709_164_800).unwrap(), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(format_http_date(i64::MAX), None);
        assert_eq!(format_http_date(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in -62_167_219_200_i64..253_402_300_800) {
            let text = format_http_date(seconds).unwrap();
            prop_assert_eq!(parse_http_date(&text, NOW), Some(seconds));
        }

        #[test]
        fn nothing_panics(text in ".{0,60}", now: i64) {
            let _ = parse_http_date(&text, now);
            let _ = format_http_date(now);
        }

        #[test]
        fn nothing_that_looks_like_a_date_panics(
            text in "(Sun|Sunday)?,? [0-9]{0,3}[- ]?[A-Za-z]{3}[- ][0-9]{0,5} [0-9:]{0,9} ?(GMT|UTC)?",
            now: i64,
        ) {
            let _ = parse_http_date(&text, now);
        }
    }
}
