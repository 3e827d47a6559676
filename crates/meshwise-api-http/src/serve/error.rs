//! What can be wrong with the settings of a layer.

use meshwise_api::Declared;

/// Says which setting of a layer does not fit what was declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiConfigError {
    /// A route or link names an API that the service does not provide.
    #[error(
        "{api:?} is not among the [[provides]] of api.toml ({}): add it there, or correct the name",
        list(known)
    )]
    UnknownApi {
        /// The name that was given.
        #[doc(hidden)]
        api: String,
        /// The names that are declared.
        #[doc(hidden)]
        known: Vec<&'static str>,
    },
    /// A route or link names a version that the API does not have.
    #[error(
        "{api} has no version {version:?} in api.toml ({}): add it there, or correct the name",
        list(known)
    )]
    UnknownVersion {
        /// The API.
        #[doc(hidden)]
        api: String,
        /// The version that was given.
        #[doc(hidden)]
        version: String,
        /// The versions that are declared.
        #[doc(hidden)]
        known: Vec<&'static str>,
    },
    /// A path prefix does not begin with a slash.
    #[error("the path prefix {0:?} would match nothing: begin it with a slash")]
    Prefix(String),
    /// A link leads to what is no URI, or its relation is no word.
    #[error(
        "{target:?} with the relation {rel:?} is no link: write a URI reference in ASCII, \
         percent-encoded, and one relation type of RFC 8288"
    )]
    Link {
        /// Where it was to lead.
        #[doc(hidden)]
        target: String,
        /// What it was to mean.
        #[doc(hidden)]
        rel: String,
    },
}

/// Lists the names that were declared.
fn list(known: &[&str]) -> String {
    if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("known: {}", known.join(", "))
    }
}

pub(super) fn unknown_api(declared: &Declared, api: &str) -> ApiConfigError {
    let known = declared.provides.iter().map(|api| api.api).collect();
    ApiConfigError::UnknownApi { api: api.to_owned(), known }
}

pub(super) fn unknown_version(declared: &Declared, api: &str, version: &str) -> ApiConfigError {
    let known = declared.provided(api).map_or(&[][..], |api| api.versions);
    ApiConfigError::UnknownVersion {
        api: api.to_owned(),
        version: version.to_owned(),
        known: known.iter().map(|version| version.version).collect(),
    }
}
