//! auth, its callers, and a dictionary of them.

use std::collections::BTreeMap;

use meshwise_api::{Date, Declaration, Document, Draft};

pub(crate) const TODAY: &str = "2026-11-21";

pub(crate) fn auth(dates: &str, more: &str) -> String {
    format!(
        r#"
schema = 1
[service]
name = "auth"
owner = "team-identity"
[[provides]]
api = "auth"
scheme = "main-minor"
[[provides.versions]]
version = "1.1"
released = 2024-01-01
{dates}
[[provides.versions]]
version = "2.0"
released = 2026-01-01
{more}
"#
    )
}

pub(crate) const DEPRECATED: &str = r#"
deprecated = 2026-09-01
sunset = 2027-03-01
successor = "2.0"
migration = "docs/v1-to-v2.md"
"#;

pub(crate) fn caller(name: &str, owner: &str, version: &str) -> String {
    let owner = match owner {
        "" => String::new(),
        owner => format!("owner = \"{owner}\"\ncontacts = [\"mailto:{owner}@example.com\"]"),
    };
    format!(
        r#"
schema = 1
[service]
name = "{name}"
{owner}
[[requires]]
api = "auth"
version = "{version}"
reason = "who is it"
"#
    )
}

#[allow(dead_code, reason = "not every test that uses this file names days")]
pub(crate) fn day(text: &str) -> Date {
    text.parse().expect("a day")
}

/// Publishes declarations, each on its day.
pub(crate) fn documents(all: &[(&str, String)]) -> Vec<Document> {
    let mut newest: BTreeMap<String, Document> = BTreeMap::new();
    let mut documents = Vec::new();
    for (day, text) in all {
        let declaration = Declaration::parse("api.toml", text).unwrap_or_else(|e| panic!("{e}"));
        let service = declaration.service.name.clone();
        let at = format!("{day}T12:00:00Z").parse().expect("a moment");
        let draft = Draft::new(declaration, at, "test");
        let document = draft.seal(newest.get(&service)).expect("a document");
        newest.insert(service, document.clone());
        documents.push(document);
    }
    documents
}

/// auth deprecates 1.1 in November; three services need auth.
pub(crate) fn story() -> Vec<(&'static str, String)> {
    vec![
        ("2026-10-01", auth("", "")),
        ("2026-10-02", caller("orders", "team-checkout", "1.1")),
        ("2026-10-02", caller("gateway", "team-edge", "2.0")),
        ("2026-10-02", caller("stock", "", "1.0")),
        ("2026-11-20", auth(DEPRECATED, "")),
    ]
}
