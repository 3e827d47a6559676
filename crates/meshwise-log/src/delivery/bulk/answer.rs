//! What the bulk API answers: how each document fared.

use super::{Delivery, LineDelivery};
use serde::Deserialize;
use std::{collections::BTreeMap, io::Read};

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    #[serde(default)]
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    error: Option<Error>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Error {
    Detail {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        reason: String,
    },
    Text(String),
}

/// Reads the answer to a request of so many lines.
pub(super) fn read(from: impl Read, lines: usize) -> Result<Delivery, String> {
    let answer: Answer = serde_json::from_reader(from)
        .map_err(|error| format!("the answer is none of the bulk API's: {error}"))?;
    if !answer.errors {
        return Ok(Delivery::Accepted);
    }
    if answer.items.len() != lines {
        return Err(format!("{} of {lines} documents have an answer", answer.items.len()));
    }
    let mut reason = String::new();
    let ends = answer.items.into_iter().map(|item| {
        let Some(item) = item.into_values().next() else { return LineDelivery::Lost };
        let end = match item.status {
            // 409: the document is there, made by the attempt whose answer was lost.
            200..=299 | 409 => return LineDelivery::Accepted,
            429 | 500..=599 => LineDelivery::Refused,
            _ => LineDelivery::Lost,
        };
        if reason.is_empty() || end == LineDelivery::Lost {
            reason = item.told();
        }
        end
    });
    let lines = ends.collect();
    Ok(Delivery::Lines { lines, reason })
}

impl Item {
    /// Says why a document was not made.
    fn told(&self) -> String {
        let status = self.status;
        match &self.error {
            Some(Error::Detail { kind, reason }) => {
                format!("status {status}, {}: {}", short(kind), short(reason))
            }
            Some(Error::Text(text)) => format!("status {status}, {}", short(text)),
            None => format!("status {status}"),
        }
    }
}

/// A reason may quote the document: its beginning is enough.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_told_apart() {
        use LineDelivery::{Accepted, Lost, Refused};
        let answer = r#"{"errors":true,"items":[
            {"create":{"status":201}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"x"}}},
            {"create":{"status":429,"error":{"type":"circuit_breaking_exception","reason":"q"}}},
            {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:2] no"}}},
            {"create":{"status":503,"error":"away"}},
            {}]}"#;
        let Ok(Delivery::Lines { lines, reason }) = read(answer.as_bytes(), 6) else {
            panic!("lines")
        };
        assert_eq!(lines, [Accepted, Accepted, Refused, Lost, Refused, Lost]);
        assert_eq!(reason, "status 400, document_parsing_exception: [1:2] no");
        let good = r#"{"errors":false}"#;
        assert_eq!(read(good.as_bytes(), 9), Ok(Delivery::Accepted));
        for bad in ["", "[]", "<html>", r#"{"errors":true,"items":[]}"#] {
            assert!(read(bad.as_bytes(), 1).is_err(), "{bad}");
        }
    }
}
