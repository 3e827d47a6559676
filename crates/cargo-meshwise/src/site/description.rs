//! A description for people: OpenAPI by its operations, anything else as its text.

use std::fmt::Write as _;

use meshwise_api::contract::{Description, DescriptionKind};
use serde_json::Value;

use super::schema::{Schemas, resolved};
use crate::changelog::html::escaped;

/// How much of a page descriptions take, in bytes; the file is there in full.
const MAX_PAGE: usize = 4 << 20;
const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

pub(super) fn rendered(description: Option<&Description>, text: &str) -> String {
    let openapi =
        description.filter(|it| it.kind() == DescriptionKind::OpenApi).and_then(Description::json);
    match openapi {
        Some(root) => operations(root),
        None => plain(text),
    }
}

fn plain(text: &str) -> String {
    let end = (0..=text.len().min(MAX_PAGE / 4)).rev().find(|at| text.is_char_boundary(*at));
    let shown = &text[..end.unwrap_or(0)];
    format!(
        "<pre>{}</pre>\n{}",
        escaped(shown).replace("&#39;", "'"),
        cut(shown.len() < text.len())
    )
}

fn cut(is_cut: bool) -> &'static str {
    if is_cut { "<p class=\"notice\">The rest is in the file.</p>\n" } else { "" }
}

fn operations(root: &Value) -> String {
    let mut out = String::new();
    let info = &root["info"];
    if let Some(text) = info["description"].as_str() {
        let _ = writeln!(out, "<p>{}</p>", lines(text));
    }
    let servers: Vec<String> = list(&root["servers"])
        .filter_map(|server| Some(format!("<code>{}</code>", escaped(server["url"].as_str()?))))
        .collect();
    if !servers.is_empty() {
        let _ = writeln!(out, "<p class=\"faint\">Served at {}</p>", servers.join(", "));
    }
    let mut any = false;
    for (path, item) in members(&root["paths"]) {
        let item = resolved(root, item);
        for method in METHODS {
            let operation = &item[method];
            if operation.is_object() {
                any = true;
                out += &self::operation(root, path, item, method, operation);
            }
            if out.len() > MAX_PAGE {
                out += cut(true);
                return out;
            }
        }
    }
    if !any {
        out += "<p class=\"empty\">The description names no operation.</p>\n";
    }
    out
}

fn operation(root: &Value, path: &str, item: &Value, method: &str, operation: &Value) -> String {
    let old = operation["deprecated"] == true;
    let mut out = format!(
        "<details{}><summary><span class=\"method {method}\">{}</span> <span class=\"path\">{}</span> <span class=\"faint\">{}</span>{}</summary><div>\n",
        if old { " class=\"old\"" } else { "" },
        method.to_uppercase(),
        escaped(path),
        escaped(operation["summary"].as_str().unwrap_or_default()),
        if old { " <span class=\"badge deprecated\">deprecated</span>" } else { "" },
    );
    if let Some(text) = operation["description"].as_str() {
        let _ = writeln!(out, "<p>{}</p>", lines(text));
    }
    let parameters: Vec<&Value> = list(&item["parameters"])
        .chain(list(&operation["parameters"]))
        .map(|parameter| resolved(root, parameter))
        .collect();
    let mut schemas = Schemas::new(root);
    if !parameters.is_empty() {
        out += "<h3>Parameters</h3>\n<ul class=\"schema\">\n";
        for parameter in parameters {
            let schema = &parameter["schema"];
            let _ = writeln!(
                out,
                "<li><code>{}</code> <span class=\"type\">in {}, {}</span>{} {}</li>",
                escaped(parameter["name"].as_str().unwrap_or("?")),
                escaped(parameter["in"].as_str().unwrap_or("?")),
                schemas.kind(schema),
                if parameter["required"] == true {
                    " <span class=\"req\">required</span>"
                } else {
                    ""
                },
                lines(parameter["description"].as_str().unwrap_or_default()),
            );
        }
        out += "</ul>\n";
    }
    let body = resolved(root, &operation["requestBody"]);
    if body.is_object() {
        let required =
            if body["required"] == true { " <span class=\"req\">required</span>" } else { "" };
        let _ = writeln!(out, "<h3>Request body{required}</h3>");
        content(&mut out, &mut schemas, body);
    }
    for (status, response) in members(&operation["responses"]) {
        let response = resolved(root, response);
        let _ = writeln!(
            out,
            "<h3>{} <span class=\"faint\">{}</span></h3>",
            escaped(status),
            lines(response["description"].as_str().unwrap_or_default())
        );
        content(&mut out, &mut schemas, response);
    }
    out += "</div></details>\n";
    out
}

fn content(out: &mut String, schemas: &mut Schemas<'_>, holder: &Value) {
    for (media_type, node) in members(&holder["content"]) {
        let _ = writeln!(out, "<p><code>{}</code></p>", escaped(media_type));
        if node["schema"].is_object() {
            out.push_str(&schemas.tree(&node["schema"]));
        }
    }
}

/// Shows a text as it is, with its lines; whatever markup it holds is text.
pub(super) fn lines(text: &str) -> String {
    escaped(text.trim()).replace("\n\n", "<br><br>")
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = value.as_object().into_iter().flatten();
    all.filter(|(key, _)| !key.starts_with("x-")).map(|(key, value)| (key.as_str(), value))
}
