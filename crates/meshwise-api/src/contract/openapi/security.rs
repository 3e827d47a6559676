//! Compares how callers must authenticate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    super::Rule,
    document::{OpenApiDocument, OpenApiNode},
    operations::Operations,
};
use crate::text::shorten;

/// Schemes that are asked for together, by what they are and not by what they are called, with scopes.
type Alternative = BTreeMap<String, BTreeSet<String>>;

/// Compares the alternatives of an operation: a caller that satisfied one must satisfy one still.
pub(super) fn compare<'a>(
    operations: &mut Operations<'_, 'a>,
    name: &str,
    old: &OpenApiNode<'a>,
    new: &OpenApiNode<'a>,
) {
    let (before, after) = (operations.old, operations.new);
    let (olds, news) = (alternatives(before, old), alternatives(after, new));
    let at = match new.get("security") {
        Some(_) => new.pointer_to("security"),
        None => after.root().pointer_to("security"),
    };
    for one in &olds {
        let schemes_suffice = |other: &&Alternative| other.keys().all(|key| one.contains_key(key));
        let scopes_suffice = |other: &&Alternative| {
            other.iter().all(|(key, scopes)| one.get(key).is_some_and(|has| scopes.is_subset(has)))
        };
        if news.iter().any(|other| scopes_suffice(&other)) {
            continue;
        }
        let (rule, text) = if one.is_empty() {
            (Rule::SECURITY_ADDED, "callers must authenticate")
        } else if news.iter().any(|other| schemes_suffice(&other)) {
            (Rule::SECURITY_SCOPE_ADDED, "more scopes are asked for")
        } else {
            (Rule::SECURITY_CHANGED, "a way to authenticate is no longer taken")
        };
        let spelled = |all: &[Alternative]| {
            let texts: Vec<_> = all.iter().map(spelled).collect();
            Some(shorten(&texts.join(" or ")))
        };
        let values = (Some(self::spelled(one)), spelled(&news));
        operations.comparer.report(rule, name, &at, text, values);
    }
}

fn spelled(one: &Alternative) -> String {
    if one.is_empty() {
        return "nothing".to_owned();
    }
    let schemes = one.iter().map(|(scheme, scopes)| {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        if scopes.is_empty() { scheme.clone() } else { format!("{scheme} ({})", scopes.join(" ")) }
    });
    shorten(&schemes.collect::<Vec<_>>().join(" and "))
}

fn alternatives<'a>(
    document: OpenApiDocument<'a>,
    operation: &OpenApiNode<'a>,
) -> Vec<Alternative> {
    let root = document.root();
    let listed = operation.get("security").or_else(|| root.get("security"));
    let Some(listed) = listed.and_then(Value::as_array).filter(|listed| !listed.is_empty()) else {
        return vec![Alternative::new()];
    };
    let schemes = root.child("components").and_then(|node| node.child("securitySchemes"));
    let one = |requirement: &Value| -> Alternative {
        let members = requirement.as_object().into_iter().flatten();
        members
            .map(|(name, scopes)| {
                let node = schemes.as_ref().and_then(|schemes| schemes.child(name));
                let kind =
                    node.map_or_else(|| shorten(name), |node| identity(document, node, name));
                let scopes = scopes.as_array().into_iter().flatten().filter_map(Value::as_str);
                (kind, scopes.map(shorten).collect())
            })
            .collect()
    };
    listed.iter().map(one).collect()
}

/// Says what a caller must do for a scheme, whatever the document calls it.
fn identity<'a>(document: OpenApiDocument<'a>, node: OpenApiNode<'a>, name: &str) -> String {
    let super::document::Target::Found(node) = document.resolve(node) else { return shorten(name) };
    let text = |key| node.text(key).unwrap_or_default();
    match text("type") {
        "apiKey" => {
            let key = text("name");
            let place = text("in");
            let key = if place == "header" { key.to_ascii_lowercase() } else { key.to_owned() };
            format!("an API key in {} {}", shorten(place), shorten(&key))
        }
        "http" => format!("HTTP {}", shorten(&text("scheme").to_ascii_lowercase())),
        "mutualTLS" => "mutual TLS".to_owned(),
        "oauth2" => "OAuth 2".to_owned(),
        "openIdConnect" => "OpenID Connect".to_owned(),
        other => shorten(other),
    }
}
