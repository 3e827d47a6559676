//! Texts that mean harm end in an error, soon.

use meshwise_api::contract::{Change, ContractError, Description, DescriptionKind, MAX_BYTES};
use serde_json::{Value, json};

fn read(name: &str, text: &str) -> Result<Description, ContractError> {
    Description::read(name, text)
}

fn openapi(schemas: &Value) -> Description {
    let document = json!({
        "openapi": "3.1.0",
        "paths": {"/x": {"post": {
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}},
            "responses": {},
        }}},
        "components": {"schemas": schemas},
    });
    read("x.json", &document.to_string()).expect("a document")
}

#[test]
fn what_is_no_description_says_what_to_write() {
    for (name, text, reason) in [
        ("a.json", "{}", "is no description that is known"),
        ("a.yaml", "- 1", "is no description that is known"),
        ("a.json", "{\"openapi\": ", "EOF while parsing"),
        ("a.json", "{\"openapi\": \"4.0\"}", "OpenAPI 4.0 is not read"),
        ("a.yaml", "openapi: [3]", "must name a version"),
        ("a.yaml", "openapi: 3.0.0\nopenapi: 3.0.1", "the key openapi is doubled, in line 2"),
        ("a.proto", "message {", "expected"),
        ("a.proto", "syntax = \"proto4\";", "proto4"),
        ("a.proto", "edition = \"2099\";", "edition 2099 is not read"),
        ("a.proto", "syntax = \"proto3\";\n\nmessage A { string a = 0; }", "in line 3"),
    ] {
        let error = read(name, text).expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(error.len() < 400, "{error}");
    }
    let large = " ".repeat(MAX_BYTES + 1);
    assert!(matches!(read("a.json", &large), Err(ContractError::TooLarge { .. })));
}

#[test]
fn kinds_are_told_apart_and_some_only_stored() {
    for (name, text, kind) in [
        ("a.yml", "openapi: 3.1\npaths: {}", DescriptionKind::OpenApi),
        ("a.yaml", "asyncapi: 3.0.0", DescriptionKind::AsyncApi),
        ("a.json", "{\"$schema\": \"x\"}", DescriptionKind::JsonSchema),
        ("a.json", "{\"swagger\": \"2.0\"}", DescriptionKind::Swagger),
        ("a.PROTO", "", DescriptionKind::Proto),
    ] {
        let old = read(name, text).expect("a description");
        assert_eq!(old.kind(), kind);
        assert_eq!(old.compare(&old, None).expect("the same").changes(), []);
        let new = read(name, &format!("{text} ")).expect("a description");
        assert_ne!(old.digest(), new.digest());
        assert_eq!(old.compare(&new, None).is_ok(), kind.is_compared(), "{kind:?}");
    }
    let one = read("a.yaml", "asyncapi: 3.0.0").expect("a description");
    let other = read("a.proto", "").expect("a description");
    assert!(matches!(one.compare(&other, None), Err(ContractError::DifferentKinds { .. })));
}

#[test]
fn nesting_and_aliases_are_bounded() {
    for text in [
        "[".repeat(200_000),
        "{\"a\":".repeat(200_000),
        "- ".repeat(200_000),
        format!("openapi: 3.0.0\nx: {}", "[".repeat(100_000)),
    ] {
        assert!(read("a.yaml", &text).is_err());
    }
    let mut bomb = "openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let row = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{row}]\n"));
    }
    assert!(read("a.yaml", &bomb).is_err());
    assert!(read("a.proto", &"message A { ".repeat(10_000)).is_err());
    assert!(read("a.proto", &format!("option (x) = {};", "{ a: ".repeat(10_000))).is_err());
}

#[test]
fn circles_and_long_chains_of_references_end() {
    let circle = openapi(
        &json!({"S0": {"$ref": "#/components/schemas/S1"}, "S1": {"$ref": "#/components/schemas/S0"}}),
    );
    let other = openapi(&json!({"S0": {"$ref": "#/components/schemas/S0"}}));
    assert!(circle.compare(&other, None).is_ok());

    let chain = |end: Value| {
        let mut schemas = serde_json::Map::new();
        for n in 0..20_000 {
            let next = format!("#/components/schemas/S{}", n + 1);
            schemas.insert(format!("S{n}"), json!({"properties": {"next": {"$ref": next}}}));
        }
        schemas.insert("S20000".to_owned(), end);
        openapi(&Value::Object(schemas))
    };
    let comparison = chain(json!({"type": "string"}))
        .compare(&chain(json!({"type": "integer"})), None)
        .expect("compared");
    let paths: Vec<&str> = comparison.breaking().map(Change::path).collect();
    assert_eq!(paths, ["/components/schemas/S20000"]);
    assert!(comparison.changes()[0].text().len() < 1000);
}

#[test]
fn variants_that_multiply_are_too_complex_not_compatible() {
    let many = |count: usize, last: &str| {
        let group: Vec<Value> =
            (0..count).map(|n| json!({"properties": {format!("p{n}"): {"type": last}}})).collect();
        openapi(&json!({"S0": {"allOf": vec![json!({"oneOf": group}); 12]}}))
    };
    let result = many(10, "string").compare(&many(10, "integer"), None);
    assert_eq!(result, Err(ContractError::TooComplex));

    // Variants in variants, none of which fits.
    fn deep(depth: usize, last: &str) -> Value {
        if depth == 0 {
            return json!({"type": last});
        }
        let one = |key: &str| json!({"type": "object", "properties": {key: deep(depth - 1, last)}});
        json!({"oneOf": [one("a"), one("a"), one("b")]})
    }
    let old = openapi(&json!({"S0": deep(7, "string")}));
    let new = openapi(&json!({"S0": deep(7, "integer")}));
    let result = old.compare(&new, None);
    assert!(
        !matches!(result, Ok(ref comparison) if comparison.breaking().count() == 0),
        "{result:?}"
    );
}

#[test]
fn a_flood_of_changes_is_cut_and_hides_no_break() {
    let document = |more: bool| {
        let mut properties = serde_json::Map::new();
        for n in 0..30_000 {
            let name = format!("p{n}{}", if more { "x" } else { "" });
            properties.insert(name, json!({"type": "string"}));
        }
        let required = if more { json!(["z"]) } else { json!([]) };
        openapi(&json!({"S0": {"required": required, "properties": properties}}))
    };
    let comparison = document(false).compare(&document(true), None).expect("compared");
    assert_eq!(comparison.changes().len(), 10_000);
    assert!(comparison.omitted() > 40_000);
    assert_eq!(comparison.breaking().count(), 1);
}

/// Damages the vectors in every way that is cheap: cut, a byte changed, a byte doubled.
#[test]
fn damaged_texts_never_panic() {
    let proto = include_str!("../../vectors/proto.yaml");
    let openapi = include_str!("../../vectors/openapi.yaml");
    let base = openapi.split("vectors:").next().unwrap_or_default().replace("base:\n", "");
    let base: String = base
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut texts: Vec<(u8, String)> = vec![(1, base)];
    texts.extend(proto.split('\'').skip(1).step_by(2).map(|text| (0, text.to_owned())));
    let mut seed = 1_usize;
    let mut random = |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % end.max(1)
    };
    for (form, text) in &texts {
        let rounds = if *form == 1 { 60 } else { 10 };
        for _ in 0..rounds {
            let mut bytes = text.clone().into_bytes();
            match random(3) {
                0 => bytes.truncate(random(bytes.len())),
                1 => {
                    let at = random(bytes.len());
                    bytes[at] = u8::try_from(random(128)).expect("a byte");
                }
                _ => {
                    let at = random(bytes.len());
                    bytes.insert(at, b"{}[]:;=\"'\n/"[random(11)]);
                }
            }
            let mut data = vec![*form];
            data.extend(text.as_bytes());
            data.push(0);
            data.extend(bytes);
            crate::properties::check(&data);
        }
    }
}
