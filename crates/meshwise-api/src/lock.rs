//! `api.lock`: what the dictionary said about each requirement, for builds that cannot ask it.
//!
//! Sorted and deterministic, so that it is committed and its changes are read in reviews. Only
//! `cargo meshwise lock` writes it.

mod parse;
mod write;

use serde::Serialize;

use crate::{
    canonical::Digest,
    date::Date,
    declaration::{Declaration, Release, Requires},
    diagnostic::Diagnostics,
    dictionary::{Dictionary, Found, Offer},
    document::Document,
    policy::Policy,
    scheme::Scheme,
    state::State,
    timestamp::Timestamp,
};

/// How many versions are listed where none will do.
const OFFERED: usize = 20;

/// Holds the contents of an `api.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Which dictionary was asked.
    pub dictionary: LockSource,
    /// What it said about each requirement; to be kept sorted by API and required version, as
    /// [`new`](Self::new) makes it.
    pub entries: Vec<Locked>,
    /// The organisation's policy at the time.
    pub policy: Policy,
}

/// Says which dictionary a lock file was made from, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockSource {
    /// Where the dictionary is: a path or a URL, without credentials.
    pub source: String,
    /// [`Dictionary::head_digest`] at the time.
    pub head: Digest,
    /// When it was asked.
    pub fetched_at: Timestamp,
}

/// Holds what the dictionary said about one requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locked {
    /// The API that is required.
    pub api: String,
    /// The version that is required.
    pub required: String,
    /// Since when it is required, as far as is known: the day on which no one had told of it
    /// before.
    pub since: Option<Date>,
    /// What the requirement gets.
    pub answer: Answer,
    /// The provider's document that said so: it is never removed, so a dictionary without it has lost
    /// something, or is behind.
    pub document: Option<LockedDocument>,
}

/// Names a document that a lock file was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockedDocument {
    /// Its number among the provider's.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Says what a requirement gets, by the lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A version that satisfies it.
    Resolved(Resolved),
    /// No version of those that are provided satisfies it; here are the best twenty of them, the
    /// best first.
    NoVersion(Vec<String>),
    /// No one provides the API.
    NoApi,
}

/// Holds the version that a requirement gets, and its dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Resolved {
    /// The version.
    pub version: String,
    /// The service that provides it.
    pub provider: String,
    /// The provider's scheme.
    #[serde(serialize_with = "scheme_name")]
    pub scheme: Scheme,
    /// Where the version stood when the file was written. What holds on another day follows from
    /// the dates: [`state_on`](Self::state_on).
    pub state: State,
    /// The day from which it can be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<Date>,
    /// The day from which no one should start to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Date>,
    /// The day from which it may be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sunset: Option<Date>,
    /// The day on which its deprecation was first published, if that is later than its date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Date>,
    /// The urgent fix that the requirement is behind, and the day by which it must be required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// That day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt_by: Option<Date>,
    /// The version to use in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// How to move to the successor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
}

impl Lock {
    /// The version of the format that this release reads and writes.
    pub const SCHEMA: u32 = 1;

    /// The file's usual name.
    pub const FILE_NAME: &str = "api.lock";

    /// The largest file that is read, in bytes: 4 MiB.
    pub const MAX_SIZE: usize = 4 << 20;

    /// Asks a dictionary about every requirement of a declaration.
    ///
    /// `previous` is the lock file that is replaced: since when a requirement is there is known from
    /// it, from the declaration, and from what the service published; failing all of them it is
    /// `fetched_at`'s day. Its requirements that are no longer declared are dropped.
    #[must_use]
    pub fn resolve(
        declaration: &Declaration,
        dictionary: &Dictionary,
        previous: Option<&Self>,
        source: impl Into<String>,
        fetched_at: Timestamp,
    ) -> Self {
        let today = fetched_at.date();
        let entries = declaration.requires.iter().map(|requires| {
            let found = dictionary.resolve(&requires.api, &requires.version, today);
            let answer = Answer::from(&found);
            let scheme = match &answer {
                Answer::Resolved(resolved) => Some(resolved.scheme),
                Answer::NoVersion(_) | Answer::NoApi => None,
            };
            let since = since(declaration, requires, previous, Some(dictionary), scheme);
            Locked {
                api: requires.api.clone(),
                required: requires.version.clone(),
                since: Some(since.unwrap_or(today)),
                answer,
                document: match &found {
                    Found::Offer(offer) => Some(offer.document().into()),
                    _ => None,
                },
            }
        });
        let from = LockSource { source: source.into(), head: dictionary.head_digest(), fetched_at };
        let lock = Self::new(from, entries.collect());
        Self { policy: dictionary.policy().clone(), ..lock }
    }

    /// Gathers entries; sorts them, and keeps one of each.
    #[must_use]
    pub fn new(dictionary: LockSource, mut entries: Vec<Locked>) -> Self {
        entries.sort_by(|a, b| (&a.api, &a.required).cmp(&(&b.api, &b.required)));
        entries.dedup_by(|a, b| a.api == b.api && a.required == b.required);
        Self { dictionary, entries, policy: Policy::default() }
    }

    /// Reads the text of an `api.lock`; `file` is its name for messages.
    ///
    /// # Errors
    /// The finding `invalid-lock`, for everything that is not well-formed, at once; never an empty
    /// list.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        parse::lock(file, text)
    }

    /// Reads the bytes of an `api.lock`, as [`parse`](Self::parse) does.
    ///
    /// # Errors
    /// Also if the bytes are not UTF-8.
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        parse::from_bytes(file, bytes)
    }

    /// Finds the entry for a requirement.
    #[must_use]
    pub fn entry(&self, api: &str, required: &str) -> Option<&Locked> {
        // Sorted since it was made.
        let order =
            |entry: &Locked| (entry.api.as_str(), entry.required.as_str()).cmp(&(api, required));
        self.entries.binary_search_by(order).ok().map(|at| &self.entries[at])
    }

    /// Tells whether another lock file says the same about the requirements; which dictionary said
    /// so, when, in which document, and what else it held is not compared.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let same = |a: &Locked, b: &Locked| {
            (&a.api, &a.required, a.since, &a.answer) == (&b.api, &b.required, b.since, &b.answer)
        };
        self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|(a, b)| same(a, b))
            && self.policy == other.policy
    }
}

impl std::fmt::Display for Lock {
    /// Writes the file. The same contents have the same bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write::lock(self, f)
    }
}

/// Tells since when a requirement is there, from all who may know: the earliest day.
///
/// A requirement that takes the place of one which it can stand in for, such as for a bugfix of the
/// same line, is as old as that.
pub(crate) fn since(
    declaration: &Declaration,
    requires: &Requires,
    lock: Option<&Lock>,
    dictionary: Option<&Dictionary>,
    scheme: Option<Scheme>,
) -> Option<Date> {
    let (api, version) = (requires.api.as_str(), requires.version.as_str());
    let published = dictionary.and_then(|dictionary| {
        dictionary.used_since(&declaration.service.name, api, version, scheme)
    });
    let unit = |version: &str| scheme.and_then(|s| Some(s.version(version).ok()?.unit()));
    let own = unit(version);
    let is_it = |entry: &&Locked| {
        entry.api == api
            && (entry.required == version || (own.is_some() && unit(&entry.required) == own))
    };
    let locked = lock.into_iter().flat_map(|lock| &lock.entries).filter(is_it);
    locked.filter_map(|entry| entry.since).chain(requires.since).chain(published).min()
}

impl LockSource {
    /// Says which dictionary was asked, and when.
    #[must_use]
    pub fn new(source: impl Into<String>, head: Digest, fetched_at: Timestamp) -> Self {
        Self { source: source.into(), head, fetched_at }
    }
}

impl Resolved {
    /// Tells where the version stands on a day, by the dates that were locked.
    #[must_use]
    pub fn state_on(&self, today: Date) -> State {
        State::on(today, self.released, self.deprecated, self.sunset)
    }
}

// serde calls it with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn scheme_name<S: serde::Serializer>(scheme: &Scheme, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(scheme.as_str())
}

impl From<&Document> for LockedDocument {
    fn from(document: &Document) -> Self {
        Self { seq: document.seq(), digest: document.digest() }
    }
}

impl From<&Offer<'_>> for Resolved {
    fn from(offer: &Offer<'_>) -> Self {
        let release = offer.release();
        Self {
            version: release.version.to_string(),
            provider: offer.provider().to_owned(),
            scheme: offer.provides().scheme,
            state: offer.state(),
            released: release.released,
            deprecated: release.deprecated,
            sunset: release.sunset,
            told: offer.told(),
            fix: offer.fix().map(|fix| fix.version.to_string()),
            adopt_by: offer.fix().and_then(Release::adopt_by),
            successor: release.successor.clone(),
            migration: release.migration.clone(),
        }
    }
}

impl From<&Found<'_>> for Answer {
    fn from(found: &Found<'_>) -> Self {
        match found {
            Found::Offer(offer) => Self::Resolved(offer.into()),
            Found::NoVersion { offers } => {
                let best = offers.iter().take(OFFERED);
                Self::NoVersion(best.map(|offer| offer.release().version.to_string()).collect())
            }
            Found::NoApi { .. } => Self::NoApi,
        }
    }
}

#[cfg(test)]
mod tests;
