//! What runs in an environment, by its journals.

use std::collections::{BTreeMap, BTreeSet};

use meshwise_api::{Date, Document, Release, State, Timestamp};

use crate::{
    dictionary,
    journal::{self, Fact, JournalEntry, Kind},
    store::{Key, Store, StoreError},
};

/// What is recorded of an environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// The services that run there, by name.
    pub running: BTreeMap<String, Running>,
    /// The services that ran there once.
    pub removed: BTreeSet<String>,
    /// What could not be read, by service.
    pub unread: BTreeMap<String, String>,
}

/// What runs of a service.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// The publication that runs.
    pub document: Document,
    /// Since when.
    pub since: Timestamp,
    /// API and version that are served besides those whose dates say so.
    served: BTreeSet<(String, String)>,
    /// API and version that are not served, whatever their dates say.
    not_served: BTreeSet<(String, String)>,
}

impl Environment {
    /// Reads what is recorded of an environment. What cannot be read of a service stands in
    /// [`unread`](Self::unread), so that it stops only answers which need it.
    ///
    /// # Errors
    /// [`StoreError`] when the dictionary is out of reach.
    pub(crate) fn read(store: &Store, environment: &str) -> Result<Self, StoreError> {
        let under = format!("{}/{environment}", Kind::Environments.folder());
        let mut found = Self::default();
        for (name, sequence) in store.list_journals(&under)? {
            let service = name.second().to_owned();
            match journal::read(store, &name, &sequence)
                .and_then(|it| running(store, &service, &it))
            {
                Ok(Some(running)) => {
                    found.running.insert(service, running);
                }
                Ok(None) => {
                    found.removed.insert(service);
                }
                Err(error) if error.is_damage() => {
                    found.unread.insert(service, error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Lists the environments that something is recorded of.
    ///
    /// # Errors
    /// [`StoreError`] when the dictionary is out of reach.
    pub(crate) fn names(store: &Store) -> Result<BTreeSet<String>, StoreError> {
        let journals = store.list_journals(Kind::Environments.folder())?;
        Ok(journals.keys().map(|name| name.first().to_owned()).collect())
    }

    /// Tells whether nothing at all is recorded of it.
    pub(crate) fn is_unknown(&self) -> bool {
        self.running.is_empty() && self.removed.is_empty() && self.unread.is_empty()
    }

    /// Returns the environment once a publication is deployed there.
    pub(crate) fn with(&self, document: &Document) -> Self {
        let mut after = self.clone();
        after.running.insert(document.service().to_owned(), Running::of(document.clone()));
        after
    }

    /// Finds the version that a requirement gets there on a day: a current one, else a deprecated one.
    pub(crate) fn gets<'e>(&'e self, api: &str, required: &str, today: Date) -> Option<Got<'e>> {
        let got = self.running.values().flat_map(|running| {
            running.serves(api, today).filter(|got| {
                let provides = running.document.declaration().provided(api);
                let required = provides.and_then(|it| it.scheme.version(required).ok());
                required.is_some_and(|required| got.release.version.satisfies(&required))
            })
        });
        got.min_by_key(|got| got.state != State::Current)
    }

    /// Lists the running services that provide an API.
    pub(crate) fn providers<'e>(&'e self, api: &'e str) -> impl Iterator<Item = &'e Running> {
        let provides = |running: &&Running| running.document.declaration().provided(api).is_some();
        self.running.values().filter(provides)
    }
}

/// A version that is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Got<'e> {
    /// The service.
    pub running: &'e Running,
    /// The version.
    pub release: &'e Release,
    /// Where it stands by its dates.
    pub state: State,
}

impl Running {
    fn of(document: Document) -> Self {
        Self {
            since: document.published_at(),
            document,
            served: BTreeSet::new(),
            not_served: BTreeSet::new(),
        }
    }

    /// Lists the versions of an API that are served on a day.
    pub(crate) fn serves<'e>(
        &'e self,
        api: &str,
        today: Date,
    ) -> impl Iterator<Item = Got<'e>> + use<'e> {
        let name = api.to_owned();
        let provides = self.document.declaration().provides.iter();
        let versions = provides.filter(move |it| it.api == name).flat_map(move |provides| {
            provides.versions.iter().map(move |release| (provides.api.as_str(), release))
        });
        versions.filter_map(move |(api, release)| {
            let key = (api.to_owned(), release.version.to_string());
            let state = release.state(today);
            let is_served =
                self.served.contains(&key) || (state.is_live() && !self.not_served.contains(&key));
            is_served.then_some(Got { running: self, release, state })
        })
    }
}

/// Follows a journal to what runs now; `None` where the service was removed, or never deployed as a
/// whole.
fn running(
    store: &Store,
    service: &str,
    entries: &[JournalEntry],
) -> Result<Option<Running>, StoreError> {
    let is_whole =
        |entry: &JournalEntry| matches!(entry.fact, Fact::Deployed { .. } | Fact::Removed);
    let Some(at) = entries.iter().rposition(is_whole) else { return Ok(None) };
    let Fact::Deployed { document, digest } = &entries[at].fact else { return Ok(None) };
    let key = Key::new(service, *document);
    let Some(bytes) = store.read(&key, Some(&digest.to_string()))? else {
        return Err(StoreError::missing(&store.name_of(&key)));
    };
    let read = dictionary::parse(store, &key, &bytes)?;
    if read.digest() != *digest {
        return Err(StoreError::Damaged(format!(
            "{} is not the document that was deployed: it was replaced; restore it from a copy",
            store.name_of(&key)
        )));
    }
    let mut running = Running { since: entries[at].recorded_at, ..Running::of(read) };
    for entry in &entries[at + 1..] {
        match &entry.fact {
            Fact::Served { api, version } => {
                running.not_served.remove(&(api.clone(), version.clone()));
                running.served.insert((api.clone(), version.clone()));
            }
            Fact::NotServed { api, version } => {
                running.served.remove(&(api.clone(), version.clone()));
                running.not_served.insert((api.clone(), version.clone()));
            }
            _ => {}
        }
    }
    Ok(Some(running))
}
