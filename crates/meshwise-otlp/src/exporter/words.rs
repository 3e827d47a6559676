//! What a collector says of a request that it refuses over HTTP (OTLP, "Failures": a `google.rpc.Status`, in
//! the encoding of the request). Proxies say it as text.

use super::{
    answer::{Encoding, printable},
    coding,
};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use meshwise_core::internal::begins_with_type;
use prost::Message;
use std::{pin::pin, time::Duration};
use tokio::time::{Instant, timeout_at};

/// The most that is read of it, and the longest that it is waited for: what is lost is lost.
const LIMIT: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(1);

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, Message)]
struct RefusalStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Reads as much as comes in time, and returns what it says, fit for a log line.
pub(super) async fn read<B: Body<Data = Bytes>>(
    body: B,
    headers: &HeaderMap,
    deadline: Instant,
) -> Option<String> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data[..data.len().min(LIMIT - bytes.len())]);
            }
            if bytes.len() == LIMIT {
                break;
            }
        }
    };
    let _in_time = timeout_at(deadline.min(Instant::now() + PATIENCE), reading).await;
    let bytes = coding::prefix(bytes, headers.get(header::CONTENT_ENCODING), LIMIT);
    words(&bytes, headers.get(header::CONTENT_TYPE))
}

fn words(body: &[u8], content_type: Option<&HeaderValue>) -> Option<String> {
    let said = if Encoding::Protobuf.is_type(content_type) {
        RefusalStatus::decode(body).ok()?.message
    } else if Encoding::Json.is_type(content_type) {
        json(body).or_else(|| text(body))?
    } else if begins_with_type(content_type, "text/html") {
        // A page is for people, and seldom has its point at its beginning.
        return None;
    } else {
        text(body)?
    };
    let said = printable(said.trim());
    (!said.is_empty()).then_some(said)
}

/// Returns the text of a body, which may be cut within a letter; none if it is no text.
fn text(body: &[u8]) -> Option<String> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if error.error_len().is_none() => {
            let whole = &body[..error.valid_up_to()];
            String::from_utf8(whole.to_vec()).ok()
        }
        Err(_) => None,
    }
}

#[cfg(feature = "otlp-http-json")]
fn json(body: &[u8]) -> Option<String> {
    let status: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(status.get("message")?.as_str()?.to_owned())
}

/// Without JSON it is shown as it came.
#[cfg(not(feature = "otlp-http-json"))]
fn json(_: &[u8]) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &[u8], content_type: &'static str) -> Option<String> {
        words(body, Some(&HeaderValue::from_static(content_type)))
    }

    #[test]
    fn a_status_is_read_in_both_encodings_and_text_as_it_is() {
        let status = RefusalStatus { code: 3, message: "span 7:\nno name".into() }.encode_to_vec();
        let wanted = Some("span 7: no name".to_owned());
        assert_eq!(said(&status, "application/x-protobuf"), wanted);
        assert_eq!(said(b"span 7:\nno name\n", "text/plain; charset=utf-8"), wanted);
        assert_eq!(words(b" span 7:\nno name", None), wanted);
        #[cfg(feature = "otlp-http-json")]
        assert_eq!(said(br#"{"code":3,"message":"span 7:\nno name"}"#, "application/json"), wanted);
        let other = br#"{"error":"quota"}"#;
        assert_eq!(said(other, "application/json").unwrap().as_bytes(), other);
    }

    #[test]
    fn what_says_nothing_is_not_shown() {
        for (body, content_type) in [
            (&b""[..], "text/plain"),
            (b"", "application/x-protobuf"),
            (b"\xff\xfe", "application/x-protobuf"),
            (b"\xff\xfe", "text/plain"),
            (b"\xff", "application/json"),
            (b"<html>Bad request", "text/html"),
        ] {
            assert_eq!(said(body, content_type), None, "{body:?}");
        }
    }

    #[test]
    fn secrets_are_hidden_and_a_cut_is_marked() {
        let said = said(b"bad header: Bearer abcdefgh12345", "text/plain").unwrap();
        assert!(said.starts_with("bad header") && !said.contains("abcdefgh12345"), "{said}");
        let long = words(&"ä".repeat(4096).as_bytes()[..4095], None).unwrap();
        assert!(long.ends_with('…') && long.chars().count() == 201, "{long}");
    }

    #[tokio::test]
    async fn neither_an_endless_nor_a_hanging_body_is_waited_for() {
        use futures_util::stream::{StreamExt, iter, pending, repeat_with};
        use http_body_util::StreamBody;
        use hyper::body::Frame;
        use std::convert::Infallible;
        let none = HeaderMap::new();
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1000])));
        let far = || Instant::now() + Duration::from_secs(3600);
        let endless = StreamBody::new(repeat_with(piece));
        assert!(read(endless, &none, far()).await.is_some());
        let hangs = || StreamBody::new(iter([piece()]).chain(pending()));
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(read(hangs(), &none, soon).await.is_some(), "what came is said");
        assert!(read(hangs(), &none, far()).await.is_some(), "an hour is too long for it");
    }
}
