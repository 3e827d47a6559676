//! `api.toml`: what a service provides and what it needs.
//!
//! ```
//! use meshwise_api::{Declaration, State};
//!
//! let declaration = Declaration::parse("api.toml", r#"
//! schema = 1
//! [service]
//! name = "orders"
//!
//! [[provides]]
//! api = "orders"
//! scheme = "main-minor"
//! [[provides.versions]]
//! version = "1.1"
//! released = 2017-10-01
//! deprecated = 2026-09-01
//! "#)?;
//! let version = &declaration.provides[0].versions[0];
//! assert_eq!(version.state("2026-11-21".parse()?), State::Deprecated);
//!
//! let error = Declaration::parse("api.toml", "schema = 1\n[service]\nnmae = \"orders\"\n").unwrap_err();
//! assert!(error.to_string().contains("did you mean `name`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod parse;
mod wire;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    date::Date,
    diagnostic::{Diagnostics, Location, Source},
    finding::Level,
    policy::Policy,
    scheme::{Scheme, Version},
    state::State,
};

/// Holds what a service declares: the whole of an `api.toml`.
///
/// Read from TOML by [`parse`](Self::parse), which keeps the places of everything for messages, and
/// from the JSON of a dictionary document, which has none. Two declarations are equal if they say
/// the same, wherever they come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Declaration {
    /// The version of this format: 1.
    pub schema: u32,
    /// Who declares.
    pub service: Service,
    /// The APIs that the service provides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Provides>,
    /// The APIs that the service calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requires>,
    /// How grave each finding is for this service.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    #[serde(skip)]
    pub(crate) source: Option<Arc<Source>>,
}

/// Says who declares, and who is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// The service's name, unique in the dictionary: ASCII letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Who answers for the service: a team or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where the owner is told: URIs such as `mailto:team@example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Where the dictionary is, if nothing else names it: a folder, from that of `api.toml`, or a URL.
    /// It is a matter of the repository, and is not published.
    #[serde(skip)]
    pub dictionary: Option<String>,
    /// Whether the service has ended. Its last document says so, and provides and needs nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// One API that the service provides, with all of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "wire::WireProvides", into = "wire::WireProvides")]
#[non_exhaustive]
pub struct Provides {
    /// The API's name.
    pub api: String,
    /// How its versions are written and compared.
    pub scheme: Scheme,
    /// How it is called. Default: HTTP.
    pub transport: Transport,
    /// Where the OpenAPI, AsyncAPI or protobuf description of its newest released version lies: a
    /// path, from the folder of `api.toml`, or a URL.
    pub description: Option<String>,
    /// The command that compares an older description with a newer one, in place of meshwise:
    /// `oasdiff breaking {old} {new}`.
    pub contract_command: Option<String>,
    /// Its versions: history, current and plan.
    pub versions: Vec<Release>,
    /// The other services that may provide it too: for a hand-over, or where each region has its own.
    pub shared_with: Vec<String>,
}

/// One version of a provided API, and its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    /// The version.
    pub version: Version,
    /// The day from which it can be called; none while that is open.
    pub released: Option<Date>,
    /// The day from which no one should start to call it.
    pub deprecated: Option<Date>,
    /// The day from which it may be gone.
    pub sunset: Option<Date>,
    /// The version to use in its place: of the same API, or `API@VERSION`.
    pub successor: Option<String>,
    /// How to move to the successor: a path or a URL.
    pub migration: Option<String>,
    /// What else callers should know.
    pub notes: Option<String>,
    /// Where its own description lies, if the API's is not of this version: a path or a URL.
    pub description: Option<String>,
    /// Whether callers of earlier versions that it can stand in for must not stay with them, such as
    /// those that lack a security fix.
    pub urgent: bool,
    /// The day by which callers of those should have moved to it. Default: 30 days after its release.
    pub adopt_by: Option<Date>,
}

/// One API that the service calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Requires {
    /// The API's name.
    pub api: String,
    /// The version asked for, as the provider's scheme writes it.
    pub version: String,
    /// Why it is needed, for the provider who wants to retire it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The gravest level that a finding about it may have. Default: deny.
    #[serde(default = "deny", skip_serializing_if = "is_deny")]
    pub level: Level,
    /// Since when it is called, if that is longer than dictionary and lock file know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
}

/// Says how an API is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Transport {
    /// Requests and responses over HTTP.
    #[default]
    Http,
    /// gRPC; the API's name is a protobuf package such as `auth.v1`.
    Grpc,
    /// Messages over a queue or a log.
    Messages,
}

impl Declaration {
    /// The version of the format that this release reads.
    pub const SCHEMA: u32 = 1;

    /// The largest file that is read, in bytes: 1 MiB.
    pub const MAX_SIZE: usize = 1 << 20;

    /// The file's usual name.
    pub const FILE_NAME: &str = "api.toml";

    /// Starts a declaration of a service that provides and needs nothing.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            schema: Self::SCHEMA,
            service: Service {
                name: service.into(),
                owner: None,
                contacts: Vec::new(),
                dictionary: None,
                retired: false,
            },
            provides: Vec::new(),
            requires: Vec::new(),
            policy: Policy::default(),
            source: None,
        }
    }

    /// Reads the text of an `api.toml`; `file` is its name for messages.
    ///
    /// Only the form is judged here: what is read may still contradict itself or the dictionary,
    /// which [`Check`](crate::Check) finds.
    ///
    /// # Errors
    /// Everything that is not well-formed, at once (up to a hundred): syntax, unknown and missing
    /// keys, wrong types, names and versions and dates that are none; or that the text is longer
    /// than [`MAX_SIZE`](Self::MAX_SIZE). Never an empty list.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        parse::declaration(file, text)
    }

    /// Reads the bytes of an `api.toml`, as [`parse`](Self::parse) does.
    ///
    /// # Errors
    /// Also if the bytes are not UTF-8.
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        parse::from_bytes(file, bytes)
    }

    /// Finds an API among those provided.
    #[must_use]
    pub fn provided(&self, api: &str) -> Option<&Provides> {
        self.provides.iter().find(|provides| provides.api == api)
    }

    /// Returns the place of a value, by a path such as `requires[0].version`, if the declaration
    /// was read from a file.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<Location> {
        self.source.as_ref()?.locate(path)
    }

    /// Returns the name of the file that it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.name())
    }
}

impl PartialEq for Declaration {
    fn eq(&self, other: &Self) -> bool {
        // Not the source: where a declaration was read is no part of what it says.
        self.schema == other.schema
            && self.service == other.service
            && self.provides == other.provides
            && self.requires == other.requires
            && self.policy == other.policy
    }
}

impl Eq for Declaration {}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        // Not the dictionary: a document says nothing of it.
        self.name == other.name && self.owner == other.owner && self.contacts == other.contacts
    }
}

impl Eq for Service {}

impl Provides {
    /// Starts an API without versions, called over HTTP.
    #[must_use]
    pub fn new(api: impl Into<String>, scheme: Scheme) -> Self {
        Self {
            api: api.into(),
            scheme,
            transport: Transport::default(),
            description: None,
            contract_command: None,
            versions: Vec::new(),
            shared_with: Vec::new(),
        }
    }

    /// Finds a version by its text.
    #[must_use]
    pub fn version(&self, version: &str) -> Option<&Release> {
        self.versions.iter().find(|release| release.version.as_str() == version)
    }
}

impl Release {
    /// Starts a version without dates: a planned one.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self {
            version,
            released: None,
            deprecated: None,
            sunset: None,
            successor: None,
            migration: None,
            notes: None,
            description: None,
            urgent: false,
            adopt_by: None,
        }
    }

    /// Returns the day by which callers should have moved to it: the one that is set, else 30 days
    /// after its release.
    #[must_use]
    pub fn adopt_by(&self) -> Option<Date> {
        self.adopt_by.or_else(|| self.released?.plus_days(30))
    }

    /// Tells where the version stands on a day.
    #[must_use]
    pub fn state(&self, today: Date) -> State {
        State::on(today, self.released, self.deprecated, self.sunset)
    }
}

impl Requires {
    /// Starts a requirement whose findings may be denied.
    #[must_use]
    pub fn new(api: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            api: api.into(),
            version: version.into(),
            reason: None,
            level: Level::Deny,
            since: None,
        }
    }
}

impl Transport {
    /// The names of all transports, as they are written in `api.toml`.
    pub const NAMES: [&'static str; 3] = ["http", "grpc", "messages"];

    /// Returns the name, as it is written in `api.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Messages => "messages",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Http, Self::Grpc, Self::Messages]
            .into_iter()
            .find(|transport| transport.as_str() == name)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

const fn deny() -> Level {
    Level::Deny
}

// serde calls it with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_deny(level: &Level) -> bool {
    *level == Level::Deny
}

#[cfg(test)]
mod tests;
