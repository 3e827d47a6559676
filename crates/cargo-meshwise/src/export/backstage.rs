//! Entities for Backstage's software catalog.

use std::collections::{BTreeMap, BTreeSet};

use meshwise_api::{Date, Digest, Document, Provides, State, Transport};
use serde_json::{Map, Value, json};

/// The longest name that Backstage allows.
const MAX_NAME: usize = 63;

/// Writes a `Component` for each service and an `API` for each API, however many provide it.
///
/// Backstage's edges have no version, so the versions and their states go into annotations. `text`
/// returns the description of a version as it lies in the dictionary.
#[must_use]
pub(crate) fn backstage<'d>(
    documents: &[&'d Document],
    today: Date,
    text: impl Fn(&Document, &Provides) -> Option<String>,
) -> Vec<Value> {
    let mut entities = Vec::new();
    let mut apis: BTreeMap<&'d str, Vec<(&'d Document, &'d Provides)>> = BTreeMap::new();
    for document in documents {
        let declaration = document.declaration();
        let service = &declaration.service;
        if service.retired {
            continue;
        }
        let mut spec =
            json!({"type": "service", "lifecycle": "production", "owner": owner(document)});
        let mut list = |key: &str, apis: BTreeSet<&str>| {
            if !apis.is_empty() {
                spec[key] = apis.into_iter().map(name).collect();
            }
        };
        list("providesApis", declaration.provides.iter().map(|api| api.api.as_str()).collect());
        list("consumesApis", declaration.requires.iter().map(|api| api.api.as_str()).collect());
        entities.push(entity("Component", &service.name, Map::new(), &spec));
        for provides in &declaration.provides {
            apis.entry(&provides.api).or_default().push((*document, provides));
        }
    }
    entities.extend(apis.values().map(|providers| api(providers, today, &text)));
    entities
}

/// Required by Backstage, which writes so that no one is known.
fn owner(document: &Document) -> &str {
    document.declaration().service.owner.as_deref().unwrap_or("unknown")
}

fn api(
    providers: &[(&Document, &Provides)],
    today: Date,
    text: impl Fn(&Document, &Provides) -> Option<String>,
) -> Value {
    let releases = || providers.iter().flat_map(|(_, provides)| &provides.versions);
    let states: Vec<State> = releases().map(|release| release.state(today)).collect();
    let lifecycle = if states.contains(&State::Current) {
        "production"
    } else if states.iter().all(|state| *state == State::Planned) {
        "experimental"
    } else {
        "deprecated"
    };
    let versions: BTreeSet<String> = releases()
        .zip(&states)
        .map(|(release, state)| format!("{} {state}", release.version))
        .collect();
    let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
    // The one that has most of it to say; entities have one owner.
    let Some((document, provides)) = providers.iter().max_by_key(|(_, it)| it.versions.len())
    else {
        return Value::Null;
    };
    let described = providers.iter().find_map(|(document, provides)| text(document, provides));
    let address = provides
        .description
        .as_deref()
        .filter(|it| it.starts_with("https://") || it.starts_with("http://"));
    let (definition, is_described) = match (described, address) {
        (Some(text), _) => (json!(text), true),
        (None, Some(url)) => (json!({ "$text": url }), true),
        // A path in another repository leads nowhere from here, and a list of versions is no OpenAPI.
        (None, None) => (json!(format!("{}: {versions}", provides.api)), false),
    };
    let mut annotations = Map::new();
    annotations.insert("meshwise/versions".into(), versions.into());
    annotations.insert("meshwise/scheme".into(), provides.scheme.to_string().into());
    let spec = json!({
        "type": match provides.transport {
            _ if !is_described => "other",
            Transport::Grpc => "grpc",
            Transport::Messages => "asyncapi",
            _ => "openapi",
        },
        "lifecycle": lifecycle,
        "owner": owner(document),
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

/// Writes a name as Backstage allows it: at most 63 letters and digits with single `-`, `_` and `.`
/// between them. What has to be changed for that gets digits of its digest behind it, so that two do
/// not become one.
fn name(text: &str) -> String {
    let separates = |c: char| matches!(c, '-' | '_' | '.');
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if out.is_empty() || out.ends_with(separates) => {}
            c if separates(c) => out.push(c),
            _ => out.push('-'),
        }
    }
    out.truncate(out.trim_end_matches(separates).len());
    if out == text && out.len() <= MAX_NAME {
        return out;
    }
    let digest = Digest::of(text.as_bytes()).to_string();
    let digest = digest.trim_start_matches("sha256:").get(..8).unwrap_or_default();
    out.truncate(MAX_NAME - 9);
    format!("{}-{digest}", out.trim_end_matches(separates)).trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_allowed_and_no_two_become_one() {
        assert_eq!(name("auth.v1"), "auth.v1");
        let long = "a".repeat(80);
        let names = ["a/b", "a-b", "a//b", "a_/b", "-a", "a-", &long, &format!("{long}b"), "/"];
        let mapped: BTreeSet<String> = names.iter().map(|text| name(text)).collect();
        assert_eq!(mapped.len(), names.len(), "{mapped:?}");
        for name in mapped {
            let parts: Vec<&str> = name.split(['-', '_', '.']).collect();
            let alphanumeric =
                |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
            assert!(parts.iter().all(alphanumeric) && name.len() <= MAX_NAME, "{name}");
        }
    }
}
