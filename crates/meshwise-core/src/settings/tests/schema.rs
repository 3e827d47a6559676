//! The schema, judged by a validator that others have written.

use super::*;
use jsonschema::Validator;
use serde_json::{Value as Json, json};

fn validator() -> Validator {
    let schema: Json = serde_json::from_str(&Settings::json_schema()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::options().build(&schema).unwrap()
}

/// Puts a value where a path says.
fn at(path: &Path, value: Json) -> Json {
    path.names().iter().rev().fold(value, |value, name| json!({ name.as_str(): value }))
}

fn as_json(value: &Value) -> Json {
    let mut text = String::new();
    value.write_json(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_setting_is_in_it_and_what_is_wrong_is_refused() {
    let validator = validator();
    let mut mutations = 0;
    for (path, spec) in leaves() {
        for value in spec.kind.examples() {
            let good = at(&path, as_json(&value));
            assert!(validator.is_valid(&good), "{good}");
        }
        let mut wrong = vec![json!(null), json!({}), json!([[1]]), json!([{}])];
        match spec.kind {
            SettingKind::Bool => wrong.extend([json!("true"), json!(1)]),
            SettingKind::Whole(least, most) => {
                wrong.extend([
                    json!(least - 1),
                    json!(most + 1),
                    json!("1"),
                    json!(1.5),
                    json!(true),
                ]);
            }
            SettingKind::Number(range) => {
                wrong.extend([
                    json!(range.least - 1.0),
                    json!(range.most * 2.0 + 1.0),
                    json!("0.5"),
                ]);
                wrong.extend((!range.least_in).then(|| json!(range.least)));
                wrong.extend((!range.most_in).then(|| json!(range.most)));
            }
            SettingKind::Duration(..) => wrong.extend([
                json!(5),
                json!("5"),
                json!(""),
                json!("s"),
                json!("-1s"),
                json!("5 s"),
                json!("1m30s"),
            ]),
            SettingKind::Size(..) => {
                wrong.extend([json!(64), json!("64"), json!("64K"), json!("-1B")]);
            }
            SettingKind::Word(_) => wrong.extend([json!("nothing such"), json!(""), json!(1)]),
            SettingKind::Text(_) => wrong.extend([json!(""), json!(1), json!(false)]),
            SettingKind::List(_) => wrong.extend([json!("a"), json!(1), json!([null])]),
            SettingKind::Ascending => {
                wrong.extend([json!([]), json!(["1"]), json!(1), json!([1, 1])]);
            }
        }
        for value in wrong {
            let bad = at(&path, value);
            assert!(!validator.is_valid(&bad), "{bad}");
            mutations += 1;
        }
        // A name that is not known, beside and below.
        let mut beside = path.names().to_vec();
        let last = beside.len() - 1;
        if beside[last] != "own-name" {
            beside[last].push('x');
            let bad = at(&beside.into_iter().collect(), json!("1s"));
            assert!(!validator.is_valid(&bad), "{bad}");
        }
    }
    assert!(mutations > 2000, "{mutations}");
}

/// What the reader takes, the schema takes; what the schema refuses, the reader refuses.
#[cfg(feature = "toml")]
#[test]
fn reader_and_schema_agree() {
    let validator = validator();
    let texts = [
        "",
        " ",
        "x",
        "1s",
        "0s",
        "64KiB",
        "0B",
        "http://a",
        "ftp://x:1/y",
        "http://u:p@a",
        "a b",
        "off",
        "127.0.0.1:1",
        "[::1]:0",
        "same-port",
        "info",
        "json",
        "/x",
        "a/b",
        "\u{1}",
        "é",
        "x\u{0}",
        "GET /x",
        "true",
        "127.0.0.1:99999",
        "a,b",
        "http://a,http://b",
        "0.5s",
        "99999999999999999999s",
    ];
    for (path, _) in leaves() {
        let values = texts.iter().map(|text| Value::Text((*text).to_owned()));
        let values = values.chain([0, 1, -1, 7, 1 << 40].map(Value::Whole));
        let values = values.chain([0.0, 0.5, -0.5, 1.0, 1e300].map(Value::Number));
        let lists = texts.iter().map(|text| Value::List(vec![Value::Text((*text).to_owned())]));
        for value in values.chain(lists).chain([Value::Bool(true)]) {
            let json = at(&path, as_json(&value));
            let read = Settings::from_toml(&format!("{path} = {value}"), "x");
            assert!(
                read.is_err() || validator.is_valid(&json),
                "taken, but not by the schema: {json}"
            );
        }
    }
}

/// The guide's settings are read, taken by the schema, and set what the text says.
#[cfg(feature = "toml")]
#[test]
fn the_guide_s_example_is_one() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let (_, chapter) = guide.split_once("\n## Settings\n").expect("a chapter");
    let (_, block) = chapter.split_once("```toml\n").expect("an example");
    let (block, _) = block.split_once("```").expect("its end");
    let settings = Settings::from_toml(block, "guide").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.log.queue.get(), Some(&Size(16 << 20)));
    let auth = settings.peer("auth");
    assert_eq!(auth.retry.budget.share.get(), Some(&0.1));
    assert_eq!(auth.routes.get("GET /users/{id}").and_then(|r| r.retry.attempts.get()), Some(&1));
    // As JSON: each leaf where it is.
    let mut json = json!({});
    for shown in settings.shown().iter().filter(|shown| shown.value.is_some()) {
        let leaf = at(&shown.path, as_json(shown.value.as_ref().unwrap()));
        merge(&mut json, leaf);
    }
    assert!(validator().is_valid(&json), "{json}");
    merge(&mut json, json!({ "peers": { "auth": { "timeout": { "limit": 400 } } } }));
    assert!(!validator().is_valid(&json), "a number has no unit");
}

#[cfg(feature = "toml")]
fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Json::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
