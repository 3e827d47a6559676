//! What a collector says to a request that it accepted.

use super::request::Accepted;
#[cfg(feature = "otlp-http")]
use http::HeaderValue;
use http::{HeaderMap, header};
use meshwise_core::Redaction;
#[cfg(feature = "otlp-http")]
use meshwise_core::{Signal, internal::begins_with_type};
use prost::Message;

/// The most of an answer that is read.
pub(super) const ANSWER_LIMIT: usize = 1 << 20;

/// Tells whether an answer is gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// `Export{Trace,Logs,Metrics}ServiceResponse`: they differ in names only.
#[derive(Clone, PartialEq, Message)]
struct WireAnswer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `Export{Trace,Logs,Metrics}PartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    /// How many spans, log records or data points were not taken.
    #[prost(int64, tag = "1")]
    refused: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// How an answer is written.
#[cfg(feature = "otlp-http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

#[cfg(feature = "otlp-http")]
impl Encoding {
    /// Tells whether an answer says that it is written in this.
    pub(super) fn is_type(self, content_type: Option<&HeaderValue>) -> bool {
        let types: &[&str] = match self {
            Self::Protobuf => {
                &["application/x-protobuf", "application/protobuf", "application/octet-stream"]
            }
            Self::Json => &["application/json"],
        };
        types.iter().any(|one| begins_with_type(content_type, one))
    }
}

/// Reads the body of an answer over HTTP whose status says that the records were taken; `None` if no
/// collector writes such a one (OTLP, "OTLP/HTTP Response": what the request was written in, and so said
/// by its type).
///
/// No body at all is fine, and so is the other encoding: `{}` comes from many. An answer without a type is
/// tried as both. Members that are not known are ignored (OTLP, "JSON Protobuf Encoding") where the answer
/// is of the type that was asked for; elsewhere an object that has only such is another service's.
#[cfg(feature = "otlp-http")]
pub(super) fn decode_typed(
    body: &[u8],
    content_type: Option<&HeaderValue>,
    asked: Encoding,
    signal: Signal,
) -> Option<Accepted> {
    if body.is_empty() {
        return Some(Accepted::default());
    }
    let json = |of_any_members| decode_json(body, signal, of_any_members);
    match content_type {
        None if asked == Encoding::Protobuf => decode(body).or_else(|| json(false)),
        None => json(false).or_else(|| decode(body)),
        _ if Encoding::Protobuf.is_type(content_type) => decode(body),
        _ => json(asked == Encoding::Json && asked.is_type(content_type)),
    }
}

/// Reads an answer in protobuf; `None` if it is none.
pub(super) fn decode(body: &[u8]) -> Option<Accepted> {
    let Some(partial) = WireAnswer::decode(body).ok()?.partial_success else {
        return Some(Accepted::default());
    };
    Some(Accepted {
        refused: u64::try_from(partial.refused).unwrap_or(0),
        message: printable(&partial.error_message),
    })
}

/// Reads a JSON answer by hand: proto3's JSON writes 64-bit numbers as strings, which the derived
/// deserializer refuses, and readers shall take both. An object that has other members alone is an answer if
/// it may be `of_any_members`.
#[cfg(feature = "otlp-http-json")]
fn decode_json(body: &[u8], signal: Signal, of_any_members: bool) -> Option<Accepted> {
    use crate::signal::SignalExt as _;
    use serde_json::Value;
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return None };
    let partial = match answer.get("partialSuccess") {
        None => return (of_any_members || answer.is_empty()).then(Accepted::default),
        Some(Value::Null) => return Some(Accepted::default()),
        Some(Value::Object(partial)) => partial,
        Some(_) => return None,
    };
    let refused = partial.get(signal.json_refused()).map_or(0, int64);
    let message = partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
    Some(Accepted { refused: u64::try_from(refused).unwrap_or(0), message: printable(message) })
}

/// Reads a number as proto3's JSON has 64-bit ones: as text or as a number, and `3.0` and `3e0` are 3 (`ProtoJSON`,
/// "int64"); what is none is 0.
#[cfg(feature = "otlp-http-json")]
fn int64(value: &serde_json::Value) -> i64 {
    let whole = |number: f64| if number.fract() == 0.0 { number as i64 } else { 0 };
    match value {
        serde_json::Value::String(text) => {
            text.parse().ok().or_else(|| text.parse().ok().map(whole)).unwrap_or(0)
        }
        number => number.as_i64().or_else(|| number.as_f64().map(whole)).unwrap_or(0),
    }
}

/// Knows the two JSON answers that say nothing; all else a build without JSON cannot read.
#[cfg(all(feature = "otlp-http", not(feature = "otlp-http-json")))]
fn decode_json(body: &[u8], _: Signal, _: bool) -> Option<Accepted> {
    let bare: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    matches!(&*bare, b"{}" | br#"{"partialSuccess":{}}"#).then(Accepted::default)
}

/// Makes a collector's words fit for a log line: it may repeat what it was sent.
pub(super) fn printable(text: &str) -> String {
    let text = Redaction::standard().text(text);
    let mut chars = text.chars();
    let kept = chars.by_ref().take(200).map(|c| if c.is_control() { ' ' } else { c });
    let mut kept: String = kept.collect();
    if chars.next().is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_read_in_both_encodings() {
        let answer = WireAnswer {
            partial_success: Some(PartialSuccess { refused: 3, error_message: "too\nold".into() }),
        };
        let wanted = Some(Accepted { refused: 3, message: "too old".into() });
        assert_eq!(decode(&answer.encode_to_vec()), wanted);
        assert_eq!(decode(b""), Some(Accepted::default()));
        #[cfg(feature = "otlp-http-json")]
        for signal in [Signal::Logs, Signal::Metrics, Signal::Traces] {
            use crate::signal::SignalExt as _;
            for refused in ["\"3\"", "3", "3.0", "\"3e0\"", "0.3e1"] {
                let json = format!(
                    r#"{{"partialSuccess":{{"{}":{refused},"errorMessage":"too\nold"}}}}"#,
                    signal.json_refused()
                );
                assert_eq!(decode_json(json.as_bytes(), signal, false), wanted);
            }
        }
    }

    #[cfg(feature = "otlp-http")]
    #[test]
    fn only_what_a_collector_writes_is_an_answer() {
        let typed = |body: &[u8], content_type: Option<&'static str>, asked| {
            let content_type = content_type.map(HeaderValue::from_static);
            decode_typed(body, content_type.as_ref(), asked, Signal::Traces)
        };
        let nothing = WireAnswer { partial_success: Some(PartialSuccess::default()) };
        let nothing = nothing.encode_to_vec();
        for asked in [Encoding::Protobuf, Encoding::Json] {
            for (body, content_type) in [
                (&b""[..], None),
                (b"", Some("text/plain")),
                (b"{}", None),
                (b"{}", Some("application/json")),
                (b" { }\n", Some("Application/JSON; charset=utf-8")),
                (b"{}", Some("text/plain; charset=utf-8")),
                (br#"{"partialSuccess": {}}"#, Some("application/json")),
                (&nothing, None),
                (&nothing, Some("application/x-protobuf")),
                (&nothing, Some("application/octet-stream")),
            ] {
                let read = typed(body, content_type, asked);
                assert_eq!(read, Some(Accepted::default()), "{body:?} {content_type:?}");
            }
            for (body, content_type) in [
                (&b"OK"[..], None),
                (b"OK", Some("text/plain")),
                // Which protobuf would take for a field that it does not know.
                (b"P!", Some("text/plain")),
                (b"<html>Sign in", None),
                (b"\xff\xff\xff", Some("application/x-protobuf")),
                // Cut within the partial success.
                (b"\x0a\x05\x08", Some("application/x-protobuf")),
                (b"\x0a\x05\x08", None),
                (b"{}", Some("application/x-protobuf")),
                (br#"{"partialSuccess":{"#, Some("application/json")),
                (br#"{"partialSuccess":7}"#, Some("application/json")),
                (br#"{"status":"ok"}"#, Some("text/json")),
                (br#"{"status":"ok"}"#, None),
                (br#"[]"#, Some("application/json")),
                (b"null", Some("application/json")),
            ] {
                assert_eq!(typed(body, content_type, asked), None, "{body:?} {content_type:?}");
            }
        }
    }

    #[cfg(feature = "otlp-http-json")]
    #[test]
    fn members_that_are_not_known_are_ignored_in_what_was_asked_for() {
        use crate::signal::SignalExt as _;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        let read = |body: &[u8], asked| decode_typed(body, Some(&json), asked, Signal::Logs);
        for body in [&br#"{"x":1}"#[..], br#"{"partial_success":{}}"#] {
            assert_eq!(read(body, Encoding::Json), Some(Accepted::default()));
            assert_eq!(read(body, Encoding::Protobuf), None);
        }
        let count = Signal::Logs.json_refused();
        let body = format!(
            r#"{{"x":[],"partialSuccess":{{"y":{{}},"{count}":"2","errorMessage":"old"}}}}"#
        );
        let partly = Some(Accepted { refused: 2, message: "old".into() });
        for asked in [Encoding::Json, Encoding::Protobuf] {
            assert_eq!(read(body.as_bytes(), asked), partly);
        }
    }
}
