//! A schema as a tree.

use std::fmt::Write as _;

use serde_json::Value;

use super::description::{lines, list, members};
use crate::changelog::html::escaped;

const MAX_DEPTH: usize = 6;
/// How many lines the trees of one operation have.
const MAX_LINES: usize = 1500;

pub(super) struct Schemas<'a> {
    root: &'a Value,
    lines: usize,
}

/// Follows references within the document; one that leads elsewhere stays as it is.
pub(super) fn resolved<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    for _ in 0..16 {
        let target = value["$ref"].as_str().and_then(|text| root.pointer(text.strip_prefix('#')?));
        match target {
            Some(target) => value = target,
            None => break,
        }
    }
    value
}

impl<'a> Schemas<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, lines: 0 }
    }

    /// Names a schema's type in a few words.
    pub(super) fn kind(&self, schema: &Value) -> String {
        let name = schema["$ref"].as_str().and_then(|text| text.rsplit('/').next());
        let schema = resolved(self.root, schema);
        let mut text = match &schema["type"] {
            Value::String(kind) if kind == "array" => {
                format!("list of {}", self.kind_once(&schema["items"]))
            }
            Value::String(kind) => escaped(kind),
            Value::Array(kinds) => {
                let kinds: Vec<String> =
                    kinds.iter().filter_map(Value::as_str).map(escaped).collect();
                kinds.join(" or ")
            }
            _ if !schema["oneOf"].is_null() || !schema["anyOf"].is_null() => "one of".to_owned(),
            _ if schema["properties"].is_object() || !schema["allOf"].is_null() => {
                "object".to_owned()
            }
            _ => "any".to_owned(),
        };
        if let Some(format) = schema["format"].as_str() {
            let _ = write!(text, " ({})", escaped(format));
        }
        if schema["nullable"] == true {
            text.push_str(" or null");
        }
        for (key, sign) in [
            ("minimum", "≥ "),
            ("maximum", "≤ "),
            ("minLength", "length ≥ "),
            ("maxLength", "length ≤ "),
            ("pattern", "pattern "),
            ("default", "default "),
        ] {
            match &schema[key] {
                Value::Null => {}
                Value::String(value) => {
                    let _ = write!(text, ", {sign}<code>{}</code>", escaped(value));
                }
                value => {
                    let _ = write!(text, ", {sign}{}", escaped(&value.to_string()));
                }
            }
        }
        let values: Vec<String> = list(&schema["enum"])
            .take(20)
            .map(|value| {
                format!("<code>{}</code>", escaped(value.as_str().unwrap_or(&value.to_string())))
            })
            .collect();
        if !values.is_empty() {
            let _ = write!(text, ": {}", values.join(" "));
        }
        match name {
            Some(name) => format!("{} <span class=\"faint\">{}</span>", text, escaped(name)),
            None => text,
        }
    }

    /// Names what a list holds, without looking further.
    fn kind_once(&self, schema: &Value) -> String {
        let named = schema["$ref"].as_str().and_then(|text| text.rsplit('/').next());
        let schema = resolved(self.root, schema);
        escaped(named.or(schema["type"].as_str()).unwrap_or("any"))
    }

    pub(super) fn tree(&mut self, schema: &Value) -> String {
        let kind = self.kind(schema);
        let mut out = format!("<ul class=\"schema\"><li><span class=\"type\">{kind}</span>");
        self.inner(&mut out, schema, 0, &mut Vec::new());
        out.push_str("</li></ul>\n");
        out
    }

    fn inner(&mut self, out: &mut String, schema: &Value, depth: usize, above: &mut Vec<usize>) {
        let schema = resolved(self.root, schema);
        let id = std::ptr::from_ref(schema).addr();
        self.lines += 1;
        if depth > MAX_DEPTH || above.contains(&id) || self.lines > MAX_LINES {
            if schema["properties"].is_object() {
                out.push_str(" <span class=\"faint\">…</span>");
            }
            return;
        }
        above.push(id);
        let required: Vec<&str> = list(&schema["required"]).filter_map(Value::as_str).collect();
        let mut properties = members(&schema["properties"]).peekable();
        if properties.peek().is_some() {
            out.push_str("<ul class=\"schema\">");
            for (name, property) in properties {
                let _ = write!(
                    out,
                    "<li><code>{}</code> <span class=\"type\">{}</span>{} {}",
                    escaped(name),
                    self.kind(property),
                    if required.contains(&name) {
                        " <span class=\"req\">required</span>"
                    } else {
                        ""
                    },
                    lines(property["description"].as_str().unwrap_or_default()),
                );
                self.inner(out, property, depth + 1, above);
                out.push_str("</li>");
            }
            out.push_str("</ul>");
        }
        if schema["items"].is_object() {
            self.inner(out, &schema["items"], depth + 1, above);
        }
        for part in list(&schema["allOf"]) {
            self.inner(out, part, depth + 1, above);
        }
        for variant in list(&schema["oneOf"]).chain(list(&schema["anyOf"])) {
            let kind = self.kind(variant);
            let _ = write!(out, "<ul class=\"schema\"><li><span class=\"type\">{kind}</span>");
            self.inner(out, variant, depth + 1, above);
            out.push_str("</li></ul>");
        }
        above.pop();
    }
}
