//! What a service has said and used so far, carried from document to document.
//!
//! A document is judged against all that its service ever published. So that the newest one is enough
//! for that, it holds a record: of each version, what was said of its dates and when, and of each API
//! that is required, in which versions and since when. It follows from the parent's record and the
//! declaration; who proves a chain computes it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{date::Date, declaration::Declaration, scheme::Scheme};

/// Holds the record up to one document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// By API and version: what was said, from the first to the newest; a change each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    provides: BTreeMap<String, BTreeMap<String, Vec<Said>>>,
    /// By API: the versions that are required, a change each; none where it was not required.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    requires: BTreeMap<String, Vec<Used>>,
}

/// What was said of a version's dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    on: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deprecated: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sunset: Option<Date>,
}

/// Which versions of an API were required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    on: Date,
    versions: Vec<String>,
}

impl Record {
    /// Carries the record on to a declaration that is published on a day.
    pub(super) fn next(before: Option<&Self>, declaration: &Declaration, on: Date) -> Self {
        let mut record = before.cloned().unwrap_or_default();
        for provides in &declaration.provides {
            let versions = record.provides.entry(provides.api.clone()).or_default();
            for release in &provides.versions {
                let said = versions.entry(release.version.to_string()).or_default();
                let now = Said {
                    on,
                    released: release.released,
                    deprecated: release.deprecated,
                    sunset: release.sunset,
                };
                if said.last().is_none_or(|last| Said { on, ..last.clone() } != now) {
                    said.push(now);
                }
            }
        }
        let mut required: BTreeMap<&str, Vec<String>> =
            record.requires.keys().map(|api| (api.as_str(), Vec::new())).collect();
        for requires in &declaration.requires {
            required.entry(&requires.api).or_default().push(requires.version.clone());
        }
        let required: Vec<(String, Vec<String>)> =
            required.into_iter().map(|(api, versions)| (api.to_owned(), versions)).collect();
        for (api, mut versions) in required {
            versions.sort();
            versions.dedup();
            let used = record.requires.entry(api).or_default();
            if used.last().is_none_or(|last| last.versions != versions) {
                used.push(Used { on, versions });
            }
        }
        record
    }

    fn said(&self, api: &str, version: &str) -> &[Said] {
        let versions = self.provides.get(api);
        versions.and_then(|versions| versions.get(version)).map_or(&[], Vec::as_slice)
    }

    /// Returns the latest sunset that was ever promised.
    pub(super) fn promised(&self, api: &str, version: &str) -> Option<Date> {
        self.said(api, version).iter().filter_map(|said| said.sunset).max()
    }

    /// Returns the sunset that was said last.
    pub(super) fn last_sunset(&self, api: &str, version: &str) -> Option<Date> {
        self.said(api, version).last()?.sunset
    }

    /// Returns the day on which it was first said that the version is deprecated, and ever since.
    pub(super) fn deprecation_told(&self, api: &str, version: &str) -> Option<Date> {
        let said = self.said(api, version).iter().rev();
        said.take_while(|said| said.deprecated.is_some()).last().map(|said| said.on)
    }

    /// Returns since when callers know that the version ends on a day at the latest.
    pub(super) fn end_told(&self, api: &str, version: &str, sunset: Date) -> Option<Date> {
        let said = self.said(api, version).iter().rev();
        let known = said.take_while(|said| said.sunset.is_some_and(|said| said <= sunset));
        known.last().map(|said| said.on)
    }

    /// Returns since when a version of an API is required without a break, or another that can stand
    /// in for it under a scheme.
    pub(super) fn used_since(
        &self,
        api: &str,
        version: &str,
        scheme: Option<Scheme>,
    ) -> Option<Date> {
        let unit = |version: &str| scheme.and_then(|s| Some(s.version(version).ok()?.unit()));
        let own = unit(version);
        let is_it = |other: &String| other == version || (own.is_some() && unit(other) == own);
        let used = self.requires.get(api)?.iter().rev();
        used.take_while(|used| used.versions.iter().any(is_it)).last().map(|used| used.on)
    }
}
