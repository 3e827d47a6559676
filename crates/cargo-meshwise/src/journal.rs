//! What happened to publications: deployments and test runs. Facts, only ever added to.
//!
//! Each fact is one object, `journal/<kind>/<a>/<b>/<seq>.json`, written with create-if-absent, chained
//! by digest as documents are: `environments/<environment>/<service>` tells what runs where,
//! `tests/<provider>/<consumer>` what became of the consumer's tests against the provider. Facts do not
//! contradict each other, so a writer that meets another takes the next number; none is lost.

use meshwise_api::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    publish::Retries,
    store::{Created, Sequence, Store, StoreError},
};

/// How often another writer's success is given way to: more than any number of pipelines at once.
const ATTEMPTS: u32 = 2_000;

/// The most bytes of one fact that are read: 64 KiB.
const MAX_BYTES: usize = 64 << 10;

/// Names one journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    kind: Kind,
    first: String,
    second: String,
}

/// Says what a journal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// What runs in an environment, by environment and service.
    Environments,
    /// What became of tests, by provider and consumer.
    Tests,
}

impl Kind {
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Environments => "journal/environments",
            Self::Tests => "journal/tests",
        }
    }
}

impl Name {
    /// Names the journal of a service in an environment.
    pub(crate) fn environment(environment: &str, service: &str) -> Self {
        Self { kind: Kind::Environments, first: environment.to_owned(), second: service.to_owned() }
    }

    /// Names the journal of a consumer's tests against a provider.
    pub(crate) fn tests(provider: &str, consumer: &str) -> Self {
        Self { kind: Kind::Tests, first: provider.to_owned(), second: consumer.to_owned() }
    }

    pub(crate) fn second(&self) -> &str {
        &self.second
    }

    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    fn path(&self, seq: u64) -> String {
        format!("{self}/{seq}.json")
    }

    /// Reads `journal/<kind>/<a>/<b>/<seq>.json`.
    pub(crate) fn parse(path: &str) -> Option<(Self, u64)> {
        use crate::store::Key;

        let (folder, file) = path.rsplit_once('/')?;
        let digits = file.strip_suffix(".json")?;
        let canonical =
            !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        let seq = digits.parse().ok().filter(|_| canonical)?;
        let kind = [Kind::Environments, Kind::Tests].into_iter().find(|kind| {
            folder.strip_prefix(kind.folder()).is_some_and(|it| it.starts_with('/'))
        })?;
        let (first, second) = folder.get(kind.folder().len() + 1..)?.split_once('/')?;
        let valid = Key::is_service_name(first) && Key::is_service_name(second);
        valid.then(|| (Self { kind, first: first.to_owned(), second: second.to_owned() }, seq))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind.folder(), self.first, self.second)
    }
}

/// One fact, sealed and chained to the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalEntry {
    schema: u32,
    journal: String,
    /// Its number in the journal, from 1.
    pub seq: u64,
    parent: Option<Digest>,
    /// When it was recorded, by the recorder's clock.
    pub recorded_at: Timestamp,
    /// Who recorded it.
    pub recorded_by: String,
    /// What happened.
    pub fact: Fact,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

/// Says what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Fact {
    /// A publication of the service runs in the environment, and no other one.
    Deployed {
        /// The document's number.
        document: u64,
        /// Its digest.
        digest: Digest,
    },
    /// The service does not run in the environment any more.
    Removed,
    /// A version of an API is served there too, whatever the document says of its dates.
    Served {
        /// The API.
        api: String,
        /// The version.
        version: String,
    },
    /// A version of an API is not served there any more.
    NotServed {
        /// The API.
        api: String,
        /// The version.
        version: String,
    },
    /// The consumer's tests were asked to begin.
    Started {
        /// The provider's document, which they are about.
        provider: u64,
        /// The consumer's document at the time.
        consumer: u64,
        /// A name of the run that the receiver was given.
        run: String,
    },
    /// The consumer's tests could not be asked to begin.
    NotStarted {
        /// The provider's document.
        provider: u64,
        /// The consumer's document at the time.
        consumer: u64,
        /// The reason.
        error: String,
    },
    /// The consumer's tests ended.
    Tested {
        /// The provider's document.
        provider: u64,
        /// The consumer's document.
        consumer: u64,
        /// Whether they passed.
        passed: bool,
        /// Where they are shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
}

impl JournalEntry {
    /// Seals a fact that comes after another.
    fn seal(
        name: &Name,
        parent: Option<&Self>,
        at: Timestamp,
        by: &str,
        fact: Fact,
    ) -> Option<(Self, String)> {
        let mut entry = Self {
            schema: 1,
            journal: name.to_string(),
            seq: parent.map_or(1, |parent| parent.seq + 1),
            parent: parent.and_then(|parent| parent.digest),
            // Time never goes back, whatever a recorder's clock says.
            recorded_at: parent.map_or(at, |parent| at.max(parent.recorded_at)),
            recorded_by: by.to_owned(),
            fact,
            digest: None,
        };
        entry.digest = Digest::of_json(&serde_json::to_string(&entry).ok()?);
        let text = serde_json::to_string(&entry).ok()?;
        entry.digest.is_some().then_some((entry, text))
    }

    /// Reads a fact and proves its digest.
    fn read(store: &Store, name: &Name, seq: u64, bytes: &[u8]) -> Result<Self, StoreError> {
        let place = store.location().join(&name.path(seq));
        let damaged = |reason: &str| {
            StoreError::Damaged(format!(
                "{place} cannot be trusted ({reason}); restore it from a copy"
            ))
        };
        if bytes.len() > MAX_BYTES {
            return Err(StoreError::TooLarge(place));
        }
        let mut value: Value =
            serde_json::from_slice(bytes).map_err(|error| damaged(&error.to_string()))?;
        let named = value.as_object_mut().and_then(|members| members.remove("digest"));
        let named: Option<Digest> = named.and_then(|it| serde_json::from_value(it).ok());
        let digest = Digest::of_json(&value.to_string());
        if digest.is_none() || named != digest {
            return Err(damaged("it was changed after it was recorded"));
        }
        // The digest is right, so it is what was recorded: what cannot be read then is new.
        let newer = |what: String| StoreError::Newer(place.clone(), what);
        if value.get("schema").and_then(Value::as_u64) != Some(1) {
            return Err(newer("another schema".to_owned()));
        }
        let entry: Self =
            serde_json::from_value(value).map_err(|error| newer(error.to_string()))?;
        if entry.journal != name.to_string() || entry.seq != seq {
            return Err(damaged(&format!("in it is number {} of {}", entry.seq, entry.journal)));
        }
        Ok(Self { digest, ..entry })
    }
}

/// Reads a journal, the first fact first, and proves that each follows from the one before.
///
/// # Errors
/// [`StoreError`] when one is out of reach, missing or damaged.
pub(crate) fn read(
    store: &Store,
    name: &Name,
    sequence: &Sequence,
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries: Vec<JournalEntry> = Vec::new();
    for seq in 1..=sequence.head {
        let path = name.path(seq);
        let Some(bytes) = store.read_blob(&path)? else {
            return Err(StoreError::missing(&store.location().join(&path)));
        };
        let entry = JournalEntry::read(store, name, seq, &bytes)?;
        if entry.parent != entries.last().and_then(|last| last.digest) {
            return Err(StoreError::Damaged(format!(
                "{} does not follow from the fact before it: one of the two was replaced; restore \
                 it from a copy",
                store.location().join(&path)
            )));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Adds a fact to a journal, behind what others added meanwhile.
///
/// # Errors
/// [`StoreError`] when it cannot be written, or what is there is damaged.
pub(crate) fn append(
    store: &Store,
    name: &Name,
    at: Timestamp,
    by: &str,
    fact: &Fact,
) -> Result<JournalEntry, StoreError> {
    let retries = Retries { attempts: ATTEMPTS, ..Retries::default() };
    let mut parent = match store.list_journals(&name.to_string())?.remove(name) {
        Some(sequence) => read(store, name, &sequence)?.pop(),
        None => None,
    };
    for attempt in 0..retries.attempts {
        let sealed = JournalEntry::seal(name, parent.as_ref(), at, by, fact.clone());
        let Some((entry, text)) = sealed else {
            return Err(StoreError::Damaged(format!("{name}: the fact cannot be written")));
        };
        let path = name.path(entry.seq);
        match store.create_blob(&path, text.into()) {
            Ok(Created::Yes) => return Ok(entry),
            Ok(Created::AlreadyThere) => {}
            Err(error) if error.is_transient() => retries.wait(attempt.min(6)),
            Err(error) => return Err(error),
        }
        // Another was faster, or the answer was lost: what is there now is what this one follows.
        if let Some(bytes) = store.read_blob(&path)? {
            let there = JournalEntry::read(store, name, entry.seq, &bytes)?;
            if there == entry {
                return Ok(entry);
            }
            parent = Some(there);
        }
    }
    Err(StoreError::Unavailable {
        what: name.to_string(),
        transient: true,
        source: format!("gave up after {ATTEMPTS} attempts").into(),
    })
}

#[cfg(test)]
mod tests;
