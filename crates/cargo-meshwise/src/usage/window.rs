//! Lengths of time, as people and Prometheus write them.

use std::{fmt, str::FromStr};

/// A length of time to look back over: a whole number of seconds, up to 400 days.
///
/// Written as Prometheus does, with one unit: `90s`, `30m`, `12h`, `30d`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Window {
    seconds: u32,
}

const UNITS: [(char, u32); 5] =
    [('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Window {
    /// The longest: 400 days.
    pub(crate) const MAX: Self = Self { seconds: 400 * 86_400 };

    /// Makes one of this many seconds; none for 0, and for more than 400 days.
    #[must_use]
    pub(crate) fn from_seconds(seconds: u32) -> Option<Self> {
        (seconds > 0 && seconds <= Self::MAX.seconds).then_some(Self { seconds })
    }

    /// Returns its length in seconds.
    #[must_use]
    pub(crate) fn seconds(self) -> i64 {
        i64::from(self.seconds)
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let error = || WindowError(text.chars().take(40).collect());
        let unit = text.chars().next_back().ok_or_else(error)?;
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let number = &text[..text.len() - 1];
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let number: u32 = number.parse().map_err(|_| error())?;
        let seconds = number.checked_mul(*length).ok_or_else(error)?;
        Self::from_seconds(seconds).ok_or_else(error)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Weeks are read, and written in days.
        let unit = UNITS[1..].iter().find(|(_, length)| self.seconds.is_multiple_of(*length));
        let (unit, length) = unit.copied().unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.seconds / length)
    }
}

/// Says that a text is no [`Window`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no length of time; write a number and s, m, h, d or w, such as 30d (400d at most)"
)]
pub(crate) struct WindowError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written() {
        for (text, seconds, shown) in [
            ("30d", 2_592_000, "30d"),
            ("2w", 1_209_600, "14d"),
            ("36h", 129_600, "36h"),
            ("90m", 5_400, "90m"),
            ("60m", 3_600, "1h"),
            ("45s", 45, "45s"),
            ("400d", 34_560_000, "400d"),
        ] {
            let window: Window = text.parse().expect(text);
            assert_eq!((window.seconds(), window.to_string().as_str()), (seconds, shown));
        }
        for text in [
            "",
            "d",
            "0d",
            "401d",
            "58w",
            "-1d",
            "+1d",
            "1.5d",
            "30",
            "30 d",
            "1y",
            "1é",
            "99999999999d",
            "4294967295w",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
