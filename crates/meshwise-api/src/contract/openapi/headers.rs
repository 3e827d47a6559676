//! Compares parameters, headers and media types.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    super::{Rule, change::shown},
    document::{OpenApiDocument, OpenApiNode},
    operations::{Operation, Operations, path_parameters},
    schemas::{Comparer, Direction, Place},
    view::{ARRAY, OBJECT, View},
};
use crate::text::shorten;

/// Where a parameter goes, and its name (in lower case for headers; its position for paths).
type Key = (String, String);

pub(super) fn parameters<'a>(
    operations: &mut Operations<'_, 'a>,
    name: &str,
    old: &Operation<'a>,
    new: &Operation<'a>,
    direction: Direction,
) {
    let (before, after) = (operations.old, operations.new);
    let olds = list(operations.comparer, before, old);
    let news = list(operations.comparer, after, new);
    let comparer = &mut *operations.comparer;
    for ((kind, parameter), node) in &olds {
        let label = format!("{name}, {kind} parameter {}", shorten(parameter));
        match news.get(&(kind.clone(), parameter.clone())) {
            Some(now) => both(comparer, &label, kind, node, now, direction),
            // A path without it is another path, which was compared.
            None if kind == "path" => {}
            None => {
                comparer.report(
                    Rule::PARAMETER_REMOVED,
                    &label,
                    &node.at,
                    "it is gone",
                    (None, None),
                );
            }
        }
    }
    for ((kind, parameter), node) in news.iter().filter(|(key, _)| !olds.contains_key(*key)) {
        if kind == "path" {
            continue;
        }
        let label = format!("{name}, {kind} parameter {}", shorten(parameter));
        let required = node.is("required") && direction == Direction::Sent;
        let (rule, text) = if required {
            (Rule::REQUIRED_PARAMETER_ADDED, "it is new and required")
        } else {
            (Rule::OPTIONAL_PARAMETER_ADDED, "it is new")
        };
        comparer.report(rule, &label, &node.at, text, (None, None));
    }
}

/// Lists an operation's parameters: its own, and those of its path that it does not replace.
fn list<'a>(
    comparer: &mut Comparer<'a>,
    document: OpenApiDocument<'a>,
    operation: &Operation<'a>,
) -> BTreeMap<Key, OpenApiNode<'a>> {
    let positions = path_parameters(operation.path);
    let mut found = BTreeMap::new();
    for holder in [&operation.item, &operation.node] {
        let nodes: Vec<_> =
            holder.child("parameters").iter().flat_map(OpenApiNode::items).collect();
        for node in nodes {
            let Some(node) = comparer.resolve(document, node) else { continue };
            let (Some(kind), Some(name)) = (node.text("in"), node.text("name")) else { continue };
            let name = match kind {
                "header" => name.to_ascii_lowercase(),
                // By its position: the name of a path parameter never goes over the wire.
                "path" => match positions.iter().position(|position| **position == *name) {
                    Some(at) => at.to_string(),
                    None => continue,
                },
                _ => name.to_owned(),
            };
            // The specification has these described elsewhere, and ignores them here.
            if kind == "header" && matches!(&*name, "accept" | "content-type" | "authorization") {
                continue;
            }
            found.insert((kind.to_owned(), name), node);
        }
    }
    found
}

fn both<'a>(
    comparer: &mut Comparer<'a>,
    label: &str,
    kind: &str,
    old: &OpenApiNode<'a>,
    new: &OpenApiNode<'a>,
    direction: Direction,
) {
    let required = |node: &OpenApiNode<'a>| node.is("required") || kind == "path";
    if direction == Direction::Sent && required(new) && !required(old) {
        let rule = Rule::PARAMETER_BECAME_REQUIRED;
        comparer.report(rule, label, &new.at, "it became required", (None, None));
    }
    let before = serialization(&comparer.old, kind, old);
    let after = serialization(&comparer.new, kind, new);
    if before != after {
        let rule = Rule::PARAMETER_SERIALIZATION_CHANGED;
        comparer.report(
            rule,
            label,
            &new.at,
            "it is written otherwise",
            (Some(before), Some(after)),
        );
        return;
    }
    comparer.schemas(schemas(old), schemas(new), Place::new(label, direction));
}

/// Returns the schema of a parameter or header: its own, or that of the one media type in its content.
fn schemas<'a>(node: &OpenApiNode<'a>) -> Vec<OpenApiNode<'a>> {
    let content = node.child("content").and_then(|content| Some(content.entries().next()?.1));
    content.as_ref().unwrap_or(node).child("schema").into_iter().collect()
}

/// Tells how a parameter's value is written, with the defaults of OpenAPI filled in.
fn serialization<'a>(document: &OpenApiDocument<'a>, kind: &str, node: &OpenApiNode<'a>) -> String {
    if let Some((media_type, _)) =
        node.child("content").and_then(|content| content.entries().next())
    {
        return shorten(media_type);
    }
    let default = if matches!(kind, "query" | "cookie") { "form" } else { "simple" };
    let style = node.text("style").unwrap_or(default);
    // Only lists and objects are written otherwise when exploded.
    let variants = View::gather(document, &schemas(node)).alternatives(document);
    let scalar =
        variants.is_some_and(|all| all.iter().all(|one| one.types() & (ARRAY | OBJECT) == 0));
    let explode = node.get("explode").map_or(style == "form", |value| *value == true);
    let reserved = if node.is("allowReserved") { ", reserved characters allowed" } else { "" };
    let exploded = if scalar || !explode { "" } else { ", exploded" };
    format!("{}{exploded}{reserved}", shorten(style))
}

pub(super) fn response_headers<'a>(
    operations: &mut Operations<'_, 'a>,
    place: &Place,
    old: &OpenApiNode<'a>,
    new: &OpenApiNode<'a>,
) {
    let list = |node: &OpenApiNode<'a>| -> BTreeMap<String, OpenApiNode<'a>> {
        let headers = node.child("headers");
        let all = headers.iter().flat_map(OpenApiNode::entries);
        // Described by the media type, and ignored here.
        all.map(|(name, node)| (name.to_ascii_lowercase(), node))
            .filter(|(name, _)| name != "content-type")
            .collect()
    };
    let (olds, news) = (list(old), list(new));
    let (before_document, after_document) = (operations.old, operations.new);
    let comparer = &mut *operations.comparer;
    for (name, before) in &olds {
        let label: Rc<str> = format!("{}, header {}", place.operation, shorten(name)).into();
        let Some(before) = comparer.resolve(before_document, before.clone()) else { continue };
        let Some(after) = news.get(name) else {
            let rule = if before.is("required") {
                Rule::REQUIRED_RESPONSE_HEADER_REMOVED
            } else {
                Rule::OPTIONAL_RESPONSE_HEADER_REMOVED
            };
            comparer.report(rule, &label, &before.at, "it is gone", (None, None));
            continue;
        };
        let Some(after) = comparer.resolve(after_document, after.clone()) else { continue };
        if before.is("required") && !after.is("required") {
            let rule = Rule::RESPONSE_HEADER_BECAME_OPTIONAL;
            comparer.report(rule, &label, &after.at, "it is no longer required", (None, None));
        }
        comparer.schemas(schemas(&before), schemas(&after), Place::new(label, place.direction));
    }
    for (name, after) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
        let label = format!("{}, header {}", place.operation, shorten(name));
        comparer.report(Rule::RESPONSE_HEADER_ADDED, &label, &after.at, "it is new", (None, None));
    }
}

/// Compares bodies, media type by media type.
pub(super) fn content<'a>(
    comparer: &mut Comparer<'a>,
    place: &Place,
    old: &OpenApiNode<'a>,
    new: &OpenApiNode<'a>,
) {
    let list = |node: &OpenApiNode<'a>| -> BTreeMap<String, OpenApiNode<'a>> {
        let content = node.child("content");
        let all = content.iter().flat_map(OpenApiNode::entries);
        all.map(|(name, node)| (media_type(name), node)).collect()
    };
    let (olds, news) = (list(old), list(new));
    let direction = place.direction;
    for (name, before) in &olds {
        let exact = news.get(name);
        // A range that callers may send covers its types; one that they may get promises none.
        let covering = news
            .iter()
            .filter(|(range, _)| covers(range, name) && direction == Direction::Sent)
            .max_by_key(|(range, _)| range.len());
        let Some(after) = exact.or(covering.map(|(_, node)| node)) else {
            let rule =
                direction.pick(Rule::REQUEST_MEDIA_TYPE_REMOVED, Rule::RESPONSE_MEDIA_TYPE_REMOVED);
            let text = format!("{} is gone", shorten(name));
            comparer.at(rule, place, &before.at, text, (None, None));
            continue;
        };
        let encoding = |node: &OpenApiNode<'a>| node.get("encoding").cloned();
        if encoding(before) != encoding(after) {
            let values =
                (encoding(before).as_ref().map(shown), encoding(after).as_ref().map(shown));
            let text = format!("the encoding of {} is another", shorten(name));
            comparer.at(Rule::REQUEST_ENCODING_CHANGED, place, &after.at, text, values);
        }
        let schema = |node: &OpenApiNode<'a>| node.child("schema").into_iter().collect();
        comparer.schemas(schema(before), schema(after), place.clone());
    }
    for (name, after) in &news {
        let known = olds.contains_key(name) || olds.keys().any(|range| covers(range, name));
        if !known {
            let rule =
                direction.pick(Rule::REQUEST_MEDIA_TYPE_ADDED, Rule::RESPONSE_MEDIA_TYPE_ADDED);
            comparer.at(rule, place, &after.at, format!("{} is new", shorten(name)), (None, None));
        }
    }
}

/// Writes a media type in one way: lower case, without a charset, which JSON has not and text may vary in.
fn media_type(text: &str) -> String {
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let mut name = parts.next().unwrap_or_default();
    let mut parameters: Vec<String> =
        parts.filter(|part| !part.is_empty() && !part.starts_with("charset=")).collect();
    parameters.sort_unstable();
    for parameter in parameters {
        name.push(';');
        name.push_str(&parameter);
    }
    name
}

fn covers(range: &str, name: &str) -> bool {
    range == "*/*"
        || range
            .strip_suffix("/*")
            .is_some_and(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/')))
}
