//! `cargo meshwise check --live`: whether a running service says what was published of it.
//!
//! A service that has meshwise's API layer shows its declaration under `/apis`. It is compared with
//! the service's documents, the newest first: so it is known which publication runs.

use meshwise_api::{Date, Document};
use serde::{Deserialize, Serialize};

use crate::{
    commands::Context,
    dictionary,
    exit::{Exit, Failure, OrExit as _},
    store::{OpenOptions, Store, StoreError},
};

/// What a running service says; what else it says is not looked at.
#[derive(Debug, Deserialize)]
struct Page {
    service: LiveService,
    #[serde(default)]
    dictionary_head: Option<String>,
    #[serde(default)]
    provides: Vec<LiveApi>,
    #[serde(default)]
    requires: Vec<Required>,
}

#[derive(Debug, Deserialize)]
struct LiveService {
    name: String,
}

#[derive(Debug, Deserialize)]
struct LiveApi {
    api: String,
    #[serde(default)]
    current: Vec<Version>,
    #[serde(default)]
    plan: Vec<Version>,
    #[serde(default)]
    history: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    released: Option<Date>,
    #[serde(default)]
    deprecated: Option<Date>,
    #[serde(default)]
    sunset: Option<Date>,
    #[serde(default)]
    successor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Required {
    api: String,
    version: String,
}

#[derive(Serialize)]
struct LiveAnswer<'a> {
    service: &'a str,
    /// The newest document that says what runs; none if none does.
    document: Option<u64>,
    newest: u64,
    /// What the newest document says otherwise.
    differences: &'a [String],
    /// The digest of the dictionary's heads when it was built.
    dictionary_head: Option<&'a str>,
}

/// Asks a running service, and compares it with what was published.
///
/// # Errors
/// `Usage` for what is no address; `Undetermined` when the service or the dictionary is out of reach.
pub(crate) fn run(url: &str, context: &mut Context) -> Result<Exit, Failure> {
    let bytes = ask(url)?;
    let page: Page = serde_json::from_slice(&bytes)
        .map_err(|error| {
            anyhow::Error::new(error).context(format!("{url} does not answer with a list of APIs"))
        })
        .or_exit(Exit::Undetermined)?;
    let store = context.store(&OpenOptions::default())?.store;
    let service = page.service.name.as_str();
    let Some(newest) = dictionary::head(&store, service).map_err(StoreError::into_failure)? else {
        let message = format!("{service} runs at {url} and was never published");
        return Err(Failure::message(Exit::Violation, message));
    };
    let found = differences(&page, &newest);
    let document = running(&store, &page, &newest)?;
    let exit = if found.is_empty() { Exit::Ok } else { Exit::Violation };
    let answer = LiveAnswer {
        service,
        document,
        newest: newest.seq(),
        differences: &found,
        dictionary_head: page.dictionary_head.as_deref(),
    };
    context.out.either(&answer, |out| {
        let seq = newest.seq();
        match (found.is_empty(), document) {
            (true, _) => out.line(format_args!("{service} says what document {seq} says"))?,
            (false, Some(document)) => out.line(format_args!(
                "{service} says what document {document} says; the newest is {seq}:"
            ))?,
            (false, None) => {
                out.line(format_args!("{service} says what no document of it says; of {seq}:"))?;
            }
        }
        found.iter().try_for_each(|difference| out.line(format_args!("  {difference}")))
    })?;
    Ok(exit)
}

/// Finds the newest document that says what runs.
fn running(store: &Store, page: &Page, newest: &Document) -> Result<Option<u64>, Failure> {
    let mut next = Some(newest.clone());
    while let Some(document) = next {
        if differences(page, &document).is_empty() {
            return Ok(Some(document.seq()));
        }
        next = dictionary::before(store, &document).map_err(StoreError::into_failure)?;
    }
    Ok(None)
}

/// Lists what a document says otherwise than a running service.
fn differences(page: &Page, document: &Document) -> Vec<String> {
    let declaration = document.declaration();
    let mut found = Vec::new();
    for provides in &declaration.provides {
        let Some(live) = page.provides.iter().find(|live| live.api == provides.api) else {
            found.push(format!("{}: published, and not there", provides.api));
            continue;
        };
        let mut versions: Vec<&Version> =
            live.current.iter().chain(&live.plan).chain(&live.history).collect();
        for release in &provides.versions {
            let name = format!("{} {}", provides.api, release.version);
            let at = versions.iter().position(|it| it.version == release.version.as_str());
            let Some(at) = at else {
                found.push(format!("{name}: published, and not there"));
                continue;
            };
            let live = versions.swap_remove(at);
            let day =
                |day: Option<Date>| day.map_or_else(|| "none".to_owned(), |it| it.to_string());
            for (what, live, published) in [
                ("released", live.released, release.released),
                ("deprecated", live.deprecated, release.deprecated),
                ("sunset", live.sunset, release.sunset),
            ] {
                if live != published {
                    let (live, published) = (day(live), day(published));
                    found.push(format!("{name}: {what} is {live} there, {published} as published"));
                }
            }
            if live.successor != release.successor {
                found.push(format!("{name}: it names another successor there"));
            }
        }
        for live in versions {
            found.push(format!("{} {}: there, and not published", provides.api, live.version));
        }
    }
    for live in &page.provides {
        if declaration.provided(&live.api).is_none() {
            found.push(format!("{}: there, and not published", live.api));
        }
    }
    let declares = |live: &Required| {
        declaration.requires.iter().any(|it| it.api == live.api && it.version == live.version)
    };
    for live in page.requires.iter().filter(|live| !declares(live)) {
        found.push(format!("{} {}: required there, and not as published", live.api, live.version));
    }
    for requires in &declaration.requires {
        let is_it = |live: &Required| live.api == requires.api && live.version == requires.version;
        if !page.requires.iter().any(is_it) {
            let (api, version) = (&requires.api, &requires.version);
            found.push(format!("{api} {version}: required as published, and not there"));
        }
    }
    found
}

/// Reads the list of APIs of a running service.
#[cfg(feature = "http")]
fn ask(url: &str) -> Result<Vec<u8>, Failure> {
    use std::time::Duration;

    use crate::usage::web::{self, Web};

    let mut address = web::address(url).or_exit(Exit::Usage)?;
    if !address.path().ends_with("/apis") {
        let path = format!("{}/apis", address.path().trim_end_matches('/'));
        address.set_path(&path);
    }
    let web =
        Web::new(Some("MESHWISE_LIVE_TOKEN"), Duration::from_secs(10)).or_exit(Exit::Usage)?;
    let shown = web::shown(&address);
    let request = web.client().get(address).header("accept", "application/json");
    let (head, body) = web
        .send(request, 4 << 20)
        .map_err(|error| anyhow::Error::new(error).context(format!("cannot ask {shown}")))
        .or_exit(Exit::Undetermined)?;
    if head.status != 200 {
        let message = format!("{shown} answered {}", head.status);
        return Err(Failure::message(Exit::Undetermined, message));
    }
    Ok(body)
}

#[cfg(not(feature = "http"))]
fn ask(_: &str) -> Result<Vec<u8>, Failure> {
    Err(Failure::message(
        Exit::Usage,
        "built without the feature `http`, so no service can be asked",
    ))
}
