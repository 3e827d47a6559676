//! The one finish of a call: span, metrics, access log.

use super::{Call, Over, Progress, Side};
use crate::{
    access, convert, method, names,
    rpc::{Messages, full_method},
    telemetry::Instruments,
};
use http::{HeaderMap, StatusCode};
use meshwise_core::{CallInfo, ErrorType, GrpcCode, Outcome, Protocol};
use meshwise_metrics::{
    BodySizes, Exemplar, HttpClientLabels, HttpServerLabels, RpcLabels, with_exemplar,
};
use opentelemetry::{
    KeyValue,
    trace::{Status, TraceContextExt},
};
use std::{sync::Arc, time::Duration};

/// What is known about a call once it is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<GrpcCode>,
    /// The gRPC method, if this server has it.
    known_method: Option<Arc<str>>,
    pub(crate) message: Option<String>,
    pub(crate) request_size: Option<u64>,
    pub(crate) response_size: u64,
}

impl Finished {
    fn error_type(&self) -> Option<ErrorType> {
        self.outcome.error_type()
    }
}

impl Call {
    /// Ends the call. The second time nothing happens.
    pub(super) fn finish(&mut self, over: Over<'_>) {
        if std::mem::replace(&mut self.progress.finished, true) {
            return;
        }
        let duration = self.started.elapsed();
        let (outcome, code, message) = self.judge(over);
        let Progress { status, seen, .. } = self.progress;
        let finished = Finished {
            outcome,
            duration,
            status: status.map(|status| status.as_u16()),
            code,
            known_method: self.known_method(code),
            message,
            request_size: self.request_size,
            response_size: seen,
        };
        if self.recording {
            self.end_span(&finished);
        }
        self.measure(&finished);
        self.in_flight = None;
        if let Side::Server { config, route } = &self.side
            && config.access.wants()
        {
            let _entered = self.enter();
            let line = access::Line {
                method: self.method,
                route: route.as_deref(),
                uri: &self.uri,
                version: self.version,
                caller: self.cx.get::<CallInfo>().and_then(|info| info.caller.as_deref()),
                rpc: (self.protocol == Protocol::Grpc).then(|| full_method(&self.uri)),
                finished: &finished,
            };
            access::write(&line);
        }
    }

    fn judge(&self, over: Over<'_>) -> (Outcome, Option<GrpcCode>, Option<String>) {
        let progress = &self.progress;
        let grpc = self.protocol == Protocol::Grpc;
        match over {
            Over::Complete { trailers } => {
                let outcome = progress.verdict.unwrap_or_else(|| {
                    self.classify().end(progress.status.unwrap_or_default(), trailers)
                });
                let code = grpc.then(|| grpc_code(progress, trailers));
                (outcome, code, None)
            }
            Over::Failed { error_type, message } => {
                let code = grpc.then_some(match error_type {
                    ErrorType::TIMEOUT | ErrorType::DEADLINE_EXCEEDED => GrpcCode::DeadlineExceeded,
                    ErrorType::CONNECT | ErrorType::BODY => GrpcCode::Unavailable,
                    // Adapters name errors that carry a status by that.
                    other => GrpcCode::from_name(other.as_str()).unwrap_or(GrpcCode::Unknown),
                });
                (Outcome::Failure(error_type), code, message)
            }
            Over::Dropped => (Outcome::Cancelled, grpc.then_some(GrpcCode::Cancelled), None),
        }
    }

    fn end_span(&self, finished: &Finished) {
        let span = self.cx.span();
        let attribute = |key: &'static str, value: opentelemetry::Value| {
            span.set_attribute(KeyValue::new(key, value));
        };
        if let Some(status) = finished.status {
            attribute(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status).into());
        }
        if let Some(code) = finished.code {
            attribute(names::RPC_RESPONSE_STATUS_CODE, code.as_str().into());
        }
        if self.protocol == Protocol::Grpc {
            self.end_rpc(finished, &attribute);
        } else {
            if let Some(size) = finished.request_size {
                attribute(names::HTTP_REQUEST_BODY_SIZE, size.cast_signed().into());
            }
            if finished.response_size > 0 {
                let size = finished.response_size.cast_signed();
                attribute(names::HTTP_RESPONSE_BODY_SIZE, size.into());
            }
        }
        if let Some(error_type) = finished.error_type() {
            attribute(names::ERROR_TYPE, error_type.as_str().into());
        }
        if finished.outcome.is_failure() {
            // The status code explains itself; the conventions ask for no description then.
            span.set_status(Status::error(finished.message.clone().unwrap_or_default()));
        }
        span.end_with_timestamp(self.started_at + finished.duration);
    }

    /// Tells what flowed, and takes back the name of a method that this server has not: it could
    /// be any text.
    fn end_rpc(
        &self,
        finished: &Finished,
        attribute: &impl Fn(&'static str, opentelemetry::Value),
    ) {
        let Messages { count, bytes, .. } = self.progress.messages;
        attribute(names::RPC_RESPONSE_MESSAGES, count.cast_signed().into());
        attribute(names::RPC_RESPONSE_BYTES, bytes.cast_signed().into());
        if let Some(request) = &self.request_messages {
            let (count, bytes) = request.get();
            attribute(names::RPC_REQUEST_MESSAGES, count.cast_signed().into());
            attribute(names::RPC_REQUEST_BYTES, bytes.cast_signed().into());
        }
        match (&self.side, &finished.known_method) {
            (Side::Client { .. }, _) => {}
            (_, Some(known)) => attribute(names::RPC_METHOD, Arc::clone(known).into()),
            (_, None) => {
                let original: String = full_method(&self.uri).chars().take(256).collect();
                attribute(names::RPC_METHOD, method::OTHER.into());
                attribute(names::RPC_METHOD_ORIGINAL, original.into());
                self.cx.span().update_name(method::OTHER);
            }
        }
    }

    fn known_method(&self, code: Option<GrpcCode>) -> Option<Arc<str>> {
        let Side::Server { config, .. } = &self.side else { return None };
        let learned = &self.shared().rpc_methods;
        let progress = &self.progress;
        let answering = progress.status == Some(StatusCode::OK) && progress.code.is_none();
        config.rpc_services.known(learned, full_method(&self.uri), code?, answering)
    }

    /// Records the call; the trace of a sampled one becomes its bucket's exemplar.
    fn measure(&self, finished: &Finished) {
        let Some(metrics) = &self.shared().metrics else { return };
        let exemplar = self.recording.then(|| {
            let span = self.cx.span();
            let ids = span.span_context();
            ids.is_sampled().then(|| Exemplar {
                trace_id: convert::trace_id(ids.trace_id()),
                span_id: convert::span_id(ids.span_id()),
            })
        });
        with_exemplar(exemplar.flatten(), || self.record(metrics, finished));
    }

    fn record(&self, metrics: &Instruments, finished: &Finished) {
        let error_type = finished.error_type();
        let sizes =
            BodySizes { request: finished.request_size, response: Some(finished.response_size) };
        match (&self.side, finished.code) {
            (Side::Server { .. }, Some(code)) => metrics.rpc_server.finished(
                &RpcLabels {
                    method: finished.known_method.as_deref().unwrap_or(method::OTHER),
                    code,
                    error_type,
                    peer: None,
                },
                finished.duration,
            ),
            (Side::Client { config }, Some(code)) => metrics.rpc_client.finished(
                &RpcLabels {
                    method: full_method(&self.uri),
                    code,
                    error_type,
                    peer: Some(&config.peer),
                },
                finished.duration,
            ),
            (Side::Server { route, .. }, None) => metrics.http_server.finished(
                &HttpServerLabels {
                    method: self.method,
                    route: route.as_deref(),
                    status: finished.status,
                    scheme: self.scheme,
                    error_type,
                },
                finished.duration,
                sizes,
            ),
            (Side::Client { config }, None) => metrics.http_client.finished(
                &HttpClientLabels {
                    method: self.method,
                    address: self.uri.host().unwrap_or_default(),
                    port: self.uri.port_u16().or(default_port(self.scheme)),
                    status: finished.status,
                    error_type,
                    peer: &config.peer,
                },
                finished.duration,
                sizes,
            ),
        }
    }
}

fn grpc_code(progress: &Progress, trailers: Option<&HeaderMap>) -> GrpcCode {
    progress
        .code
        .or_else(|| trailers.and_then(GrpcCode::from_headers))
        .unwrap_or_else(|| GrpcCode::from_http(progress.status.unwrap_or_default()))
}

/// Returns the port that a scheme implies.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
