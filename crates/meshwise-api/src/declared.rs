//! What a service declared, in the form that its build puts into the program.
//!
//! `meshwise_build::check()` writes one constant expression to `OUT_DIR`; [`declared!`](crate::declared!)
//! includes it. Everything is `'static` and `Copy`: nothing is parsed, and no file is read, when the
//! program starts.

use crate::{date::Date, state::State};

/// Holds what a service provides and needs, as its build knew it.
///
/// Made by [`declared!`](crate::declared!). The fields are public so that generated code can fill
/// them; later versions may add some, so write none of this by hand outside of tests.
///
/// ```
/// use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion};
///
/// const DECLARED: Declared = Declared {
///     service: "orders",
///     owner: Some("team-checkout"),
///     contacts: &["mailto:checkout@example.com"],
///     provides: &[ProvidedApi {
///         api: "orders",
///         scheme: "main-minor",
///         transport: "http",
///         description: Some("openapi.json"),
///         versions: &[ProvidedVersion {
///             released: Date::new(2024, 2, 29),
///             ..ProvidedVersion::new("1.1")
///         }],
///     }],
///     ..Declared::new("orders")
/// };
/// assert_eq!(DECLARED.provided("orders").map(|api| api.versions.len()), Some(1));
/// assert!(!DECLARED.requires_api("auth"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "generated code makes it, by its fields")]
pub struct Declared {
    /// The service's name.
    #[doc(hidden)]
    pub service: &'static str,
    /// Who is told when something changes.
    #[doc(hidden)]
    pub owner: Option<&'static str>,
    /// Where they are told: `mailto:` and other URIs.
    #[doc(hidden)]
    pub contacts: &'static [&'static str],
    /// The APIs this service provides.
    #[doc(hidden)]
    pub provides: &'static [ProvidedApi],
    /// The APIs this service calls.
    #[doc(hidden)]
    pub requires: &'static [RequiredApi],
    /// The day that the build held to be today when it checked the declaration.
    #[doc(hidden)]
    pub checked_on: Option<Date>,
    /// The digest of the dictionary's head that the lock file was made from.
    #[doc(hidden)]
    pub dictionary_head: Option<&'static str>,
}

/// Describes one API that the service provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "generated code makes it, by its fields")]
pub struct ProvidedApi {
    /// The API's name.
    pub api: &'static str,
    /// How its versions are written and compared: `semver`, `main-minor`, ...
    pub scheme: &'static str,
    /// How it is called: `http`, `grpc` or `messages`.
    pub transport: &'static str,
    /// Where its description (`OpenAPI`, `AsyncAPI`, proto) lies, as `api.toml` names it.
    pub description: Option<&'static str>,
    /// Every version: history, current and plan.
    pub versions: &'static [ProvidedVersion],
}

/// Describes one version of an API that the service provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "generated code makes it, by its fields")]
pub struct ProvidedVersion {
    /// The version, as its scheme writes it.
    pub version: &'static str,
    /// The day from which it can be used.
    pub released: Option<Date>,
    /// The day from which no one should start using it.
    pub deprecated: Option<Date>,
    /// The day from which it may stop working.
    pub sunset: Option<Date>,
    /// The version to use in its place.
    pub successor: Option<&'static str>,
    /// Where it is written how to move on: a URL, or a path in the provider's repository.
    pub migration: Option<&'static str>,
    /// What else is to be known.
    pub notes: Option<&'static str>,
}

/// Describes one API that the service calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "generated code makes it, by its fields")]
pub struct RequiredApi {
    /// The API's name.
    pub api: &'static str,
    /// The version that is asked for.
    pub version: &'static str,
    /// The service that provides it, as the lock file says.
    pub provider: Option<&'static str>,
    /// The version that the lock file resolved it to.
    pub resolved: Option<&'static str>,
    /// The day that version was or will be deprecated.
    pub deprecated: Option<Date>,
    /// The day that version may stop working.
    pub sunset: Option<Date>,
    /// The version to use in its place.
    pub successor: Option<&'static str>,
    /// How grave a finding about it is: `deny`, `warn` or `allow`.
    pub level: &'static str,
}

impl Declared {
    /// Starts with a service that provides and needs nothing.
    #[must_use]
    pub const fn new(service: &'static str) -> Self {
        Self {
            service,
            owner: None,
            contacts: &[],
            provides: &[],
            requires: &[],
            checked_on: None,
            dictionary_head: None,
        }
    }

    /// Finds an API among those provided.
    #[must_use]
    pub fn provided(&self, api: &str) -> Option<&'static ProvidedApi> {
        self.provides.iter().find(|provided| provided.api == api)
    }

    /// Finds what the `successor` of a version of `api` names: a version of that API, or `API@VERSION`.
    /// None if another service provides it.
    #[must_use]
    #[doc(hidden)]
    pub fn successor(
        &self,
        api: &str,
        successor: &str,
    ) -> Option<(&'static ProvidedApi, &'static ProvidedVersion)> {
        let (api, version) = successor.split_once('@').unwrap_or((api, successor));
        let provided = self.provided(api)?;
        Some((provided, provided.version(version)?))
    }

    /// Tells whether the API is among those required.
    #[must_use]
    pub fn requires_api(&self, api: &str) -> bool {
        self.required(api).next().is_some()
    }

    /// Lists what is required of one API; it may be needed in several versions.
    pub fn required(&self, api: &str) -> impl Iterator<Item = &'static RequiredApi> {
        self.requires.iter().filter(move |required| required.api == api)
    }
}

impl ProvidedApi {
    /// Finds a version by its text.
    #[must_use]
    pub fn version(&self, version: &str) -> Option<&'static ProvidedVersion> {
        self.versions.iter().find(|provided| provided.version == version)
    }
}

impl ProvidedVersion {
    /// Starts with a version that has no dates.
    #[must_use]
    pub const fn new(version: &'static str) -> Self {
        Self {
            version,
            released: None,
            deprecated: None,
            sunset: None,
            successor: None,
            migration: None,
            notes: None,
        }
    }

    /// Tells where the version stands on a day.
    #[must_use]
    pub fn state_on(&self, today: Date) -> State {
        State::on(today, self.released, self.deprecated, self.sunset)
    }
}

impl RequiredApi {
    /// Starts with a requirement that no lock file knows.
    #[must_use]
    pub const fn new(api: &'static str, version: &'static str) -> Self {
        Self {
            api,
            version,
            provider: None,
            resolved: None,
            deprecated: None,
            sunset: None,
            successor: None,
            level: "warn",
        }
    }
}

/// Includes what `meshwise_build::check()` found out in this package's build script, as a
/// [`Declared`].
///
/// ```ignore
/// let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION"))
///     .apis(meshwise_api::declared!())
///     .install()?;
/// ```
///
/// With a path, it includes that file instead, for builds that make it without a build script. The
/// file holds one expression that names types by `meshwise_api::`.
#[macro_export]
macro_rules! declared {
    () => {
        $crate::declared!(concat!(env!("OUT_DIR"), "/meshwise_api.rs"))
    };
    ($path:expr) => {{
        // A constant: references to what it is made of live for ever, dates are checked by the
        // compiler, and the name works wherever this crate was re-exported.
        #[allow(unused_imports)]
        use $crate as meshwise_api;
        // Generated code names all by its path, whatever the crate has imported, and leaves room
        // for fields that are yet to come.
        #[allow(unused_qualifications, clippy::needless_update)]
        const DECLARED: $crate::Declared = include!($path);
        DECLARED
    }};
}
