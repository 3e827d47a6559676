//! YAML, as much as JSON values need.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes values as a stream of YAML documents.
///
/// Keys and strings are written as JSON strings where they could be read as something else: every
/// JSON string is a YAML string.
#[must_use]
pub(crate) fn yaml<'a>(documents: impl IntoIterator<Item = &'a Value>) -> String {
    let mut out = String::new();
    for document in documents {
        out.push_str("---\n");
        write(&mut out, document, 0);
    }
    out
}

/// Writes a value in lines of its own, at this depth.
fn write(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                indent(out, depth);
                let _ = write!(out, "{}:", scalar(key));
                write_behind(out, value, depth);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                indent(out, depth);
                out.push('-');
                write_behind(out, value, depth);
            }
        }
        flat => {
            indent(out, depth);
            let _ = writeln!(out, "{}", flow(flat));
        }
    }
}

/// Writes a value behind `key:` or `-`.
fn write_behind(out: &mut String, value: &Value, depth: usize) {
    let nested = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        write(out, value, depth + 1);
    } else {
        let _ = writeln!(out, " {}", flow(value));
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Writes a string bare only if it is a plain word that YAML reads as nothing else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_read_as_something_else_is_quoted() {
        let value = serde_json::json!({
            "name": "auth.v1",
            "number": "1.1",
            "norway": "no",
            "odd": "a: b # c",
            "list": ["x", {"k": []}],
            "none": null,
        });
        let want = "---\nlist:\n  - x\n  -\n    k: []\nname: auth.v1\nnone: null\nnorway: \"no\"\n\
                    number: \"1.1\"\nodd: \"a: b # c\"\n";
        assert_eq!(yaml([&value]), want);
    }
}
