//! The one finish of a call: span, metrics, access log.

use super::{Call, Side, attributes};
use crate::{
    access, convert,
    finished::Finished,
    method, names,
    rpc::{RequestMessages, full_method, is_wildcard},
};
use http::{StatusCode, uri::PathAndQuery};
use meshwise_core::{
    CallEnd, CallInfo, GrpcCode, Protocol,
    internal::{clock, messages::Messages},
};
use meshwise_metrics::{Exemplar, with_exemplar};
use meshwise_trace::end_as_owner;
use opentelemetry::{KeyValue, Value, trace::TraceContextExt};
use std::sync::Arc;

impl Call {
    /// Ends the call; `code` tells a gRPC call's. The second time nothing happens.
    pub(super) fn finish(
        &mut self,
        end: CallEnd,
        code: impl FnOnce() -> GrpcCode,
        message: Option<String>,
    ) {
        if std::mem::replace(&mut self.progress.finished, true) {
            return;
        }
        let duration = clock::since(self.began);
        self.settle_without_answer();
        let code = (self.protocol == Protocol::Grpc).then(code);
        if let Some(code) = code {
            self.prove_method(code);
        }
        let finished = Finished {
            end,
            duration,
            status: self.progress.head.map(|head| head.status.as_u16()),
            code,
            message,
            request_size: self.request_size,
            response_size: self.progress.seen,
        };
        if let (Some(calls), Some(metrics), Side::Server { operation, rpc_method, .. }) =
            (self.listed.meter, &self.side.shared().metrics, &self.side)
        {
            let rpc = (self.protocol == Protocol::Grpc).then_some(rpc_method.as_deref());
            metrics.cost(operation.route.as_deref(), rpc, &self.cost, calls);
        }
        let (listed, streams) = (&mut self.listed, self.progress.streams);
        let calls = self.side.shared().calls.as_ref();
        if calls.is_none_or(|calls| calls.end(listed, self.protocol, &finished, streams)) {
            self.measure(&finished);
        }
        if std::mem::take(&mut self.is_active) {
            self.side.dec_active();
        }
        // Last of what is recorded: who sees the span finds the call counted. Its line is no event of it.
        if self.recording {
            self.end_span(&finished);
        }
        if let Side::Server { config, operation, client, .. } = &self.side
            && config.access.wants()
        {
            let _attached = self.attach();
            let line = access::Line {
                method: self.method,
                // That of a gRPC service is a wildcard of its router's: the method says more.
                route: operation.route.as_deref().filter(|_| self.protocol == Protocol::Http),
                path: self.path(),
                version: self.version,
                caller: self.cx.get::<CallInfo>().and_then(|info| info.caller.as_deref()),
                rpc: (self.protocol == Protocol::Grpc).then(|| full_method(self.path())),
                agent: client.agent.as_ref().and_then(|agent| agent.to_str().ok()),
                address: client.address,
                finished: &finished,
            };
            access::write(&line);
        }
    }

    /// The path, if the call has to know it.
    fn path(&self) -> &str {
        self.path.as_ref().map_or("", PathAndQuery::path)
    }

    fn end_span(&self, finished: &Finished) {
        let span = self.cx.span();
        let http = self.protocol != Protocol::Grpc;
        // A name of a gRPC method that this server has not could be any text.
        if !http && matches!(self.side, Side::Server { rpc_method: None, .. }) {
            span.update_name(method::OTHER);
        }
        let failed = finished.end.outcome.is_failure();
        // The status code explains itself; the conventions ask for no description then.
        let failure = failed.then(|| finished.message.clone().unwrap_or_default());
        // The clock may have been set meanwhile; the time that passed is what was measured.
        let at = self.recorded_at.map(|started| started + finished.duration);
        end_as_owner(&span, failure, at, |list| {
            if let Some(status) = finished.status {
                list.push(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
            }
            if http {
                if let Some(size) = finished.request_size {
                    list.push(KeyValue::new(names::HTTP_REQUEST_BODY_SIZE, size.cast_signed()));
                }
                if finished.response_size > 0 {
                    let size = finished.response_size.cast_signed();
                    list.push(KeyValue::new(names::HTTP_RESPONSE_BODY_SIZE, size));
                }
            } else {
                self.end_rpc(finished.code, list);
            }
            if let Some(error) = finished.end.error_type() {
                list.push(KeyValue::new(names::ERROR_TYPE, error.as_str()));
            }
            if let Some(by) = finished.ended_by() {
                list.push(KeyValue::new(names::MESHWISE_ENDED_BY, by));
            }
        });
    }

    /// Tells what flowed, and the method where that is known.
    fn end_rpc(&self, code: Option<GrpcCode>, list: &mut Vec<KeyValue>) {
        if let Some(code) = code {
            list.push(KeyValue::new(names::RPC_STATUS_CODE, code.as_str()));
        }
        let mut flowed = |names: [&'static str; 2], messages: u64, bytes: u64| {
            for (name, number) in names.into_iter().zip([messages, bytes]) {
                list.push(KeyValue::new(name, number.cast_signed()));
            }
        };
        let Messages { count, bytes, .. } = self.progress.messages;
        flowed([names::RPC_RESPONSE_MESSAGES, names::RPC_RESPONSE_BYTES], count, bytes);
        if let Some((count, bytes)) = self.request_messages.as_ref().map(RequestMessages::get) {
            flowed([names::RPC_REQUEST_MESSAGES, names::RPC_REQUEST_BYTES], count, bytes);
        }
        let method: Value = match &self.side {
            Side::Client { handed_on: false, .. } => return,
            Side::Client { .. } => full_method(self.path()).to_owned().into(),
            Side::Server { rpc_method: Some(known), .. } => Arc::clone(known).into(),
            Side::Server { rpc_method: None, .. } => {
                let original: String = full_method(self.path()).chars().take(256).collect();
                list.push(KeyValue::new(names::RPC_METHOD_ORIGINAL, original));
                method::OTHER.into()
            }
        };
        list.push(KeyValue::new(names::RPC_SYSTEM_NAME, "grpc"));
        list.push(KeyValue::new(names::RPC_METHOD, method));
    }

    /// Decides which protocol a served call speaks: that of its answer. What the request says of
    /// itself may be anything.
    pub(super) fn settle(&mut self, answer: Protocol) {
        if answer == self.protocol {
            return;
        }
        self.protocol = answer;
        let Side::Server { operation, .. } = &self.side else { return };
        if answer == Protocol::Grpc {
            return;
        }
        // It began as a gRPC call would.
        self.is_active = self.is_active || self.side.inc_active();
        if self.recording {
            let span = self.cx.span();
            span.set_attributes(attributes::http(operation, self.path.as_ref()));
            span.update_name(operation.span_name());
        }
    }

    /// A call without an answer is a gRPC call, if its request says so, unless this server's own
    /// routes know better: those of gRPC services end in a wildcard, and tonic's server has none.
    /// The method is still no label before it is proved.
    fn settle_without_answer(&mut self) {
        if self.progress.head.is_none()
            && let Side::Server { rpc_method: None, operation, .. } = &self.side
            && let Some(route) = &operation.route
            && !is_wildcard(route)
        {
            self.settle(Protocol::Http);
        }
    }

    /// Learns from its answer that this server has the method: only a handler begins an answer
    /// without a status, and only a handler reads the request's message. What stands before it
    /// (access, limits) says no from the headers alone.
    fn prove_method(&mut self, code: GrpcCode) {
        let read = || self.request_messages.as_ref().is_some_and(|seen| seen.get().0 > 0);
        if !self.proves_method(code, read) {
            return;
        }
        if let Side::Server { config, rpc_method: rpc_method @ None, .. } = &mut self.side {
            let learned = &config.telemetry.0.rpc_methods;
            let path = self.path.as_ref().map_or("", PathAndQuery::path);
            *rpc_method = config.rpc_services.learn(learned, full_method(path));
        }
    }

    /// Tells whether the answer is a handler's.
    fn proves_method(&self, code: GrpcCode, read: impl FnOnce() -> bool) -> bool {
        self.progress.head.is_some_and(|head| {
            head.status == StatusCode::OK
                && code != GrpcCode::Unimplemented
                && (head.code.is_none() || read())
        })
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
        let own = self.shared().service.name();
        with_exemplar(exemplar.flatten(), || match &self.side {
            Side::Server { operation, rpc_method, from_named, .. } => {
                let (http, method) = (operation.http.as_ref(), rpc_method.as_deref());
                metrics.served(own, http, method, *from_named, finished);
            }
            Side::Client { config, target, handed_on } => {
                // The path of what is handed on is a stranger's word, until a handler answers.
                let proved = |code| !handed_on || self.proves_method(code, || false);
                let rpc = finished.code.map(|code| match proved(code) {
                    true => (full_method(self.path()), code),
                    false => (method::OTHER, code),
                });
                config.count(metrics, target.as_deref(), self.method, rpc, finished);
            }
        });
    }
}
