//! Compares services: a method is called by its full name.

use std::collections::BTreeMap;

use super::{
    super::Rule,
    compare::{NONE, ProtoComparer, differing},
    model::{Method, ProtoService},
    options::{BINDINGS, HTTP},
};
use crate::text::shorten;

pub(super) fn compare(comparer: &mut ProtoComparer<'_>) {
    let (old, new) = (comparer.old, comparer.new);
    for (name, before) in &old.services {
        match new.services.get(name) {
            Some(after) => service(comparer, name, before, after),
            None => comparer.report(Rule::PROTO_SERVICE_REMOVED, name, "the service is gone", NONE),
        }
    }
    for name in new.services.keys().filter(|name| !old.services.contains_key(*name)) {
        comparer.report(Rule::PROTO_SERVICE_ADDED, name, "the service is new", NONE);
    }
}

fn service(comparer: &mut ProtoComparer<'_>, name: &str, old: &ProtoService, new: &ProtoService) {
    for (method, before) in &old.methods {
        let path = format!("{name}.{method}");
        match new.methods.get(method) {
            Some(after) => one(comparer, &path, before, after),
            None => comparer.report(Rule::PROTO_METHOD_REMOVED, &path, "the method is gone", NONE),
        }
    }
    for method in new.methods.keys().filter(|method| !old.methods.contains_key(*method)) {
        let path = format!("{name}.{method}");
        comparer.report(Rule::PROTO_METHOD_ADDED, &path, "the method is new", NONE);
    }
}

fn one(comparer: &mut ProtoComparer<'_>, path: &str, old: &Method, new: &Method) {
    let texts = |old: &str, new: &str| (Some(shorten(old)), Some(shorten(new)));
    if old.request != new.request {
        let values = texts(&old.request, &new.request);
        let text = "the request is another message";
        comparer.report(Rule::PROTO_REQUEST_TYPE_CHANGED, path, text, values);
    }
    if old.response != new.response {
        let values = texts(&old.response, &new.response);
        let text = "the response is another message";
        comparer.report(Rule::PROTO_RESPONSE_TYPE_CHANGED, path, text, values);
    }
    let spell = |stream: bool| if stream { "a stream" } else { "one message" };
    if old.client_streaming != new.client_streaming {
        let values = texts(spell(old.client_streaming), spell(new.client_streaming));
        let text = "the caller sends otherwise";
        comparer.report(Rule::PROTO_CLIENT_STREAMING_CHANGED, path, text, values);
    }
    if old.server_streaming != new.server_streaming {
        let values = texts(spell(old.server_streaming), spell(new.server_streaming));
        let text = "the service answers otherwise";
        comparer.report(Rule::PROTO_SERVER_STREAMING_CHANGED, path, text, values);
    }
    for (option, values) in differing(&old.options, &new.options) {
        let text = format!("the option {option} is another");
        let rule = option_rule(&option, &old.options, &new.options);
        comparer.report(rule, path, &text, values);
    }
    if new.deprecated && !old.deprecated {
        comparer.report(Rule::PROTO_METHOD_DEPRECATED, path, "the method is deprecated", NONE);
    }
}

/// Tells what a changed option takes from callers.
fn option_rule(
    option: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> &'static Rule {
    let value = |options: &'_ BTreeMap<String, String>| options.get(option).cloned();
    let (old, new) = (value(old), value(new));
    // Each level promises all that those before it do.
    let level = |value: &Option<String>| match value.as_deref() {
        Some("NO_SIDE_EFFECTS") => 2,
        Some("IDEMPOTENT") => 1,
        _ => 0,
    };
    match (option, &old) {
        ("idempotency_level", _) if level(&new) < level(&old) => {
            Rule::PROTO_METHOD_IDEMPOTENCY_WEAKENED
        }
        (HTTP, Some(old)) if !new.is_some_and(|new| adds_bindings(old, &new)) => {
            Rule::PROTO_METHOD_MAPPING_CHANGED
        }
        _ => Rule::PROTO_METHOD_OPTION_CHANGED,
    }
}

/// Tells whether a mapping keeps all that it was and goes on with further ways to call alone.
fn adds_bindings(old: &str, new: &str) -> bool {
    let Some(more) = new.strip_prefix(old).filter(|more| more.starts_with(' ')) else {
        return false;
    };
    // What stands outside of braces, where only that name may be.
    let (mut depth, mut text, mut escaped) = (0_u32, false, false);
    let mut outside = String::new();
    for c in more.chars() {
        if text {
            text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' | '<' => depth += 1,
            '}' | ']' | '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(c),
            _ => {}
        }
        text = c == '"';
    }
    let mut names = outside.split([' ', ':', ',', ';']).filter(|name| !name.is_empty()).peekable();
    names.peek().is_some() && names.all(|name| name == BINDINGS)
}
