//! Which publication an argument means.

use std::{fmt, str::FromStr};

use meshwise_api::Document;

use crate::{
    dictionary,
    exit::{Exit, Failure},
    store::{Key, Store, StoreError},
};

/// The fewest digits of a commit that name it.
const SHORT: usize = 7;

/// Names a service or an API, and what of it: `NAME[@VERSION]`.
///
/// Unlike the id of an API it has one form alone: a service may be called `orders-2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let bad = |text: &str| {
            text.is_empty() || text.len() > 256 || text.chars().any(|c| c.is_control() || c == ' ')
        };
        if bad(name) || version.is_some_and(bad) {
            return Err("write NAME or NAME@VERSION, without spaces".to_owned());
        }
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

/// Proves that a text can name an environment.
///
/// # Errors
/// `Usage` if it cannot.
pub(crate) fn environment(name: &str) -> Result<(), Failure> {
    if Key::is_service_name(name) {
        return Ok(());
    }
    let message =
        format!("{name:?} cannot name an environment: use ASCII letters, digits, '.', '_' and '-'");
    Err(Failure::message(Exit::Usage, message))
}

/// Finds the document that `SERVICE[@VERSION]` means: the newest one of the service's own version, the
/// one of a number, or the newest one of a commit; without a version the newest.
///
/// # Errors
/// `Usage` when there is none; `Undetermined` when the service's documents cannot be read.
pub(crate) fn publication(store: &Store, id: &Target) -> Result<Document, Failure> {
    match find(store, &id.name, id.version.as_deref())? {
        Found::One(document) => Ok(*document),
        Found::NoService => {
            let message = format!("the dictionary has no service {}", id.name);
            Err(Failure::message(Exit::Usage, message))
        }
        Found::NoVersion { newest } => {
            let version = id.version.as_deref().unwrap_or_default();
            let message = format!(
                "nothing was published of {} as {version}: give a version that was named with `publish \
                 --release`, a document's number up to {newest}, or a commit of at least {SHORT} digits",
                id.name
            );
            Err(Failure::message(Exit::Usage, message))
        }
    }
}

/// What [`find`] finds.
pub(crate) enum Found {
    One(Box<Document>),
    NoService,
    NoVersion { newest: u64 },
}

/// Looks for a publication of a service.
///
/// # Errors
/// `Undetermined` when the service's documents cannot be read.
pub(crate) fn find(store: &Store, service: &str, version: Option<&str>) -> Result<Found, Failure> {
    let failed = |error: StoreError| error.into_failure();
    if !Key::is_service_name(service) {
        return Ok(Found::NoService);
    }
    let Some(newest) = dictionary::head(store, service).map_err(failed)? else {
        return Ok(Found::NoService);
    };
    let Some(version) = version else { return Ok(Found::One(newest.into())) };
    let head = newest.seq();
    let hex = version.len() >= SHORT && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut numbered = None;
    let mut committed = None;
    let mut next = Some(newest);
    while let Some(document) = next {
        if document.release() == Some(version) {
            return Ok(Found::One(document.into()));
        }
        if document.seq().to_string() == version {
            numbered = Some(document.clone());
        }
        let commit = document.commit().is_some_and(|commit| commit.starts_with(version));
        if hex && commit && committed.is_none() {
            committed = Some(document.clone());
        }
        next = dictionary::before(store, &document).map_err(failed)?;
    }
    match numbered.or(committed) {
        Some(document) => Ok(Found::One(document.into())),
        None => Ok(Found::NoVersion { newest: head }),
    }
}
