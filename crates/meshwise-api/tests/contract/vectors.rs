//! The vectors in `vectors/`, each judged right, and each rule met.

use std::collections::{BTreeMap, BTreeSet};

use meshwise_api::contract::{Change, Description, Rule};
use serde::Deserialize;
use serde_json::Value;

use crate::document::set;

const OPENAPI: &str = include_str!("../../vectors/openapi.yaml");
const PROTO: &str = include_str!("../../vectors/proto.yaml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenApi {
    base: Value,
    vectors: Vec<Vector<BTreeMap<String, Value>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proto {
    vectors: Vec<Vector<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector<T> {
    name: String,
    #[serde(default)]
    both: T,
    #[serde(default)]
    old: T,
    #[serde(default)]
    new: T,
    #[serde(default)]
    expect: Vec<String>,
}

struct Judged {
    name: String,
    expected: Vec<String>,
    found: Vec<String>,
}

/// Reads the vectors with the reader that is under test: a description is any JSON or YAML with a key
/// that tells its kind, and the vectors add one.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let text = format!("{text}\n$schema: vectors\n");
    let description = Description::read("vectors.yaml", &text).expect("vectors");
    let mut value = description.json().expect("no proto").clone();
    value.as_object_mut().expect("a map").remove("$schema");
    serde_json::from_value(value).expect("vectors")
}

fn described(changes: &[Change]) -> Vec<String> {
    changes
        .iter()
        .map(|change| {
            assert!(!change.text().is_empty() && !change.path().is_empty(), "{change}");
            format!("{} {} {}", change.severity(), change.rule().id(), change.path())
        })
        .collect()
}

fn openapi() -> Vec<Judged> {
    let all: OpenApi = read(OPENAPI);
    let judge = |vector: Vector<BTreeMap<String, Value>>| {
        let mut base = all.base.clone();
        for (pointer, value) in &vector.both {
            set(&mut base, pointer, value);
        }
        let (mut old, mut new) = (base.clone(), base);
        for (document, edits) in [(&mut old, &vector.old), (&mut new, &vector.new)] {
            for (pointer, value) in edits {
                set(document, pointer, value);
            }
        }
        let read = |value: &Value| {
            Description::read("openapi.json", &value.to_string())
                .unwrap_or_else(|error| panic!("{}: {error}", vector.name))
        };
        let (old, new) = (read(&old), read(&new));
        let today = Some("2026-11-28".parse().expect("a date"));
        let comparison =
            old.compare(&new, today).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        Judged {
            name: vector.name,
            expected: vector.expect,
            found: described(comparison.changes()),
        }
    };
    all.vectors.into_iter().map(judge).collect()
}

fn proto() -> Vec<Judged> {
    let all: Proto = read(PROTO);
    let judge = |vector: Vector<String>| {
        assert!(vector.both.is_empty());
        let read = |text: &str| {
            let plain = ["syntax", "edition"].iter().any(|word| text.starts_with(word));
            let head = if plain { "" } else { "syntax = \"proto3\"; package shop.v1; " };
            Description::read("api.proto", &format!("{head}{text}"))
                .unwrap_or_else(|error| panic!("{}: {error}", vector.name))
        };
        let comparison = read(&vector.old).compare(&read(&vector.new), None).expect("compared");
        Judged {
            name: vector.name,
            expected: vector.expect,
            found: described(comparison.changes()),
        }
    };
    all.vectors.into_iter().map(judge).collect()
}

fn judged_right(vectors: Vec<Judged>, at_least: usize) {
    assert!(vectors.len() >= at_least, "only {}", vectors.len());
    let mut wrong = String::new();
    for Judged { name, mut expected, mut found } in vectors {
        expected.sort();
        found.sort();
        if expected != found {
            wrong.push_str(&format!("{name}\n  expected {expected:#?}\n  found {found:#?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_change_of_openapi_is_judged_right() {
    judged_right(openapi(), 120);
}

#[test]
fn every_change_of_proto_is_judged_right() {
    judged_right(proto(), 80);
}

#[test]
fn every_rule_has_a_vector() {
    let met: BTreeSet<String> = openapi()
        .iter()
        .chain(&proto())
        .flat_map(|judged| &judged.found)
        .map(|found| found.split(' ').nth(1).expect("a rule").to_owned())
        .collect();
    let missing: Vec<_> =
        Rule::ALL.iter().map(|rule| rule.id()).filter(|id| !met.contains(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn rules_are_told_apart() {
    let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
}

/// Prints all vectors' findings, to be looked at and written into the files.
#[test]
#[ignore = "a tool for writing vectors"]
fn print() {
    for judged in openapi().into_iter().chain(proto()) {
        println!("{}\t{}", judged.name, judged.found.join("\t"));
    }
}
