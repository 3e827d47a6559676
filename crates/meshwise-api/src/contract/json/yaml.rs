//! YAML 1.2 by its core schema, as JSON.
//!
//! The parser gives events, and values are put together on a stack of our own: readers that recurse
//! run out of the thread's before their own bound on nesting. Doubled keys, keys that are no scalars
//! and more than one document are refused; `<<` merges, as YAML 1.1 has it and people write it.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use crate::text::shorten;

/// As deep as `serde_json` goes.
const MAX_NESTING: usize = 128;
/// How many values a document has once its aliases are followed.
const MAX_VALUES: usize = 1_000_000;
/// How many bytes of text its values have then.
const MAX_TEXT: usize = 32 << 20;

/// A list or a map that is not closed yet.
enum Open {
    List(Vec<Value>, usize),
    Map { members: Map<String, Value>, key: Option<String>, merged: Vec<Value>, anchor: usize },
}

#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    text: usize,
    depth: usize,
}

struct YamlReader {
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, Size)>,
    used: Size,
    root: Option<Value>,
}

pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut options = Options::default();
    options.flow_nesting_limit = MAX_NESTING;
    options.block_nesting_limit = MAX_NESTING;
    let mut reader =
        YamlReader { open: Vec::new(), anchors: HashMap::new(), used: Size::default(), root: None };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| shorten(&error.to_string()))?;
        reader.event(event).map_err(|reason| format!("{reason}, in line {}", span.start.line()))?;
    }
    reader.root.ok_or_else(|| "it is empty".to_owned())
}

impl YamlReader {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix() == "str");
                if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
                    *key = Some(text.into_owned());
                    return Ok(());
                }
                let value = if is_text || style != ScalarStyle::Plain {
                    Value::String(text.into_owned())
                } else {
                    plain(&text)
                };
                self.add(value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Open::List(Vec::new(), anchor)),
            Event::MappingStart(_, anchor, _) => {
                let (members, merged) = (Map::new(), Vec::new());
                self.begin(Open::Map { members, key: None, merged, anchor })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, anchor)) => self.add(Value::Array(items), anchor),
                Some(Open::Map { mut members, merged, anchor, .. }) => {
                    for value in merged {
                        merge(&mut members, value)?;
                    }
                    self.add(Value::Object(members), anchor)
                }
                None => Err("a bracket is closed that is not open".to_owned()),
            },
            Event::Alias(anchor) => {
                let size = self.anchors.get(&anchor).map(|(_, size)| *size);
                let size = size.ok_or("an alias names no anchor")?;
                self.count(size)?;
                if self.open.len() + size.depth > MAX_NESTING {
                    return Err(format!("it is nested more than {MAX_NESTING} deep"));
                }
                let value = self.anchors.get(&anchor).map(|(value, _)| value.clone());
                self.put(value.unwrap_or_default())
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err("it holds more than one document".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), String> {
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err("a key must be a scalar".to_owned());
        }
        if self.open.len() >= MAX_NESTING {
            return Err(format!("it is nested more than {MAX_NESTING} deep"));
        }
        self.open.push(open);
        Ok(())
    }

    /// Adds a value that was written here.
    fn add(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        self.count(Size { values: 1, text: value.as_str().map_or(0, str::len), depth: 0 })?;
        if anchor > 0 {
            let size = size(&value);
            self.count(size)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        self.put(value)
    }

    fn count(&mut self, size: Size) -> Result<(), String> {
        self.used.values += size.values;
        self.used.text += size.text;
        if self.used.values > MAX_VALUES || self.used.text > MAX_TEXT {
            return Err("it has too many values once its aliases are followed".to_owned());
        }
        Ok(())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List(items, _)) => items.push(value),
            Some(Open::Map { members, key, merged, .. }) => match key.take() {
                None => return Err("a key must be a scalar".to_owned()),
                Some(key) if key == "<<" => merged.push(value),
                Some(key) => {
                    if members.insert(key.clone(), value).is_some() {
                        return Err(format!("the key {} is doubled", shorten(&key)));
                    }
                }
            },
        }
        Ok(())
    }
}

/// Takes over the members of a map, or of each in a list, that are not there yet.
fn merge(members: &mut Map<String, Value>, value: Value) -> Result<(), String> {
    let maps = match value {
        Value::Object(map) => vec![Value::Object(map)],
        Value::Array(maps) => maps,
        _ => return Err("<< merges maps only".to_owned()),
    };
    for map in maps {
        let Value::Object(map) = map else { return Err("<< merges maps only".to_owned()) };
        for (key, value) in map {
            members.entry(key).or_insert(value);
        }
    }
    Ok(())
}

/// Measures a value, without recursion.
fn size(value: &Value) -> Size {
    let mut size = Size::default();
    let mut pending = vec![(value, 1)];
    while let Some((value, depth)) = pending.pop() {
        size.values += 1;
        size.depth = size.depth.max(depth);
        match value {
            Value::String(text) => size.text += text.len(),
            Value::Array(items) => pending.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                size.text += members.keys().map(String::len).sum::<usize>();
                pending.extend(members.values().map(|member| (member, depth + 1)));
            }
            _ => {}
        }
    }
    size
}

/// Reads a plain scalar (YAML 1.2.2, section 10.3.2).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let number = match text.get(..2) {
        Some("0x") => u64::from_str_radix(&text[2..], 16).ok().map(Number::from),
        Some("0o") => u64::from_str_radix(&text[2..], 8).ok().map(Number::from),
        _ => decimal(text),
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn decimal(text: &str) -> Option<Number> {
    let digits = text.trim_start_matches(['+', '-']);
    // Rust reads inf and nan too, and several signs are none.
    let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.len() <= digits.len() + 1
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().any(|b| b.is_ascii_digit());
    if !number {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(integer) = text.parse::<u64>() {
        return Some(integer.into());
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    text.parse().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        for (text, value) in [
            ("yes", json!("yes")),
            ("no", json!("no")),
            ("NO", json!("NO")),
            ("true", json!(true)),
            ("~", Value::Null),
            ("null", Value::Null),
            ("'null'", json!("null")),
            ("12", json!(12)),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.50", json!(1.5)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("3.0.3", json!("3.0.3")),
            ("1-2", json!("1-2")),
            ("2020-01-01", json!("2020-01-01")),
            (".inf", json!(".inf")),
            ("inf", json!("inf")),
            ("nan", json!("nan")),
            ("--1", json!("--1")),
            (".", json!(".")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("!!str 1", json!("1")),
            ("ä", json!("ä")),
        ] {
            assert_eq!(read(&format!("a: {text}")), Ok(json!({"a": value})), "{text}");
        }
    }

    #[test]
    fn structures_aliases_and_merges() {
        let text = "base: &b {x: 1, y: [2]}\nc:\n  <<: *b\n  x: 3\nd: *b\n200: ok\n? e\n: f\n";
        assert_eq!(
            read(text),
            Ok(json!({
                "base": {"x": 1, "y": [2]}, "c": {"x": 3, "y": [2]}, "d": {"x": 1, "y": [2]},
                "200": "ok", "e": "f",
            }))
        );
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_its_line() {
        for (text, reason) in [
            ("", "it is empty"),
            ("a: 1\na: 2", "the key a is doubled, in line 2"),
            ("a: 1\n---\nb: 2", "more than one document"),
            ("? [1]\n: 2", "a key must be a scalar"),
            ("a: *x", "unknown anchor"),
            ("a: {<<: 1}", "<< merges maps only"),
            ("a: [", "line 1"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
