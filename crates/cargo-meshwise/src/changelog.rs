//! An API's history, current versions and plan, for people and for machines.

pub(crate) mod html;
mod markdown;
mod text;

use std::cmp::Ordering;

use meshwise_api::{Date, Dictionary, Provides, Release, Scheme, State};
use serde::Serialize;

pub(crate) use html::html;
pub(crate) use markdown::markdown;
pub(crate) use text::text;

/// Tells of all versions of one API of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Changelog {
    /// The API.
    pub api: String,
    /// The service that provides it.
    pub provider: String,
    /// Who answers for that service.
    pub owner: Option<String>,
    /// Where the owner is reached.
    pub contacts: Vec<String>,
    /// How it is called.
    pub transport: String,
    /// How its versions are written and compared.
    pub scheme: String,
    /// Where its description lies.
    pub description: Option<String>,
    /// The day that states are told of.
    pub today: Date,
    /// Versions that are planned, the newest first.
    pub plan: Vec<Entry>,
    /// Versions that can be called, the newest first.
    pub current: Vec<Entry>,
    /// Versions that are retired, the newest first.
    pub history: Vec<Entry>,
}

/// Tells of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// The version.
    pub version: String,
    /// Where it stands.
    pub state: State,
    /// The day from which it can be called.
    pub released: Option<Date>,
    /// The day from which no one should start to call it.
    pub deprecated: Option<Date>,
    /// The day from which it may be gone.
    pub sunset: Option<Date>,
    /// The version to use in its place.
    pub successor: Option<String>,
    /// How to move to the successor.
    pub migration: Option<String>,
    /// What else callers should know.
    pub notes: Option<String>,
    /// The services that would fail if this version vanished.
    pub used_by: Vec<String>,
}

/// One fact of an entry, as all texts write it: a word, what it says, and perhaps where it leads.
struct VersionFact<'a> {
    name: &'static str,
    says: String,
    link: Option<&'a str>,
}

impl Changelog {
    /// Sorts an API's versions into plan, current and history, and tells who would fail without each.
    #[must_use]
    pub(crate) fn new(
        service: &meshwise_api::Service,
        provides: &Provides,
        dictionary: &Dictionary,
        today: Date,
    ) -> Self {
        let mut releases: Vec<&Release> = provides.versions.iter().collect();
        releases.sort_by(|a, b| newest_first(a, b));
        let mut changelog = Self {
            api: provides.api.clone(),
            provider: service.name.clone(),
            owner: service.owner.clone(),
            contacts: service.contacts.clone(),
            transport: provides.transport.to_string(),
            scheme: provides.scheme.to_string(),
            description: provides.description.clone(),
            today,
            plan: Vec::new(),
            current: Vec::new(),
            history: Vec::new(),
        };
        for release in releases {
            let entry = Entry::new(release, today, |version| {
                let fails = dictionary.who_uses(&provides.api, Some(version), today);
                let mut callers: Vec<String> =
                    fails.iter().map(|usage| usage.caller.service().to_owned()).collect();
                callers.dedup();
                callers
            });
            match entry.state {
                State::Planned => changelog.plan.push(entry),
                State::Current | State::Deprecated => changelog.current.push(entry),
                State::Retired => changelog.history.push(entry),
            }
        }
        changelog
    }

    /// Returns the parts with their headings, in the order in which people read them.
    fn parts(&self) -> [(&'static str, &[Entry]); 3] {
        [("Current", &self.current), ("Plan", &self.plan), ("History", &self.history)]
    }

    /// Returns all versions: current, planned, retired.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.current.iter().chain(&self.plan).chain(&self.history)
    }

    /// Says in a sentence who provides what.
    fn summary(&self) -> String {
        let owner = match &self.owner {
            Some(owner) => format!(" of {owner}"),
            None => String::new(),
        };
        format!(
            "Provided by {}{owner} over {}; versions follow {}. As of {}.",
            self.provider, self.transport, self.scheme, self.today
        )
    }
}

impl Entry {
    fn new(release: &Release, today: Date, used_by: impl Fn(&str) -> Vec<String>) -> Self {
        let version = release.version.as_str();
        Self {
            version: version.to_owned(),
            state: release.state(today),
            released: release.released,
            deprecated: release.deprecated,
            sunset: release.sunset,
            successor: release.successor.clone(),
            migration: release.migration.clone(),
            notes: release.notes.clone(),
            used_by: used_by(version),
        }
    }

    fn facts(&self) -> Vec<VersionFact<'_>> {
        let date = |name, date: Option<Date>| (name, date.map(|date| date.to_string()));
        let text = |name, text: &Option<String>| (name, text.clone());
        [
            date("released", self.released),
            date("deprecated", self.deprecated),
            date("sunset", self.sunset),
            text("successor", &self.successor),
            text("migration", &self.migration),
            ("used by", (!self.used_by.is_empty()).then(|| self.used_by.join(", "))),
            text("notes", &self.notes),
        ]
        .into_iter()
        .filter_map(|(name, says)| {
            Some(VersionFact {
                name,
                says: says?,
                link: match name {
                    "migration" => self.migration.as_deref().filter(|text| is_link(text)),
                    _ => None,
                },
            })
        })
        .collect()
    }
}

/// Orders versions as their scheme does; where it knows no order (`exact`), by their release.
fn newest_first(a: &Release, b: &Release) -> Ordering {
    let key = |release: &Release| (release.released, release.version.as_str().to_owned());
    match a.version.scheme() {
        Scheme::Exact => key(b).cmp(&key(a)),
        _ => b.version.partial_cmp(&a.version).unwrap_or(Ordering::Equal),
    }
}

/// Tells whether a text may become a link. Anything else (`javascript:`, `data:`) stays text: the
/// page shows what strangers declared.
fn is_link(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
