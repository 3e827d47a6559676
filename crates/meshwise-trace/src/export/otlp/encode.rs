//! Spans as OTLP messages.

use super::request::Accepted;
use crate::export::protocol::OtlpProtocol;
use bytes::Bytes;
use opentelemetry_proto::{
    tonic::{
        collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
        trace::v1::{ResourceSpans, ScopeSpans},
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use prost::Message as _;

/// The largest message that is sent while it can be split, in bytes of protobuf: what a gRPC
/// server takes unless told otherwise (4 MiB), with some room for what surrounds it.
const MESSAGE_LIMIT: usize = (4 << 20) - (64 << 10);

/// Encodes batches.
#[derive(Debug)]
pub(super) struct Encoder {
    protocol: OtlpProtocol,
    gzip: bool,
    resource: ResourceAttributesWithSchema,
    limit: usize,
}

/// One message of a batch.
pub(super) struct Part {
    pub(super) request: ExportTraceServiceRequest,
    /// How many spans are in it.
    pub(super) spans: u64,
}

impl Encoder {
    pub(super) fn new(protocol: OtlpProtocol, gzip: bool) -> Self {
        let resource = ResourceAttributesWithSchema::default();
        Self { protocol, gzip, resource, limit: MESSAGE_LIMIT }
    }

    pub(super) fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }

    /// Turns a batch into messages: one, unless it would be too large.
    pub(super) fn split(&self, batch: Vec<SpanData>) -> Vec<Part> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let mut parts = Vec::with_capacity(1);
        self.split_into(ExportTraceServiceRequest { resource_spans }, &mut parts);
        parts
    }

    fn split_into(&self, mut request: ExportTraceServiceRequest, parts: &mut Vec<Part>) {
        let spans = count(&request);
        if spans > 1 && request.encoded_len() > self.limit {
            let rest = halve(&mut request, spans / 2);
            self.split_into(request, parts);
            self.split_into(rest, parts);
        } else if spans > 0 {
            parts.push(Part { request, spans: spans as u64 });
        }
    }

    /// Encodes a message as it goes over the wire, gRPC's five bytes in front included.
    pub(super) fn encode(&self, request: &ExportTraceServiceRequest) -> Result<Bytes, String> {
        match self.protocol {
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => {
                let body = self.compress(request.encode_to_vec())?;
                Ok(super::frame::frame(&body, self.gzip))
            }
            #[cfg(feature = "otlp-http-json")]
            OtlpProtocol::HttpJson => {
                let body = serde_json::to_vec(request).map_err(|error| error.to_string())?;
                self.compress(body).map(Bytes::from)
            }
            _ => self.compress(request.encode_to_vec()).map(Bytes::from),
        }
    }

    #[cfg(feature = "gzip")]
    fn compress(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write as _;
        if !self.gzip {
            return Ok(body);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(&body).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
    }

    #[cfg(not(feature = "gzip"))]
    #[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
    fn compress(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        debug_assert!(!self.gzip, "the configuration refuses what is not compiled in");
        Ok(body)
    }
}

fn count(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

/// Keeps the first `n` spans, and returns the others.
fn halve(request: &mut ExportTraceServiceRequest, mut n: usize) -> ExportTraceServiceRequest {
    let mut rest = Vec::new();
    for resource in &mut request.resource_spans {
        let mut rest_scopes = Vec::new();
        for scope in &mut resource.scope_spans {
            let keep = n.min(scope.spans.len());
            n -= keep;
            let spans = scope.spans.split_off(keep);
            if !spans.is_empty() {
                rest_scopes.push(ScopeSpans {
                    scope: scope.scope.clone(),
                    schema_url: scope.schema_url.clone(),
                    spans,
                });
            }
        }
        resource.scope_spans.retain(|scope| !scope.spans.is_empty());
        rest.push(ResourceSpans {
            resource: resource.resource.clone(),
            schema_url: resource.schema_url.clone(),
            scope_spans: rest_scopes,
        });
    }
    ExportTraceServiceRequest { resource_spans: rest }
}

/// Reads what the collector says to a request that it accepted; what cannot be read says nothing.
pub(super) fn decode_answer(body: &[u8], json: bool) -> Accepted {
    if json {
        return decode_json(body);
    }
    let answer = ExportTraceServiceResponse::decode(body).ok();
    let Some(partial) = answer.and_then(|answer| answer.partial_success) else {
        return Accepted::default();
    };
    Accepted {
        refused: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: printable(&partial.error_message),
    }
}

/// Reads a JSON answer by hand: proto3's JSON writes 64-bit numbers as strings, which the derived
/// deserializer refuses, and readers shall take both.
#[cfg(feature = "otlp-http-json")]
fn decode_json(body: &[u8]) -> Accepted {
    use serde_json::Value;
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return Accepted::default() };
    let partial = &answer["partialSuccess"];
    let refused = match &partial["rejectedSpans"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let message = partial["errorMessage"].as_str().unwrap_or_default();
    Accepted { refused: refused.unwrap_or(0), message: printable(message) }
}

#[cfg(not(feature = "otlp-http-json"))]
fn decode_json(_body: &[u8]) -> Accepted {
    Accepted::default()
}

/// Makes a collector's words fit for a log line.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    fn encoder(limit: usize) -> Encoder {
        let mut encoder = Encoder::new(OtlpProtocol::HttpProtobuf, false);
        let attributes = [KeyValue::new("service.name", "orders")];
        encoder.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
        Encoder { limit, ..encoder }
    }

    #[test]
    fn a_batch_is_one_message_unless_it_is_too_large() {
        let batch: Vec<_> = (0..100)
            .map(|i| {
                let mut span = span_data(&format!("{i}"));
                let scope = if i % 3 == 0 { "a" } else { "b" };
                span.instrumentation_scope = InstrumentationScope::builder(scope).build();
                span
            })
            .collect();
        assert_eq!(encoder(MESSAGE_LIMIT).split(batch.clone()).len(), 1);

        let parts = encoder(1_000).split(batch);
        assert!(parts.len() > 5, "{}", parts.len());
        let mut names = Vec::new();
        for part in &parts {
            assert!(part.request.encoded_len() <= 1_000 || part.spans == 1);
            for resource in &part.request.resource_spans {
                assert_eq!(resource.resource.as_ref().unwrap().attributes.len(), 1);
                for scope in &resource.scope_spans {
                    let wanted = if scope.scope.as_ref().unwrap().name == "a" { 0 } else { 1 };
                    for span in &scope.spans {
                        let number: u32 = span.name.parse().unwrap();
                        assert_eq!(u32::from(!number.is_multiple_of(3)), wanted);
                        names.push(number);
                    }
                }
            }
        }
        names.sort_unstable();
        assert_eq!(names, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn one_span_too_large_is_sent_all_the_same() {
        let mut span = span_data("large");
        span.attributes.push(KeyValue::new("x", "x".repeat(5_000)));
        let parts = encoder(1_000).split(vec![span, span_data("small")]);
        assert_eq!(parts.iter().map(|part| part.spans).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_partial_success_is_read_and_garbage_is_none() {
        let answer = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "too\nold".into(),
            }),
        };
        let wanted = Accepted { refused: 3, message: "too old".into() };
        assert_eq!(decode_answer(&answer.encode_to_vec(), false), wanted);
        #[cfg(feature = "otlp-http-json")]
        {
            for refused in ["\"3\"", "3"] {
                let json = format!(
                    r#"{{"partialSuccess":{{"rejectedSpans":{refused},"errorMessage":"too\nold"}}}}"#
                );
                assert_eq!(decode_answer(json.as_bytes(), true), wanted);
            }
            assert_eq!(decode_answer(b"{}", true), Accepted::default());
        }
        for garbage in [&b""[..], b"\xff\xff\xff", b"<html>"] {
            assert_eq!(decode_answer(garbage, false), Accepted::default());
            assert_eq!(decode_answer(garbage, true), Accepted::default());
        }
    }
}
