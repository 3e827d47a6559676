//! The answers for machines.

use super::{
    html::View,
    links::{self, PageLinks},
};
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, RequiredApi, State};
use serde::Serialize;

/// The form of the answers; it grows by fields only.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
pub(super) struct ServicePage {
    schema: u32,
    service: ServiceNames,
    today: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_on: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dictionary_head: Option<&'static str>,
    provides: Vec<ApiPart>,
    requires: Vec<RequiredPart>,
    #[serde(rename = "_links")]
    links: PageLinks,
}

#[derive(Serialize)]
struct ServiceNames {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'static str>,
    contacts: &'static [&'static str],
}

#[derive(Serialize)]
pub(super) struct ApiPage {
    schema: u32,
    service: &'static str,
    today: Date,
    #[serde(flatten)]
    api: ApiPart,
}

#[derive(Serialize)]
struct ApiPart {
    api: &'static str,
    scheme: &'static str,
    transport: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    /// What can be called: current and deprecated.
    current: Vec<VersionPart>,
    plan: Vec<VersionPart>,
    history: Vec<VersionPart>,
    #[serde(rename = "_links")]
    links: PageLinks,
}

#[derive(Serialize)]
struct VersionPart {
    version: &'static str,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    migration: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'static str>,
    #[serde(rename = "_links")]
    links: PageLinks,
}

#[derive(Serialize)]
pub(super) struct VersionPage {
    schema: u32,
    api: &'static str,
    #[serde(flatten)]
    version: VersionPart,
}

#[derive(Serialize)]
struct RequiredPart {
    api: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<&'static str>,
    level: &'static str,
}

pub(super) fn service(declared: &Declared, view: View<'_>) -> ServicePage {
    ServicePage {
        schema: SCHEMA,
        service: ServiceNames {
            name: declared.service,
            owner: declared.owner,
            contacts: declared.contacts,
        },
        today: view.today,
        checked_on: declared.checked_on,
        dictionary_head: declared.dictionary_head,
        provides: declared.provides.iter().map(|api| api_part(api, view)).collect(),
        requires: declared.requires.iter().map(required_part).collect(),
        links: links::service(declared, view),
    }
}

pub(super) fn api(declared: &Declared, api: &ProvidedApi, view: View<'_>) -> ApiPage {
    let (service, today) = (declared.service, view.today);
    ApiPage { schema: SCHEMA, service, today, api: api_part(api, view) }
}

pub(super) fn version(api: &ProvidedApi, version: &ProvidedVersion, view: View<'_>) -> VersionPage {
    // A program that checks wants state, dates and successor; the rest is for readers.
    let version = VersionPart { notes: None, migration: None, ..version_part(api, version, view) };
    VersionPage { schema: SCHEMA, api: api.api, version }
}

fn api_part(api: &ProvidedApi, view: View<'_>) -> ApiPart {
    let versions = |wanted: fn(State) -> bool| {
        let parts = api.versions.iter().map(|version| version_part(api, version, view));
        parts.filter(|part| wanted(part.state)).collect()
    };
    ApiPart {
        api: api.api,
        scheme: api.scheme,
        transport: api.transport,
        description: api.description,
        current: versions(State::is_live),
        plan: versions(|state| state == State::Planned),
        history: versions(|state| state == State::Retired),
        links: links::api(api, view),
    }
}

fn version_part(api: &ProvidedApi, version: &ProvidedVersion, view: View<'_>) -> VersionPart {
    VersionPart {
        version: version.version,
        state: version.state_on(view.today),
        released: version.released,
        deprecated: version.deprecated,
        sunset: version.sunset,
        successor: version.successor,
        migration: version.migration,
        notes: version.notes,
        links: links::version(api, version, view),
    }
}

fn required_part(required: &RequiredApi) -> RequiredPart {
    RequiredPart {
        api: required.api,
        version: required.version,
        provider: required.provider,
        resolved: required.resolved,
        deprecated: required.deprecated,
        sunset: required.sunset,
        successor: required.successor,
        level: required.level,
    }
}

/// Writes JSON on one line; dates and texts can always be written.
pub(super) fn text(page: &impl Serialize) -> String {
    serde_json::to_string(page).unwrap_or_else(|_| "null".to_owned()) + "\n"
}
