//! Edits of JSON documents by pointer.

use serde_json::{Map, Value};

/// The value that removes what is there.
pub(crate) const GONE: &str = "<gone>";

/// Sets a value at a JSON pointer, with all that is missing on the way; `/-` appends.
pub(crate) fn set(document: &mut Value, pointer: &str, value: &Value) {
    let keys: Vec<String> =
        pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let (last, way) = keys.split_last().expect("a pointer");
    let mut at = document;
    for key in way {
        at = match at {
            Value::Array(items) => {
                let index: usize = key.parse().expect("an index");
                items.get_mut(index).unwrap_or_else(|| panic!("{pointer}: no {key}"))
            }
            Value::Object(members) => {
                members.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()))
            }
            other => panic!("{pointer}: {key} of {other}"),
        };
    }
    let gone = value == GONE;
    match at {
        Value::Array(items) if last == "-" => items.push(value.clone()),
        Value::Array(items) => {
            let index: usize = last.parse().expect("an index");
            if gone {
                items.remove(index);
            } else {
                items[index] = value.clone();
            }
        }
        Value::Object(members) if gone => {
            members.remove(last).unwrap_or_else(|| panic!("{pointer}: nothing to remove"));
        }
        Value::Object(members) => {
            members.insert(last.clone(), value.clone());
        }
        other => panic!("{pointer}: {last} of {other}"),
    }
}
