//! Where a version stands in its life, by its dates and today.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::date::Date;

/// Where a version of an API stands.
///
/// It is never written down, only computed by [`State::on`]: dates cannot contradict it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum State {
    /// Announced and not released: no one can call it yet.
    Planned,
    /// Released, and to be used.
    Current,
    /// Works, and its users should leave.
    Deprecated,
    /// Past its sunset: it may be gone at any moment.
    Retired,
}

impl State {
    /// Tells where a version with these dates stands on a day.
    ///
    /// Each date takes effect as its day begins (00:00 UTC): on the day of its sunset a version is
    /// retired, as RFC 8594 section 3 has it ("no longer ... from this moment"). A version without
    /// a release date is planned. The latest state that was reached counts, so dates in a wrong
    /// order still give an answer; that they are wrong is the finding `dates-out-of-order`.
    #[doc(hidden)]
    #[must_use]
    pub const fn on(
        today: Date,
        released: Option<Date>,
        deprecated: Option<Date>,
        sunset: Option<Date>,
    ) -> Self {
        if reached(today, sunset) {
            Self::Retired
        } else if !reached(today, released) {
            Self::Planned
        } else if reached(today, deprecated) {
            Self::Deprecated
        } else {
            Self::Current
        }
    }

    /// Returns the name in lower case: `planned`, `current`, `deprecated` or `retired`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Current => "current",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }

    /// Tells whether a version in this state can be called: it is current or deprecated.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Current | Self::Deprecated)
    }
}

const fn reached(today: Date, date: Option<Date>) -> bool {
    match date {
        Some(date) => today.to_epoch_days() >= date.to_epoch_days(),
        None => false,
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        [Self::Planned, Self::Current, Self::Deprecated, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| StateError(crate::text::shorten(text)))
    }
}

/// Says that a text is not the name of a [`State`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state, write planned, current, deprecated or retired")]
pub struct StateError(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<Date> {
        Some(text.parse().expect(text))
    }

    #[test]
    fn each_date_takes_effect_as_its_day_begins() {
        let (released, deprecated, sunset) =
            (day("2017-10-01"), day("2026-09-01"), day("2027-03-01"));
        for (today, state) in [
            ("2017-09-30", State::Planned),
            ("2017-10-01", State::Current),
            ("2026-08-31", State::Current),
            ("2026-09-01", State::Deprecated),
            ("2027-02-28", State::Deprecated),
            ("2027-03-01", State::Retired),
        ] {
            let today = day(today).expect("a day");
            assert_eq!(State::on(today, released, deprecated, sunset), state, "{today}");
        }
    }

    #[test]
    fn absent_dates_are_never_reached() {
        let today = day("2026-11-21").expect("a day");
        assert_eq!(State::on(today, None, None, None), State::Planned);
        assert_eq!(State::on(today, day("2026-01-01"), None, None), State::Current);
        assert_eq!(State::on(today, day("2026-01-01"), None, day("2026-02-01")), State::Retired);
        assert_eq!(State::on(today, None, None, day("2026-02-01")), State::Retired);
        // Not yet released, whatever else is said.
        assert_eq!(State::on(today, None, day("2026-02-01"), None), State::Planned);
    }

    #[test]
    fn names_go_there_and_back() {
        for state in [State::Planned, State::Current, State::Deprecated, State::Retired] {
            assert_eq!(state.to_string().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).expect("json"), state.as_str());
        }
        assert!("Current".parse::<State>().is_err());
        assert!(State::Current.is_live() && State::Deprecated.is_live());
        assert!(!State::Planned.is_live() && !State::Retired.is_live());
    }
}
