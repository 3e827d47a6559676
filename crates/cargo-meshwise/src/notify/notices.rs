//! Who is told what. No I/O, no clock.

use std::collections::BTreeMap;

use meshwise_api::{Date, Dictionary, Digest, Document, Found, Offer, Release, State, Timestamp};
use serde::Serialize;

use super::{
    changes::{Change, Seen, changes},
    cursor::Cursor,
};

/// The state that is compared with today's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub(crate) enum Since {
    /// What had been published before this moment.
    Moment(Timestamp),
    /// A service's document of this number, all else as it is now.
    Document {
        /// The service.
        service: String,
        /// The number; 0 is before the first one.
        seq: u64,
    },
    /// What a run before has seen: no clock decides what is new.
    Cursor(Cursor),
}

/// Says that a text cannot be a [`Since`], or that there is no such state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SinceError(String);

impl SinceError {
    pub(super) fn removed(service: &str, seq: u64) -> Self {
        Self(format!(
            "document {seq} of {service} was seen before, and is gone or another now: documents are \
             never removed; restore it from a copy"
        ))
    }

    pub(super) fn new(text: &str) -> Self {
        let shown: String = text.chars().take(40).collect();
        Self(format!(
            "{shown:?} is no number of a document, no day (2026-11-01) and no moment \
             (2026-11-01T08:00:00Z)"
        ))
    }
}

/// Tells one dependent what changed about one version that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub(crate) struct Notice {
    /// Stays the same for the same change and the same dependent, whenever it is asked for.
    pub key: String,
    /// Who is told: the dependent's owner.
    pub owner: Option<String>,
    /// Where: URIs.
    pub contacts: Vec<String>,
    /// The dependent.
    pub service: String,
    /// What it requires of the API, in its own words.
    pub requires: String,
    /// Why it does.
    pub reason: Option<String>,
    /// The API.
    pub api: String,
    /// The version that changed.
    pub version: String,
    /// The service that provides it.
    pub provider: String,
    /// Who answers for the provider: whom to ask.
    pub provider_owner: Option<String>,
    /// What changed.
    pub changes: Vec<Change>,
    /// Where the version stands today; none if its provider does not declare it any more.
    pub state: Option<State>,
    /// From when on it is deprecated.
    pub deprecated: Option<Date>,
    /// From when on it may be gone.
    pub sunset: Option<Date>,
    /// How many days are left until then; negative when it is past.
    pub days_left: Option<i32>,
    /// What to use in its place.
    pub successor: Option<String>,
    /// How to get there.
    pub migration: Option<String>,
    /// What else the provider says.
    pub notes: Option<String>,
    /// Why the provider says that it published this.
    pub publication: Option<String>,
}

/// Lists what changed for whom, by owner, dependent, API and version.
///
/// Told are those that would fail without the version today, and those that would have failed then,
/// require the same still, and get nothing that can be called.
///
/// # Errors
/// If a number is higher than that of the service's newest document.
pub(crate) fn notices(
    dictionary: &Dictionary,
    since: &Since,
    provider: Option<&str>,
    today: Date,
) -> Result<Vec<Notice>, SinceError> {
    let then = Then::new(dictionary, since, today)?;
    let mut found = Vec::new();
    for document in dictionary.services() {
        if provider.is_some_and(|provider| provider != document.service()) {
            continue;
        }
        let before = then.newest(document.service());
        // Who was not known then began with its first document; what it has added since is news.
        let begun = before.or_else(|| dictionary.history(document.service()).first());
        for (key, (was, now)) in pairs(before, document) {
            let mut changes = changes(
                Seen { release: was, on: then.day(document.service()) },
                Seen { release: now, on: today },
            );
            let is_added =
                was.is_none() && begun.is_some_and(|begun| version_of(begun, key).is_none());
            if let Some(now) = now.filter(|_| is_added) {
                let (urgent, adopt_by) = (now.urgent, now.adopt_by());
                let released = Change::Released { on: now.released, urgent, adopt_by };
                // Told to those that can move without a change: it will do for what they require.
                let version = Changed {
                    api: key.0,
                    version: key.1,
                    document,
                    now: Some(now),
                    is_added,
                    changes: vec![released],
                };
                for (caller, required) in then.line(&version, today) {
                    found.push(version.notice(dictionary, caller, required, today));
                }
                changes.retain(|change| !matches!(change, Change::Released { .. }));
            }
            if changes.is_empty() {
                continue;
            }
            let version = Changed { api: key.0, version: key.1, document, now, is_added, changes };
            for (caller, required) in then.dependents(&version, today) {
                found.push(version.notice(dictionary, caller, required, today));
            }
        }
    }
    found.sort_by(|a, b| {
        let key = |n: &Notice| (n.owner.is_none(), n.owner.clone(), n.service.clone());
        key(a).cmp(&key(b)).then_with(|| (&a.api, &a.version).cmp(&(&b.api, &b.version)))
    });
    Ok(found)
}

/// An API and a version of it, by name.
type Name<'a> = (&'a str, &'a str);

/// A version as it was, and as it is.
type Pair<'a> = (Option<&'a Release>, Option<&'a Release>);

/// Finds a version in a document.
fn version_of<'a>(document: &'a Document, (api, version): Name<'_>) -> Option<&'a Release> {
    document.declaration().provided(api)?.version(version)
}

/// Pairs each version of two documents of a service.
fn pairs<'a>(before: Option<&'a Document>, after: &'a Document) -> BTreeMap<Name<'a>, Pair<'a>> {
    let mut pairs: BTreeMap<Name<'a>, Pair<'a>> = BTreeMap::new();
    let each = |document: &'a Document| {
        document.declaration().provides.iter().flat_map(|provides| {
            provides.versions.iter().map(|r| ((provides.api.as_str(), r.version.as_str()), r))
        })
    };
    for (key, release) in before.into_iter().flat_map(each) {
        pairs.entry(key).or_default().0 = Some(release);
    }
    for (key, release) in each(after) {
        pairs.entry(key).or_default().1 = Some(release);
    }
    pairs
}

/// The state of `--since`.
struct Then<'d> {
    now: &'d Dictionary,
    dictionary: Dictionary,
    /// The day on which versions are looked at, and for one service another.
    day: Date,
    own: Option<(String, Date)>,
}

impl<'d> Then<'d> {
    fn new(now: &'d Dictionary, since: &Since, today: Date) -> Result<Self, SinceError> {
        let mut own = None;
        let day = match since {
            Since::Moment(moment) => moment.date(),
            Since::Cursor(cursor) => {
                cursor.fits(now)?;
                cursor.on
            }
            Since::Document { service, seq } => {
                let history = now.history(service);
                let newest = history.last().map_or(0, Document::seq);
                if *seq > newest {
                    return Err(SinceError(format!(
                        "{service} has published {newest} documents, there is no {seq}"
                    )));
                }
                // What time alone did before the next document is news of then, not of now.
                let next = history.iter().find(|document| document.seq() == seq + 1);
                own = next.map(|next| (service.clone(), next.published_at().date()));
                today
            }
        };
        let keep = |document: &&Document| match since {
            Since::Moment(moment) => document.published_at() < *moment,
            Since::Document { service, seq } => {
                document.service() != service || document.seq() <= *seq
            }
            Since::Cursor(cursor) => {
                cursor.heads.get(document.service()).is_some_and(|seen| document.seq() <= seen.seq)
            }
        };
        // The longest prefix: a clock that was behind for one document hides none of those before it.
        let documents = now
            .services()
            .flat_map(|newest| now.history(newest.service()).iter().take_while(|it| keep(it)));
        let dictionary = Dictionary::from_documents(documents.cloned())
            .map_err(|error| SinceError(format!("the dictionary is damaged: {error}")))?;
        Ok(Self { now, dictionary, day, own })
    }

    fn newest(&self, service: &str) -> Option<&Document> {
        self.dictionary.newest(service)
    }

    fn day(&self, service: &str) -> Date {
        match &self.own {
            Some((own, day)) if own == service => *day,
            _ => self.day,
        }
    }

    /// Lists those that a version will do for, and that do not name it.
    fn line(&self, of: &Changed<'d>, today: Date) -> Vec<(&'d Document, &'d str)> {
        let callers = self.now.callers(of.api);
        let fits = callers.filter(|(_, requires)| {
            requires.version != of.version
                && self.now.will_do(of.api, &requires.version, today, |offer| of.is(offer))
        });
        fits.map(|(caller, requires)| (caller, requires.version.as_str())).collect()
    }

    /// Lists the newest documents of those to tell, with what they require.
    fn dependents(&self, of: &Changed<'d>, today: Date) -> Vec<(&'d Document, &'d str)> {
        let mut found: Vec<(&Document, &str)> = Vec::new();
        for (caller, requires) in self.now.callers(of.api) {
            let fails = |dictionary: &Dictionary, day: Date| {
                dictionary.fails_without(of.api, &requires.version, day, |offer| of.is(offer))
            };
            let required_then = || {
                let mut callers = self.dictionary.callers(of.api);
                callers.any(|(then, required)| {
                    then.service() == caller.service() && required.version == requires.version
                })
            };
            // Of a version that is gone, those who needed it then and have no other now.
            let lost = || {
                let alive = match self.now.resolve(of.api, &requires.version, today) {
                    Found::Offer(offer) => offer.state().is_live(),
                    _ => false,
                };
                !alive
                    && required_then()
                    && fails(&self.dictionary, self.day(of.document.service()))
            };
            if fails(self.now, today) || self.ends_with(of, &requires.version, today) || lost() {
                found.push((caller, &requires.version));
            }
        }
        found
    }

    /// Tells whether what a requirement gets ends with a version: on the day of its sunset no other that
    /// will do can be called any more, or on that of its deprecation each other is deprecated, too.
    /// Versions that end together stand in for each other until then, and for none of them after. One that
    /// is new changes no end that was told.
    fn ends_with(&self, of: &Changed<'d>, required: &str, today: Date) -> bool {
        let fails = |day: Date, vanishes: &dyn Fn(&Offer<'_>) -> bool| {
            self.now.fails_without(of.api, required, day, vanishes)
        };
        let ahead = |day: Option<Date>| day.map(|day| day.max(today));
        let dates = of.now.map(|release| (ahead(release.sunset), ahead(release.deprecated)));
        let (sunset, deprecated) = dates.unwrap_or_default();
        let outlived = |offer: &Offer<'_>| of.is(offer) || offer.state() == State::Deprecated;
        !of.is_added
            && self.now.will_do(of.api, required, today, |offer| of.is(offer))
            && (sunset.is_some_and(|day| fails(day, &|offer| of.is(offer)))
                || deprecated.is_some_and(|day| fails(day, &outlived)))
    }
}

/// A version with what changed about it.
struct Changed<'d> {
    api: &'d str,
    version: &'d str,
    document: &'d Document,
    now: Option<&'d Release>,
    /// Whether its provider did not declare it when it began, or then.
    is_added: bool,
    changes: Vec<Change>,
}

impl Changed<'_> {
    fn is(&self, offer: &Offer<'_>) -> bool {
        offer.provider() == self.document.service()
            && offer.release().version.as_str() == self.version
    }

    fn notice(
        &self,
        dictionary: &Dictionary,
        caller: &Document,
        required: &str,
        today: Date,
    ) -> Notice {
        let told = &caller.declaration().service;
        let now = self.now;
        let sunset = now.and_then(|release| release.sunset);
        let reason = caller
            .declaration()
            .requires
            .iter()
            .find(|requires| requires.api == self.api && requires.version == required);
        let published = self.published(dictionary);
        Notice {
            key: self.key(caller.service(), required, published.seq()),
            owner: told.owner.clone(),
            contacts: told.contacts.clone(),
            service: caller.service().to_owned(),
            requires: required.to_owned(),
            reason: reason.and_then(|requires| requires.reason.clone()),
            api: self.api.to_owned(),
            version: self.version.to_owned(),
            provider: self.document.service().to_owned(),
            provider_owner: self.document.declaration().service.owner.clone(),
            changes: self.changes.clone(),
            state: now.map(|release| release.state(today)),
            deprecated: now.and_then(|release| release.deprecated),
            sunset,
            days_left: sunset.map(|sunset| sunset.days_since(today)),
            successor: now.and_then(|release| release.successor.clone()),
            migration: now.and_then(|release| release.migration.clone()),
            notes: now.and_then(|release| release.notes.clone()),
            publication: published.reason().map(str::to_owned),
        }
    }

    /// Finds the document that first said what the newest says about the version's dates.
    fn published<'d>(&'d self, dictionary: &'d Dictionary) -> &'d Document {
        let says = |document: &Document| {
            let found = document.declaration().provided(self.api);
            found.and_then(|provides| {
                provides.version(self.version).map(|r| (r.deprecated, r.sunset))
            })
        };
        let newest = says(self.document);
        let history = dictionary.history(self.document.service());
        let same = history.iter().rev().take_while(|document| says(document) == newest);
        same.last().unwrap_or(self.document)
    }

    /// Makes the key: of the change, the dependent, and the document that first said it. Days left
    /// are not in it, so it is the same tomorrow.
    fn key(&self, caller: &str, required: &str, seq: u64) -> String {
        let about = serde_json::json!([
            "meshwise-notice-1",
            caller,
            required,
            self.document.service(),
            self.api,
            self.version,
            seq,
            self.changes,
        ]);
        Digest::of(about.to_string().as_bytes()).to_string()
    }
}
