//! The one finish of a call: span, metrics, access log.

use super::{Call, Over, Progress, Side};
use crate::{
    access, convert, method, names,
    rpc::{Messages, RequestMessages, full_method},
    telemetry::Instruments,
};
use http::{
    HeaderMap, StatusCode,
    uri::{Authority, PathAndQuery},
};
use meshwise_core::{CallInfo, ErrorType, GrpcCode, Outcome, Protocol};
use meshwise_metrics::{
    BodySizes, Exemplar, HttpClientLabels, HttpServerLabels, RpcLabels, with_exemplar,
};
use opentelemetry::{
    KeyValue, Value,
    trace::{SpanRef, Status, TraceContextExt},
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
                path: self.path(),
                version: self.version,
                caller: self.cx.get::<CallInfo>().and_then(|info| info.caller.as_deref()),
                rpc: (self.protocol == Protocol::Grpc).then(|| full_method(self.path())),
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

    /// The path, if the call has to know it.
    fn path(&self) -> &str {
        self.path.as_ref().map_or("", PathAndQuery::path)
    }

    fn end_span(&self, finished: &Finished) {
        let span = self.cx.span();
        let attribute = |key: &'static str, value: Value| KeyValue::new(key, value);
        let status = finished
            .status
            .map(|status| attribute(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status).into()));
        let code = finished
            .code
            .map(|code| attribute(names::RPC_RESPONSE_STATUS_CODE, code.as_str().into()));
        let http = self.protocol != Protocol::Grpc;
        let size = |key, size: Option<u64>| {
            size.filter(|_| http).map(|size| attribute(key, size.cast_signed().into()))
        };
        let sent = Some(finished.response_size).filter(|size| *size > 0);
        let error_type = finished.error_type();
        let known = [
            status,
            code,
            size(names::HTTP_REQUEST_BODY_SIZE, finished.request_size),
            size(names::HTTP_RESPONSE_BODY_SIZE, sent),
            error_type.map(|error| attribute(names::ERROR_TYPE, error.as_str().into())),
        ];
        // One at a time, each would take the span's lock.
        span.set_attributes(known.into_iter().flatten());
        if !http {
            self.end_rpc(finished, &span);
        }
        if finished.outcome.is_failure() {
            // The status code explains itself; the conventions ask for no description then.
            span.set_status(Status::error(finished.message.clone().unwrap_or_default()));
        }
        match self.recorded_at {
            // The clock may have been set meanwhile; the time that passed is what was measured.
            Some(started) => span.end_with_timestamp(started + finished.duration),
            None => span.end(),
        }
    }

    /// Tells what flowed, and takes back the name of a method that this server has not: it could
    /// be any text.
    fn end_rpc(&self, finished: &Finished, span: &SpanRef<'_>) {
        let number = |key, number: u64| KeyValue::new(key, number.cast_signed());
        let Messages { count, bytes, .. } = self.progress.messages;
        let received = self.request_messages.as_ref().map(RequestMessages::get);
        let received = received.map(|(count, bytes)| {
            [number(names::RPC_REQUEST_MESSAGES, count), number(names::RPC_REQUEST_BYTES, bytes)]
        });
        let sent =
            [number(names::RPC_RESPONSE_MESSAGES, count), number(names::RPC_RESPONSE_BYTES, bytes)];
        span.set_attributes(sent.into_iter().chain(received.into_iter().flatten()));
        match (&self.side, &finished.known_method) {
            (Side::Client { .. }, _) => {}
            (_, Some(known)) => {
                span.set_attribute(KeyValue::new(names::RPC_METHOD, Arc::clone(known)));
            }
            (_, None) => {
                let original: String = full_method(self.path()).chars().take(256).collect();
                span.set_attributes([
                    KeyValue::new(names::RPC_METHOD, method::OTHER),
                    KeyValue::new(names::RPC_METHOD_ORIGINAL, original),
                ]);
                span.update_name(method::OTHER);
            }
        }
    }

    fn known_method(&self, code: Option<GrpcCode>) -> Option<Arc<str>> {
        let Side::Server { config, .. } = &self.side else { return None };
        let learned = &self.shared().rpc_methods;
        let progress = &self.progress;
        let answering = progress.status == Some(StatusCode::OK) && progress.code.is_none();
        config.rpc_services.known(learned, full_method(self.path()), code?, answering)
    }

    /// Records the call; the trace of a sampled one becomes its bucket's exemplar.
    fn measure(&self, finished: &Finished) {
        let Some(metrics) = &self.shared().metrics else { return };
        let exemplar = self.recording.then(|| {
            let span = self.cx.span();
            let ids = span.span_context();
            ids.is_sampled().then(|| Exemplar {
                at: self.recorded_at.map(|started| started + finished.duration),
                ..Exemplar::new(convert::trace_id(ids.trace_id()), convert::span_id(ids.span_id()))
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
            (Side::Client { config, .. }, Some(code)) => metrics.rpc_client.finished(
                &RpcLabels {
                    method: full_method(self.path()),
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
            (Side::Client { config, authority }, None) => metrics.http_client.finished(
                &HttpClientLabels {
                    method: self.method,
                    address: authority.as_ref().map_or("", Authority::host),
                    port: authority
                        .as_ref()
                        .and_then(Authority::port_u16)
                        .or(method::default_port(self.scheme)),
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
