//! Answers senders of OTLP, over gRPC and HTTP alike, on any of the ports.

use super::{
    body,
    error::IngestError,
    reply::{self, Encoding},
    wire::{Raw, Signal},
};
use crate::{gate, respond::Reply, save::SessionLine, shared::Shared};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body::Body;
use std::sync::Arc;

const UNAUTHENTICATED: u32 = 16;

/// Answers a request.
pub(crate) async fn serve<B>(shared: Arc<Shared>, request: Request<B>) -> Reply
where
    B: Body<Data = Bytes>,
{
    let (head, body) = request.into_parts();
    let encoding = encoding(&head.headers);
    let spoken = encoding.as_ref().map_or(Encoding::Protobuf, |encoding| *encoding);
    if let Err(closed) = gate::check(&shared, &head.uri, &head.headers) {
        shared.note_closed();
        return match spoken {
            Encoding::Grpc => reply::grpc_error(UNAUTHENTICATED, closed.message()),
            Encoding::Protobuf | Encoding::Json => closed.reply(),
        };
    }
    let answered = async {
        let signal = signal(head.uri.path()).ok_or(IngestError::NoSuchPath)?;
        if head.method != Method::POST {
            return Err(IngestError::Method);
        }
        let encoding = encoding?;
        let (bytes, held) = body::read(&head.headers, body, &shared.in_flight).await?;
        let taken = handle(Arc::clone(&shared), signal, encoding, &head.headers, bytes).await?;
        drop(held);
        Ok(reply::taken(encoding, signal, &taken))
    };
    answered.await.unwrap_or_else(|reason| {
        shared.note_refused();
        reply::refused(spoken, &reason)
    })
}

fn signal(path: &str) -> Option<Signal> {
    match path {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            Some(Signal::Traces)
        }
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            Some(Signal::Logs)
        }
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            Some(Signal::Metrics)
        }
        _ => None,
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, IngestError> {
    let content_type = text(headers, header::CONTENT_TYPE);
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    // RFC 9110, 8.3.1 and 8.4.1: of both, the case does not matter.
    match &*kind.to_ascii_lowercase() {
        "application/json" => Ok(Encoding::Json),
        "application/x-protobuf" | "application/protobuf" => Ok(Encoding::Protobuf),
        "application/grpc" | "application/grpc+proto" => Ok(Encoding::Grpc),
        _ => Err(IngestError::ContentType(crate::store::cut(kind, 100).to_owned())),
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Decompresses, decodes and stores, apart from the threads that serve connections.
async fn handle(
    shared: Arc<Shared>,
    signal: Signal,
    encoding: Encoding,
    headers: &HeaderMap,
    bytes: Bytes,
) -> Result<super::Taken, IngestError> {
    let gzip = if encoding == Encoding::Grpc {
        text(headers, "grpc-encoding") == "gzip"
    } else {
        let coding = text(headers, header::CONTENT_ENCODING);
        match &*coding.to_ascii_lowercase() {
            "" | "identity" => false,
            // RFC 9110, 8.4.1.3.
            "gzip" | "x-gzip" => true,
            _ => return Err(IngestError::Encoding(crate::store::cut(coding, 100).to_owned())),
        }
    };
    let _turn = shared.decoding.acquire().await.map_err(|_| IngestError::Busy)?;
    let here = Arc::clone(&shared);
    let work = move || {
        let plain = match encoding {
            Encoding::Grpc => unframe(bytes, gzip)?,
            _ if gzip => body::inflate(&bytes)?,
            _ => bytes,
        };
        let raw = match encoding {
            Encoding::Json => {
                if plain.len() > body::JSON_LIMIT {
                    return Err(IngestError::TooLarge(body::JSON_LIMIT));
                }
                Raw::Json(std::str::from_utf8(&plain).map_err(|_| IngestError::NotUtf8)?)
            }
            Encoding::Grpc | Encoding::Protobuf => Raw::Protobuf(&plain),
        };
        here.clock.go();
        let now = here.clock.now();
        let mut line = here.saver.is_some().then(|| SessionLine::new(signal, now));
        let taken = super::take(&here.store, now, signal, raw, line.as_mut())?;
        if let (Some(saver), Some(line)) = (&here.saver, line) {
            saver.save(line);
        }
        if !taken.heard.is_empty() {
            let mut watched = here.watched.lock();
            taken.heard.iter().for_each(|(service, address)| watched.hear(service, address));
        }
        here.note_changed();
        Ok(taken)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| IngestError::BrokeOff)?
}

/// Takes the one message of a gRPC request out of its frame.
fn unframe(mut bytes: Bytes, gzip: bool) -> Result<Bytes, IngestError> {
    let Some((&[compressed, a, b, c, d], rest)) = bytes.split_first_chunk() else {
        return Err(IngestError::Frame);
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != rest.len() {
        return Err(IngestError::Frame);
    }
    let message = bytes.split_off(5);
    match compressed {
        0 => Ok(message),
        1 if gzip => body::inflate(&message),
        _ => Err(IngestError::Encoding("compressed without grpc-encoding: gzip".to_owned())),
    }
}
