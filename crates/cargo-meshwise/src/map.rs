//! Who needs what from whom: the map of services and APIs, in several forms.

mod dot;
mod mermaid;
mod text;

use std::collections::BTreeSet;

use meshwise_api::{Date, Dictionary, Document, Found, Level, Offer, Requires, State};
use serde::Serialize;

pub(crate) use dot::dot;
pub(crate) use mermaid::mermaid;
pub(crate) use text::{resolution, text};

/// The services of a dictionary and what they require, both sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Map {
    /// The services.
    pub services: Vec<Service>,
    /// One edge for each requirement, sorted by caller, API and version.
    pub edges: Vec<Edge>,
}

/// A service on the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Service {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The APIs that it provides.
    pub provides: Vec<String>,
}

/// One requirement, and what serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Edge {
    /// The service that requires.
    pub caller: String,
    /// Who answers for that service.
    pub owner: Option<String>,
    /// The API that it requires.
    pub api: String,
    /// The version that it asks for.
    pub required: String,
    /// The service that provides the API, if only in versions that will not do.
    pub provider: Option<String>,
    /// The version that serves the requirement today.
    pub resolved: Option<String>,
    /// That version's state today.
    pub state: Option<State>,
    /// The day from which that version should not be used.
    pub deprecated: Option<Date>,
    /// The day from which that version may be gone.
    pub sunset: Option<Date>,
    /// The version to use in its place.
    pub successor: Option<String>,
    /// The gravest level that a finding about this requirement may have.
    pub level: Level,
    /// Why it is required.
    pub reason: Option<String>,
    /// Whether what serves it may be in a document that could not be read: nothing is known then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
}

impl Map {
    /// Draws the map of a dictionary on a day, which may lack services that could not be read.
    #[must_use]
    pub(crate) fn of(dictionary: &Dictionary, is_whole: bool, today: Date) -> Self {
        let mut map = Self { services: Vec::with_capacity(dictionary.len()), edges: Vec::new() };
        for document in dictionary.services() {
            let declaration = document.declaration();
            map.services.push(Service {
                name: document.service().to_owned(),
                owner: declaration.service.owner.clone(),
                provides: declaration
                    .provides
                    .iter()
                    .map(|provides| provides.api.clone())
                    .collect(),
            });
            for requires in &declaration.requires {
                let found = dictionary.resolve(&requires.api, &requires.version, today);
                map.edges.push(Edge::new(document, requires, &found, is_whole));
            }
        }
        map.edges.sort_by(|a, b| {
            (&a.caller, &a.api, &a.required).cmp(&(&b.caller, &b.api, &b.required))
        });
        map
    }

    /// Keeps one service, what it requires and who requires its APIs; `None` when it is not there.
    #[must_use]
    pub(crate) fn around(mut self, service: &str) -> Option<Self> {
        self.edges
            .retain(|edge| edge.caller == service || edge.provider.as_deref() == Some(service));
        if !self.services.iter().any(|one| one.name == service) {
            return None;
        }
        let mut near: BTreeSet<&str> = BTreeSet::from([service]);
        for edge in &self.edges {
            near.insert(&edge.caller);
            near.extend(edge.provider.as_deref());
        }
        self.services.retain(|one| near.contains(one.name.as_str()));
        Some(self)
    }
}

impl Edge {
    /// Describes a requirement and what it gets.
    #[must_use]
    pub(crate) fn new(
        caller: &Document,
        requires: &Requires,
        found: &Found<'_>,
        is_whole: bool,
    ) -> Self {
        let offer = match found {
            Found::Offer(offer) => Some(offer),
            _ => None,
        };
        let release = offer.map(Offer::release);
        Self {
            caller: caller.service().to_owned(),
            owner: caller.declaration().service.owner.clone(),
            api: requires.api.clone(),
            required: requires.version.clone(),
            provider: match found {
                Found::Offer(offer) => Some(offer.provider().to_owned()),
                Found::NoVersion { offers } => {
                    offers.first().map(|offer| offer.provider().to_owned())
                }
                _ => None,
            },
            resolved: release.map(|release| release.version.to_string()),
            state: offer.map(Offer::state),
            deprecated: release.and_then(|release| release.deprecated),
            sunset: release.and_then(|release| release.sunset),
            successor: release.and_then(|release| release.successor.clone()),
            level: requires.level,
            reason: requires.reason.clone(),
            unchecked: offer.is_none() && !is_whole,
        }
    }

    /// Names what is asked for and what is had, in a few words.
    #[must_use]
    pub(crate) fn label(&self) -> String {
        let asked = format!("{}@{}", self.api, self.required);
        match (&self.resolved, self.state) {
            (Some(resolved), Some(state)) if *resolved != self.required => {
                format!("{asked}: {resolved} {state}")
            }
            (Some(_), Some(state)) => format!("{asked}: {state}"),
            (Some(_), None) => asked,
            (None, _) if self.unchecked => format!("{asked}: not checked"),
            (None, _) if self.provider.is_some() => format!("{asked}: incompatible"),
            (None, _) => format!("{asked}: unknown"),
        }
    }
}

/// Picks the colour of an edge: none for what is current, since most are.
fn colour(state: Option<State>) -> Option<&'static str> {
    match state {
        Some(State::Current) => None,
        Some(State::Deprecated) => Some("orange"),
        Some(State::Planned) => Some("blue"),
        Some(State::Retired) | None => Some("red"),
    }
}
