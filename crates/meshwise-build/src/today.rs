//! Which day is taken for today.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use meshwise_api::Date;

use crate::error::Error;

/// Names the variable that sets the day.
pub(crate) const TODAY: &str = "MESHWISE_TODAY";
/// Names the variable of <https://reproducible-builds.org/specs/source-date-epoch/>.
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Says who told which day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(hidden)]
pub enum TodaySource {
    /// The build script, by [`Check::with_today`](crate::Check::with_today).
    Builder,
    /// `MESHWISE_TODAY`.
    Variable,
    /// `SOURCE_DATE_EPOCH`.
    SourceDateEpoch,
    /// The machine's clock.
    Clock,
}

impl fmt::Display for TodaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Builder => "set by the build script",
            Self::Variable => TODAY,
            Self::SourceDateEpoch => SOURCE_DATE_EPOCH,
            Self::Clock => "the clock",
        })
    }
}

/// Tells which day it is; a variable that is empty is not set.
pub(crate) fn today(
    set: Option<Date>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Date, TodaySource), Error> {
    if let Some(date) = set {
        return Ok((date, TodaySource::Builder));
    }
    if let Some(value) = variable(TODAY) {
        let date = value.parse().map_err(|_| Error::Variable {
            name: TODAY,
            value,
            expected: "a day such as 2026-11-21",
        })?;
        return Ok((date, TodaySource::Variable));
    }
    if let Some(value) = variable(SOURCE_DATE_EPOCH) {
        let date = value.parse().ok().and_then(Date::from_unix_seconds);
        let expected = "seconds since 1970-01-01 such as 1795219200";
        let date = date.ok_or(Error::Variable { name: SOURCE_DATE_EPOCH, value, expected })?;
        return Ok((date, TodaySource::SourceDateEpoch));
    }
    // A clock before 1970 or after 9999 is wrong, and says so by its date.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = i64::try_from(seconds).ok().and_then(Date::from_unix_seconds).unwrap_or(Date::MAX);
    Ok((date, TodaySource::Clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(set: Option<Date>, pairs: &[(&str, &str)]) -> Result<(String, TodaySource), String> {
        let variable = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        today(set, variable)
            .map(|(date, source)| (date.to_string(), source))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_nearest_word_counts() {
        let both = [(TODAY, "2026-11-21"), (SOURCE_DATE_EPOCH, "1688169599")];
        assert_eq!(
            ask(Date::new(2020, 2, 29), &both),
            Ok(("2020-02-29".to_owned(), TodaySource::Builder))
        );
        assert_eq!(ask(None, &both), Ok(("2026-11-21".to_owned(), TodaySource::Variable)));
        assert_eq!(
            ask(None, &both[1..]),
            Ok(("2023-06-30".to_owned(), TodaySource::SourceDateEpoch))
        );
        let (date, source) = ask(None, &[]).expect("the clock");
        assert_eq!(source, TodaySource::Clock);
        assert!(date.as_str() > "2026-01-01" && date.as_str() < "9999", "{date}");
    }

    #[test]
    fn what_names_no_day_is_an_error_that_says_so() {
        for (name, value) in [
            (TODAY, "tomorrow"),
            (TODAY, "2026-02-29"),
            (SOURCE_DATE_EPOCH, "now"),
            (SOURCE_DATE_EPOCH, "99999999999999999999"),
            (SOURCE_DATE_EPOCH, "999999999999999"),
        ] {
            let error = ask(None, &[(name, value)]).expect_err(value);
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
