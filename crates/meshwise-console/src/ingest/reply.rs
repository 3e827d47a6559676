//! Answers to senders, in the encoding in which they asked.

use super::{Taken, error::IngestError, wire::Signal};
use crate::respond::{Reply, full, with_trailers};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
    metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse},
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
};
use prost::Message as _;
use serde_json::json;

/// Says how a sender speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Grpc,
    Protobuf,
    Json,
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const GRPC: &str = "application/grpc";

/// Answers that a request was taken, and how much of it was not.
pub(super) fn taken(encoding: Encoding, signal: Signal, taken: &Taken) -> Reply {
    match encoding {
        Encoding::Grpc => grpc(&message(signal, taken)),
        Encoding::Protobuf => http(StatusCode::OK, PROTOBUF, message(signal, taken).into()),
        Encoding::Json => http(StatusCode::OK, JSON, json_message(signal, taken).into()),
    }
}

/// Answers why a request was not taken.
pub(super) fn refused(encoding: Encoding, reason: &IngestError) -> Reply {
    let (status, code) = reason.codes();
    let message = reason.to_string();
    let mut reply = match encoding {
        Encoding::Grpc => return grpc_error(code, &message),
        Encoding::Json => {
            http(status, JSON, json!({"code": code, "message": message}).to_string().into())
        }
        // A sender that asks in protobuf reads `google.rpc.Status`; one that may be a person, text.
        Encoding::Protobuf if reason.is_of_body() => {
            let mut said = Vec::new();
            prost::encoding::uint32::encode(1, &code, &mut said);
            prost::encoding::string::encode(2, &message, &mut said);
            http(status, PROTOBUF, said.into())
        }
        Encoding::Protobuf => http(status, "text/plain; charset=utf-8", message.into()),
    };
    if matches!(reason, IngestError::Busy) {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    reply
}

/// Answers a gRPC call with an error: all that it says is in the head.
pub(super) fn grpc_error(code: u32, message: &str) -> Reply {
    let mut reply = http(StatusCode::OK, GRPC, Bytes::new());
    reply.headers_mut().insert("grpc-status", HeaderValue::from(code));
    let message = percent_encoding::utf8_percent_encode(message, percent_encoding::CONTROLS);
    if let Ok(message) = HeaderValue::try_from(message.to_string()) {
        reply.headers_mut().insert("grpc-message", message);
    }
    reply
}

fn grpc(message: &[u8]) -> Reply {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut reply = Response::new(with_trailers(framed.freeze(), trailers));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
    reply
}

fn http(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(full(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

fn message(signal: Signal, taken: &Taken) -> Vec<u8> {
    let refused = i64::try_from(taken.refused).unwrap_or(i64::MAX);
    let error_message = taken.reason.clone().unwrap_or_default();
    let partial = refused > 0;
    match signal {
        Signal::Traces => ExportTraceServiceResponse {
            partial_success: partial
                .then_some(ExportTracePartialSuccess { rejected_spans: refused, error_message }),
        }
        .encode_to_vec(),
        Signal::Logs => ExportLogsServiceResponse {
            partial_success: partial.then_some(ExportLogsPartialSuccess {
                rejected_log_records: refused,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceResponse {
            partial_success: partial.then_some(ExportMetricsPartialSuccess {
                rejected_data_points: refused,
                error_message,
            }),
        }
        .encode_to_vec(),
    }
}

fn json_message(signal: Signal, taken: &Taken) -> String {
    if taken.refused == 0 {
        return "{}".to_owned();
    }
    let field = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    };
    let refused = taken.refused.to_string();
    json!({"partialSuccess": {field: refused, "errorMessage": taken.reason}}).to_string()
}
