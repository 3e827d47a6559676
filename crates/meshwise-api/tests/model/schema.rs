//! Holds the JSON Schema to the parser: they accept and refuse the same forms.

use std::fs;

use meshwise_api::{Declaration, Finding, Policy, Transport, json_schema};
use serde_json::{Value, json};

use crate::fixture::folder;

const FULL: &str = r#"
schema = 1
[service]
name = "orders"
owner = "team-checkout"
contacts = ["mailto:checkout@example.com"]
[[provides]]
api = "orders"
scheme = "calver"
same-or-later = true
transport = "grpc"
description = "orders.proto"
[[provides.versions]]
version = "201610"
released = 2016-10-01
deprecated = 2016-11-01
sunset = 2017-11-01
successor = "201611"
migration = "docs/move.md"
notes = "text"
[[requires]]
api = "auth"
version = "1.1"
reason = "token introspection"
level = "warn"
since = 2020-02-29
[policy]
min-deprecation-days = 180
stale-lock = "deny"
"#;

/// The keys whose values are dates: bare in TOML, text in JSON.
const DATES: [&str; 4] = ["released", "deprecated", "sunset", "since"];

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&json_schema()).expect("a schema")
}

fn to_json(text: &str) -> Value {
    table(toml::de::DeTable::parse(text).expect("TOML").get_ref())
}

fn table(table: &toml::de::DeTable<'_>) -> Value {
    let members =
        table.iter().map(|(key, member)| (key.get_ref().to_string(), value(member.get_ref())));
    Value::Object(members.collect())
}

fn value(from: &toml::de::DeValue<'_>) -> Value {
    use toml::de::DeValue;
    match from {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => json!(number.as_str().parse::<i64>().expect("decimal")),
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().expect("a number")),
        DeValue::Boolean(boolean) => json!(boolean),
        DeValue::Datetime(date) => json!(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| value(item.get_ref())).collect(),
        DeValue::Table(members) => table(members),
    }
}

/// Writes JSON as TOML, all in one line for each key of the top level.
fn to_toml(document: &Value) -> String {
    let members = document.as_object().expect("an object");
    members.iter().map(|(key, member)| format!("{key} = {}\n", inline(key, member))).collect()
}

fn inline(key: &str, from: &Value) -> String {
    match from {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(key, member)| format!("{key} = {}", inline(key, member)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| inline("", item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(date) if DATES.contains(&key) && date.len() == 10 => date.clone(),
        other => other.to_string(),
    }
}

/// Lists the JSON pointers of every value in a document, but not of the whole.
fn pointers(from: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match from {
        Value::Object(members) => {
            members.iter().map(|(key, member)| (key.clone(), member)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (key, child) in children {
        let at = format!("{at}/{key}");
        pointers(child, &at, found);
        found.push(at);
    }
}

/// Asks both, and fails if they differ.
fn agree(validator: &jsonschema::Validator, document: &Value, what: &str) -> bool {
    let by_schema = validator.is_valid(document);
    let text = to_toml(document);
    let by_parser = Declaration::parse("api.toml", &text);
    assert_eq!(by_schema, by_parser.is_ok(), "{what}\n{text}\n{by_parser:?}");
    by_schema
}

#[test]
fn both_accept_and_refuse_each_change_alike() {
    let validator = validator();
    let full = to_json(FULL);
    assert!(agree(&validator, &full, "the whole"));
    let mut places = Vec::new();
    pointers(&full, "", &mut places);
    let (mut accepted, mut refused) = (0, 0);
    for place in &places {
        let mut changes: Vec<(String, Value)> = Vec::new();
        for other in [
            json!(1),
            json!(-1),
            json!(1.5),
            json!(true),
            json!(""),
            json!(" "),
            json!([]),
            json!({}),
            json!("x y"),
        ] {
            let mut changed = full.clone();
            *changed.pointer_mut(place).expect("there") = other.clone();
            changes.push((format!("{place} = {other}"), changed));
        }
        let (parent, key) = place.rsplit_once('/').expect("a parent");
        let mut removed = full.clone();
        if let Some(Value::Object(members)) = removed.pointer_mut(parent) {
            members.remove(key);
            changes.push((format!("{place} removed"), removed));
        }
        let mut added = full.clone();
        if let Some(Value::Object(members)) = added.pointer_mut(place) {
            members.insert("unknown".to_owned(), json!("x"));
            changes.push((format!("{place}/unknown added"), added));
        }
        for (what, changed) in changes {
            // What a scheme says about a text is not the schema's to know.
            if place.ends_with("versions/0/version")
                && changed.pointer(place).is_some_and(Value::is_string)
            {
                continue;
            }
            if agree(&validator, &changed, &what) { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 20 && refused > 200, "{accepted} accepted, {refused} refused");
}

#[test]
fn names_are_read_alike() {
    let validator = validator();
    for name in [
        "a",
        "orders",
        "auth.v1",
        "a-b_c.d",
        "2fa",
        "a--b",
        "a..b",
        "a//b",
        "a/b",
        "/a",
        "a/",
        ".a",
        "a.",
        "-a",
        "a-",
        "A",
        "ü",
        "a b",
        &"a".repeat(128),
        &"a".repeat(129),
        "a/.b",
        "a./b",
        "a_",
        "_",
    ] {
        for place in ["/service/name", "/provides/0/api", "/requires/0/api"] {
            let mut document = to_json(FULL);
            *document.pointer_mut(place).expect("there") = json!(name);
            agree(&validator, &document, &format!("{place} = {name:?}"));
        }
    }
    for contact in
        ["mailto:a@b", "https://a", "a", "a:", ":a", "1a:b", "a b:c", "a:b c", "x-y+z.1:q"]
    {
        let mut document = to_json(FULL);
        *document.pointer_mut("/service/contacts/0").expect("there") = json!(contact);
        agree(&validator, &document, contact);
    }
}

#[test]
fn each_name_of_a_table_is_known_to_both() {
    let validator = validator();
    for transport in Transport::NAMES {
        let mut document = to_json(FULL);
        document["provides"][0]["transport"] = json!(transport);
        assert!(agree(&validator, &document, transport));
    }
    for scheme in
        ["main-minor", "semver", "main-date-bugfix", "exact", "calver", "Calver", "custom"]
    {
        let mut document = to_json(FULL);
        let provides = document["provides"][0].as_object_mut().expect("an object");
        provides.insert("scheme".to_owned(), json!(scheme));
        // Without what is calver's own it is the scheme alone that counts.
        provides.remove("same-or-later");
        let example = scheme.parse().map_or("1", meshwise_api::Scheme::example);
        provides["versions"][0]["version"] = json!(example);
        agree(&validator, &document, scheme);
    }
    for finding in Finding::ALL {
        let mut document = to_json(FULL);
        document["policy"] = json!({ finding.id(): "warn" });
        assert_eq!(agree(&validator, &document, finding.id()), finding.is_configurable());
    }
    for days in [0, 36_525, 36_526] {
        let mut document = to_json(FULL);
        document["policy"] = json!({ "max-lock-age-days": days, "min-deprecation-days": days });
        assert_eq!(agree(&validator, &document, "days"), days < 36_526);
    }
    assert_eq!(
        json_schema()["properties"]["policy"]["properties"]["min-deprecation-days"]["default"],
        Policy::DEFAULT_MIN_DEPRECATION_DAYS
    );
}

#[test]
fn fixtures_are_read_alike() {
    let validator = validator();
    for finding in Finding::ALL {
        for case in ["pass", "fail"] {
            let Ok(text) = fs::read_to_string(folder(finding.id(), case).join("api.toml")) else {
                continue;
            };
            let by_schema = validator.is_valid(&to_json(&text));
            let by_parser = Declaration::parse("api.toml", &text).is_ok();
            // That no such day exists only the scheme knows.
            let expected = by_parser || (finding.id() == "invalid-declaration" && case == "fail");
            assert_eq!(by_schema, expected, "{finding}/{case}");
        }
    }
}

#[test]
fn the_schema_is_one_that_people_read() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json_schema()).expect("json"));
}

#[test]
fn what_is_published_has_the_same_form() {
    let declaration = Declaration::parse("api.toml", FULL).expect("well-formed");
    let json = serde_json::to_value(&declaration).expect("json");
    assert_eq!(json, to_json(FULL));
    assert!(validator().is_valid(&json));
}
