//! Readers that refuse a key that comes twice.

#![allow(dead_code)] // not every test reads both

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
                let mut all = Vec::new();
                while let Some(Strict(value)) = list.next_element()? {
                    all.push(value);
                }
                Ok(Strict(all.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
                let mut all = Map::new();
                while let Some((key, Strict(value))) = map.next_entry::<String, _>()? {
                    if all.contains_key(&key) {
                        return Err(A::Error::custom(format!("`{key}` comes twice")));
                    }
                    all.insert(key, value);
                }
                Ok(Strict(all.into()))
            }
        }
        deserializer.deserialize_any(Each)
    }
}

/// Reads a line of JSON.
pub(crate) fn json(line: &str) -> Value {
    match serde_json::from_str::<Strict>(line) {
        Ok(Strict(value)) => value,
        Err(error) => panic!("{error}: {line}"),
    }
}

/// Reads a line of logfmt.
pub(crate) fn logfmt(line: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap_or_else(|| panic!("no value: {line}"));
        let value = if let Some(quoted) = after.strip_prefix('"') {
            let mut escaped = false;
            let end = quoted.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let end = end.unwrap_or_else(|| panic!("not closed: {line}"));
            rest = &quoted[end + 1..];
            serde_json::from_str(&format!("\"{}\"", &quoted[..end])).expect("a text")
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            rest = &after[end..];
            after[..end].to_owned()
        };
        rest = rest.strip_prefix(' ').unwrap_or(rest);
        assert!(!key.contains([' ', '"']), "{key:?} is no key: {line}");
        let twice = pairs.insert(key.to_owned(), value);
        assert!(twice.is_none(), "`{key}` comes twice: {line}");
    }
    pairs
}
