//! OTLP over HTTP.

use super::{
    answer::{self, ANSWER_LIMIT, Encoding, is_grpc},
    client::Client,
    coding,
    request::{Accepted, Settings, USER_AGENT},
    retry::Refusal,
    words,
};
use crate::protocol::OtlpProtocol;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use meshwise_core::internal::begins_with_type;
use tokio::time::{Instant, timeout_at};

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
/// Answers are short, and best as they are.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Tells whether an answer is for people: of a proxy that wants a password, of a server of something else.
fn is_page(headers: &HeaderMap) -> bool {
    begins_with_type(headers.get(header::CONTENT_TYPE), "text/html")
}

/// Makes one request, and has its whole answer until `deadline`.
pub(super) async fn call(
    client: &Client,
    settings: &Settings,
    body: Bytes,
    deadline: Instant,
) -> Result<Accepted, Refusal> {
    let json = settings.protocol == OtlpProtocol::HttpJson;
    let mut request = Request::post(settings.uri.clone())
        .body(Full::new(body))
        .map_err(|error| Refusal::last(error.to_string()))?;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::ACCEPT_ENCODING, IDENTITY);
    headers.extend(settings.headers.clone());
    let content_type = if json { "application/json" } else { "application/x-protobuf" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if settings.gzip {
        headers.insert(header::CONTENT_ENCODING, GZIP);
    }
    let response = client.send(request).await.map_err(|error| Refusal::unreached(&error))?;
    let (head, body) = response.into_parts();
    let grpc = is_grpc(&head.headers);
    if !head.status.is_success() {
        let refusal = Refusal::status(head.status, &head.headers);
        if grpc {
            return Err(refusal.other_protocol());
        }
        let said = words::read(body, &head.headers, deadline).await;
        return Err(refusal.saying(said));
    }
    if grpc {
        // A gRPC server says 200 to whatever it does not know.
        let refusal = Refusal::last("the endpoint answered in gRPC what it was asked in HTTP");
        return Err(refusal.other_protocol());
    }
    if is_page(&head.headers) {
        let refusal =
            "the endpoint answered with a page (text/html), which is no collector's answer";
        return Err(Refusal::last(refusal));
    }
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let asked = if json { Encoding::Json } else { Encoding::Protobuf };
    let whole = timeout_at(deadline, Limited::new(body, ANSWER_LIMIT).collect()).await;
    let body = match whole {
        Ok(Ok(body)) => body,
        // To send the records again would double them.
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Refusal::last("the endpoint's answer is larger than 1 MiB"));
        }
        // Status and type are a collector's, which answers once it has taken the records. Whether it refused
        // some of them is not known.
        _ if asked.is_type(content_type) => return Ok(Accepted::default()),
        _ => {
            return Err(Refusal::last(
                "the endpoint's answer broke off, and is of no type of OTLP's",
            ));
        }
    };
    let body = body.to_bytes();
    let body = coding::decoded(&body, head.headers.get(header::CONTENT_ENCODING));
    let body = body.map_err(Refusal::last)?;
    answer::decode_typed(&body, content_type, asked, settings.signal).ok_or_else(|| {
        let content_type = content_type.map_or("no content-type".into(), |value| {
            answer::printable(&String::from_utf8_lossy(value.as_bytes()))
        });
        Refusal::last(format!(
            "the endpoint answered HTTP {} with what is no collector's answer ({content_type}); look at \
             what listens there",
            head.status
        ))
    })
}
