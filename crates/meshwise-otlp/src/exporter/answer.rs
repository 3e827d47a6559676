//! What a collector says to a request that it accepted.

use super::request::Accepted;
use meshwise_core::Signal;
use prost::Message;

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

/// Reads it; what cannot be read says nothing.
pub(super) fn decode(body: &[u8], json: bool, signal: Signal) -> Accepted {
    if json {
        return decode_json(body, signal);
    }
    let Some(partial) = WireAnswer::decode(body).ok().and_then(|answer| answer.partial_success)
    else {
        return Accepted::default();
    };
    Accepted {
        refused: u64::try_from(partial.refused).unwrap_or(0),
        message: printable(&partial.error_message),
    }
}

/// Reads a JSON answer by hand: proto3's JSON writes 64-bit numbers as strings, which the derived
/// deserializer refuses, and readers shall take both.
#[cfg(feature = "otlp-http-json")]
fn decode_json(body: &[u8], signal: Signal) -> Accepted {
    use crate::signal::SignalExt as _;
    use serde_json::Value;
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return Accepted::default() };
    let partial = &answer["partialSuccess"];
    let refused = match &partial[signal.json_refused()] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let message = partial["errorMessage"].as_str().unwrap_or_default();
    Accepted { refused: refused.unwrap_or(0), message: printable(message) }
}

#[cfg(not(feature = "otlp-http-json"))]
fn decode_json(_body: &[u8], _signal: Signal) -> Accepted {
    Accepted::default()
}

/// Makes a collector's words fit for a log line.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_read_and_garbage_is_none() {
        let answer = WireAnswer {
            partial_success: Some(PartialSuccess { refused: 3, error_message: "too\nold".into() }),
        };
        let wanted = Accepted { refused: 3, message: "too old".into() };
        for signal in [Signal::Logs, Signal::Metrics, Signal::Traces] {
            assert_eq!(decode(&answer.encode_to_vec(), false, signal), wanted);
            #[cfg(feature = "otlp-http-json")]
            {
                use crate::signal::SignalExt as _;
                for refused in ["\"3\"", "3"] {
                    let json = format!(
                        r#"{{"partialSuccess":{{"{}":{refused},"errorMessage":"too\nold"}}}}"#,
                        signal.json_refused()
                    );
                    assert_eq!(decode(json.as_bytes(), true, signal), wanted);
                }
                assert_eq!(decode(b"{}", true, signal), Accepted::default());
            }
            for garbage in [&b""[..], b"\xff\xff\xff", b"<html>"] {
                assert_eq!(decode(garbage, false, signal), Accepted::default());
                assert_eq!(decode(garbage, true, signal), Accepted::default());
            }
        }
    }
}
