//! What the bulk API answers: how each document fared.

use super::{Delivery, LineDelivery};
use serde::Deserialize;
use std::{collections::BTreeMap, io::Read};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Default, Deserialize)]
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

/// Reads the answer to a request of so many lines. Each document is judged by its own status: what
/// `errors` says of all of them is not asked for.
pub(super) fn read(from: impl Read, lines: usize) -> Result<Delivery, String> {
    let answer: Answer = serde_json::from_reader(from)
        .map_err(|error| format!("the answer is none of the bulk API's: {error}"))?;
    if answer.items.len() != lines {
        return Err(format!("{} of {lines} documents have an answer", answer.items.len()));
    }
    let (mut refused, mut lost) = (String::new(), String::new());
    let ends = answer.items.into_iter().map(|item| {
        let item = item.into_values().next().unwrap_or_default();
        let end = item.end();
        let said = match end {
            LineDelivery::Accepted => return end,
            LineDelivery::Refused => &mut refused,
            LineDelivery::Lost => &mut lost,
        };
        if said.is_empty() {
            *said = item.told();
        }
        end
    });
    let lines: Vec<_> = ends.collect();
    if lines.iter().all(|end| *end == LineDelivery::Accepted) {
        return Ok(Delivery::Accepted);
    }
    Ok(Delivery::Lines { lines, retry_after: None, refused, lost })
}

impl Item {
    fn end(&self) -> LineDelivery {
        match self.status {
            // 409: the document is there, made by the attempt whose answer was lost.
            200..=299 | 409 => LineDelivery::Accepted,
            429 | 500..=599 => LineDelivery::Refused,
            400..=499 => LineDelivery::Lost,
            // No answer: the document may be there or not, and to send it again makes none twice.
            _ => LineDelivery::Refused,
        }
    }

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

/// A reason may quote the document. More is kept than is told: half of a secret would not be known
/// for one.
fn short(text: &str) -> String {
    text.chars().take(2000).collect()
}

/// Says what is to be mended, where a status to a whole request tells.
pub(super) fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => ", a redirect: is this the cluster's own URL?",
        401 | 403 => ": the cluster wants another user or API key",
        404 => ": the URL, the data stream or the index is not there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::internal::retry_after;
    use std::time::Duration;
    use ureq::http::{
        HeaderMap,
        header::{DATE, RETRY_AFTER},
    };

    #[test]
    fn a_node_is_left_alone_for_seconds_or_until_a_date() {
        let read = |after: &str| {
            let date = "Sun, 06 Nov 1994 08:49:37 GMT".parse().expect("header");
            retry_after(&HeaderMap::from_iter([
                (DATE, date),
                (RETRY_AFTER, after.parse().expect("header")),
            ]))
        };
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!([read("0"), read(" 120 ")], [secs(0), secs(120)]);
        assert_eq!(read("99999999999999999999"), secs(u64::MAX));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:40 GMT"), secs(3));
        assert_eq!(read("Sunday, 06-Nov-94 08:49:40 GMT"), secs(3));
        assert_eq!(read("Sun Nov  6 08:49:40 1994"), secs(3));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:30 GMT"), secs(0), "it has passed");
        for odd in ["", "-1", "1.5", "soon"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

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
        let Ok(Delivery::Lines { lines, refused, lost, .. }) = read(answer.as_bytes(), 6) else {
            panic!("lines")
        };
        assert_eq!(lines, [Accepted, Accepted, Refused, Lost, Refused, Refused]);
        assert_eq!(refused, "status 429, circuit_breaking_exception: q");
        assert_eq!(lost, "status 400, document_parsing_exception: [1:2] no");
    }

    #[test]
    fn a_document_is_there_if_its_own_status_says_so_whatever_is_said_of_all() {
        use LineDelivery::{Accepted, Lost, Refused};
        let ends = |answer: &str, lines| match read(answer.as_bytes(), lines) {
            Ok(Delivery::Lines { lines, .. }) => Ok(lines),
            Ok(Delivery::Accepted) => Ok(vec![Accepted; lines]),
            _ => Err(()),
        };
        let one =
            |errors, item: &str| ends(&format!(r#"{{"errors":{errors},"items":[{item}]}}"#), 1);
        for errors in [true, false] {
            assert_eq!(one(errors, r#"{"create":{"status":201}}"#), Ok(vec![Accepted]));
            assert_eq!(one(errors, r#"{"create":{"status":400}}"#), Ok(vec![Lost]));
            assert_eq!(one(errors, r#"{"create":{"status":429}}"#), Ok(vec![Refused]));
            let nothing = [r#"{"create":{"status":0}}"#, r#"{"create":{"status":302}}"#];
            for silent in [nothing[0], nothing[1], r#"{"create":{}}"#, "{}"] {
                assert_eq!(one(errors, silent), Ok(vec![Refused]), "{silent}");
            }
            let many = r#"{"create":{"status":201}},{"create":{"status":201}}"#;
            assert_eq!(one(errors, many), Err(()), "more than were sent");
            assert_eq!(one(errors, ""), Err(()), "fewer than were sent");
        }
        for bad in ["", "[]", "<html>", r#"{"errors":false}"#, r#"{"errors":false,"items":null}"#] {
            assert_eq!(ends(bad, 1), Err(()), "{bad}");
        }
    }
}
