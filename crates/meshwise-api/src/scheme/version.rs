//! One version, read under its scheme.

use std::{cmp::Ordering, fmt};

use crate::{date::Date, scheme::Scheme, text::shorten};

/// Holds a version with the scheme that tells how to read it.
///
/// Two versions are equal if scheme and text are. Versions of one scheme are ordered by what they
/// mean (`1.9` before `1.10`), and by their text if that is the same; versions of different schemes
/// cannot be compared.
#[derive(Clone, Debug)]
pub struct Version {
    scheme: Scheme,
    text: Box<str>,
    parts: Parts,
}

/// What the text says, in the scheme's own terms.
#[derive(Clone, Debug)]
enum Parts {
    Semver(semver::Version),
    /// Main and minor; main, date and bugfix; or year, month and the rest. Later parts weigh less.
    Numbers([u64; 3]),
    Opaque,
}

impl Version {
    /// The longest version that is read, in bytes.
    pub const MAX_LEN: usize = 128;

    pub(super) fn parse(scheme: Scheme, text: &str) -> Result<Self, VersionError> {
        let parts = parse(scheme, text).map_err(|flaw| VersionError {
            text: shorten(text),
            scheme,
            flaw,
        })?;
        Ok(Self { scheme, text: text.into(), parts })
    }

    /// Returns the scheme under which the version was read.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether this version, provided, will do for one who requires `required`.
    ///
    /// The rule is that of this version's scheme; a requirement read under another one is never
    /// satisfied.
    #[must_use]
    pub fn satisfies(&self, required: &Self) -> bool {
        if self.scheme != required.scheme {
            return false;
        }
        match (self.scheme, &self.parts, &required.parts) {
            (Scheme::Semver, Parts::Semver(provided), Parts::Semver(required)) => {
                semver_satisfies(provided, required)
            }
            (Scheme::MainMinor, Parts::Numbers(provided), Parts::Numbers(required)) => {
                provided[0] == required[0] && provided[1] >= required[1]
            }
            (Scheme::MainDateBugfix, Parts::Numbers(provided), Parts::Numbers(required)) => {
                provided[..2] == required[..2] && provided[2] >= required[2]
            }
            (
                Scheme::Calver { same_or_later: true },
                Parts::Numbers(provided),
                Parts::Numbers(required),
            ) => provided >= required,
            _ => self.text == required.text,
        }
    }

    /// Returns what all versions have in common that can stand in for each other, in the form that
    /// stands in paths and package names: `v1` for `1.4`, `v0.1` for `0.1.3`, `v1_20171001` for
    /// `v1_20171001-2`. Where only the same version will do, it is the version's own text.
    #[must_use]
    pub fn unit(&self) -> String {
        match (self.scheme, &self.parts) {
            (Scheme::Semver, Parts::Semver(version)) if version.pre.is_empty() => {
                match version.major {
                    0 => format!("v0.{}", version.minor),
                    major => format!("v{major}"),
                }
            }
            (Scheme::MainMinor, Parts::Numbers([main, ..])) => format!("v{main}"),
            (Scheme::MainDateBugfix, Parts::Numbers([main, date, _])) => {
                format!("v{main}_{date:08}")
            }
            _ => self.text.to_string(),
        }
    }

    /// Compares what two versions mean; none if they are of different schemes, or the scheme knows
    /// no order (`exact`) and the texts differ.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.scheme != other.scheme {
            return None;
        }
        match (&self.parts, &other.parts) {
            (Parts::Semver(a), Parts::Semver(b)) => Some(a.cmp_precedence(b)),
            (Parts::Numbers(a), Parts::Numbers(b)) => Some(a.cmp(b)),
            _ => (self.text == other.text).then_some(Ordering::Equal),
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.text == other.text
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.scheme == other.scheme && self.text == other.text {
            return Some(Ordering::Equal);
        }
        // Equal in meaning, different in text (`1.0.0+a`, `1.0.0+b`): the text decides, so that
        // equality and order agree.
        Some(self.compare(other)?.then_with(|| self.text.cmp(&other.text)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A pre-release promises nothing to anyone but those who ask for just it.
fn semver_satisfies(provided: &semver::Version, required: &semver::Version) -> bool {
    if !provided.pre.is_empty() || !required.pre.is_empty() {
        return provided.cmp_precedence(required).is_eq();
    }
    provided.major == required.major
        && (provided.major > 0 || provided.minor == required.minor)
        && provided.cmp_precedence(required).is_ge()
}

fn parse(scheme: Scheme, text: &str) -> Result<Parts, VersionFlaw> {
    if text.is_empty() {
        return Err(VersionFlaw::Empty);
    }
    if text.len() > Version::MAX_LEN {
        return Err(VersionFlaw::TooLong);
    }
    // Versions go into headers, labels, file names and command lines.
    if let Some(odd) = text.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '@') {
        return Err(VersionFlaw::Character(odd));
    }
    match scheme {
        Scheme::Semver => match semver::Version::parse(text) {
            Ok(version) => Ok(Parts::Semver(version)),
            Err(error) => Err(VersionFlaw::Semver(error.to_string())),
        },
        Scheme::MainMinor => main_minor(text),
        Scheme::MainDateBugfix => main_date_bugfix(text),
        Scheme::Calver { .. } => calver(text),
        Scheme::Exact => Ok(Parts::Opaque),
    }
}

fn main_minor(text: &str) -> Result<Parts, VersionFlaw> {
    let (main, minor) = text.split_once('.').ok_or(VersionFlaw::Form)?;
    Ok(Parts::Numbers([number(main)?, number(minor)?, 0]))
}

fn main_date_bugfix(text: &str) -> Result<Parts, VersionFlaw> {
    let rest = text.strip_prefix('v').ok_or(VersionFlaw::Form)?;
    let (main, rest) = rest.split_once('_').ok_or(VersionFlaw::Form)?;
    let (date, bugfix) = rest.split_once('-').ok_or(VersionFlaw::Form)?;
    Ok(Parts::Numbers([number(main)?, compact_date(date)?, number(bugfix)?]))
}

/// Reads `YYYYMM` and `YYYYMMDD`; the same with a dot or a hyphen between the parts; and with dots
/// also `YYYY.M` and `YYYY.M.N`, where N is a day or counts the releases of the month.
fn calver(text: &str) -> Result<Parts, VersionFlaw> {
    let month_of = |year: &str, month: &str| {
        if year.len() != 4 {
            return Err(VersionFlaw::Form);
        }
        let (year, month) = (digits(year)?, digits(month)?);
        if (1..=12).contains(&month) { Ok((year, month)) } else { Err(VersionFlaw::NoMonth(month)) }
    };
    if text.contains('.') {
        let mut parts = text.split('.');
        let (year, month) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        // A leading zero is usual in `2016.04`, and only there.
        if month.len() > 2 {
            return Err(VersionFlaw::Form);
        }
        let (year, month) = month_of(year, month)?;
        let last = parts
            .next()
            .map_or(Ok(0), |last| if last.len() <= 2 { digits(last) } else { number(last) })?;
        if parts.next().is_some() {
            return Err(VersionFlaw::Form);
        }
        return Ok(Parts::Numbers([year, month, last]));
    }
    if text.contains('-') {
        return match (text.len(), text.split_once('-')) {
            (7, Some((year, month))) if month.len() == 2 => {
                let (year, month) = month_of(year, month)?;
                Ok(Parts::Numbers([year, month, 0]))
            }
            (10, _) => match text.parse::<Date>() {
                Ok(date) => Ok(numbers_of(date)),
                Err(error) if error.is_missing_day() => {
                    Err(VersionFlaw::NoSuchDay(text.to_owned()))
                }
                Err(_) => Err(VersionFlaw::Form),
            },
            _ => Err(VersionFlaw::Form),
        };
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(VersionFlaw::Form);
    }
    match text.len() {
        6 => {
            let (year, month) = month_of(&text[..4], &text[4..])?;
            Ok(Parts::Numbers([year, month, 0]))
        }
        8 => match Date::parse_compact(text) {
            Ok(date) => Ok(numbers_of(date)),
            Err(_) => Err(VersionFlaw::NoSuchDay(text.to_owned())),
        },
        _ => Err(VersionFlaw::Form),
    }
}

fn numbers_of(date: Date) -> Parts {
    Parts::Numbers([
        u64::from(date.year().unsigned_abs()),
        u64::from(date.month()),
        u64::from(date.day()),
    ])
}

fn compact_date(text: &str) -> Result<u64, VersionFlaw> {
    match Date::parse_compact(text) {
        Ok(_) => digits(text),
        Err(error) if error.is_missing_day() => Err(VersionFlaw::NoSuchDay(text.to_owned())),
        Err(_) => Err(VersionFlaw::Form),
    }
}

/// Reads a number as it is counted: without sign or leading zeros.
fn number(text: &str) -> Result<u64, VersionFlaw> {
    let number = digits(text)?;
    if text.len() > 1 && text.starts_with('0') { Err(VersionFlaw::LeadingZero) } else { Ok(number) }
}

fn digits(text: &str) -> Result<u64, VersionFlaw> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(VersionFlaw::Form);
    }
    text.parse().map_err(|_| VersionFlaw::TooBig)
}

/// Says why a text is not a version of its scheme, and how one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionError {
    text: String,
    scheme: Scheme,
    flaw: VersionFlaw,
}

impl VersionError {
    /// Returns the scheme under which the text was read.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum VersionFlaw {
    Empty,
    TooLong,
    Character(char),
    Form,
    Semver(String),
    LeadingZero,
    TooBig,
    NoMonth(u64),
    NoSuchDay(String),
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, scheme, flaw } = self;
        match flaw {
            VersionFlaw::Empty => {
                write!(f, "the version is empty, write one like {}", scheme.example())
            }
            VersionFlaw::TooLong => {
                write!(
                    f,
                    "{text:?} is too long for a version, {} bytes are allowed",
                    Version::MAX_LEN
                )
            }
            VersionFlaw::Character(odd) => {
                write!(f, "{text:?} contains {odd:?}, which no version may")
            }
            VersionFlaw::Form => write!(
                f,
                "{text:?} is not a version of the scheme {scheme}, which are written like {}",
                scheme.example()
            ),
            VersionFlaw::Semver(why) => write!(
                f,
                "{text:?} is not a version of the scheme semver, which are written like 2.3.1: {why}"
            ),
            VersionFlaw::LeadingZero => {
                write!(f, "{text:?} has a number with a leading zero, write it without")
            }
            VersionFlaw::TooBig => write!(f, "{text:?} has a number that is too big"),
            VersionFlaw::NoMonth(month) => {
                write!(f, "{text:?} has the month {month}, write 1 to 12")
            }
            VersionFlaw::NoSuchDay(date) => {
                write!(f, "{text:?} has the date {date}, which is not a day of the calendar")
            }
        }
    }
}

impl std::error::Error for VersionError {}

#[cfg(test)]
mod tests;
