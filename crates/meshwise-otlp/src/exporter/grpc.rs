//! OTLP over gRPC: one unary call (gRPC over HTTP/2, "Requests" and "Responses").

use super::{
    answer::{self, ANSWER_LIMIT, is_grpc},
    client::Client,
    coding,
    frame::PREFIX,
    request::{Accepted, Settings, USER_AGENT},
    retry::Refusal,
};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use meshwise_core::GrpcCode;
use percent_encoding::percent_decode;
use prost::Message;
use std::time::Duration;

/// Makes one call.
pub(super) async fn call(
    client: &Client,
    settings: &Settings,
    body: Bytes,
) -> Result<Accepted, Refusal> {
    let mut request = Request::post(settings.uri.clone())
        .version(http::Version::HTTP_2)
        .body(Full::new(body))
        .map_err(|error| Refusal::last(error.to_string()))?;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.extend(settings.headers.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if settings.gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    let response = client.send(request).await.map_err(|error| Refusal::unreached(&error))?;
    let (head, body) = response.into_parts();
    if let Some(code) = GrpcCode::from_headers(&head.headers) {
        // "Trailers-only": there is no body.
        return judge(code, &head.headers, &[], None);
    }
    if head.status != StatusCode::OK {
        let refusal = Refusal::status(head.status, &head.headers);
        // A proxy's 502 to 504 say nothing of what stands behind it.
        let other = head.status.is_client_error() && !is_grpc(&head.headers);
        return Err(if other { refusal.other_protocol() } else { refusal });
    }
    let body = Limited::new(body, ANSWER_LIMIT).collect().await;
    let body = body.map_err(|error| Refusal::broken(&*error))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    match GrpcCode::from_headers(&trailers) {
        Some(code) => judge(code, &trailers, &body.to_bytes(), head.headers.get("grpc-encoding")),
        None => {
            let refusal = Refusal::last("the endpoint does not speak gRPC: no grpc-status came");
            Err(refusal.other_protocol())
        }
    }
}

fn judge(
    code: GrpcCode,
    trailers: &HeaderMap,
    body: &[u8],
    encoding: Option<&HeaderValue>,
) -> Result<Accepted, Refusal> {
    if code == GrpcCode::Ok {
        let unread = "the endpoint answered gRPC OK with what is no collector's answer; look at what \
                      listens there";
        let read = match whole_message(body) {
            // An answer without a message says as much as an empty one.
            _ if body.is_empty() => Some(Accepted::default()),
            Some(Framed { compressed: true, bytes }) if encoding.is_some() => {
                answer::decode(&coding::decoded(bytes, encoding).map_err(Refusal::last)?)
            }
            Some(Framed { compressed: false, bytes }) => answer::decode(bytes),
            _ => None,
        };
        return read.ok_or_else(|| Refusal::last(unread));
    }
    let said = trailers.get("grpc-message").map(|value| {
        let text = percent_decode(value.as_bytes()).decode_utf8_lossy();
        format!(": {}", answer::printable(&text))
    });
    let error = format!("the collector answered gRPC {code}{}", said.unwrap_or_default());
    let after = trailers.get("grpc-status-details-bin").and_then(retry_delay);
    // OTLP, "Failures": these may pass; RESOURCE_EXHAUSTED only if the collector says when.
    let may_pass = matches!(
        code,
        GrpcCode::Cancelled
            | GrpcCode::DeadlineExceeded
            | GrpcCode::Aborted
            | GrpcCode::OutOfRange
            | GrpcCode::Unavailable
            | GrpcCode::DataLoss
    ) || (code == GrpcCode::ResourceExhausted && after.is_some());
    Err(if may_pass { Refusal::later(after, error) } else { Refusal::last(error) })
}

/// The message of an answer.
struct Framed<'a> {
    compressed: bool,
    bytes: &'a [u8],
}

/// Returns the one message of a body that is whole.
fn whole_message(body: &[u8]) -> Option<Framed<'_>> {
    let (prefix, bytes) = body.split_first_chunk::<PREFIX>()?;
    let [flag @ (0 | 1), len @ ..] = *prefix else { return None };
    (usize::try_from(u32::from_be_bytes(len)) == Ok(bytes.len()))
        .then_some(Framed { compressed: flag == 1, bytes })
}

/// `google.rpc.Status`, as far as it is of use here.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Reads `RetryInfo` out of `grpc-status-details-bin`.
fn retry_delay(value: &HeaderValue) -> Option<Duration> {
    // "-bin" values are base64, and senders may leave the padding out.
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(value.as_bytes()).ok()?;
    let status = Status::decode(&*bytes).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    let nanos = u32::try_from(delay.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::{super::frame::set_prefix, *};

    fn frame(message: &[u8], compressed: bool) -> Vec<u8> {
        let mut framed = [&[0; PREFIX], message].concat();
        set_prefix(&mut framed, compressed);
        framed
    }

    fn details(seconds: i64, nanos: i32) -> HeaderValue {
        let info = RetryInfo { retry_delay: Some(ProtoDuration { seconds, nanos }) };
        let any = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        };
        let status = Status { details: vec![any] };
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(status.encode_to_vec());
        HeaderValue::try_from(text).unwrap()
    }

    fn judged(code: GrpcCode, delay: Option<HeaderValue>) -> Option<Duration> {
        let mut trailers = HeaderMap::new();
        if let Some(delay) = delay {
            trailers.insert("grpc-status-details-bin", delay);
        }
        let refusal = judge(code, &trailers, &[], None).unwrap_err();
        super::super::retry::Waits::default().next(&refusal)
    }

    #[test]
    fn retry_info_is_read_and_garbage_is_none() {
        assert_eq!(retry_delay(&details(3, 500_000_000)), Some(Duration::from_millis(3_500)));
        assert_eq!(retry_delay(&details(-1, 0)), None);
        assert_eq!(retry_delay(&details(1, -1)), None);
        assert_eq!(retry_delay(&HeaderValue::from_static("!!!")), None);
        assert_eq!(retry_delay(&HeaderValue::from_static("AAAA")), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for &code in GrpcCode::ALL {
            if code == GrpcCode::Ok {
                continue;
            }
            let retried = judged(code, None).is_some();
            let may_pass = [1, 4, 10, 11, 14, 15].contains(&(code as u32));
            assert_eq!(retried, may_pass, "{code}");
        }
        let full = GrpcCode::ResourceExhausted;
        assert!(judged(full, Some(details(9, 0))).is_some_and(|wait| wait.as_secs() >= 9));
    }

    proptest::proptest! {
        #[test]
        fn any_trailer_and_body_are_read_without_harm(
            code in 0_u32..20,
            header in proptest::collection::vec(0x20_u8..0x7f, 0..100),
            body in proptest::collection::vec(proptest::num::u8::ANY, 0..100),
        ) {
            let mut trailers = HeaderMap::new();
            let value = HeaderValue::from_bytes(&header).unwrap();
            trailers.insert("grpc-status-details-bin", value.clone());
            trailers.insert("grpc-message", value);
            let encoding = HeaderValue::from_static("gzip");
            let _ = judge(GrpcCode::from_number(code), &trailers, &body, Some(&encoding));
        }
    }

    #[test]
    fn ok_with_anything_but_an_answer_is_none() {
        let judged = |body: &[u8]| judge(GrpcCode::Ok, &HeaderMap::new(), body, None);
        assert_eq!(judged(b"").unwrap(), Accepted::default());
        assert_eq!(judged(&frame(b"", false)).unwrap(), Accepted::default());
        for body in
            [&b"\0"[..], b"\0\0\0\0\x05ab", b"hello there", &frame(b"OK", false), &frame(b"", true)]
        {
            assert!(judged(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_frame_is_flag_length_message() {
        assert_eq!(&frame(b"abc", true)[..], b"\x01\0\0\0\x03abc");
    }
}
