//! Entities for Backstage's software catalog.

use meshwise_api::{Date, Declaration, Provides, State, Transport};
use serde_json::{Map, Value, json};

/// Writes a `Component` for each service and an `API` for each provided API.
///
/// Backstage's edges have no version, so the versions and their states go into annotations.
#[must_use]
pub fn backstage(declarations: &[&Declaration], today: Date) -> Vec<Value> {
    let mut entities = Vec::new();
    for declaration in declarations {
        let service = &declaration.service;
        // Required by Backstage; this is how it writes that no one is known.
        let owner = service.owner.as_deref().unwrap_or("unknown");
        let mut spec = json!({"type": "service", "lifecycle": "production", "owner": owner});
        let mut list = |key: &str, apis: &mut dyn Iterator<Item = &str>| {
            let names: Vec<Value> = apis.map(|api| name(api).into()).collect();
            if !names.is_empty() {
                spec[key] = names.into();
            }
        };
        let mut provides = declaration.provides.iter().map(|api| api.api.as_str());
        list("providesApis", &mut provides);
        let mut requires: Vec<&str> =
            declaration.requires.iter().map(|api| api.api.as_str()).collect();
        requires.dedup();
        list("consumesApis", &mut requires.into_iter());
        entities.push(entity("Component", &service.name, Map::new(), &spec));
        for provides in &declaration.provides {
            entities.push(api(provides, owner, today));
        }
    }
    entities
}

fn api(provides: &Provides, owner: &str, today: Date) -> Value {
    let states: Vec<State> = provides.versions.iter().map(|release| release.state(today)).collect();
    let lifecycle = if states.contains(&State::Current) {
        "production"
    } else if states.iter().all(|state| *state == State::Planned) {
        "experimental"
    } else {
        "deprecated"
    };
    let versions: Vec<String> = provides
        .versions
        .iter()
        .zip(&states)
        .map(|(release, state)| format!("{} {state}", release.version))
        .collect();
    let definition = match &provides.description {
        Some(description) => json!({ "$text": description }),
        None => json!(format!("{}: {}", provides.api, versions.join(", "))),
    };
    let mut annotations = Map::new();
    annotations.insert("meshwise/versions".into(), versions.join(", ").into());
    annotations.insert("meshwise/scheme".into(), provides.scheme.to_string().into());
    let spec = json!({
        "type": match provides.transport {
            Transport::Grpc => "grpc",
            Transport::Messages => "asyncapi",
            _ => "openapi",
        },
        "lifecycle": lifecycle,
        "owner": owner,
        "definition": definition,
    });
    entity("API", &provides.api, annotations, &spec)
}

fn entity(kind: &str, title: &str, annotations: Map<String, Value>, spec: &Value) -> Value {
    let mut metadata = json!({ "name": name(title) });
    if !annotations.is_empty() {
        metadata["annotations"] = annotations.into();
    }
    if name(title) != title {
        metadata["title"] = title.into();
    }
    json!({
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    })
}

/// Writes a name as Backstage allows it: at most 63 letters, digits, `-`, `_` and `.`.
fn name(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().map(|c| if allowed(c) { c } else { '-' }).take(63).collect()
}
