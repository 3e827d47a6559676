//! Who needs what from whom: the map of services and APIs, in several forms.

mod dot;
mod mermaid;
mod text;

use meshwise_api::{Date, Level, State};
use serde::Serialize;

pub use dot::dot;
pub use mermaid::mermaid;
pub use text::{fate, text};

/// The services of a dictionary and what they require, both sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Map {
    /// The services.
    pub services: Vec<Service>,
    /// One edge for each requirement, sorted by caller, API and version.
    pub edges: Vec<Edge>,
}

/// A service on the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The APIs that it provides.
    pub provides: Vec<String>,
}

/// One requirement, and what serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The service that requires.
    pub caller: String,
    /// Who answers for that service.
    pub owner: Option<String>,
    /// The API that it requires.
    pub api: String,
    /// The version that it asks for.
    pub required: String,
    /// The service that provides the API.
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
}

impl Edge {
    /// Names what is asked for and what is had, in a few words.
    #[must_use]
    pub fn label(&self) -> String {
        let asked = format!("{}@{}", self.api, self.required);
        match (&self.resolved, self.state) {
            (Some(resolved), Some(state)) if *resolved != self.required => {
                format!("{asked}: {resolved} {state}")
            }
            (Some(_), Some(state)) => format!("{asked}: {state}"),
            (Some(_), None) => asked,
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
