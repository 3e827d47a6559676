//! A random document under random edits: compatible ones never break it, an incompatible one always.

mod proto;

use meshwise_api::contract::{Description, Severity};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A source of choices from a seed, so that a failure is found again.
struct Choices(u64);

impl Choices {
    fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("small")
    }
}

fn schema(choices: &mut Choices, depth: usize) -> Value {
    match choices.below(if depth == 0 { 3 } else { 7 }) {
        0 => json!({"type": "string", "minLength": 2, "maxLength": 9, "pattern": "^a"}),
        1 => json!({"type": "string", "enum": ["a", "b", "c"]}),
        2 => json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": 9}),
        3 => {
            json!({"type": "array", "minItems": 1, "maxItems": 9, "items": schema(choices, depth - 1)})
        }
        4 => {
            let variant = |choices: &mut Choices, key: &str| json!({"type": "object", "required": [key], "properties": {key: schema(choices, depth - 1)}});
            json!({"oneOf": [variant(choices, "left"), variant(choices, "right")]})
        }
        _ => json!({
            "type": "object",
            "required": ["must"],
            "properties": {"must": schema(choices, depth - 1), "may": schema(choices, depth - 1)},
        }),
    }
}

fn document(choices: &mut Choices) -> Value {
    let content = |name: &str| json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}});
    json!({
        "openapi": if choices.below(2) == 0 { "3.0.3" } else { "3.1.0" },
        "info": {"title": "model", "version": "1"},
        "paths": {"/x": {"post": {
            "parameters": [{"name": "q", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 9}}],
            "requestBody": {"content": content("Sent")},
            "responses": {"200": {"description": "ok", "content": content("Received")}, "400": {"description": "bad"}},
        }}},
        "components": {"schemas": {"Sent": schema(choices, 3), "Received": schema(choices, 3)}},
    })
}

/// Lists the pointers of all schemas below one.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    for key in ["oneOf", "allOf"] {
        for (n, variant) in value[key].as_array().into_iter().flatten().enumerate() {
            pointers(variant, &format!("{at}/{key}/{n}"), out);
        }
    }
    if value.get("items").is_some() {
        pointers(&value["items"], &format!("{at}/items"), out);
    }
    for (key, property) in value["properties"].as_object().into_iter().flatten() {
        pointers(property, &format!("{at}/properties/{key}"), out);
    }
}

/// Narrows a schema, if one knows how.
fn narrow(choices: &mut Choices, schema: &mut Map<String, Value>) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if schema.contains_key("enum") => {
            let values = schema["enum"].as_array_mut().expect("values");
            values.len() > 1 && values.pop().is_some()
        }
        Some("string") => {
            let (key, value) = [("minLength", 3), ("maxLength", 8)][choices.below(2)];
            schema.insert(key.to_owned(), json!(value)) != Some(json!(value))
        }
        Some("integer") => {
            let (key, value) = [
                ("minimum", json!(2)),
                ("maximum", json!(8)),
                ("format", json!("int32")),
                ("multipleOf", json!(2)),
                ("enum", json!([2, 4])),
            ][choices.below(5)]
            .clone();
            schema.insert(key.to_owned(), value.clone()) != Some(value)
        }
        Some("array") => {
            let (key, value) =
                [("minItems", json!(2)), ("maxItems", json!(8)), ("uniqueItems", json!(true))]
                    [choices.below(3)]
                .clone();
            schema.insert(key.to_owned(), value.clone()) != Some(value)
        }
        Some("object") if choices.below(2) == 0 => {
            schema.insert("additionalProperties".to_owned(), json!(false)).is_none()
        }
        Some("object") => {
            let names: Vec<String> =
                schema["properties"].as_object().expect("properties").keys().cloned().collect();
            schema.insert("required".to_owned(), json!(names)) != Some(json!(names))
        }
        _ => false,
    }
}

/// Widens a schema, if one knows how.
fn widen(choices: &mut Choices, nullable: bool, schema: &mut Map<String, Value>) -> bool {
    let kind = schema.get("type").and_then(Value::as_str).map(str::to_owned);
    match kind.as_deref() {
        Some("string") if schema.contains_key("enum") => {
            if choices.below(2) == 0 {
                return schema.remove("enum").is_some();
            }
            schema["enum"].as_array_mut().expect("values").push(json!("d"));
            true
        }
        Some("string") => {
            schema.remove(["minLength", "maxLength", "pattern"][choices.below(3)]).is_some()
        }
        Some("integer") if choices.below(3) == 0 => {
            schema.insert("type".to_owned(), json!("number"));
            true
        }
        Some("integer") => {
            schema.remove(["minimum", "maximum", "format"][choices.below(3)]).is_some()
        }
        Some("array") => schema.remove(["minItems", "maxItems"][choices.below(2)]).is_some(),
        Some("object") if choices.below(2) == 0 && nullable => {
            schema.insert("nullable".to_owned(), json!(true)).is_none()
        }
        Some("object") => schema.remove("required").is_some(),
        _ => false,
    }
}

/// Says the same in other words.
fn reword(choices: &mut Choices, document: &mut Value, pointer: &str) {
    let target = document.pointer_mut(pointer).expect("a schema");
    let schema = target.take();
    *target = match choices.below(4) {
        0 => json!({"allOf": [schema]}),
        1 => json!({"oneOf": [schema]}),
        2 => {
            let mut described = schema;
            if let Some(members) = described.as_object_mut() {
                members.insert("description".to_owned(), json!("other words"));
            }
            described
        }
        _ => {
            let name = format!("Moved{}", choices.below(1_000_000));
            *target = json!({"$ref": format!("#/components/schemas/{name}")});
            document["components"]["schemas"][name] = schema;
            return;
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Edit {
    Compatible,
    Incompatible,
}

/// Edits a schema or an operation; tells whether it found something to edit.
fn edit(choices: &mut Choices, document: &mut Value, kind: Edit) -> bool {
    let nullable = document["openapi"] == "3.0.3";
    let operation = "/paths/~1x/post";
    if choices.below(4) == 0 {
        let edits: [(&str, Value); 4] = match kind {
            Edit::Compatible => [
                ("/responses/404", json!({"description": "none"})),
                ("/deprecated", json!(true)),
                ("/parameters/0/schema/maximum", json!(10)),
                ("/requestBody/content/text~1plain", json!({})),
            ],
            Edit::Incompatible => [
                ("/responses", json!({"400": {"description": "bad"}})),
                ("/parameters/0/required", json!(true)),
                ("/parameters/0/schema/maximum", json!(8)),
                ("/security", json!([{"key": []}])),
            ],
        };
        let (path, value) = edits[choices.below(4)].clone();
        crate::document::set(document, &format!("{operation}{path}"), &value);
        return true;
    }
    let sent = choices.below(2) == 0;
    let root = format!("/components/schemas/{}", if sent { "Sent" } else { "Received" });
    let mut all = Vec::new();
    pointers(document.pointer(&root).expect("a schema"), &root, &mut all);
    let at = all[choices.below(all.len())].clone();
    let schema = document.pointer_mut(&at).and_then(Value::as_object_mut).expect("a schema");
    let may_narrow = (kind == Edit::Incompatible) == sent;
    // A value more or less of a received enum is a warning, on purpose.
    let before = schema.clone();
    let edited =
        if may_narrow { narrow(choices, schema) } else { widen(choices, nullable, schema) };
    if kind == Edit::Incompatible && !sent && before.get("enum") != schema.get("enum") {
        return false;
    }
    if kind == Edit::Incompatible && !sent && before.contains_key("additionalProperties") {
        return false;
    }
    edited
}

fn severity(old: &Value, new: &Value) -> (Option<Severity>, String) {
    let read = |value: &Value| Description::read("x.json", &value.to_string()).expect("read");
    let comparison = read(old).compare(&read(new), None).expect("compared");
    let texts: Vec<String> = comparison.changes().iter().map(ToString::to_string).collect();
    (comparison.severity(), texts.join("\n"))
}

fn reworded(choices: &mut Choices, document: &mut Value) {
    for root in ["/components/schemas/Sent", "/components/schemas/Received"] {
        for _ in 0..choices.below(4) {
            let mut all = Vec::new();
            pointers(document.pointer(root).expect("a schema"), root, &mut all);
            let at = all[choices.below(all.len())].clone();
            reword(choices, document, &at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn compatible_edits_never_break(seed: u64) {
        let mut choices = Choices(seed);
        let old = document(&mut choices);
        let mut new = old.clone();
        for _ in 0..=choices.below(6) {
            edit(&mut choices, &mut new, Edit::Compatible);
        }
        reworded(&mut choices, &mut new);
        let (severity, changes) = severity(&old, &new);
        prop_assert!(severity < Some(Severity::Breaking), "{}\n{:#}\n{:#}", changes, old, new);
    }

    #[test]
    fn an_incompatible_edit_always_breaks(seed: u64) {
        let mut choices = Choices(seed);
        let old = document(&mut choices);
        let mut new = old.clone();
        let mut edited = false;
        for _ in 0..100 {
            edited = edit(&mut choices, &mut new, Edit::Incompatible);
            if edited { break; }
            new = old.clone();
        }
        prop_assume!(edited);
        reworded(&mut choices, &mut new);
        let (severity, changes) = severity(&old, &new);
        prop_assert_eq!(severity, Some(Severity::Breaking), "{}\n{:#}\n{:#}", changes, old, new);
    }

    #[test]
    fn other_words_change_nothing(seed: u64) {
        let mut choices = Choices(seed);
        let old = document(&mut choices);
        let mut new = old.clone();
        reworded(&mut choices, &mut new);
        let (severity, changes) = severity(&old, &new);
        prop_assert_eq!(severity, None, "{}\n{:#}\n{:#}", changes, old, new);
    }
}
