//! The decision. No I/O, no clock.

use meshwise_api::Date;
use serde::Serialize;

use crate::usage::{Gap, Usage};

/// Says whether a version can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// All is proven.
    Yes,
    /// Something speaks against it.
    No,
    /// Nothing speaks against it, and something is not known.
    Unknown,
}

/// Says what is planned for the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// It may be gone from this day on.
    Sunset(Date),
    /// Its end is open.
    NoSunset,
    /// The dictionary knows no one who provides it.
    NotProvided,
    /// The dictionary could not be read.
    Unknown,
}

/// A service that requires the version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Dependant {
    /// The service.
    pub service: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it requires, in its own words.
    pub requires: String,
}

/// One thing that was looked at, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub(crate) enum Reason {
    /// For yes: the sunset is past.
    SunsetPassed {
        /// The day.
        sunset: Date,
    },
    /// For no: the sunset is ahead.
    SunsetAhead {
        /// The day.
        sunset: Date,
        /// How many days are left.
        days: i32,
    },
    /// For no: no one set a sunset.
    NoSunset,
    /// Unknown: the dictionary knows no one who provides the version.
    NotProvided,
    /// Unknown: the dictionary could not be read.
    NoDictionary {
        /// Why.
        why: String,
    },
    /// For yes: no service requires the version.
    NoDependants,
    /// For no: services require it.
    Dependants {
        /// Which.
        services: Vec<Dependant>,
    },
    /// For yes, if the counters cover the window: no calls were counted.
    NoCalls {
        /// How many instances counted.
        instances: u64,
    },
    /// For no: it was called.
    Calls {
        /// How often, by caller, the busiest first.
        callers: Vec<Caller>,
    },
    /// Unknown: calls may have gone uncounted.
    Gaps {
        /// Where.
        gaps: Vec<Gap>,
    },
    /// Unknown: no one could be asked about calls.
    NoUsage {
        /// Why.
        why: String,
    },
}

/// Who called, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Caller {
    /// The service; `unknown` where none was told.
    pub service: String,
    /// How often in the window.
    pub calls: u64,
    /// How many of these calls came under a name that was proved. The others only claim it.
    pub verified: u64,
}

/// The answer with all that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Decision {
    /// The answer.
    pub answer: Answer,
    /// Why: what speaks against it first, then what is not known, then what speaks for it.
    pub reasons: Vec<Reason>,
}

impl Reason {
    /// Says what this reason alone would answer.
    #[must_use]
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::SunsetPassed { .. } | Self::NoDependants | Self::NoCalls { .. } => Answer::Yes,
            Self::SunsetAhead { .. }
            | Self::NoSunset
            | Self::Dependants { .. }
            | Self::Calls { .. } => Answer::No,
            Self::NotProvided
            | Self::NoDictionary { .. }
            | Self::Gaps { .. }
            | Self::NoUsage { .. } => Answer::Unknown,
        }
    }
}

/// Decides whether a version can go.
///
/// `dependants` and `usage` are errors, as text, where they could not be found out.
#[must_use]
pub(crate) fn decide(
    planned: Planned,
    today: Date,
    dependants: Result<Vec<Dependant>, String>,
    usage: Result<&Usage, String>,
) -> Decision {
    let mut reasons = Vec::new();
    reasons.extend(match planned {
        // It ends as the day of its sunset begins (RFC 8594, section 3).
        Planned::Sunset(sunset) if today >= sunset => Some(Reason::SunsetPassed { sunset }),
        Planned::Sunset(sunset) => {
            Some(Reason::SunsetAhead { sunset, days: sunset.days_since(today) })
        }
        Planned::NoSunset => Some(Reason::NoSunset),
        Planned::NotProvided => Some(Reason::NotProvided),
        Planned::Unknown => dependants.is_ok().then(|| Reason::NoDictionary {
            why: "what is planned for the version is not known".to_owned(),
        }),
    });
    reasons.push(match dependants {
        Ok(services) if services.is_empty() => Reason::NoDependants,
        Ok(services) => Reason::Dependants { services },
        Err(why) => Reason::NoDictionary { why },
    });
    match usage {
        Ok(usage) => {
            let mut callers: Vec<Caller> = usage
                .calls
                .iter()
                .filter(|(_, calls)| **calls > 0)
                .map(|(service, calls)| Caller {
                    service: service.clone(),
                    calls: *calls,
                    verified: usage.verified.get(service).copied().unwrap_or(0),
                })
                .collect();
            callers.sort_by_key(|caller| std::cmp::Reverse(caller.calls));
            if !callers.is_empty() {
                reasons.push(Reason::Calls { callers });
            } else if usage.is_complete() {
                reasons.push(Reason::NoCalls { instances: usage.instances });
            }
            if !usage.is_complete() {
                reasons.push(Reason::Gaps { gaps: usage.gaps.clone() });
            }
        }
        Err(why) => reasons.push(Reason::NoUsage { why }),
    }
    let says = |answer| reasons.iter().any(|reason| reason.answer() == answer);
    let answer = if says(Answer::No) {
        Answer::No
    } else if says(Answer::Unknown) {
        Answer::Unknown
    } else {
        Answer::Yes
    };
    reasons.sort_by_key(|reason| match reason.answer() {
        Answer::No => 0,
        Answer::Unknown => 1,
        Answer::Yes => 2,
    });
    Decision { answer, reasons }
}

#[cfg(test)]
mod tests;
