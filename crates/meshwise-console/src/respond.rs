//! Bodies and heads of answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde::Serialize;
use std::convert::Infallible;

/// Is what all answers have as a body.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// Is an answer.
pub(crate) type Reply = Response<Body>;

/// Makes a body of bytes.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// Makes a body of bytes with trailers.
pub(crate) fn with_trailers(bytes: Bytes, trailers: HeaderMap) -> Body {
    Full::new(bytes).with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync()
}

/// Answers with a line of text.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    typed(status, "text/plain; charset=utf-8", text.into())
}

/// Answers with JSON.
pub(crate) fn json(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(text) => typed(StatusCode::OK, "application/json", text.into()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Answers with bytes of a type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Reply {
    let mut reply = Response::new(full(bytes));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
