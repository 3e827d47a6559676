//! What a service publishes: its declaration, sealed and chained to what it published before.

mod contracts;
mod error;
mod record;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use contracts::Contract;
use contracts::{Contracts, Former};
use error::ChainFlaw;
pub use error::{ChainError, DocumentError};
use record::Record;

use crate::{
    canonical::{Digest, member_in_canonical, to_canonical, to_canonical_without},
    date::Date,
    declaration::{Declaration, Release},
    scheme::{Scheme, is_service_name},
    state::State,
    text::shorten,
    timestamp::Timestamp,
};

/// Holds one publication of a service, as it lies in the dictionary; it never changes.
///
/// The digest is SHA-256 over the canonical JSON (RFC 8785) of everything but the digest itself, and
/// each document names the digest of the one before: nothing can be changed, removed or slipped in
/// unseen.
///
/// ```
/// use meshwise_api::{Declaration, Document, Draft};
///
/// let draft = Draft::new(Declaration::new("orders"), "2026-11-21T08:00:00Z".parse()?, "ci");
/// let first = draft.clone().seal(None)?;
/// let second = draft.with_commit("1f3a9c").seal(Some(&first))?;
/// assert_eq!(second.path(), "services/orders/2.json");
///
/// let read = Document::from_json(second.to_json().as_bytes())?;
/// read.verify_parent(Some(&first))?;
/// assert!(Document::from_json(second.to_json().replace("1f3a9c", "1f3a9d").as_bytes()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    body: Body,
    digest: Digest,
    /// The canonical JSON, with the digest. Kept since a newer release may have put more in it than
    /// `body` knows.
    json: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    schema: u32,
    service: String,
    seq: u64,
    parent: Option<Digest>,
    published_at: Timestamp,
    published_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    #[serde(default, skip_serializing_if = "Contracts::is_empty")]
    contracts: Contracts,
    /// Each promise counts, not the last alone: step by step anything could be broken.
    #[serde(default, skip_serializing_if = "Former::is_empty")]
    former_contracts: Former,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    declaration: Declaration,
    /// None of documents that were written before there were records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
}

impl Document {
    /// The version of the format that this release reads and writes.
    pub const SCHEMA: u32 = 1;

    /// The largest document that is read, in bytes: 4 MiB. A declaration of its largest size fits.
    pub const MAX_SIZE: usize = 4 << 20;

    /// Reads a document and proves its digest.
    ///
    /// # Errors
    /// If it is too long, no JSON, of another schema, lacks something, or has another digest than
    /// the one it names.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > Self::MAX_SIZE {
            return Err(DocumentError::TooBig(bytes.len()));
        }
        if let Some(document) = Self::from_canonical(bytes) {
            return Ok(document);
        }
        let mut value: Value = serde_json::from_slice(bytes).map_err(DocumentError::Json)?;
        let (json, sealed) = to_canonical_without(&value, "digest")?;
        let schema = value.get("schema").and_then(Value::as_u64);
        if schema.is_none_or(|schema| schema < u64::from(Self::SCHEMA)) {
            let schema = value.get("schema").map_or_else(|| "none".to_owned(), Value::to_string);
            return Err(DocumentError::Schema(shorten(&schema)));
        }
        let other = (schema != Some(u64::from(Self::SCHEMA)))
            .then(|| value.get("schema").map_or_else(String::new, Value::to_string));
        let named = value.as_object_mut().and_then(|members| members.remove("digest"));
        if let Some(other) = other {
            // The digest is right, so it is what was published, and new.
            let named: Option<Digest> = named.and_then(|it| serde_json::from_value(it).ok());
            let is_whole = named == Some(Digest::of(sealed.as_bytes()));
            let other = shorten(&other);
            return Err(match is_whole {
                true => DocumentError::Newer(format!("schema {other}")),
                false => DocumentError::Schema(other),
            });
        }
        let named: Digest =
            serde_json::from_value(named.unwrap_or_default()).map_err(DocumentError::Json)?;
        let digest = Digest::of(sealed.as_bytes());
        if digest != named {
            return Err(DocumentError::Digest { named, computed: digest });
        }
        // The digest is right, so it is what was published: what cannot be read then is new.
        let body: Body =
            serde_json::from_value(value).map_err(|e| DocumentError::Newer(e.to_string()))?;
        body.check()?;
        Ok(Self { body, digest, json: json.into() })
    }

    /// Reads a document as it was written, in canonical JSON and of this schema; none if it is not, or
    /// anything is wrong with it.
    fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let cut = member_in_canonical(text, "digest")?;
        let named = text[cut.clone()].trim_matches(',').strip_prefix("\"digest\":")?;
        let named: Digest = serde_json::from_str(named).ok()?;
        let digest = Digest::of_both(&bytes[..cut.start], &bytes[cut.end..]);
        let body: Body = (digest == named).then(|| serde_json::from_str(text).ok())??;
        (body.schema == Self::SCHEMA && body.check().is_ok()).then(|| Self {
            body,
            digest,
            json: text.into(),
        })
    }

    /// Returns the canonical JSON, in one line.
    #[must_use]
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// Returns where it lies in a dictionary: `services/<name>/<seq>.json`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("services/{}/{}.json", self.body.service, self.body.seq)
    }

    /// Returns the service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.body.service
    }

    /// Returns its number among the service's documents, from 1 and without gaps.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.body.seq
    }

    /// Returns the digest of the document before; the first has none.
    #[must_use]
    pub fn parent(&self) -> Option<Digest> {
        self.body.parent
    }

    /// Returns when it was published, by the publisher's clock; never before its parent.
    #[must_use]
    pub fn published_at(&self) -> Timestamp {
        self.body.published_at
    }

    /// Returns who published it.
    #[must_use]
    pub fn published_by(&self) -> &str {
        &self.body.published_by
    }

    /// Returns the commit that it was published from.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.body.commit.as_deref()
    }

    /// Returns the service's own version that it was published with, such as 1.4.2; not one of an API.
    #[must_use]
    #[doc(hidden)]
    pub fn release(&self) -> Option<&str> {
        self.body.release.as_deref()
    }

    /// Returns why a published promise was broken, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.body.reason.as_deref()
    }

    /// Returns what the service declares.
    #[must_use]
    pub fn declaration(&self) -> &Declaration {
        &self.body.declaration
    }

    /// Returns the latest sunset of a version that this service ever promised, up to this document.
    #[must_use]
    pub fn promised_sunset(&self, api: &str, version: &str) -> Option<Date> {
        self.record().promised(api, version)
    }

    /// Returns the day on which this service first said that a version is deprecated, and has said so
    /// ever since. A deprecation counts from that day, whatever its date is.
    #[must_use]
    pub fn deprecation_told(&self, api: &str, version: &str) -> Option<Date> {
        self.record().deprecation_told(api, version)
    }

    /// Returns since when callers know that a version ends on this day at the latest.
    #[must_use]
    pub fn end_told(&self, api: &str, version: &str, sunset: Date) -> Option<Date> {
        self.record().end_told(api, version, sunset)
    }

    /// Returns the day since which this service has required a version of an API without a break, or
    /// one that can stand in for it under the provider's scheme.
    #[must_use]
    pub fn used_since(&self, api: &str, version: &str, scheme: Option<Scheme>) -> Option<Date> {
        self.record().used_since(api, version, scheme)
    }

    /// Tells whether a version was published as one that can be called on a day, or could be.
    pub(crate) fn has_released(&self, api: &str, release: &Release, today: Date) -> bool {
        let provides = self.body.declaration.provided(api);
        let version = provides.and_then(|provides| provides.version(release.version.as_str()));
        version.is_some_and(|version| version.state(today) != State::Planned)
    }

    /// Returns the record; of an older document, what follows from it alone.
    fn record(&self) -> Cow<'_, Record> {
        match &self.body.record {
            Some(record) => Cow::Borrowed(record),
            None => {
                let on = self.body.published_at.date();
                Cow::Owned(Record::next(None, &self.body.declaration, on))
            }
        }
    }

    /// Returns the digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Proves that this document comes right after another of its service; none, that it is the
    /// first.
    ///
    /// # Errors
    /// If it does not.
    pub fn verify_parent(&self, parent: Option<&Self>) -> Result<(), ChainError> {
        let error =
            |flaw| ChainError { service: self.body.service.clone(), seq: self.body.seq, flaw };
        let (seq, digest) = parent.map_or((0, None), |parent| (parent.seq(), Some(parent.digest)));
        if parent.is_some_and(|parent| parent.service() != self.service()) {
            return Err(error(ChainFlaw::OtherService));
        }
        if self.body.seq != seq + 1 {
            return Err(error(ChainFlaw::Gap { expected: seq + 1 }));
        }
        if self.body.parent != digest {
            return Err(error(ChainFlaw::OtherParent));
        }
        let before = parent.map(Self::record);
        let on = self.body.published_at.date();
        let follows = |record: &Record| {
            *record == Record::next(before.as_deref(), &self.body.declaration, on)
        };
        if !self.body.record.as_ref().is_none_or(follows) {
            return Err(error(ChainFlaw::Record));
        }
        Ok(())
    }
}

impl Body {
    /// Proves what the types cannot say.
    fn check(&self) -> Result<(), DocumentError> {
        if !is_service_name(&self.service) {
            return Err(DocumentError::Service(shorten(&self.service)));
        }
        if self.declaration.service.name != self.service {
            return Err(DocumentError::OtherService {
                document: self.service.clone(),
                declaration: shorten(&self.declaration.service.name),
            });
        }
        Ok(())
    }
}

/// Gathers what a document says before it is sealed.
#[derive(Clone, Debug)]
pub struct Draft {
    declaration: Declaration,
    published_at: Timestamp,
    published_by: String,
    commit: Option<String>,
    release: Option<String>,
    contracts: Contracts,
    reason: Option<String>,
}

impl Draft {
    /// Starts with what is published, when, and by whom.
    #[must_use]
    pub fn new(
        declaration: Declaration,
        published_at: Timestamp,
        published_by: impl Into<String>,
    ) -> Self {
        Self {
            declaration,
            published_at,
            published_by: published_by.into(),
            commit: None,
            release: None,
            contracts: Contracts::new(),
            reason: None,
        }
    }

    /// Sets the commit that it is published from.
    #[must_use]
    pub fn with_commit(mut self, commit: impl Into<String>) -> Self {
        self.commit = Some(commit.into());
        self
    }

    /// Sets the service's own version, such as 1.4.2: by it deployments name what they deploy.
    #[must_use]
    #[doc(hidden)]
    pub fn with_release(mut self, release: impl Into<String>) -> Self {
        self.release = Some(release.into());
        self
    }

    /// Sets the description of a version. Versions without one keep what was published before.
    #[must_use]
    pub fn with_contract(
        mut self,
        api: impl Into<String>,
        version: impl Into<String>,
        contract: Contract,
    ) -> Self {
        self.contracts.entry(api.into()).or_default().insert(version.into(), contract);
        self
    }

    /// Tells whether a document says all that this would.
    #[must_use]
    pub fn is_said_by(&self, document: &Document) -> bool {
        *document.declaration() == self.declaration
            && (self.release.is_none() || self.release == document.body.release)
            && contracts::known(&self.contracts, &document.body.contracts)
    }

    /// Sets why a published promise is broken.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Seals the document that comes after `parent`, or the first one. If the parent was published
    /// later, by its clock, that moment is taken.
    ///
    /// # Errors
    /// If `parent` is of another service, or the service's name cannot be one.
    pub fn seal(self, parent: Option<&Document>) -> Result<Document, DocumentError> {
        // Time never goes back, whatever a publisher's clock says.
        let published_at =
            parent.map_or(self.published_at, |parent| self.published_at.max(parent.published_at()));
        let before = parent.map(Document::record);
        let record = Record::next(before.as_deref(), &self.declaration, published_at.date());
        let contracts = contracts::carried(
            self.contracts,
            parent.map(|parent| &parent.body.contracts),
            &self.declaration,
        );
        let former = |parent| contracts::former(&contracts, parent, published_at.date());
        let body = Body {
            schema: Document::SCHEMA,
            service: self.declaration.service.name.clone(),
            seq: parent.map_or(1, |parent| parent.seq() + 1),
            parent: parent.map(Document::digest),
            published_at,
            published_by: self.published_by,
            commit: self.commit,
            release: self.release,
            former_contracts: parent.map(former).unwrap_or_default(),
            contracts,
            reason: self.reason,
            declaration: self.declaration,
            record: Some(record),
        };
        body.check()?;
        if let Some(parent) = parent
            && parent.service() != body.service
        {
            return Err(DocumentError::OtherService {
                document: body.service,
                declaration: parent.service().to_owned(),
            });
        }
        let mut value = serde_json::to_value(&body).map_err(DocumentError::Json)?;
        let digest = Digest::of(to_canonical(&value)?.as_bytes());
        if let Some(members) = value.as_object_mut() {
            members.insert("digest".to_owned(), Value::String(digest.to_string()));
        }
        let json = to_canonical(&value)?.into();
        Ok(Document { body, digest, json })
    }
}

#[cfg(test)]
mod tests;
