//! What changed about one version between two states. No I/O.

use std::fmt;

use meshwise_api::{Date, Release, State};
use serde::Serialize;

/// One thing that changed about a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub(crate) enum Change {
    /// It is new, and can stand in for what is required.
    Released {
        /// The day from which it can be called; none while that is open.
        on: Option<Date>,
        /// Whether earlier versions must not be used any longer.
        urgent: bool,
        /// The day by which it should be required.
        adopt_by: Option<Date>,
    },
    /// No one should start to call it from this day on.
    Deprecated {
        /// The day.
        on: Date,
    },
    /// It is deprecated on another day than was said.
    DeprecationMoved {
        /// The day that was said.
        from: Date,
        /// The day now.
        to: Date,
    },
    /// It is not deprecated any more.
    DeprecationLifted {
        /// The day that was said.
        from: Date,
    },
    /// It may be gone from this day on.
    SunsetSet {
        /// The day.
        on: Date,
    },
    /// It may be gone on another day than was said.
    SunsetMoved {
        /// The day that was said.
        from: Date,
        /// The day now.
        to: Date,
    },
    /// Its end is open again.
    SunsetLifted {
        /// The day that was said.
        from: Date,
    },
    /// Its sunset is past: it may be gone at any moment.
    Retired {
        /// The day of its sunset.
        on: Date,
    },
    /// Its provider does not declare it any more.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released { on, urgent, adopt_by } => {
                f.write_str(if *urgent {
                    "URGENT: is new, and must be adopted"
                } else {
                    "is new"
                })?;
                if let Some(on) = on {
                    write!(f, ", to be called from {on} on")?;
                }
                adopt_by.map_or(Ok(()), |by| write!(f, "; adopt it by {by}"))
            }
            Self::Deprecated { on } => write!(f, "deprecated from {on} on"),
            Self::DeprecationMoved { from, to } => {
                write!(f, "deprecated from {to} on, not from {from}")
            }
            Self::DeprecationLifted { from } => write!(f, "not deprecated any more (was {from})"),
            Self::SunsetSet { on } => write!(f, "may be gone from {on} on"),
            Self::SunsetMoved { from, to } if to < from => {
                write!(f, "may be gone from {to} on: EARLIER than {from}, as was said")
            }
            Self::SunsetMoved { from, to } => {
                write!(f, "may be gone from {to} on, later than {from}")
            }
            Self::SunsetLifted { from } => write!(f, "has no end any more (was {from})"),
            Self::Retired { on } => write!(f, "retired on {on}: it may be gone at any moment"),
            Self::Gone => f.write_str("its provider does not declare it any more"),
        }
    }
}

/// A version with the day on which it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) release: Option<&'a Release>,
    pub(super) on: Date,
}

/// Lists what changed, in the order of a version's life.
pub(super) fn changes(before: Seen<'_>, after: Seen<'_>) -> Vec<Change> {
    let Some(now) = after.release else {
        return match before.release {
            Some(_) => vec![Change::Gone],
            None => Vec::new(),
        };
    };
    let was = before.release;
    let mut found = Vec::new();
    found.extend(match (was.and_then(|was| was.deprecated), now.deprecated) {
        (None, Some(on)) => Some(Change::Deprecated { on }),
        (Some(from), None) => Some(Change::DeprecationLifted { from }),
        (Some(from), Some(to)) if from != to => Some(Change::DeprecationMoved { from, to }),
        _ => None,
    });
    found.extend(match (was.and_then(|was| was.sunset), now.sunset) {
        (None, Some(on)) => Some(Change::SunsetSet { on }),
        (Some(from), None) => Some(Change::SunsetLifted { from }),
        (Some(from), Some(to)) if from != to => Some(Change::SunsetMoved { from, to }),
        _ => None,
    });
    let was_retired = was.is_some_and(|was| was.state(before.on) == State::Retired);
    if let (State::Retired, false, Some(on)) = (now.state(after.on), was_retired, now.sunset) {
        found.push(Change::Retired { on });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_api::Scheme;

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    fn release(deprecated: Option<&str>, sunset: Option<&str>) -> Release {
        let mut release = Release::new(Scheme::Exact.version("1").expect("a version"));
        release.released = Some(day("2020-01-01"));
        release.deprecated = deprecated.map(day);
        release.sunset = sunset.map(day);
        release
    }

    fn said(before: Option<&Release>, after: Option<&Release>) -> Vec<String> {
        let seen = |release, on| Seen { release, on: day(on) };
        changes(seen(before, "2026-01-01"), seen(after, "2026-02-01"))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_pair_of_dates_is_told_apart() {
        let days = [None, Some("2026-03-01"), Some("2026-04-01")];
        for a in days {
            for b in days {
                let (before, after) = (release(a, None), release(b, None));
                let found = said(Some(&before), Some(&after));
                assert_eq!(found.is_empty(), a == b, "{a:?} {b:?}");
                let (before, after) = (release(None, a), release(None, b));
                let found = said(Some(&before), Some(&after));
                assert_eq!(found.is_empty(), a == b, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn changes_read_as_sentences() {
        let plain = release(None, None);
        let planned = release(Some("2026-01-15"), Some("2026-05-01"));
        let earlier = release(Some("2026-01-10"), Some("2026-04-01"));
        let past = release(Some("2025-01-01"), Some("2026-01-20"));
        assert_eq!(
            said(Some(&plain), Some(&planned)),
            ["deprecated from 2026-01-15 on", "may be gone from 2026-05-01 on"]
        );
        assert_eq!(
            said(Some(&planned), Some(&earlier)),
            [
                "deprecated from 2026-01-10 on, not from 2026-01-15",
                "may be gone from 2026-04-01 on: EARLIER than 2026-05-01, as was said"
            ]
        );
        assert_eq!(
            said(Some(&earlier), Some(&planned))[1],
            "may be gone from 2026-05-01 on, later than 2026-04-01"
        );
        assert_eq!(
            said(Some(&planned), Some(&plain)),
            ["not deprecated any more (was 2026-01-15)", "has no end any more (was 2026-05-01)"]
        );
        // Nothing was published, and time passed.
        assert_eq!(
            said(Some(&past), Some(&past)),
            ["retired on 2026-01-20: it may be gone at any moment"]
        );
        assert_eq!(said(Some(&plain), None), ["its provider does not declare it any more"]);
        assert_eq!(said(None, None), [""; 0]);
        assert_eq!(said(None, Some(&plain)), [""; 0]);
        assert_eq!(said(None, Some(&past)).len(), 3);
    }

    #[test]
    fn what_was_retired_before_is_no_news() {
        let old = release(Some("2024-01-01"), Some("2025-01-01"));
        assert_eq!(said(Some(&old), Some(&old)), [""; 0]);
    }
}
